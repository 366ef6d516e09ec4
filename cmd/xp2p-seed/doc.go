// Xp2p-seed serves rooms: to viewers, to edges, to ordinary players.
//
// # Synopsis
//
//	xp2p-seed [flags] --room ROOM             a slice stream on stdin
//	xp2p-seed [flags] --room ROOM --key FILE --rendition NAME=SOURCE…   several bit rates
//	xp2p-seed [flags] DIR…                    directories that xp2p-slice wrote; a room is called like its directory
//	xp2p-seed [flags] --upstream URL          an edge: the room of another seed
//	xp2p-seed [flags] --tracker URL/ROOM DIR  at home: viewers find it at another seed's tracker
//
// A broadcaster's machine runs
//
//	ffmpeg -re -i match.mp4 -c copy -f flv - | xp2p-slice | xp2p-seed --room match
//
// and a viewer opens http://HOST:8080/match with xp2p-peer, or
// http://HOST:8080/live/match.flv with any player.
//
// One process is the origin (HTTP, for viewers, edges and any cache in front of
// them), the tracker (who meets whom), a STUN responder (a viewer's public
// address), an always-on member of the swarm over XNTP, and the log that viewers
// report to. --only picks some of these parts.
//
// # Flags
//
//	--room ROOM           the name of the room on stdin
//	--rendition NAME=SOURCE  one of several streams of the room: a slice stream in a
//	                      file or pipe ("-" is stdin), or a directory; see below
//	--key FILE            the room's signing key, as xp2p-slice --key has it
//	--upstream URL        pull the room http://HOST:PORT/ROOM from another seed;
//	                      may be given several times
//	--listen ADDR         HTTP address (TCP)
//	--udp ADDR            XNTP and STUN address; by default that of --listen
//	--port-map            have the router pass the UDP port on, by PCP, NAT-PMP or
//	                      UPnP, and give it back at the end
//	--public URL          how viewers reach the HTTP address, if not as they did
//	--tracker URL         announce the rooms at the tracker at http://HOST:PORT, or
//	                      join its rooms, instead of being one
//	--guest-rooms N       let others announce up to N rooms of their own here; none
//	                      if it is not given
//	--allow-seed KEY      let the seed with this key join the tracker here; may be
//	                      given several times
//	--stun ADDR           a STUN responder elsewhere, for the room document: HOST:PORT,
//	                      or HOST:PORT#KEY, whose word on addresses then counts; may
//	                      be given several times
//	--stun-listen IP:PORT a further address of the STUN responder here; may be given
//	                      twice, with two IP addresses and two ports
//	--relay IP:PORT       relay for viewers who find no other way to each other: TURN
//	                      over UDP and TCP; may be given several times
//	--relay-tls IP:PORT   TURN over TLS there
//	--relay-cert FILE     the certificate for --relay-tls, in PEM; without it one is
//	                      made, which the room document names
//	--relay-key FILE      its key, in PEM
//	--relay-public IP     the IPv4 address at which others reach the relay, if it is
//	                      not that of --relay (a machine behind its own router)
//	--relay-ports MIN-MAX UDP ports of relayed addresses; by default 49152-65535
//	--relay-rate RATE     relay at most so many bits per second for one viewer, both
//	                      ways together; by default 16M
//	--relay-room-rate RATE  and for a room; by default 100M
//	--relay-private       relay to viewers with private addresses too, for networks
//	                      that have no others
//	--log URL             the seed at http://HOST:PORT takes what viewers report
//	--only PART           serve only this: origin, tracker, stun, seed or log; may
//	                      be given several times
//	--topology balanced|mesh|tree  how viewers are arranged
//	--zones FILE          where viewers are and what the way between them costs;
//	                      may be given several times
//	--window TIME         keep so much of a live room in memory
//	--store DIR           keep rooms on disk as well, in DIR/ROOM
//	--max-upload RATE     give viewers over XNTP at most so many bits per second
//	--uplink RATE         what this machine's uplink carries: origin and seed keep
//	                      within it; without it there is no bound
//	--linger TIME         go on serving for so long after stdin has ended, or until
//	                      every viewer has left
//	--identity FILE       the seed's secret XNTP and token keys; made if missing,
//	                      mode 0600; without it they are new at each start
//	--print-key           print the public keys of --identity, "seed KEY" and "stun KEY",
//	                      and end
//	--qlog DIR            write a trace of each XNTP connection into DIR, in qlog 0.3
//	                      (.sqlog), as https://qvis.quictools.info reads it
//	--ready-file FILE     write the base URL there once rooms can be joined
//	                      (by way of --tracker, if that answers)
//
// # Rooms
//
// A room on stdin is live or a recording (xp2p-slice --vod); a recording needs a
// --store to be kept in. It ends with stdin: a slicer that is started again
// behind the first (cat a b) goes on with the room, if it signs with the same
// key.
//
// A directory that xp2p-slice is still writing is a live room, at most a segment
// and 0.1 s behind; its end record ends the room. A finished one is closed: who
// asks for the live edge is given it from its beginning, like a recording.
// Files that do not match their hashes are not served.
//
// An edge keeps what it pulls in memory, for --window, and asks its upstream for
// the rest; many who ask for the same cost it one request. The edge of a
// recording needs a --store, which it fills; until it has, it asks.
//
// # Renditions
//
// A room can have several streams that show the same at other bit rates. One
// slicer cuts each, all with the same --key, for they are one room's; the seed
// signs the list of them with it:
//
//	xp2p-seed --room match --key room.key
//	    --rendition 720p=<(ffmpeg … | xp2p-slice --key room.key)
//	    --rendition 360p=<(ffmpeg … | xp2p-slice --key room.key)
//
// The key is made by whoever comes first. The first rendition is the room itself,
// match, for all who ask for no other; the others are rooms and swarms of their own,
// match.360p, with all the URLs of a room. The room documents of all of them hold
// the list, as renditions: name, room, container and, once it is measured,
// bitrate_bps of each, issued_unix_ms and the signature. It is signed anew when a
// bit rate changes by a tenth. A viewer chooses with xp2p-peer --rendition. So that
// one can follow the other without a seam, let one ffmpeg encode all of them, with
// keyframes at the same times (-force_key_frames).
//
// A rendition that breaks off leaves the others on the air. They are live; the seed
// ends when all are over. An edge (--upstream) of the room, or of any of them, pulls
// them all, and hands the list on: it needs no key.
//
// # Parts on several machines
//
// --only picks the parts of one process. Each is told where the others are:
//
//	xp2p-seed --only origin --room match <slices
//	xp2p-seed --only stun --identity stun.json
//	xp2p-seed --only log --upstream http://ORIGIN/match
//	xp2p-seed --only tracker --upstream http://ORIGIN/match --stun HOST:PORT#KEY
//	    --log http://LOG --allow-seed KEY
//	xp2p-seed --only seed --upstream http://ORIGIN/match --tracker http://TRACKER
//	    --identity seed.json
//
// Viewers open http://TRACKER/match: its room document names all of them. The
// seed of a tracker elsewhere is known by its key.
//
// # A seed at home
//
// Who stands behind a NAT and has a file or a stream to pass on announces it at a
// seed that others reach, whose operator lets guests in:
//
//	xp2p-seed --guest-rooms 20                          in the open; rooms of its own are welcome
//	xp2p-slice --vod -o film film.mp4
//	xp2p-seed --tracker http://SEED:8080/film film      at home
//	xp2p-peer -o film.mp4 http://SEED:8080/film         whoever wants it
//
// The seed in the open only introduces: viewers reach the one at home as they reach
// each other, through both NATs, and have all of it over XNTP, a recording and what
// was cut off before, a live stream and its beginning. What they are given counts as
// seed_bytes. With http://SEED:8080 alone as --tracker every room is announced under
// its own name.
//
// The first who announces a name has it for as long as the program runs, and a
// minute more if its line fails; its key is that of --identity, with which it may be
// started again at once, from another address too. Eight rooms are taken in from one
// address. Guests' rooms end with their seed. --max-upload bounds what a home's
// uplink gives: pieces that are pushed, and beside that what is fetched.
//
// # Near viewers first
//
// With --zones the tracker knows in which zone of the network, such as an ISP,
// each address is, and tells every viewer what the way to the others costs. A
// file is text, with a # before comments:
//
//	203.0.113.0/24 isp-a        a network, and the zone that it is in
//	2001:db8::/32  isp-b
//	cost isp-a isp-b 10         of a byte from zone to zone, both ways;
//	cost isp-a -> isp-c 20      one way; within a zone it is 0
//	default-cost 5              where no line says it; else the highest cost given
//	budget isp-b 20M            bits per second that may cross the border of a zone
//
// or the network and cost maps of ALTO (RFC 7285, JSON, one or both in a file),
// or a database in the MaxMind format (MMDB) that knows the AS or the ISP of an
// address. Such a zone is called AS64500, or like the ISP with hyphens for what
// is neither letter nor digit; a text beside it says what is between them. All
// files together are one map, of which the longest prefix counts; what has no
// network in a text or ALTO map is looked up in the databases.
//
// An address that is in no zone is far from all that are in one, and near to
// others like it: give the network of the seed itself a line too. A budget is
// shared by all rooms, and bounds what viewers send each other across the border of
// a zone; one copy of a stream may always cross. A mesh holds to it; a balanced room
// needs one copy anyway, a tree a few. Whoever lacks something in spite of it asks
// seed or origin, which counts too: the metric xp2p_inter_zone_bytes_total, and
// inter_zone_bytes of xp2p-peer --stats, say what crossed.
//
// The names live, v1, metrics, healthz and stat are no rooms.
//
// # An uplink that is bounded
//
// With --uplink nine tenths of it are planned with. What is given over XNTP comes
// first, for viewers hand it on; what a viewer's player is about to lack comes
// next; and who comes anew is let in while some is left. To the others the origin
// answers 503 with Retry-After, and xp2p-peer begins with what other viewers have.
// An ordinary player knows no others: /live is refused to it in the same way, and
// it has to come again. What was let in is not cut off, so ordinary players who
// watch for long can fill an uplink for good; give them an edge or a cache. An
// edge takes --uplink too, and is itself one of those who come anew at its
// upstream. The metric xp2p_origin_busy_total counts who was refused.
//
// # What the STUN responder can tell
//
// Beside the --udp address it answers at the next port, or at another if that is
// taken: from two ports a viewer learns whether its NAT gives each destination
// another port. All that xp2p-natprobe can say takes either two IP addresses
// on one machine (RFC 5780; each gets both ports),
//
//	xp2p-seed --room match --stun-listen 192.0.2.1:3478 --stun-listen 192.0.2.2:3479
//
// (192.0.2.1:3478 may be that of --listen or --udp as well; where HTTP has not the
// port, STUN over TCP is answered there),
//
// or two seeds that know each other's keys: one is asked to send a packet to whom
// the other has seen, with the other's signature, three packets at most.
//
//	xp2p-seed --room match --identity a.json --stun OTHER:PORT#KEY
//
// A tracker elsewhere names both ports of a responder: --stun HOST:PORT#KEY
// --stun HOST:PORT+1.
//
// It never sends more than 1.25 bytes on the wire for each that it gets (1.35 to
// bare IPv6 requests).
//
// # Relay
//
// Some pairs of NATs let nothing through, and some networks no UDP. With --relay the
// seed is a TURN server (RFC 8656) for the viewers of its rooms:
//
//	xp2p-seed --room match --relay 192.0.2.1:3478 --relay-tls 192.0.2.1:443
//
// The room document names it, with a user name and a password that let somebody begin
// for ten minutes; who has begun goes on. Firewalls must let in the ports of
// --relay-ports. Relayed addresses are of IPv4.
//
// It sends to nobody but those whom a STUN responder has seen in the room, at public
// addresses, and never to its own machine; with --relay-private, for a laboratory or
// a company's own network, also to private addresses that were so seen. Of one viewer
// it takes four allocations, of one address 16, of all 1024. What is more than the
// rates is lost, as in a router. A stranger gets no more than 1.25 bytes on the wire
// for each of his, and a trickle.
//
// A relay spares the operator nothing: what it passes on leaves this machine as if the
// seed had given it. It counts as a server's in every statistic (relay_bytes of a
// viewer, xp2p_relay_bytes_total here), nobody signs for it, and --uplink reckons with
// it. Any TURN client can use the credentials for as long as they live.
//
// Viewers who have no UDP also reach the seed itself: XNTP goes over the HTTP address,
// at /v1/xntp.
//
// # URLs
//
//	/v1/rooms/ROOM                   all that a viewer needs to join (JSON)
//	/v1/rooms/ROOM/signal            the tracker's WebSocket
//	/v1/rooms/ROOM/start?from=live   the slice stream from the newest keyframe on
//	/v1/rooms/ROOM/newest            the live edge, good for a second
//	/v1/rooms/ROOM/pieces/SHA256     never changes, like what follows
//	/v1/rooms/ROOM/segments/NAME
//	/v1/rooms/ROOM/inits/SHA256
//	/v1/rooms/ROOM/at/EPOCH-SEQ-INDEX
//	/v1/rooms/ROOM/log               viewers POST their counters
//	/v1/xntp                         XNTP over TCP, by an HTTP upgrade to xntp/1
//	/live/ROOM.flv, /live/ROOM.mp4   the room's own container, for players
//	/metrics                         for Prometheus
//	/healthz                         for load balancers: 503 if stdin broke off, an
//	                                 upstream or tracker does not answer, or the disk
//	                                 takes no more
//
// Of viewers behind NATs, xp2p_traversals_total counts how many pairs met, by the
// kinds of NAT (a, b) and the path: direct, predicted, birthday, tcp, relay; or failed.
//
// # Who gave how much
//
// A viewer signs for each of the others how much it had of it, and the tracker
// checks and adds up what was signed. Of a room /metrics then shows:
//
//	xp2p_share_vouched_ratio       the part of all payload that viewers signed to
//	                               have had of each other: the room's share, to be
//	                               shown to people. Signatures come some ten to
//	                               twenty seconds late, so it is low at first
//	xp2p_peer_bytes_vouched_total  these bytes
//	xp2p_peer_bytes_vouched_local  of them, those between two at one address
//	xp2p_peer_bytes_cut            signed for, and more than its receiver can have
//	                               had by then: not counted
//	xp2p_receipts_refused_total    signatures that were not good
//	xp2p_free_riders               viewers that took from others for a minute and
//	                               gave less than a twentieth of it: they are
//	                               served last
//	xp2p_polluters                 viewers of whom two others, at two addresses, had
//	                               bytes that the room's key did not sign: for ten
//	                               minutes they have the origin, and no neighbours
//	xp2p_share_ratio               what viewers say without a signature, beside it;
//	                               xp2p_uploaded_bytes_total is theirs as well
//
// The seed that is the tracker shows them; a log elsewhere (--only log) has but
// the unsigned ones. Each minute a line of the log says the same of every room
// that has viewers (vouched_bytes, vouched_share_ratio, claimed_bytes,
// free_riders, polluters), with -v.
//
// # Exit status
//
//	0         stdin ended and was served
//	1         failed
//	2         usage
//	4         stdin or a directory is not what xp2p-slice writes, or --zones not
//	          what it takes
//	5         an upstream did not answer
//	130, 143  interrupted, after leaving cleanly
package main

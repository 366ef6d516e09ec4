// Xp2p-peer watches or saves a room, and passes on to other viewers what it has.
//
// # Synopsis
//
//	xp2p-peer [flags] URL
//
// URL is http://HOST:PORT/ROOM, as a seed serves it. The stream goes to stdout:
//
//	xp2p-peer http://seed.example:8080/match | ffplay -
//
// What is written is the stream's init and then an exact, contiguous run of the
// broadcaster's bytes from a keyframe on. Every piece is verified against the
// room's key before it is written or passed on. A viewer who got the key from
// somewhere it trusts pins it, and need not trust the seed:
//
//	xp2p-peer 'http://seed.example:8080/match#KEY'
//
// Playing begins with what the origin has, at once; most of the rest comes from
// other viewers, and what they do not bring in time comes from the origin again.
// An origin whose uplink is full (xp2p-seed --uplink) lets nobody in: then playing
// begins with what other viewers have, at their newest keyframe; with another
// --start than live only if that lasts for three seconds.
//
// # Flags
//
//	--start live|oldest|TIME  where to begin: the newest keyframe, the oldest,
//	                          or that long before the live edge (90s); see below
//	                          for rooms that are over
//	--rendition NAME          the stream to watch, of a room that has several
//	--abr                     watch whichever rendition the links carry; see below
//	--latency off|safe|low|edge  bring the player to the live edge; see below
//	--catch-up fast|skip      with --latency, how a player that fell behind gets back
//	-o, --output FILE         write there instead of to stdout; a recording is
//	                          resumed where FILE ends; "-" is stdout, even if
//	                          that is a terminal
//	--format media|slices     slices: write a slice stream, to feed another xp2p-seed
//	--http ADDR               serve the room to players on this machine:
//	                          /live/ROOM.flv or .mp4, / in a browser, /stat
//	--room-key KEY            the room's key, as behind # in the URL
//	--listen ADDR             UDP address to meet other viewers at
//	--nat FILE                what xp2p-natprobe --json said of this network, instead
//	                          of finding it out; "-" is stdin
//	--port-map                have the router pass that port on, by PCP, NAT-PMP or
//	                          UPnP, and give it back at the end
//	--max-upload RATE         upload at most so many bits per second
//	--no-upload               upload nothing
//	--upload-quota BYTES      upload at most so much in a calendar month (2G)
//	--quota-file FILE         where that is counted; peers may share it
//	--upload-ratio NUMBER     upload at most so many times what was received
//	--metered auto|yes|no     whether the link is paid for by the byte
//	--background              mark what is sent as of less importance
//	--uplink RATE             what this machine can upload, as others may count on
//	                          until it was busy for a while, and so is measured
//	--origin-only             take part in no swarm: everything from the origin
//	--stats FILE              append counters as JSON lines, one each second and
//	                          one at the end
//	--qlog DIR                write a trace of each XNTP connection into DIR, in qlog
//	                          0.3 (.sqlog), as https://qvis.quictools.info reads it
//	--explain                 a line on stderr for every piece: from whom, and why
//
// # Live rooms and others
//
// A live room is played from --start on. If nobody takes what comes (a player
// that is paused), it is kept for two minutes, or up to 64 MiB, and others are
// served all the same; a longer pause makes a gap: the output goes on at the
// oldest keyframe that is still there, and the exit status is 3.
//
// A room that is over before it is opened (xp2p-seed of a finished directory) has
// no live edge: live and oldest both play it from its beginning.
//
// A recording is saved: as fast as it comes, each segment verified against the
// signed index before it is written. -o FILE shows how far it is; when it is cut
// off, the same command goes on behind the last segment that is whole. --start
// TIME counts from its beginning and writes its init and what follows from the
// keyframe at or before that time; such a FILE is always written anew. --http is
// for live rooms.
//
// A room may be at somebody's home (xp2p-seed --tracker): the seed in the open that
// URL names only introduces. Then all of it comes from the seed at home, and counts as
// a seed's, over XNTP and through both NATs; -o FILE waits a minute for one whose line
// has failed.
//
// A room may have several streams that show the same at other bit rates
// (xp2p-seed --rendition). Its room document names them, signed by the room's key;
// without --rendition it is the first. Each has a swarm of its own, and in URLs the
// name of its room: match, match.360p.
//
// --format slices writes a slice stream. That of a live room begins with the
// piece of a keyframe, which may stand anywhere in its segment, and is complete
// from there on:
//
//	xp2p-peer --format slices http://seed.example:8080/match | xp2p-seed --room again
//
// Counters go to the room's log: with the tracker's connection where log and
// tracker are one server, else by POST.
//
// # Neighbours behind NATs
//
// Beside everything else, a viewer finds out what kind of NAT it is behind, which
// takes some 0.4 s, and the tracker tells viewers of those whom they can reach. Two
// who are both behind NATs begin at one time, and each lets the other's packets in by
// sending some: up to ten sockets more for a NAT that counts ports up, and 512 for a
// moment, at most twice a minute, for one that draws them. Nothing of this delays the
// stream, which comes from the origin until neighbours bring it.
//
// Where two NATs let nothing through, they meet at the room's relay, if it has one
// (xp2p-seed --relay): over UDP, or over TCP or TLS where UDP is blocked. What comes by
// way of a relay is a server's: it counts in relay_bytes, and not in share_ratio. Those
// who meet at a relay look for a better way once a minute. A seed that leaves UDP
// unanswered for 1.5 s is connected to over TCP, through its HTTP address and such
// proxies as HTTP_PROXY names.
//
// Who has run xp2p-natprobe need not have it found out again:
//
//	xp2p-natprobe --json http://seed.example:8080/match > nat.json
//	xp2p-peer --nat nat.json http://seed.example:8080/match | ffplay -
//
// # Whichever rendition the links carry
//
// With --abr a viewer of a room with renditions begins with the lowest, and goes
// over to another when the links carry more, or less. Play begins 6 to 8 s behind
// the live edge, for whoever is at the edge has no time to go over; of what is there
// only a second is written ahead of what a player shows. Who comes when a stream has
// just begun is nearer, and goes up only with four seconds in the buffer.
//
// A rule (package abr: BOLA says when, throughput how far) chooses by the bit rates
// that the room's list has. Throughput is measured of the origin and of other
// viewers apart: where all pieces come late, by what comes; else a probe asks the
// origin for some pieces of the next higher rendition, up to 128 KiB every second or
// so, and throws them away. What it would give so beside all that comes is enough to
// go up by, for viewers may be slow because their own links are. So what viewers hold of one rendition
// says nothing about another.
//
// The other rendition's swarm is joined first, and asked from a keyframe on that the
// one being played has: the newest to go down, one that is shown soon to go up. The
// origin is asked for what other viewers have not brought within 3 s going up, and
// going down as late as the buffer allows. The output goes over when a lower
// rendition's first second is here, or a higher one has caught up, at a keyframe of it
// where the old one can end (H.264, H.265): renditions have to have the same times, and
// keyframes at the same. Sound goes over behind it, at the border of two frames. In the
// file of --stats a line of type switch says from, to, asked_ms and at_ms of the output,
// mode, reason, first_second_bytes of the new rendition and first_second_peer_bytes,
// those that came from viewers; lines of type stat say rendition, and count in its room.
//
// A rendition that ends, or gives nothing for 3 s while the buffer empties, is left
// for one that goes on; one that does not come or has another codec is told on
// stderr and not gone over to. The stream goes on with what there is, to its end,
// and the exit status is 3.
//
//	xp2p-peer --abr --stats abr.json http://seed.example:8080/match | ffplay -
//
// # Nearer to the live edge
//
// Playing begins at a keyframe, and so up to a GOP behind what is newest. With
// --latency the player makes that good: frames get times that are closer to each
// other, so that it shows them faster, until it is where it should be. safe leaves
// it a buffer of 1 s, low 0.4 s, edge 0.2 s; one that runs dry with that is left as
// much more as it lacked, up to 2, 1 and 0.6 s. It is hurried 1.5 to 4 times, as much
// as it takes to be there in some two seconds, and no picture is left out.
//
//	xp2p-peer --latency edge http://seed.example:8080/match | ffplay -fflags nobuffer -
//
// Sound is not scaled, which would take a decoder and an encoder: frames of it are
// left out, evenly, and those that stay follow each other without a gap. That
// sounds chopped while it lasts. Formats whose frames need no others bear it: AAC,
// Opus, AC-3, PCM. In the end both have lost the same time.
//
// A player that was paused, or is too slow, is noticed when it does not take what
// is written. --catch-up fast brings it back in the same way as at the start;
// skip goes on at the newest keyframe, if that is half a second nearer and the
// player more than 1.5 s too far behind, and hurries it from there. Either way the
// times of what is written go on without a hole, also where the broadcaster's jump.
//
// The bytes are then not the broadcaster's any more, though all that is passed on
// is. Where nothing has to be hurried, and always with --latency off, they are.
// Encrypted fragmented MP4, and other boxes that go with the samples, are left as
// they are. Players at --http are hurried as well, each by itself, and never skip.
// Live rooms only, from --start live.
//
// Frames may be closer than the stream's own rate then, on which ffmpeg -f null
// remarks, though it decodes without a word: -fps_mode vfr says that this is meant.
//
// # Manners
//
// A viewer passes on what it has, within what its user allows. --max-upload
// bounds the rate. --upload-quota bounds what is uploaded in a calendar month,
// of the local time, in all rooms and by all programs that count in the same
// --quota-file: xp2p/quota.json in the directory of the user's settings
// (~/.config on Linux), unless it says another. It counts the stream's bytes;
// headers, some 5 %, come on top. It is written once a minute and at the end,
// under a lock (FILE.lock), so that no program's count is lost; one that is
// killed takes its last minute with it, and several that run at a time may
// exceed the quota by what they upload in a minute. The file is JSON:
//
//	{"given_bytes":{"2026-03":1288490188}}
//
// --upload-ratio 1 lets a viewer give as much as it gets, of neighbours, seeds
// and the origin, and 4 MiB before that, as a newcomer has got nothing yet.
//
// On a metered link nothing is uploaded, and downloading goes on as usual.
// --metered auto looks where the default routes lead, on Linux, every 30
// seconds: links whose names begin with ww (wwan0), ppp, usb or rmnet are taken
// for metered ones. Behind a VPN it sees the VPN. yes and no decide it, and so
// do 1 and 0: XP2P_METERED=1.
//
// A viewer that uploads nothing more, or not now, tells its neighbours and the
// tracker, who do not count on it. When it may upload 4 MiB again, it does.
//
// Whatever the bounds, it gives less while what it sends stands in its link's queue
// for more than a tenth of a second, as beside an upload of the user's own. It keeps
// to one processor, which is cheaper than to wake several; GOMAXPROCS in the
// environment allows more.
//
// --background marks all datagrams as lower effort (RFC 8622, DSCP 1). Routers
// that know it let all else go first: what others need, but also what asks for
// the pieces that this viewer needs.
//
// # Statistics
//
// Lines of --stats and the answer of /stat have the same members: peer_bytes,
// seed_bytes, origin_bytes and relay_bytes are verified payload by where it
// came from, uploaded_bytes what others got from here, share_ratio the part
// that came from viewers, start-up included, lag_ms the time from the origin's
// taking in of a moment to this program's writing it, buffer_ms what is held
// ahead of the model player, startup_ms the time from the program's start to
// the first keyframe's byte, edge_distance_ms the newest time at the origin minus
// the source's time that the model player shows: one that starts 1 s after its
// first keyframe was written or, with --latency, as long after it as the buffer
// that it is left. neighbours are those we know, each with its id, addr,
// rtt_ms, connect_ms (from when it was to be met until it was), punch_ms (of that, from
// when both knew where the other may be), punch_rounds, punch_sockets and punch_probes
// (what that took on this side), and path: direct, predicted (its NAT's or ours gives
// out ports that were foretold), birthday (many sockets were tried against many ports),
// tcp or relay. upload_allowed says
// whether something is uploaded now, upload_reason if not, why (flag, metered,
// quota, ratio), quota_left_bytes what this month allows yet, age_ms the time that
// all this is of.
//
// Uploaded bytes are one's own word, on which nobody relies: a viewer signs for
// each of the others how much it had of it, and the room's tracker counts that.
// Who takes and gives next to nothing is served last; who sends bytes that the
// room's key did not sign meets nobody for ten minutes.
//
// # Exit status
//
//	0         the stream ended, or the player closed it
//	1         failed
//	2         usage
//	3         finished with a gap: nobody had some of the bytes any more
//	4         what came was not signed by the room's key
//	5         nobody answered at URL, or there is no such room, or its origin had
//	          no room for ten seconds in which there was no other viewer either
//	130, 143  interrupted, after leaving cleanly; the output ends on a tag or
//	          fragment border
package main

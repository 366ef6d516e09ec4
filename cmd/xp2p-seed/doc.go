// Xp2p-seed serves rooms: to viewers, to edges, to ordinary players.
//
// # Synopsis
//
//	xp2p-seed [flags] --room ROOM             a slice stream on stdin
//	xp2p-seed [flags] DIR…                    directories that xp2p-slice wrote; a room is called like its directory
//	xp2p-seed [flags] --upstream URL          an edge: the room of another seed
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
//	--upstream URL        pull the room http://HOST:PORT/ROOM from another seed;
//	                      may be given several times
//	--listen ADDR         HTTP address (TCP)
//	--udp ADDR            XNTP and STUN address; by default that of --listen
//	--public URL          how viewers reach the HTTP address, if not as they did
//	--tracker URL         join the rooms of the tracker at http://HOST:PORT
//	                      instead of being one
//	--allow-seed KEY      let the seed with this key join the tracker here; may be
//	                      given several times
//	--stun ADDR           a STUN responder elsewhere, for the room document: HOST:PORT,
//	                      or HOST:PORT#KEY, whose word on addresses then counts; may
//	                      be given several times
//	--log URL             the seed at http://HOST:PORT takes what viewers report
//	--only PART           serve only this: origin, tracker, stun, seed or log; may
//	                      be given several times
//	--topology balanced|mesh  how viewers are arranged
//	--window TIME         keep so much of a live room in memory
//	--store DIR           keep rooms on disk as well, in DIR/ROOM
//	--max-upload RATE     give viewers over XNTP at most so many bits per second
//	--linger TIME         go on serving for so long after stdin has ended, or until
//	                      every viewer has left
//	--identity FILE       the seed's secret XNTP and token keys; made if missing,
//	                      mode 0600; without it they are new at each start
//	--print-key           print the public keys of --identity, "seed KEY" and "stun KEY",
//	                      and end
//	--ready-file FILE     write the base URL there once rooms can be joined
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
// The names live, v1, metrics, healthz and stat are no rooms.
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
//	/live/ROOM.flv, /live/ROOM.mp4   the room's own container, for players
//	/metrics                         for Prometheus
//	/healthz                         for load balancers: 503 if stdin broke off, an
//	                                 upstream or tracker does not answer, or the disk
//	                                 takes no more
//
// # Exit status
//
//	0         stdin ended and was served
//	1         failed
//	2         usage
//	4         stdin or a directory is not what xp2p-slice writes
//	5         an upstream did not answer
//	130, 143  interrupted, after leaving cleanly
package main

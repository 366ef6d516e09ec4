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
//	--ready-file FILE     write the base URL there once rooms can be joined
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
//	/metrics, /healthz               for Prometheus and load balancers
//
// # Exit status
//
//	0         stdin ended and was served
//	1         failed
//	2         usage
//	4         stdin or a directory is not what xp2p-slice writes
//	5         an upstream or tracker did not answer
//	130, 143  interrupted, after leaving cleanly
package main

// Package lib is the map of the house.
//
// A live or recorded video leaves ffmpeg as raw FLV or fragmented MP4. xp2p
// cuts it into segments without changing a byte, serves them from an origin
// that any HTTP cache can stand in front of, and lets the viewers carry most of
// the load for each other over XNTP, their own UDP transport.
//
//	ffmpeg … -f flv - | xp2p-slice | xp2p-seed --room match     broadcaster
//	xp2p-peer http://seed:8080/match | ffplay -                 each viewer
//
// # Where a byte goes
//
//	bytes ─ flv, fmp4 ─▶ units ─ segment ─▶ signed pieces ─ store ─▶ origin ─▶ HTTP
//	                                             │
//	                                           node = swarm + playout over xntp ─▶ other nodes
//	                                             │
//	                                   exact contiguous bytes ─▶ stdout, a player
//
// Data flows one way: from the broadcaster's bytes to the viewer's. What a
// viewer writes is an init and then an exact, contiguous run of what the
// broadcaster's encoder wrote, from a keyframe on.
//
// # Three columns
//
// Media packages turn bytes into meaning: media, flv, fmp4, segment, abr; squeeze
// gives a stream other times, so that a player reaches the live edge. Core
// packages are protocols as values, with no clock, socket, goroutine, lock or
// logger: machine (the contract), wire (every grammar), congestion, xntp,
// natprobe, punch, zone, topology, tracker, swarm, playout, node, measure. The
// rind does the I/O: endpoint runs machines on sockets, simnet on virtual links
// under a virtual clock, and flownet carries whole objects there, for rooms of thousands;
// netlab makes real namespaces with emulated links between them, udplink puts such
// a link between UDP sockets of one machine; qlog writes down what connections do,
// for qvis; store, origin, signal and monitor keep, serve, introduce and count;
// tunnel carries HTTP between two nodes, portmap has routers map ports;
// zonefile reads what a tracker shall know of the network; bridge runs the encoder
// between two renditions; bench measures all of it; tool is what every binary
// shares. stream carries datagrams in TCP, and relay by way of a TURN server, where
// UDP does not get through.
//
// A package imports only from lower levels and only what its row allows. The
// table is the variable house in lib_test.go; a test holds the code to it, and
// another keeps core and media pure.
//
// # Where to look
//
//   - The data (segment, piece, init, the slice stream, who signs what): lib/segment.
//   - Datagrams and messages, byte by byte: lib/wire.
//   - The transport: lib/xntp. Its congestion control: lib/congestion.
//   - What a NAT is and does: lib/nat. How one finds out: lib/natprobe, run by
//     lib/discovery. How two find a way through theirs: lib/punch.
//   - Where an address is and what the way there costs: lib/zone.
//   - Who feeds whom: lib/topology, lib/swarm. When the player needs what: lib/playout.
//   - One viewer, put together: lib/node.
//   - The contract that lets shipped code run in a simulator: lib/machine.
//   - Switching between renditions: lib/abr; the encoder of its bridges: lib/bridge.
//   - How a player is brought to the live edge: lib/squeeze.
//   - What is measured, what each number means, its bound: lib/bench.
//   - HTTP URLs: lib/origin. Signalling: lib/signal, lib/wire.
//
// # Trust, in one paragraph
//
// A room has an Ed25519 key, which only its slicer holds. Every record that the
// slicer writes carries its own proof: a path in the Merkle tree of a batch and
// the batch's signature. So whoever holds a record can pass it on by itself, and
// whoever gets it can check it by itself, whatever way it came: on a pipe, from
// a file, over HTTP, from a stranger. How records were batched is no part of
// what they are called. A recording has one signature, over its index.
//
// # Choices that are easy to undo by accident
//
//   - A piece starts afresh with each keyframe, and the one that begins with it
//     closes at 8 KiB: a viewer's first bytes fit TCP's first flight. With 16 KiB
//     a start at 40 ms took one round trip more than plain HTTP-FLV.
//   - A node joins a room with nothing but the origin's answer (Join), and hears of
//     tracker, seeds and STUN later (Meet): the first picture waits for nobody.
//   - Of two behind NATs the one who answers opens its own first, with packets that die
//     on the way, and only then does the other send: a Linux box that sees the
//     stranger's packet first gives its own host's flow another port.
//   - No packet of hole punching goes to an address that a server has not observed,
//     and none is answered that comes from another: members could aim others at
//     somebody.
//   - Who gets a piece from whom is decided by the one who hands it on, with what
//     it knows; nobody has to agree on a version of the membership.
//   - A slow reader is the local room's problem, never the node's: outputs go into a
//     store.Room, and stdout, local players and another seed each read that.
//   - A member's queue is kept in its swarm, where it can be ordered, and not in its
//     connections: of several that share an uplink none knows what is urgent. It
//     gives one piece after another, by when the last one left as the receivers'
//     clocks say: by round trips, narrow uplinks were twice as late.
//   - What yields to the user's own traffic (swarm) goes by the same way: by round
//     trips all members of a room whose uplinks were full for a moment took each
//     other's queues for their own, gave a tenth, and stayed seconds behind.
//   - Groups of a balanced room never split: those who are in keep their neighbours,
//     however many come, and newcomers stand below who has something to give.
//   - A neighbour that refuses says whether it lacks a piece (GONE) or the time for
//     it (BUSY): who takes one for the other finds nobody to ask in a crowd.
//   - What a player is about to lack waits for its turn at the origin and not in the
//     queue of its uplink, from which nothing can be called off: there, answers came
//     four seconds late when half a room had left. For a few seconds after others
//     have left nobody relies on the origin.
//   - Who is moved to other neighbours hears for a while who of the old ones died: it
//     asked the dead.
//   - Whose link is full is not asked twice for the same, and who is behind on one is
//     pushed nothing: what he needs last took half of it, and viewers stood.
//   - A link is full when what is put out and all that comes are late, and carries then
//     what comes; the gaps between pieces that are put out tell of a burst behind one
//     that was missing, and a link of 1.5 Mbit/s was taken for one of a hundred.
//   - The word of a stranger (an index, a count, a HAVE) opens little memory and
//     ends when a signed one contradicts it.
//
// # Doors
//
// A third-party module is imported by one package, its door. Why each is here,
// how it is kept, and its licence:
//
//   - urfave/cli/v2 (tool): parses flags; maintained, v2 for fixes; MIT.
//   - charmbracelet/lipgloss, muesli/termenv (tool): colour by what the terminal
//     can; active; MIT.
//   - yutopp/go-flv (flv): meaning of AMF metadata; dormant but small; BSL-1.0.
//   - Eyevinn/mp4ff (fmp4): meaning of moov and sidx; active; MIT.
//   - pion/stun/v2 (wire): STUN codec, behind guards; v2 is frozen; MIT.
//   - flynn/noise (xntp): the Noise framework, used by many; stable; BSD-3.
//   - pion/turn/v3, pion/logging (relay): TURN, server and client; the version that
//     goes with stun/v2, which gets fixes no more, so what comes in is checked before
//     it is handed on, and its DTLS is not used; MIT.
//   - coder/websocket (signal): small, context-aware; active; ISC.
//   - oschwald/maxminddb-golang/v2 (zonefile): MMDB databases of ASes and ISPs;
//     active; ISC.
//   - huin/goupnp (portmap): UPnP, its descriptions and SOAP; quiet, in use by many;
//     BSD-2. jackpal/go-nat-pmp (portmap): NAT-PMP; small and done; Apache-2.0.
//     jackpal/gateway (portmap): the default route, elsewhere than on Linux; BSD-3.
//   - prometheus/client_golang (monitor): the format's own library; Apache-2.0.
//   - quic-go/quic-go, datarhei/gosrt, xtaci/kcp-go, anacrolix/utp (bench/rival): what
//     people use instead of XNTP, to be measured beside it; the first three
//     active, the last in use but quiet; MIT, MIT, MIT, MPL-2.0.
//   - golang.org/x/net, sys, sync, term, crypto: the Go project's; BSD-3.
//   - rogpeppe/go-internal (tests): testscript; active; BSD-3.
//
// # Words
//
// The X-P2P talks that this project builds after have words of their own. COM
// service is a tracker here, penetration server a STUN or rendezvous server,
// CTN an origin or CDN, share rate the peer share of the bytes.
//
// A segment is about a second of stream, named by the DTS grid; a piece is what
// peers exchange, at most 16 KiB or 100 ms of it; an epoch is one run of a
// broadcaster's encoder; the live edge is the newest piece.
//
// Packages under lib may change in any way before version 1.
package lib

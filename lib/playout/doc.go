// Package playout turns what arrives from everywhere, in any order, into the
// exact stream: the init, then every piece from a keyframe on, none twice, none
// left out. It knows when the player will need which piece, and so when the
// origin must be asked.
//
// A [Player] is a value without a clock. Verified records go in with Add,
// whoever they came from; Next gives them out in order; NextAsk says what the
// origin should be asked for; NextEvent tells of stalls and gaps. It does not
// know neighbours: package swarm fetches what is missing from them, told by
// Position and Due what is needed when.
//
// # Order
//
// Pieces of a segment follow each other by index. That a segment is complete is
// known from whoever says how many pieces it has: the first piece of the next
// one (segment.Piece.Prev), its segment record, or the end record. The next
// segment is then the first in the order of IDs; it is taken only if its Prev
// names the one that was just completed. A first piece without a Prev begins a
// new stream: the broadcaster restarted. The player goes over to it when the
// old one's end is known and reached, or when nothing of the old one has been
// missing for a grace, with the new stream's init before the new stream's first
// piece, just as the bytes stood in the broadcaster's pipe.
//
// # Deadlines
//
// The model player starts Buffer after it was given the first keyframe, and
// plays at the stream's speed. A piece is due when that player needs its first
// byte. A piece that comes late is a stall: the player waits, and what follows
// is due later by as much. For a hole, whose DTS nobody here knows, the DTS of
// what stands before it is taken: never too late, at most a piece too early.
//
// A real player that is brought to the live edge (package squeeze) is ahead of
// the model by what it has made good. With Config.Edge a piece is due, and asked
// for, as if the model had begun at the edge.
//
// Every hole is left to the neighbours until the origin could only just answer
// in time: twice the origin's answering time plus a margin before it is due, or more
// where its answers vary.
// Then it is asked for; so the origin is paid for what the swarm did not bring,
// and a slow neighbour never stops the player. Behind all that is proved to exist more
// may be needed as soon: of that the next pieces that neighbours speak of are asked for
// by name, each once; else whatever follows: a few pieces of it, as long as neighbours
// bring something, too, and are only late; else a stream, which goes on until there is
// time again for neighbours to do better.
//
// # Gaps
//
// A hole that the origin has no more (it said so, or it has failed for long
// past the deadline) is jumped over: the output goes on at the next keyframe
// with that keyframe's init, and an event says so. Wrong bytes are never put
// out, and bytes are never left out silently.
package playout

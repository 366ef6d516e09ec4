package bench

import (
	"time"

	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/simnet"
	"github.com/xp2p/xp2p/lib/wire"
)

// A way is how one piece, in the middle of the run, came to everybody. Over
// packets nobody sees what is in them, and there is none.
type way struct {
	piece segment.ID
	at    time.Time   // when it was taken in
	from  map[int]int // who sent it first, by viewer
	got   map[int]bool
	edges []Edge
}

// wayTime is how long behind its taking in a piece is looked for on the wires:
// whoever gets it later has been forgotten by his player.
const wayTime = 10 * time.Second

// begin takes the piece whose way is noted, if it is none yet.
func (w *way) begin(id segment.ID, now time.Time) {
	if w.at.IsZero() {
		*w = way{piece: id, at: now, from: map[int]int{}, got: map[int]bool{}}
	}
}

// sent looks at an object on its way from host to host.
func (w *way) sent(x *world, from, to *simnet.Host, data [][]byte) {
	v := x.byHost[to]
	if w.at.IsZero() || v == nil || x.sim.Now().Sub(w.at) > wayTime {
		return
	}
	if kind, _, _ := wire.SwarmRoom(data[0]); kind != wire.SwarmPiece {
		return
	}
	m, err := wire.ParseSwarmParts(data[0], data[1])
	if err != nil {
		return
	}
	d, err := x.verifier.ParsePiece(m.Piece.Descriptor)
	if err != nil || d.ID != w.piece {
		return
	}
	giver := fromSeed
	if o := x.byHost[from]; o != nil {
		giver = o.index
	}
	if _, known := w.from[v.index]; !known {
		w.from[v.index] = giver
	}
}

// came notes that a viewer has put the piece out.
func (w *way) came(v *viewer, id segment.ID, source measure.Source, now time.Time) {
	if w.at.IsZero() || id != w.piece || w.got[v.index] {
		return
	}
	giver, known := w.from[v.index]
	switch {
	case source == measure.Origin:
		giver = fromOrigin
	case !known:
		return
	}
	w.got[v.index] = true
	w.edges = append(w.edges, Edge{From: giver, To: v.index, LagMS: float64(now.Sub(w.at)) / float64(time.Millisecond), Group: v.group})
}

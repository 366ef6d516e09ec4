package tracker

import (
	"slices"

	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/wire"
)

// ways counts how pairs of kinds of NAT were connected.
type ways map[WayCount]uint64

// A WayCount names one counter: two kinds of NAT, the lesser first, and the path by
// which peers behind them met: one of nat.Way's words, or Failed. There are not more
// than 36 times 6.
type WayCount struct {
	A, B nat.Kind
	Path string
}

// Failed is the path of two who found none in time.
const Failed = "failed"

// maxMet is of how many others a peer's ways are counted.
const maxMet = 1024

// Ways returns how often peers met, by pair of kinds and path, over all rooms.
func (t *Tracker) Ways() map[WayCount]uint64 {
	out := make(map[WayCount]uint64, len(t.ways))
	for k, n := range t.ways {
		out[k] = n
	}
	return out
}

// countWays takes note of whom a peer has met, and of whom it has not. Each pair
// counts once, by the word of whoever reports first.
func (t *Tracker) countWays(p *peer, r *measure.Report, unreached []wire.PeerID) {
	if !p.kindKnown {
		return
	}
	for i := range r.Neighbours {
		var id wire.PeerID
		n := &r.Neighbours[i]
		if n.Role == string(wire.RolePeer) && id.UnmarshalText([]byte(n.ID)) == nil {
			t.countWay(p, id, n.Path)
		}
	}
	for _, id := range unreached {
		t.countWay(p, id, Failed)
	}
}

func (t *Tracker) countWay(p *peer, id wire.PeerID, path string) {
	o := p.room.peers[id]
	known := path == Failed
	for w := nat.Direct; w <= nat.Relayed; w++ {
		known = known || path == w.String()
	}
	if o == nil || o == p || !known || !o.kindKnown || !p.meets(id) || !o.meets(p.id) {
		return
	}
	if t.ways == nil {
		t.ways = ways{}
	}
	t.ways[WayCount{min(p.kind, o.kind), max(p.kind, o.kind), path}]++
}

// meets notes that a pair was counted; false if it had been.
func (p *peer) meets(id wire.PeerID) bool {
	i, ok := slices.BinarySearch(p.met, id)
	if ok || len(p.met) >= maxMet {
		return false
	}
	p.met = slices.Insert(p.met, i, id)
	return true
}

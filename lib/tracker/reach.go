package tracker

import (
	"slices"

	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/wire"
)

// apartFrom is from how many others a peer must be cut off to be hard to reach:
// of one pair alone nobody knows whose NAT it is.
const apartFrom = 2

// facts are what a peer says of its NAT.
func (p *peer) facts() (f nat.Facts) {
	if n := p.hello.NAT; n != nil {
		f = nat.FactsOf(nat.Report{Candidates: n.Classes, Mapping: n.Mapping, Filtering: n.Filtering, Allocation: n.Allocation})
	}
	return f
}

// hard reports whether a peer's NAT gives each destination another address, so
// that it cannot meet others like it: it says so, or it and others have tried.
func (p *peer) hard() bool {
	if p.hello.Role == wire.RoleSeed {
		return false
	}
	return len(p.apart) >= apartFrom || p.isHard
}

// strangers reports whether there is no way between two peers, as far as their NATs
// tell: none but through a relay, and no relay.
func strangers(p, o *peer) bool {
	if p.room.relayed {
		return false
	}
	return p.hard() && o.hard() || p.kindKnown && o.kindKnown && nat.WayBetween(p.kind, o.kind) == nat.Relayed
}

// part takes a peer's word on whom it cannot reach. It counts where the other
// says the same: one of the two alone may have gone, or lie. Two of one network
// may only be behind a NAT that does not connect its own.
func (t *Tracker) part(p *peer, unreached []wire.PeerID) {
	p.unreached = unreached
	for _, id := range unreached {
		o := p.room.peers[id]
		if o == nil || !p.placed || !o.placed || !slices.Contains(o.unreached, p.id) || network(p.remote) == network(o.remote) {
			continue
		}
		t.cutOff(p, o)
		t.cutOff(o, p)
	}
}

// cutOff notes that there is no way from p to o.
func (t *Tracker) cutOff(p, o *peer) {
	n := network(o.remote)
	if len(p.apart) >= apartFrom || slices.Contains(p.apart, n) {
		return
	}
	if p.apart = append(p.apart, n); len(p.apart) == apartFrom {
		t.apply(p.room, p.room.top.Update(p.member()))
	}
}

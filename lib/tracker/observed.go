package tracker

import "net/netip"

// Observed calls visit with every address at which a server has seen a member of a
// room, some of them twice.
func (t *Tracker) Observed(room string, visit func(netip.Addr)) {
	r := t.rooms[room]
	if r == nil {
		return
	}
	for _, p := range r.peers {
		for _, a := range p.observed {
			visit(a.Addr().Unmap())
		}
	}
}

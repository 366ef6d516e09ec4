package swarm

import "github.com/xp2p/xp2p/lib/topology"

// price notes what a byte from a neighbour costs, by the tracker's word. What it
// has brought before the tracker said so counts as well.
func (s *Swarm) price(n *neighbour) {
	m, ok := s.view.Member(topology.ID(n.id))
	if !ok || !s.listed {
		return
	}
	if !n.priced && m.Cost > 0 {
		s.Meter.InterZone += n.in
	}
	n.priced, n.toll = true, m.Cost
}

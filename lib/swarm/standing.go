package swarm

import (
	"time"

	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
)

// Who takes and does not give is not sent away: it is served when nobody else
// waits. So it costs the others nothing, and has a reason to do better.

// last reports whether a neighbour is served after the others.
func (n *neighbour) last() bool { return n.standing > 0 }

// standingOf returns what the tracker thinks of a peer; good, if it named it not.
func (s *Swarm) standingOf(id Peer) uint8 {
	if m, ok := s.view.Member(topology.ID(id)); ok {
		return m.Standing
	}
	for _, g := range s.groups {
		if m, ok := g.view.Member(topology.ID(id)); ok {
			return m.Standing
		}
	}
	return 0
}

// strained reports whether the upload is short: pieces wait for it.
func (s *Swarm) strained() bool { return s.give.bytes > 0 }

// shut leaves those whom the tracker has found to send bytes that do not verify,
// before they send us some.
func (s *Swarm) shut(now time.Time, banned []wire.PeerID) {
	for _, id := range banned {
		if n := s.peer(id); n != nil && !n.seed {
			s.leave(now, n, wire.ByePolluted, false, "the tracker says that it sends bytes that do not verify")
		}
	}
}

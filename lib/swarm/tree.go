package swarm

import (
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
)

// flows reports whether pieces flow down fixed edges: whoever gets one hands it
// to those below, and waits for whoever is above.
func (s *Swarm) flows() bool { return s.top.Way() == topology.Flowing }

// flow hands a new piece down, wherever it came from: those below wait for
// nobody else. A neighbour who is no relative of ours any more was above us, or
// will be. Nobody watches over what goes down: a child that misses a piece asks.
func (s *Swarm) flow(now time.Time, h *held, from *neighbour) {
	h.spread = true
	id := topology.ID(0)
	if from != nil {
		id = topology.ID(from.id)
	}
	s.willing(now, &s.view, 0)
	s.top.Route(&s.feed, topology.Piece(h.piece.ID), id, &s.route)
	s.pushAll(now, h, s.route.Push)
	s.tellThose(now, h.piece.ID, s.route.Tell)
	if from != nil && from.tier != topology.Above {
		// The one above is late, and would send it yet. What the origin brings it
		// need not know: that it sends the same shows that the origin can stop.
		s.order = s.order[:0]
		for _, n := range s.peers {
			if n.tier == topology.Above && !n.seed {
				s.order = append(s.order, topology.ID(n.id))
			}
		}
		s.tellThose(now, h.piece.ID, s.order)
	}
}

// awaits reports whether what others have got is on its way here too, behind what
// comes before it: it is missing only if a later piece comes without it.
func (s *Swarm) awaits() bool { return s.flows() && s.want.on && !s.starting() }

// tellThose lets a few know of a piece at once.
func (s *Swarm) tellThose(now time.Time, id segment.ID, to []topology.ID) {
	for _, t := range to {
		n := s.peer(Peer(t))
		if n == nil || !s.lacks(n, id) {
			continue
		}
		if len(n.tell) >= maxTell {
			n.tell = slices.Delete(n.tell, 0, 1)
		}
		n.tell = append(n.tell, id)
		s.tellWake = earlier(s.tellWake, now.Add(tellSoon))
	}
}

// flowRecord hands a bodyless record down.
func (s *Swarm) flowRecord(from *neighbour, desc []byte) {
	for _, n := range s.peers {
		if n != from && n.ready() && n.tier == topology.Below {
			s.control(n, wire.AppendRecord(nil, s.tag, 0, desc))
		}
	}
}

// rooted reports whether the one above has been there for a moment: a member,
// or, for those whom the seeds feed, a seed. What is new comes from there, and
// what is not can be asked for.
func (s *Swarm) rooted(now time.Time) bool {
	const settled = 200 * time.Millisecond
	above := false
	for i := range s.view.Members {
		m := &s.view.Members[i]
		if m.Seed || m.Tier != topology.Above {
			continue
		}
		above = true
		if n := s.peer(Peer(m.ID)); n != nil && n.ready() && n.uploads && now.Sub(n.since) >= settled {
			return true
		}
	}
	if above || !s.listed || s.view.Group != uint64(s.cfg.Self) {
		return false // it has not come yet, or nobody feeds us
	}
	return slices.ContainsFunc(s.peers, func(n *neighbour) bool { return n.seed && n.ready() && now.Sub(n.since) >= settled })
}

// askAbove picks whom to ask for a piece that has not come down: first the one
// above, who may only have dropped it; then those who stand beside it, once.
// Seeds come last, when the player needs it soon: if all who miss a piece asked
// them, each that was lost far up would be asked for by everybody below.
func (s *Swarm) askAbove(now time.Time, id segment.ID, m *miss, urgent bool) *neighbour {
	direct := s.view.Group == uint64(s.cfg.Self) // the seeds are above
	for _, src := range s.sources(id) {
		n := s.peer(Peer(src))
		if n == nil || !n.ready() || n.shunned(now) || slices.Contains(m.tried, n.id) || n.asked >= n.room() {
			continue
		}
		if n.seed && !direct && !urgent || !n.seed && !n.uploads {
			continue
		}
		return n
	}
	return nil
}

package swarm

import (
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/topology"
)

// answerTime is when an answer of a neighbour is overdue: three round trips and
// what it has to send before, at the rate that it showed.
func (s *Swarm) answerTime(n *neighbour) time.Duration {
	queue := time.Duration(float64(n.asked+1) * typicalSize / max(n.rate, 1000) * float64(time.Second))
	return min(max(3*n.rtt(), timeoutMin)+queue, timeoutMax)
}

// room is how many requests a neighbour may have open: what it answers in
// queueTime at the rate that it showed.
func (n *neighbour) room() int {
	return min(max(minOpen, int(n.rate*queueTime.Seconds())/typicalSize), maxOpen)
}

// cost is when an answer would be here, were it asked now.
func (n *neighbour) cost() time.Duration {
	return n.rtt() + time.Duration(float64(n.asked+1)*typicalSize/max(n.rate, 1000)*float64(time.Second))
}

// choose picks whom to ask for a piece; nil if nobody can be asked now.
func (s *Swarm) choose(now time.Time, id segment.ID, m *miss, urgent bool) *neighbour {
	best := s.holder(now, id, m, urgent, false)
	if best == nil && urgent {
		best = s.holder(now, id, m, true, true) // one who was slow is better than none
	}
	if best != nil {
		return best
	}
	if s.flows() {
		return s.askAbove(now, id, m, urgent)
	}
	busy := slices.ContainsFunc(s.peers, func(n *neighbour) bool {
		return n.gives(id) && !n.shunned(now) && !slices.Contains(m.tried, n.id)
	})
	if busy && !urgent {
		return nil // who has it has room in a moment
	}
	if all := len(m.tried); all > 0 && slices.ContainsFunc(s.peers, func(n *neighbour) bool {
		return n.gives(id) && slices.Contains(m.tried, n.id)
	}) {
		m.tried = m.tried[:0] // they had too much to send; the next time they may not
		if !urgent || m.tries < guesses && !s.hedging(now) {
			return nil
		}
	}
	mine := !s.mesh() && s.ours(id)
	if !urgent && !m.heard && !mine && m.tries < guesses && !s.mesh() {
		// Nobody said so, but most likely they all have it; the owner, who is the
		// first in the list, would have sent it if he could.
		for i, src := range s.sources(id) {
			if n := s.peer(Peer(src)); i > 0 && n != nil && !n.seed && n.ready() && n.uploads && !n.shunned(now) && n.asked < n.room() && !slices.Contains(m.tried, n.id) {
				return n
			}
		}
	}
	if !s.mesh() && (s.starting() || urgent || m.heard || mine || m.tries >= guesses) {
		// Who feeds us has it, or is about to, and will keep our request.
		best = s.feeder(now, m, urgent, false)
		if best == nil && urgent {
			best = s.feeder(now, m, true, true)
		}
		if best != nil {
			return best
		}
	}
	if s.mesh() && !urgent && now.Sub(m.since) < seedAfter {
		return nil
	}
	for _, n := range s.peers {
		if n.seed && !s.spares(urgent) && n.ready() && n.asked < maxOpen && !n.shunned(now) && (best == nil || n.cost() < best.cost()) && m.tries < 8 {
			best = n
		}
	}
	if best == nil {
		m.tried = m.tried[:0] // begin again with those who failed
	}
	return best
}

// spares reports whether the seeds are left to those who need something sooner.
func (s *Swarm) spares(urgent bool) bool { return s.cfg.Patient && !urgent }

// feeder picks one of those who feed us; nil if none can be asked. shunned: of those
// who did not answer lately too.
func (s *Swarm) feeder(now time.Time, m *miss, urgent, shunned bool) (best *neighbour) {
	for _, n := range s.peers {
		if (n.tier == topology.Above || n.seed) && !(n.seed && s.spares(urgent)) && n.ready() && n.uploads && (shunned || !n.shunned(now)) && (n.asked < n.room() || urgent && n.asked < maxOpen) && !slices.Contains(m.tried, n.id) && (best == nil || n.cost() < best.cost()) {
			best = n
		}
	}
	return best
}

// surely reports whether one who feeds us has a piece although he does not say so:
// he says it to his fellows alone, and by now the piece is old. As long as one of
// our fellows may send it in time, he is not troubled.
func (s *Swarm) surely(now time.Time, n *neighbour, m *miss) bool {
	return m.tries > 0 && n.tier == topology.Above && n.ready() && n.uploads && !s.mesh() && now.Sub(m.since) > surelyAfter
}

// holder picks among those who have a piece the one who will have sent it first;
// nil if none has room. What is urgent overtakes the requests that fill it.
// shunned: of those who did not answer lately too.
func (s *Swarm) holder(now time.Time, id segment.ID, m *miss, urgent, shunned bool) (best *neighbour) {
	var bestCost time.Duration
	ties := 0
	for _, n := range s.peers {
		if !n.gives(id) && !s.surely(now, n, m) || n.shunned(now) && !shunned || slices.Contains(m.tried, n.id) || n.asked >= maxOpen || n.asked >= n.room() && !urgent {
			continue
		}
		// Costs within a tenth are equal: the dice spread the load.
		switch c := n.cost(); {
		case best == nil || c < bestCost*9/10:
			best, bestCost, ties = n, c, 1
		case c < bestCost*11/10:
			if ties++; s.cfg.Rand.IntN(ties) == 0 {
				best, bestCost = n, min(c, bestCost)
			}
		}
	}
	return best
}

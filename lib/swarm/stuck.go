package swarm

import "time"

// A neighbour that is stuck has acknowledged nothing for longer than one who is
// alive takes: he is gone, or his way is. What is on its way to him does not fill
// the uplink any more, so it must not fill the window: else a few who were killed
// would stop what goes to all others until their pieces expire.

// stuck marks the neighbours who are, and reports whether any is.
func (s *Swarm) stuck(now time.Time) (found bool) {
	g := &s.give
	if now.Before(g.stuckAt) {
		g.wake = earlier(g.wake, g.stuckAt)
		return false
	}
	g.stuckAt = time.Time{}
	for _, n := range s.peers {
		switch {
		case n.owed == 0 || n.stuck:
		case now.Before(n.due):
			g.stuckAt = earlier(g.stuckAt, n.due)
		default:
			n.stuck, found = true, true
			g.flying -= n.owed
		}
	}
	g.wake = earlier(g.wake, g.stuckAt)
	return found
}

// owes notes bytes that are on their way to a neighbour, or are not any more.
func (g *give) owes(n *neighbour, bytes int) {
	n.owed += bytes
	if !n.stuck {
		g.flying += bytes
	}
}

// took notes that a neighbour has acknowledged something.
func (s *Swarm) took(now time.Time, n *neighbour) {
	n.due = now.Add(s.patience(n))
	if n.stuck {
		n.stuck = false
		s.give.flying += n.owed
	}
}

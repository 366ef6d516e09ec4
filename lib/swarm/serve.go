package swarm

import (
	"time"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
)

// maxWant bounds the pieces of one WANT that are looked at.
const maxWant = 512

// answerLife is how long an answer is worth sending when the asker did not say.
const answerLife = 3 * time.Second

// answerGrace is how long behind the time that the asker named an answer may
// still leave: a stall that ends is better than one that does not.
const answerGrace = time.Second

// onWant answers a request: with pieces, or at once with GONE (we lack it) or
// BUSY (it would come too late), so that the asker can turn to somebody else.
func (s *Swarm) onWant(now time.Time, n *neighbour, flags byte, budget uint64, runs []wire.Run) {
	urgent := flags&wire.WantUrgent != 0
	life := answerLife
	if budget > 0 {
		life = min(life, time.Duration(min(budget, 60_000))*time.Millisecond+answerGrace)
	}
	var gone, busy []wire.Run
	looked := 0
	for _, r := range runs {
		r.Each(func(i int) {
			if looked++; looked > maxWant {
				return
			}
			id := segment.ID{Epoch: r.Epoch, Seq: r.Seq, Index: i}
			n.have.remove(id)
			switch {
			case s.answer(now, n, id, urgent, life):
			case s.win.get(id) != nil && (s.uploads() || s.cfg.Seed):
				busy, _ = wire.AppendToRuns(busy, id.Epoch, id.Seq, id.Index)
			default:
				gone, _ = wire.AppendToRuns(gone, id.Epoch, id.Seq, id.Index)
			}
		})
	}
	if len(gone) > 0 {
		s.control(n, wire.AppendGone(nil, s.tag, gone))
	}
	if len(busy) > 0 {
		s.control(n, wire.AppendBusy(nil, s.tag, busy))
	}
}

// answer serves one piece, now or later; false if not at all.
func (s *Swarm) answer(now time.Time, n *neighbour, id segment.ID, urgent bool, life time.Duration) bool {
	h := s.win.get(id)
	if !s.uploads() && !s.cfg.Seed || !n.ready() {
		return false
	}
	if h == nil {
		return s.interested(now, n, id, urgent, life)
	}
	if n.sent(id) != nil {
		return true
	}
	if n.last() && s.strained() {
		return false
	}
	if s.cfg.Seed && !urgent && !s.mesh() {
		last, ok := s.brings(now, n, id)
		due := later(last, h.lastAnswer(s.groupOf(n))).Add(s.chance())
		if ok && now.Before(due) && len(s.give.deferred) < maxDeferred {
			s.give.deferred = append(s.give.deferred, request{n.id, id, due, 0})
			s.give.wake = earlier(s.give.wake, due)
			return true
		}
		h.answeredTo(s.groupOf(n), now)
	}
	return s.sendAsked(now, n, h, urgent, life)
}

// sendAsked queues a piece that was asked for; false if it would not leave in
// time.
func (s *Swarm) sendAsked(now time.Time, n *neighbour, h *held, urgent bool, life time.Duration) bool {
	p := push{n: n, h: h, flags: wire.PieceAsked, rank: rankRest, target: now.Add(life - answerGrace - askedTarget), end: now.Add(life)}
	below := s.cfg.Seed || n.tier == topology.Below
	switch {
	case s.cfg.Seed && !s.mesh(), urgent && below && !s.mesh():
		// Many wait behind the one who asks.
		p.rank, p.target = rankBelow, earlier(p.target, now)
	case urgent:
		p.rank = rankUrgent
	case s.mesh() || below:
		p.target = now // whoever gets it hands it on: the sooner the better
	}
	if !urgent && !s.mesh() {
		p.end = s.useful(n, h, p.end)
	}
	s.late(now, &p)
	return s.push(now, p)
}

// A request is a WANT that a seed answers later.
type request struct {
	peer  Peer
	id    segment.ID
	due   time.Time
	times int
}

// brings reports whether somebody else of a neighbour's group has a piece, or is
// being sent it, and will hand it on, as far as a seed can know; and when one of
// them was last given it, if that is not long ago.
func (s *Swarm) brings(now time.Time, n *neighbour, id segment.ID) (last time.Time, ok bool) {
	for _, g := range s.groups {
		if _, in := g.view.Member(topology.ID(n.id)); !in {
			continue
		}
		for _, m := range g.view.Members {
			o := s.peer(Peer(m.ID))
			if o == nil || o == n || !o.ready() || !o.uploads || o.shunned(now) || o.owed > 0 && now.After(o.due) {
				continue
			}
			if o.sent(id) == nil && !o.have.has(id) {
				continue
			}
			ok = true
			for _, x := range o.handed {
				if x.id == id {
					last = later(last, x.at)
				}
			}
		}
	}
	return last, ok
}

// groupOf returns the group in which a neighbour is fed; 0 if it is in none.
func (s *Swarm) groupOf(n *neighbour) uint64 {
	for _, g := range s.groups {
		if _, in := g.view.Member(topology.ID(n.id)); in {
			return g.number
		}
	}
	return 0
}

// chance is how long after a piece was handed to the group its members are
// left to get it from each other.
func (s *Swarm) chance() time.Duration { return max(2*s.typicalRTT(), ackMin) }

// runDeferred answers requests that a seed held back, where they are not
// settled. Of those of one group that wait for the same piece one is answered and
// may pass it on; the others wait once more.
func (s *Swarm) runDeferred(now time.Time) {
	g := &s.give
	if len(g.deferred) == 0 {
		return
	}
	var rest []request
	for _, r := range g.deferred {
		n, h := s.peer(r.peer), s.win.get(r.id)
		if n == nil || h == nil || !s.lacks(n, r.id) {
			continue
		}
		last := h.lastAnswer(s.groupOf(n))
		due := last.Add(s.chance())
		if r.times > 0 {
			due = last.Add(s.chance() / 2)
		}
		if now.Before(due) && r.times < deferTimes {
			r.due, r.times = due, r.times+1
			rest = append(rest, r)
			g.wake = earlier(g.wake, due)
			continue
		}
		if now.Before(r.due) {
			rest = append(rest, r)
			g.wake = earlier(g.wake, r.due)
			continue
		}
		h.answeredTo(s.groupOf(n), now)
		s.sendAsked(now, n, h, false, answerLife)
	}
	g.deferred = rest
}

// onCancel stops what a neighbour does not want any more.
func (s *Swarm) onCancel(n *neighbour, runs []wire.Run) {
	for _, r := range runs {
		r.Each(func(i int) {
			id := segment.ID{Epoch: r.Epoch, Seq: r.Seq, Index: i}
			s.callOff(n, id)
			s.disinterested(n.id, id)
		})
	}
}

// typicalRTT is the middle of what the neighbours' connections measure.
func (s *Swarm) typicalRTT() time.Duration {
	var sum time.Duration
	count := 0
	for _, n := range s.peers {
		if n.ready() {
			sum += n.rtt()
			count++
		}
	}
	if count == 0 {
		return firstRTT
	}
	return sum / time.Duration(count)
}

// sources returns whom the topology would ask for a piece, in order.
func (s *Swarm) sources(id segment.ID) []topology.ID {
	s.order = s.top.Sources(&s.view, topology.Piece(id), s.order[:0])
	return s.order
}

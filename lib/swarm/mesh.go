package swarm

import (
	"cmp"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
)

// mesh reports whether pieces spread by asking.
func (s *Swarm) mesh() bool { return s.top.Way() == topology.Asked }

// Our choices, where pieces spread by asking.
const (
	// pullSlack is how long before the player needs a piece it is urgent: a hop
	// takes about 0.2 s, and the player asks the origin up to 0.6 s before. Whoever
	// plays so close to the edge goes first everywhere; for the others, who began
	// up to two seconds behind it, nothing is lost.
	pullSlack = 1500 * time.Millisecond
	// pullAgain is how long one who could not send a piece is left alone with it.
	pullAgain = 150 * time.Millisecond
	// pullSeed is how long before that a seed is asked, if nobody else can send.
	pullSeed = 250 * time.Millisecond
	// pullWait is how long an answer is waited for at least: as long as a sender
	// lets it wait, what is on its way before it, and the way.
	pullWait = pullQueue + 300*time.Millisecond
	// pullOpen is how many requests a neighbour may have open at least. A dozen
	// neighbours bring a stream of twenty pieces a second: two each is plenty, and
	// more would only wait in one's queue while another has nothing to do.
	pullOpen = 2
	// farWait is how long what only other zones have is left to the neighbours, any of
	// whom may fetch it, at the most; and farSlack how long before the player needs it
	// it does not matter any more from where it comes. Half as many bytes cross as
	// without, at the same share and lag.
	farWait  = 300 * time.Millisecond
	farSlack = 500 * time.Millisecond
	// pullRetry is when somebody to ask is looked for again, if nothing has happened
	// meanwhile: a word that another has it, or an answer that makes room.
	pullRetry = 100 * time.Millisecond
	// pullDoubt is how long a piece is believed in that no neighbour has any more,
	// and that the key has not spoken of.
	pullDoubt = 3 * time.Second
	// pullBehind is how many segments neighbours may be behind what the origin
	// brings, and still bring what is new: pieces take their time among them.
	pullBehind = 2
	// pullQueue is how long one who was asked in good time lets a piece wait.
	// Whoever asks has a dozen neighbours, and most pieces soon are with several.
	pullQueue = 120 * time.Millisecond
	// pullSpan is of how much time a neighbour's answers may be asked for at once.
	pullSpan = 200 * time.Millisecond
)

// A pull is a piece that could be asked for now.
type pull struct {
	id     segment.ID
	m      *miss
	urgent bool
	due    time.Time
	rarity int
	dice   uint32
}

// runPull asks for what neighbours have said that they hold: what the player
// needs soon first, then what fewest of them have. One neighbour is asked for a
// piece at a time, and it is called off before another is; it says itself when it
// cannot send it.
func (s *Swarm) runPull(now time.Time) {
	w := &s.want
	// The origin brings the stream until the neighbours can: asking them for the
	// same pieces would bring all of it twice.
	starting := s.starting()
	patient := !starting && !w.covered
	var slack, step time.Duration // as soon as somebody asks
	var list []pull
	var lost []segment.ID
	for place, m := range w.order {
		id := m.id
		if m.peer != 0 {
			if now.Before(m.until) {
				w.wake = earlier(w.wake, m.until)
				continue
			}
			s.timedOut(now, id, m)
		}
		if slack == 0 {
			slack, step = pullSlack+s.typicalRTT(), s.win.step()
		}
		due := s.pullDue(id, step)
		urgent := !due.IsZero() && !now.Add(slack).Before(due) || starting && place < startAhead
		if patient && !urgent {
			if !due.IsZero() {
				w.wake = earlier(w.wake, due.Add(-slack))
			}
			continue
		}
		if now.Before(m.next) {
			w.wake = earlier(w.wake, m.next)
			continue
		}
		rarity, unproved := 0, s.unproved(id)
		if !urgent || unproved { // else nobody asks how rare it is
			for _, n := range s.peers {
				if !n.seed && n.have.has(id) {
					rarity++
				}
			}
		}
		if rarity == 0 && unproved {
			// A word of one who has left, or had it only in words.
			if now.Sub(m.since) >= pullDoubt && !s.spokenOf(id) {
				lost = append(lost, id)
				continue
			}
			w.wake = earlier(w.wake, later(m.since.Add(pullDoubt), now.Add(pullRetry)))
		}
		if rarity == 0 && !urgent {
			// It stands before one that somebody has; who gets it will say so.
			if !due.IsZero() {
				w.wake = earlier(w.wake, due.Add(-slack))
			}
			continue
		}
		if at := s.pullFar(now, m, due); now.Before(at) {
			w.wake = earlier(w.wake, at)
			continue
		}
		list = append(list, pull{id, m, urgent, due, rarity, s.cfg.Rand.Uint32()})
	}
	for _, id := range lost {
		s.disbelieve(now, id)
	}
	slices.SortStableFunc(list, func(a, b pull) int {
		switch {
		case a.urgent != b.urgent && a.urgent:
			return -1
		case a.urgent != b.urgent:
			return 1
		case a.urgent || starting:
			return a.id.Compare(b.id)
		}
		return cmp.Or(cmp.Compare(a.rarity, b.rarity), cmp.Compare(a.dice, b.dice))
	})
	asks := map[Peer]*[2][]batch{}
	w.crowded = false
	for _, p := range list {
		if w.misses[p.id] != p.m {
			continue // it was lost with another
		}
		n, busy := s.choosePull(now, &p)
		if n == nil {
			w.crowded = w.crowded || busy
			again := now.Add(pullRetry)
			if at := p.due.Add(-pullSeed - s.typicalRTT()); p.urgent && at.After(now) {
				again = earlier(again, at)
			}
			if w.crowded = w.crowded || busy; !busy {
				p.m.next = again
			}
			w.wake = earlier(w.wake, again)
			continue
		}
		p.m.peer, p.m.at, p.m.tries = n.id, now, p.m.tries+1
		p.m.until = now.Add(max(pullWait, s.answerTime(n)))
		if p.urgent {
			p.m.until = now.Add(s.answerTime(n))
		}
		p.m.tried = append(p.m.tried, n.id)
		n.asked++
		w.wake = earlier(w.wake, p.m.until)
		if asks[n.id] == nil {
			asks[n.id] = new([2][]batch)
		}
		b := &asks[n.id][0]
		if p.urgent {
			b = &asks[n.id][1]
		}
		*b = addTo(*b, p.id, p.due)
	}
	for _, n := range s.peers {
		if pair := asks[n.id]; pair != nil {
			for i := range pair[1] {
				s.askFor(now, n, &pair[1][i], wire.WantUrgent)
			}
			for i := range pair[0] {
				s.askFor(now, n, &pair[0][i], 0)
			}
		}
	}
}

// pullDue is due, for pieces that come in any order: before a missing one others
// may be missing, which take their time too. Half of it is counted, for a frame
// may be of many pieces.
func (s *Swarm) pullDue(id segment.ID, step time.Duration) time.Time {
	due := s.due(id)
	if due.IsZero() || id.Epoch != s.want.line.Epoch {
		return due
	}
	i, ok := s.win.search(id.Epoch, id.Seq)
	gap, from := 0, id.Index
	for range 3 { // as due looks
		if ok && i >= 0 && i < len(s.win.segs) && s.win.segs[i].epoch == id.Epoch {
			p := s.win.segs[i]
			if from < 0 {
				from = max(p.known, p.count)
			}
			for j := from - 1; j >= 0; j-- {
				if j < len(p.pieces) && p.pieces[j] != nil {
					return due.Add(step * time.Duration(gap) / 2)
				}
				gap++
			}
		}
		i, ok, from = i-1, true, -1
	}
	return due
}

// step is how much stream a piece holds, by the newest segment that shows it.
func (w *window) step() time.Duration {
	for i := len(w.segs) - 1; i >= 0; i-- {
		first, last := -1, -1
		for j, h := range w.segs[i].pieces {
			if h != nil {
				if first < 0 {
					first = j
				}
				last = j
			}
		}
		if last-first < 4 {
			continue // too short a piece of string
		}
		a, b := w.segs[i].pieces[first].piece.DTS, w.segs[i].pieces[last].piece.DTS
		return time.Duration(max(0, b-a)) * time.Millisecond / time.Duration(last-first)
	}
	return 0
}

// pullRoom is how many requests a neighbour may have open.
func (n *neighbour) pullRoom() int {
	return min(max(pullOpen, int(n.rate*pullSpan.Seconds())/typicalSize), maxOpen)
}

// choosePull picks whom to ask for a piece; nil if nobody can be asked now. If
// all who have it were asked for it, they are asked again after a while. A seed
// is asked for what the player needs soon, and nobody else can send.
func (s *Swarm) choosePull(now time.Time, p *pull) (best *neighbour, busy bool) {
	var bestCost time.Duration
	ties := 0
	near := !s.pressing(now, p.due) && s.pullNear(p.id)
	for _, n := range s.peers {
		if !n.gives(p.id) || n.shunned(now) || slices.Contains(p.m.tried, n.id) || near && n.toll > 0 {
			continue
		}
		if n.asked >= n.pullRoom() && (!p.urgent || n.asked >= maxOpen) {
			busy = true
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
	if best != nil || busy && !p.urgent {
		return best, busy
	}
	if p.urgent && (p.due.IsZero() || !now.Add(pullSeed+s.typicalRTT()).Before(p.due)) {
		for _, n := range s.peers {
			if n.seed && n.ready() && n.asked < maxOpen && !n.shunned(now) && !slices.Contains(p.m.tried, n.id) && (best == nil || n.cost() < best.cost()) {
				best = n
			}
		}
	}
	if best == nil && p.m.tries < maxPulls && now.Sub(p.m.at) >= pullAgain {
		p.m.tried = p.m.tried[:0] // those who had no time may have some now
	}
	return best, busy
}

// pullNear reports whether somebody who is near has a piece to give.
func (s *Swarm) pullNear(id segment.ID) bool {
	return slices.ContainsFunc(s.peers, func(n *neighbour) bool { return n.toll == 0 && !n.seed && n.gives(id) })
}

// pressing: it does not matter any more from where it comes.
func (s *Swarm) pressing(now, due time.Time) bool {
	return !due.IsZero() && !now.Add(farSlack).Before(due)
}

// pullFar returns when a piece may be fetched from another zone: at a random time,
// for of all who hear of it there, one is to fetch it, and the others have it from
// him.
func (s *Swarm) pullFar(now time.Time, m *miss, due time.Time) time.Time {
	if s.pressing(now, due) || s.pullNear(m.id) || !slices.ContainsFunc(s.peers, func(n *neighbour) bool { return n.toll > 0 && n.gives(m.id) }) {
		return now
	}
	if m.far.IsZero() {
		m.far = now.Add(time.Duration(s.cfg.Rand.Int64N(int64(farWait))))
	}
	return m.far
}

// maxPulls bounds how often a piece is asked for among neighbours.
const maxPulls = 16

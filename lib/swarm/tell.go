package swarm

import (
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
)

// How long news is gathered before it is told. In a mesh it is the spreading
// itself, and waits only for what else comes in a moment; in a balanced room it
// only serves those who look for a missing piece.
const (
	tellMesh     = 30 * time.Millisecond
	tellBalanced = 800 * time.Millisecond
	tellSoon     = 5 * time.Millisecond
	maxTell      = 1024 // news for one neighbour; the oldest is dropped
)

// tell lets those neighbours know of a piece who lack it, as far as we know,
// and are not being sent it. soon: it had to be fetched; then in a balanced room all
// hear of it who may be about to send it, those above too.
func (s *Swarm) tell(now time.Time, id segment.ID, soon bool) {
	if !s.uploads() {
		return
	}
	delay := tellBalanced
	if s.mesh() {
		delay = tellMesh
	}
	if soon {
		delay = tellSoon
	}
	if (s.give.load.short || s.view.Short) && s.want.line.Backstop > 0 && !s.mesh() {
		return // who would ask for it could not be sent it
	}
	balanced := !s.mesh() && !s.flows()
	for _, n := range s.peers {
		switch {
		case !n.ready():
			continue
		case soon && balanced && (n.tier == topology.Above || s.feeds(n)):
		case n.seed || n.tier != topology.Fellow || n.have.has(id):
			continue // those below know that we have what is old enough
		case n.sent(id) != nil && !(soon && balanced):
			continue
		}
		if len(n.tell) >= maxTell {
			n.tell = slices.Delete(n.tell, 0, 1)
		}
		n.tell = append(n.tell, id)
		if n.behind {
			delay = min(delay, tellBehind)
		}
		s.tellWake = earlier(s.tellWake, now.Add(delay))
	}
}

// runTell sends the news when its time has come.
func (s *Swarm) runTell(now time.Time) {
	if s.tellWake.IsZero() || now.Before(s.tellWake) {
		return
	}
	s.tellWake = time.Time{}
	for _, n := range s.peers {
		if len(n.tell) == 0 {
			continue
		}
		slices.SortFunc(n.tell, segment.ID.Compare)
		var runs []wire.Run
		for _, id := range n.tell {
			h := s.win.get(id)
			if h == nil || n.tier == topology.Fellow && n.have.has(id) || n.sent(id) != nil && !h.fetched {
				continue
			}
			runs, _ = wire.AppendToRuns(runs, id.Epoch, id.Seq, id.Index)
		}
		n.tell = n.tell[:0]
		if len(runs) > 0 && n.ready() {
			s.control(n, wire.AppendHave(nil, s.tag, 0, runs))
		}
	}
}

// onHave notes what a neighbour holds: it need not be sent any more, and can be
// asked for.
func (s *Swarm) onHave(now time.Time, n *neighbour, flags byte, runs []wire.Run) {
	if flags&wire.HaveKey != 0 {
		if len(runs) == 1 {
			s.onKey(now, n, runs[0])
		}
		return
	}
	newest, known := s.win.newest()
	// In a balanced room what a neighbour has just got is on its way to us too;
	// what it has had for long is not.
	told := s.mesh() || s.alone(now) || flags&wire.HaveSnapshot != 0
	for _, r := range runs {
		first := segment.ID{Epoch: r.Epoch, Seq: r.Seq}
		if known && !plausible(first, newest) || s.win.past(first) {
			continue
		}
		last := -1
		r.Each(func(i int) {
			if i >= maxKnown {
				return
			}
			id := segment.ID{Epoch: r.Epoch, Seq: r.Seq, Index: i}
			last = i
			n.have.add(id)
			s.callOff(n, id)
		})
		if s.mesh() && flags&wire.HaveSnapshot == 0 && known && first.Compare(segment.ID{Epoch: newest.Epoch, Seq: newest.Seq - pullBehind}) >= 0 {
			s.lastGot = now // what is new can be had of neighbours
		}
		if last >= 0 && !s.cfg.Seed && !s.awaits() {
			s.exists(now, segment.ID{Epoch: r.Epoch, Seq: r.Seq, Index: last}, told, false)
			if told {
				s.want.heard(now, r, s.mesh())
			}
		}
	}
}

// plausible reports whether a piece that a neighbour speaks of can be of this
// stream: a word alone must not send us looking for pieces that nobody has.
func plausible(id, newest segment.ID) bool {
	const ahead = 60 // segments
	switch {
	case id.Epoch == newest.Epoch:
		return id.Seq <= newest.Seq+ahead
	case id.Epoch > newest.Epoch:
		return true // the broadcaster began anew: who says so wrongly cannot deliver
	}
	return true
}

// callOff stops sending a piece to a neighbour that has got it elsewhere.
func (s *Swarm) callOff(n *neighbour, id segment.ID) {
	x := n.sent(id)
	if x == nil {
		s.give.callOffWaiting(n, id)
		return
	}
	s.act(Action{Kind: Cancel, Peer: n.id, Tag: x.tag})
	s.giveUp(n, x)
}

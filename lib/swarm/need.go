package swarm

import (
	"time"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/wire"
)

// A need is until when pieces are of use to a neighbour: it then has them from
// the origin, which costs it the same bytes and us our uplink. So nobody is sent
// what will come later, and hears at once (BUSY) that it will not.
type need struct {
	epoch, dts int64
	at         time.Time // a piece with this DTS; others as much later as theirs is. Zero: nobody said
}

// Our choices.
const (
	needStep   = 100 * time.Millisecond // a change that is worth a message
	needMargin = 30 * time.Millisecond  // what is reckoned may come a little later
	needEvery  = 250 * time.Millisecond // at most
	// needEver is told by whom the origin does not serve: a copy that is late ends
	// its stall.
	needEver = time.Hour
	// streamsLong is longer than a newcomer takes to be at home.
	streamsLong = 2 * time.Second
)

// by returns until when a piece is of use; zero if nobody knows.
func (n *need) by(p *segment.Piece) time.Time {
	after := p.DTS - n.dts
	if n.at.IsZero() || p.ID.Epoch != n.epoch || max(after, -after) > needEver.Milliseconds() {
		return time.Time{}
	}
	return n.at.Add(time.Duration(after) * time.Millisecond)
}

// due returns about when a neighbour's player needs a piece of us; zero if nobody
// knows, or it does not.
func (n *need) due(now time.Time, p *segment.Piece) time.Time {
	by := n.by(p)
	switch left := by.Sub(now); {
	case left > needEver/2:
		return by.Add(-needEver)
	case left < -needEver/2:
		return time.Time{} // not from here
	}
	return by
}

// backed reports whether somebody who does not get a piece from here has it from
// the origin.
func (n *need) backed(now time.Time, p *segment.Piece) bool {
	by := n.by(p)
	return !by.IsZero() && by.Sub(now) < needEver/2
}

// ourNeed is what the player's line comes to; false if nobody plays yet.
func (s *Swarm) ourNeed(now time.Time) (need, bool) {
	l := &s.want.line
	if l.At.IsZero() || s.cfg.Seed || s.mesh() {
		return need{}, false
	}
	at := l.At.Add(-l.Backstop)
	switch {
	case l.Streams && s.view.Short:
		at = l.At.Add(-needEver) // all of it comes from there, and uplinks are short
	case s.livesOnStream(now):
		// Neighbours whose pieces are of no use beside it send none, and it would never
		// be seen that they bring all of it again.
		at = l.At
	case l.Backstop == 0:
		at = l.At.Add(needEver)
	}
	return need{l.Epoch, l.DTS, at}, true
}

// livesOnStream reports whether the origin has streamed to us for long. Then what it
// brings is told to nobody who may be sending it: copies that are all called off
// would hide that neighbours bring everything again.
func (s *Swarm) livesOnStream(now time.Time) bool {
	return s.want.line.Streams && now.Sub(s.want.streams) > streamsLong
}

// runNeed tells the neighbours when what we need has moved.
func (s *Swarm) runNeed(now time.Time) {
	n, ok := s.ourNeed(now)
	t := &s.needTold
	if !ok || now.Sub(s.needAt) < needEvery {
		return
	}
	if n.epoch == t.epoch {
		was := t.at.Add(time.Duration(n.dts-t.dts) * time.Millisecond)
		if n.at.Sub(was).Abs() < needStep {
			return
		}
	}
	*t, s.needAt = n, now
	for _, p := range s.peers {
		if p.ready() {
			s.tellNeed(now, p)
		}
	}
}

// tellNeed tells a neighbour what was told to all.
func (s *Swarm) tellNeed(now time.Time, p *neighbour) {
	if t := &s.needTold; !t.at.IsZero() {
		s.control(p, wire.AppendDue(nil, s.tag, wire.Due{Epoch: t.epoch, DTS: t.dts, LeftMS: t.at.Sub(now).Milliseconds()}))
	}
}

// onDue notes until when pieces are of use to a neighbour.
func (n *neighbour) onDue(now time.Time, d *wire.Due) {
	left := min(max(d.LeftMS, -needEver.Milliseconds()), 2*needEver.Milliseconds())
	n.need = need{d.Epoch, d.DTS, now.Add(time.Duration(left)*time.Millisecond - n.rtt()/2)}
}

// useful returns until when a piece may leave for a neighbour, so that it comes
// in time; no later than most.
func (s *Swarm) useful(n *neighbour, h *held, most time.Time) time.Time {
	by := n.need.by(h.piece)
	if by.IsZero() {
		return most
	}
	by = by.Add(-n.leastTrip()/2 - s.up.takes(len(h.body)) - needMargin)
	if by.Before(most) {
		return by
	}
	return most
}

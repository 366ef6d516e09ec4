package swarm

import (
	"time"

	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
)

// Who joins a room some way behind its live edge (Config.Patient) needs what is old
// first. What is new would come at the same time, pushed by several; and where his link
// is narrow, which is why he goes over to a lower rendition, each would take its part
// of it, and all of it would be there at the end.

// Our choices.
const (
	behindMost  = 10 * time.Second // then he is as the others are
	behindLacks = 2                // pieces that he may lack and be one of them
	// behindEven is for how long he has not come nearer to the edge then: where nobody
	// tells of what there is, he would seem to lack nothing from the first piece on.
	behindEven = 700 * time.Millisecond
	behindGain = 50 // ms of the stream, more than what has passed: he comes nearer
	// behindAfter is how long it takes until he is sent what is new.
	behindAfter = time.Second
	// tellBehind is how long news is gathered for one who is behind: he hears of no
	// piece in another way.
	tellBehind = 200 * time.Millisecond
)

// behind reports whether we are. In a mesh everybody asks for all, and in a tree
// nobody tells of what flows.
func (s *Swarm) behind() bool {
	return s.cfg.Patient && !s.caught && !s.cfg.Seed && !s.mesh() && !s.flows()
}

// alone reports whether what we lack does not come by itself: we are behind, or were
// until now, and others have not heard that we are not.
func (s *Swarm) alone(now time.Time) bool {
	return s.behind() || !s.caughtAt.IsZero() && now.Sub(s.caughtAt) < behindAfter
}

// gain notes a piece that is newer than all others.
func (s *Swarm) gain(now time.Time, dts int64) {
	if ahead := dts - now.UnixMilli(); s.gainedAt.IsZero() || ahead > s.gained+behindGain {
		s.gained, s.gainedAt = ahead, now
	}
}

// runBehind looks whether we still are, and if not says so.
func (s *Swarm) runBehind(now time.Time) {
	w := &s.want
	if !s.behind() || !w.on {
		return
	}
	if s.behindSince.IsZero() {
		s.behindSince = now
	}
	all := w.from.Compare(w.began) > 0 && len(w.order) <= behindLacks && now.Sub(s.gainedAt) >= behindEven
	if !all && now.Sub(s.behindSince) < behindMost {
		return
	}
	s.caught, s.caughtAt = true, now
	for _, n := range s.peers {
		if n.ready() {
			s.greet(n, wire.HelloReply)
		}
	}
}

// sparesBehind reports whether those of a view who are behind are sent nothing unasked.
// Where all of a group are, as when a room goes over to another rendition, nobody would
// have to give what they ask for: so a seed sends them what is new, for one to ask
// another, unless there is one alone, who asks the origin.
func (s *Swarm) sparesBehind(v *topology.View) bool {
	if !s.cfg.Seed {
		return true
	}
	behind := 0
	for i := range v.Members {
		if m := &v.Members[i]; m.ID != v.Self && !m.Seed {
			if n := s.peer(Peer(m.ID)); n != nil && n.ready() {
				if !n.behind {
					return true
				}
				behind++
			}
		}
	}
	return behind == 1
}

// A patience is how many requests one who is patient may have open for what is not
// urgent: where his link is full, more of them wait for each other, and where it
// is far from that, or neighbours are far away, it takes more to fill it.
type patience struct{ open float64 }

const (
	patientOpen = 2  // at the least,
	patientMost = 16 // and at the most
	// An answer that took so much longer than the way there and back had the link to
	// itself; one that took so much longer waited for others.
	patientQuick = 60 * time.Millisecond
	patientSlow  = 200 * time.Millisecond
	// What has been waited for so long does not count any more: it is the neighbour's
	// link that is full, or he is gone.
	patientLong = 500 * time.Millisecond
)

// answered learns from how long an answer took beyond the round trip.
func (p *patience) answered(extra time.Duration) {
	switch {
	case extra < patientQuick:
		p.open = min(max(p.open, patientOpen)+0.5, patientMost)
	case extra > patientSlow:
		p.open--
	}
}

func (p *patience) room(open int) bool { return open < max(patientOpen, int(p.open)) }

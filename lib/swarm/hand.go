package swarm

import (
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
)

// A watch is a piece that was given to somebody who is to hand it on.
type watch struct {
	peer Peer
	tag  uint64
	due  time.Time
}

const (
	ackMin   = 250 * time.Millisecond // beyond jitter and a held-back acknowledgement
	ackTrips = 4                      // round trips: the piece may be repeated once
	// ownerOwed is how many bytes may be on their way to one who is given pieces
	// to hand on.
	ownerOwed = 512 << 10
)

// Offer gives a seed the next record of its stream.
func (s *Swarm) Offer(now time.Time, rec segment.Record, ingest uint64) {
	switch rec.Kind {
	case segment.KindPiece:
		h := &held{piece: rec.Piece, desc: segment.AppendPiece(nil, rec.Piece), body: rec.Body, ingest: ingest}
		if s.keep(now, h) {
			for _, g := range s.groups {
				s.hand(now, g, h, 0)
			}
			s.trim(now)
		}
	case segment.KindInit:
		if s.keepInit(rec) {
			for _, n := range s.peers {
				if n.ready() {
					s.sendInit(n, &s.inits[len(s.inits)-1])
				}
			}
		}
	case segment.KindSegment:
		s.offerRecord(now, rec, topology.Piece{Epoch: rec.Segment.Epoch, Seq: rec.Segment.Seq})
	case segment.KindEnd:
		s.end = &rec
		s.offerRecord(now, rec, topology.Piece{Epoch: rec.End.Last.Epoch, Seq: rec.End.Last.Seq})
	}
	s.run(now)
}

// offerRecord sends a bodyless record the way of a piece: small as it is, ten
// copies a second would be felt.
func (s *Swarm) offerRecord(now time.Time, rec segment.Record, p topology.Piece) {
	desc := segment.AppendStored(nil, &rec, "")
	for _, g := range s.groups {
		s.willing(now, &g.view, 0)
		s.top.Route(&s.feed, p, 0, &s.route)
		for _, id := range s.route.Push {
			if n := s.peer(Peer(id)); n != nil && n.ready() {
				s.control(n, wire.AppendRecord(nil, s.tag, wire.PieceDistribute, desc))
			}
		}
	}
}

// willing makes of a view the one that is routed by, s.feed: who is there, and,
// of those below, who can be given a piece to hand on: with uplinks as they say
// themselves. If that is nobody in a group, whoever is willing; if that is
// nobody, the topology sends everybody a copy.
func (s *Swarm) willing(now time.Time, v *topology.View, not Peer) {
	f := &s.feed
	f.Self, f.Group, f.Short, f.Members = v.Self, v.Group, v.Short, f.Members[:0]
	s.able = s.able[:0] // groups below in which somebody is up to it
	spared := s.sparesBehind(v)
	for _, m := range v.Members {
		if m.ID == v.Self || m.Seed {
			f.Members = append(f.Members, m)
			continue
		}
		n := s.peer(Peer(m.ID))
		if n == nil || !n.ready() || n.id == not || n.behind && spared {
			continue
		}
		m.Upload = m.Upload && n.uploads
		if n.uplink > 0 {
			m.Uplink = n.uplink
		}
		if m.Upload && m.Tier == topology.Below && !n.shunned(now) && !n.stuck && n.owed <= ownerOwed && !slices.Contains(s.able, m.Group) {
			s.able = append(s.able, m.Group)
		}
		f.Members = append(f.Members, m)
	}
	for i := range f.Members {
		m := &f.Members[i]
		if m.Tier != topology.Below || !m.Upload || !slices.Contains(s.able, m.Group) {
			continue
		}
		if n := s.peer(Peer(m.ID)); n.shunned(now) || n.stuck || n.owed > ownerOwed {
			m.Upload = false
		}
	}
}

// hand gives a piece to a group's owner of it.
func (s *Swarm) hand(now time.Time, g *group, h *held, not Peer) {
	s.willing(now, &g.view, not)
	s.top.Route(&s.feed, topology.Piece(h.piece.ID), 0, &s.route)
	s.pushAll(now, h, s.route.Push)
}

// pushAll queues copies of a piece for those that s.route names, or some of them:
// first what is to be handed on.
func (s *Swarm) pushAll(now time.Time, h *held, to []topology.ID) {
	for _, id := range to {
		n := s.peer(Peer(id))
		if n == nil {
			continue
		}
		p := push{n: n, h: h, rank: rankRest, target: now.Add(newTarget), end: now.Add(pushLife)}
		m, ok := s.feed.Member(id)
		if slices.Contains(s.route.Hand, id) {
			p.flags, p.group = wire.PieceDistribute|s.again, m.Group
		} else {
			p.end = s.useful(n, h, p.end)
		}
		if ok && m.Tier == topology.Below || p.flags != 0 {
			p.rank, p.target = rankBelow, now
		} else if len(h.piece.Keyframes) > 0 {
			p.target = now.Add(keyTarget)
		}
		s.late(now, &p)
		if !s.push(now, p) && !s.cfg.Seed && !s.spared(now, n, h) {
			// Whoever is told now can turn to another while there is time.
			s.tellBusy(n, h.piece.ID)
		}
	}
}

// handingTime is how long one who was given a piece may need to hand it on to
// all.
const handingTime = 800 * time.Millisecond

// note remembers what a neighbour was given to hand on.
func (n *neighbour) note(now time.Time, id segment.ID) {
	old := 0
	for old < len(n.handed) && now.Sub(n.handed[old].at) > handingTime {
		old++
	}
	n.handed = append(n.handed[:0], n.handed[old:]...)
	n.handed = append(n.handed, handing{id, now})
}

// handAgain gives to another what a neighbour, who has left, was given to hand on
// so lately that it may not have done so.
func (s *Swarm) handAgain(now time.Time, n *neighbour) {
	for _, h := range n.handed {
		if now.Sub(h.at) <= handingTime {
			s.handTo(now, h.id, n.id, n.group, wire.PieceAgain)
		}
	}
	n.handed = nil
}

// handOn gives a piece to another member than the one that did not take it.
func (s *Swarm) handOn(now time.Time, id segment.ID, not Peer) {
	if m, ok := s.view.Member(topology.ID(not)); s.cfg.Seed || ok && !m.Seed && m.Tier != topology.Above {
		s.handTo(now, id, not, m.Group, 0)
	}
}

func (s *Swarm) handTo(now time.Time, id segment.ID, not Peer, group uint64, flags byte) {
	h := s.win.get(id)
	if h == nil || now.Sub(h.came) > handOnLimit {
		return
	}
	s.again = flags
	defer func() { s.again = 0 }()
	if s.cfg.Seed {
		for _, g := range s.groups {
			if _, in := g.view.Member(topology.ID(not)); in || g.number == group {
				s.hand(now, g, h, not)
			}
		}
		return
	}
	s.willing(now, &s.view, not)
	ours := group == s.view.Group
	for i := range s.feed.Members {
		if m := &s.feed.Members[i]; ours && m.Tier == topology.Fellow && m.Hard {
			m.Upload = false // then nobody does our part for us
		}
	}
	// As if it had come from above just now: then it goes to those below.
	var above topology.ID
	for _, m := range s.feed.Members {
		if m.Seed || m.Tier == topology.Above {
			above = m.ID
			break
		}
	}
	s.top.Route(&s.feed, topology.Piece(id), above, &s.route)
	again := s.order[:0]
	for _, to := range s.route.Push {
		if o, ok := s.feed.Member(to); ok && o.Tier != topology.Above && (o.Group == group || ours) {
			again = append(again, to)
		}
	}
	s.order = again
	s.pushAll(now, h, again)
}

// patience is how long one who is to hand a piece on may take to acknowledge it.
func (s *Swarm) patience(n *neighbour) time.Duration {
	d := max(ackTrips*n.rtt(), ackMin)
	if r := s.pace(); r > 0 {
		d += min(time.Duration(float64(s.give.flying)/r*float64(time.Second)), ackMin)
	}
	return d
}

// runWatched hands to others what was not acknowledged in time.
func (s *Swarm) runWatched(now time.Time) {
	g := &s.give
	var late []watch
	g.watched = slices.DeleteFunc(g.watched, func(w watch) bool {
		n := s.peer(w.peer)
		if n == nil || n.sending(w.tag) == nil {
			return true
		}
		if now.Before(w.due) {
			g.wake = earlier(g.wake, w.due)
			return false
		}
		late = append(late, w)
		return true
	})
	for _, w := range late {
		n := s.peer(w.peer)
		if n == nil {
			continue
		}
		x := n.sending(w.tag)
		if x == nil {
			continue
		}
		s.act(Action{Kind: Cancel, Peer: n.id, Tag: w.tag})
		s.giveUp(n, x)
		n.fail(now, 1)
		s.handOn(now, x.id, n.id)
	}
}

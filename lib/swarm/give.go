package swarm

import (
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
)

// give is the sending side: the upload budget, what waits for it, what a seed
// watches and what it holds back.
type give struct {
	rate     float64 // bytes per second; 0: no bound
	tokens   float64
	filled   time.Time
	waiting  []push    // for tokens, in order
	watched  []*watch  // at a seed, until acknowledged
	deferred []request // at a seed, until the group had its chance
	wake     time.Time
}

// A push is a piece that shall go to a neighbour.
type push struct {
	n      *neighbour
	h      *held
	flags  byte
	fan    *fanout
	owner  bool
	prio   uint8
	queued time.Time
}

// A watch is a piece that was handed to an owner.
type watch struct {
	peer Peer
	tag  uint64
	due  time.Time
}

// A request is a WANT that a seed answers later.
type request struct {
	peer  Peer
	id    segment.ID
	due   time.Time
	times int
}

// A fanout is the copies of one piece that an owner sends.
type fanout struct {
	at    time.Time
	left  int // not yet acknowledged
	need  int // acknowledged ones that make a sample
	acked int
	bytes int
}

const (
	pushLife     = 3 * time.Second // then a copy is not sent any more: it was pulled long since
	maxWaiting   = 4096
	maxDeferred  = 4096
	deferTimes   = 3
	ackMin       = 150 * time.Millisecond
	ackQueueMax  = 500 * time.Millisecond
	handOnLimit  = 3 * time.Second
	ownerOwed    = 512 << 10 // a member with more on its way is no owner
	burstMin     = 64 << 10  // the bucket holds this, or a quarter of a second
	yieldDelay   = 400 * time.Millisecond
	yieldMin     = 5 * time.Second
	yieldMax     = time.Minute
	waitingLimit = 600 * time.Millisecond
)

func (g *give) init(bps int64) {
	g.rate = float64(max(0, bps)) / 8
	g.tokens = g.burst()
}

func (g *give) burst() float64 { return max(burstMin, g.rate/4) }

// take spends tokens for n bytes; it may overdraw by one piece, so that none is
// too large.
func (g *give) take(now time.Time, n int) bool {
	if g.rate == 0 {
		return true
	}
	if !g.filled.IsZero() {
		g.tokens = min(g.burst(), g.tokens+now.Sub(g.filled).Seconds()*g.rate)
	}
	g.filled = now
	if g.tokens <= 0 {
		return false
	}
	g.tokens -= float64(n)
	return true
}

// SetMaxUpload changes the bound, in bits per second.
func (s *Swarm) SetMaxUpload(bps int64) { s.give.rate = float64(max(0, bps)) / 8 }

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
		s.feedView(now, g, 0)
		s.top.Route(&g.feed, p, 0, &s.route)
		for _, id := range s.route.Push {
			if n := s.peer(Peer(id)); n != nil && n.ready() {
				s.control(n, wire.AppendRecord(nil, s.tag, wire.PieceDistribute, desc))
			}
		}
	}
}

// feedView makes the list of a group from which an owner is chosen: who is
// there, willing, and up to it. If that is nobody, whoever is willing; if that
// is nobody, the topology hands the piece to each.
func (s *Swarm) feedView(now time.Time, g *group, not Peer) {
	g.feed.Self, g.feed.Group = g.view.Self, g.view.Group
	for _, strict := range [...]bool{true, false} {
		g.feed.Members = g.feed.Members[:0]
		able := false
		for _, m := range g.view.Members {
			if m.Seed || m.ID == g.view.Self {
				g.feed.Members = append(g.feed.Members, m)
				continue
			}
			n := s.peer(Peer(m.ID))
			if n == nil || !n.ready() || n.id == not {
				continue
			}
			m.Upload = m.Upload && n.uploads && !(strict && (n.shunned(now) || n.owed > ownerOwed))
			able = able || m.Upload
			g.feed.Members = append(g.feed.Members, m)
		}
		if able {
			return
		}
	}
}

// hand gives a piece to a group's owner of it.
func (s *Swarm) hand(now time.Time, g *group, h *held, not Peer) {
	s.feedView(now, g, not)
	s.top.Route(&g.feed, topology.Piece(h.piece.ID), 0, &s.route)
	h.handed = now
	for _, id := range s.route.Push {
		if n := s.peer(Peer(id)); n != nil {
			s.push(now, push{n: n, h: h, flags: wire.PieceDistribute, owner: true, prio: prioOf(h), queued: now})
		}
	}
}

// handOn gives a piece to another member than the one that did not take it.
func (s *Swarm) handOn(now time.Time, id segment.ID, not Peer) {
	h := s.win.get(id)
	if h == nil || !s.cfg.Seed || now.Sub(h.came) > handOnLimit {
		return
	}
	for _, g := range s.groups {
		if _, in := g.view.Member(topology.ID(not)); in {
			s.hand(now, g, h, not)
		}
	}
}

// fanOut pushes a piece to fellows.
func (s *Swarm) fanOut(now time.Time, h *held, to []topology.ID) {
	fan := &fanout{at: now}
	for _, id := range to {
		if n := s.peer(Peer(id)); n != nil && s.lacks(n, h.piece.ID) {
			fan.left++
			s.push(now, push{n: n, h: h, fan: fan, prio: prioOf(h), queued: now})
		}
	}
	fan.need = (fan.left + 1) / 2
}

func prioOf(h *held) uint8 {
	if len(h.piece.Keyframes) > 0 {
		return prioKey
	}
	return prioNew
}

// lacks reports whether a neighbour can and should be sent a piece.
func (s *Swarm) lacks(n *neighbour, id segment.ID) bool {
	_, on := n.held[id]
	return n.ready() && !on && !n.have.has(id) && n.owed < maxOwed
}

// push sends a piece, or lets it wait for the upload budget.
func (s *Swarm) push(now time.Time, p push) {
	if !s.lacks(p.n, p.h.piece.ID) {
		return
	}
	if len(s.give.waiting) > 0 || !s.give.take(now, len(p.h.body)) {
		if len(s.give.waiting) < maxWaiting {
			s.give.waiting = append(s.give.waiting, p)
		}
		s.give.wake = earlier(s.give.wake, now.Add(20*time.Millisecond))
		return
	}
	s.send(now, p, now.Add(pushLife))
}

func (s *Swarm) send(now time.Time, p push, deadline time.Time) {
	n, h := p.n, p.h
	s.tags++
	x := &sending{id: h.piece.ID, size: len(h.body), at: now, owner: p.owner, copyOf: p.fan}
	n.tags[s.tags], n.held[x.id] = x, s.tags
	n.owed += x.size
	if p.owner {
		x.due = now.Add(s.patience(n))
		s.give.watched = append(s.give.watched, &watch{n.id, s.tags, x.due})
		s.give.wake = earlier(s.give.wake, x.due)
	}
	head := wire.AppendPieceHead(make([]byte, 0, 32+len(h.desc)), s.tag, &wire.PieceMessage{
		Flags: p.flags, Hops: h.hops, IngestMS: h.ingest, Descriptor: h.desc})
	s.act(Action{Kind: Send, Peer: n.id, Tag: s.tags, Priority: p.prio, Deadline: deadline, Data: [][]byte{head, h.body}})
}

// patience is how long an owner may take to acknowledge a piece.
func (s *Swarm) patience(n *neighbour) time.Duration {
	d := max(3*n.rtt(), ackMin)
	if n.path.Rate > 0 {
		d += min(time.Duration(float64(n.owed)/n.path.Rate*float64(time.Second)), ackQueueMax)
	}
	return d
}

// settle takes an object off a neighbour's books.
func (s *Swarm) settle(n *neighbour, tag uint64, x *sending) {
	delete(n.tags, tag)
	if n.held[x.id] == tag {
		delete(n.held, x.id)
	}
	n.owed -= x.size
}

// Delivered tells that a neighbour has acknowledged an object.
func (s *Swarm) Delivered(now time.Time, id Peer, tag uint64) {
	n := s.peer(id)
	if n == nil || n.tags[tag] == nil {
		return
	}
	x := n.tags[tag]
	s.settle(n, tag, x)
	n.have.add(x.id)
	n.out += int64(x.size)
	s.Meter.Uploaded += int64(x.size)
	if x.owner {
		n.serve(now)
	}
	if x.copyOf == nil && !x.owner {
		s.yield.answered(now.Sub(x.at))
	}
	if f := x.copyOf; f != nil {
		f.left--
		f.bytes += x.size
		if f.acked++; f.acked == f.need {
			s.yield.sample(now.Sub(f.at), f.bytes)
		}
	}
	s.run(now)
}

// Failed tells that an object was given up: it expired, or the queue was full.
func (s *Swarm) Failed(now time.Time, id Peer, tag uint64) {
	n := s.peer(id)
	if n == nil || n.tags[tag] == nil {
		return
	}
	x := n.tags[tag]
	s.settle(n, tag, x)
	if x.owner {
		n.fail(now, 1)
		s.handOn(now, x.id, n.id)
	}
	if f := x.copyOf; f != nil {
		f.left--
	}
}

// runGive sends what waited for the budget, hands on what was not acknowledged,
// answers what was held back, and lets an overloaded owner yield.
func (s *Swarm) runGive(now time.Time) {
	g := &s.give
	s.runYield(now)
	if g.wake.IsZero() || now.Before(g.wake) {
		return
	}
	g.wake = time.Time{}
	for len(g.waiting) > 0 {
		p := g.waiting[0]
		live := s.peer(p.n.id) == p.n && s.lacks(p.n, p.h.piece.ID) && now.Sub(p.queued) < pushLife
		if live && !g.take(now, len(p.h.body)) {
			wait := time.Duration((1 - g.tokens) / g.rate * float64(time.Second))
			g.wake = earlier(g.wake, now.Add(max(wait, time.Millisecond)))
			if now.Sub(p.queued) > waitingLimit {
				s.yield.sample(now.Sub(p.queued), 0)
			}
			break
		}
		g.waiting = g.waiting[1:]
		if live {
			s.send(now, p, now.Add(pushLife))
		}
	}
	if len(g.waiting) == 0 {
		g.waiting = nil
	}
	s.runWatched(now)
	s.runDeferred(now)
}

func (s *Swarm) runWatched(now time.Time) {
	g := &s.give
	var late []*watch
	g.watched = slices.DeleteFunc(g.watched, func(w *watch) bool {
		n := s.peer(w.peer)
		if n == nil || n.tags[w.tag] == nil {
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
		x := n.tags[w.tag]
		s.act(Action{Kind: Cancel, Peer: n.id, Tag: w.tag})
		s.settle(n, w.tag, x)
		n.fail(now, 1)
		s.handOn(now, x.id, n.id)
	}
}

// left forgets what waited for a neighbour.
func (g *give) left(n *neighbour) {
	g.waiting = slices.DeleteFunc(g.waiting, func(p push) bool { return p.n == n })
	g.deferred = slices.DeleteFunc(g.deferred, func(r request) bool { return r.peer == n.id })
}

// yield is how an owner that cannot keep up says so: it tells the seeds that it
// does not upload, for a while that doubles each time, and how fast it was.
type yield struct {
	delay time.Duration // how long half of a piece's copies take, smoothed
	rate  float64       // bytes per second at which copies left, while they queued
	on    bool
	until time.Time
	pause time.Duration
}

// sample notes how long half of a piece's copies took.
func (y *yield) sample(d time.Duration, bytes int) {
	if y.on {
		return
	}
	y.delay += (d - y.delay) / 2
	if d > yieldDelay/2 && bytes > 0 {
		r := float64(bytes) / d.Seconds()
		if y.rate == 0 {
			y.rate = r
		}
		y.rate += (r - y.rate) / 4
	}
}

// answered notes how long an answer took: one alone may be its receiver's
// fault, so it counts little.
func (y *yield) answered(d time.Duration) {
	if !y.on {
		y.delay += (d - y.delay) / 16
	}
}

// Uplink returns how many bits per second the swarm can upload: as far as it
// was seen queueing, else what was said at the start; 0 if nobody knows.
func (s *Swarm) Uplink() int64 {
	if s.yield.rate > 0 {
		return int64(8 * s.yield.rate)
	}
	return s.cfg.Uplink
}

func (s *Swarm) runYield(now time.Time) {
	y := &s.yield
	switch {
	case !y.on && y.delay > yieldDelay:
		y.pause = min(max(2*y.pause, yieldMin), yieldMax)
		y.on, y.until = true, now.Add(y.pause)
	case y.on && !now.Before(y.until):
		// On probation: one more late piece is enough.
		y.on, y.until, y.delay = false, time.Time{}, yieldDelay*3/4
	default:
		return
	}
	for _, n := range s.peers {
		if n.seed && n.ready() {
			s.greet(n, 0)
		}
	}
}

package swarm

import (
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/wire"
)

// give is the sending side: what waits to leave, in the order in which it
// matters, and what was handed to others to be handed on.
type give struct {
	queues [ranks][]push
	bytes  int     // that wait
	flying int     // that are on their way to all neighbours
	rate   float64 // the bound on what leaves, bytes per second; 0: none
	tokens float64
	filled time.Time

	stuckAt  time.Time // no neighbour is stuck before
	watched  []watch   // pieces that somebody was given to hand on, until acknowledged
	deferred []request // at a seed, until the group had its chance
	dropped  []push    // to be handed on, by somebody else than was meant
	wake     time.Time
	load     load
}

// The ranks of what waits to leave, the first first.
const (
	rankLate   = iota // its receiver's player stands still without it, or is about to
	rankBelow         // to be handed on: many wait behind it
	rankUrgent        // asked for, and the asker's player needs it soon
	rankRest          // for those to play who get it
	rankLast          // for those who take and give nothing
	ranks
)

// A push is a piece that shall go to a neighbour.
type push struct {
	n      *neighbour
	h      *held
	flags  byte
	rank   uint8
	target time.Time // when it should leave; what has the earliest goes first
	end    time.Time // then it is of no use any more
	group  uint64    // where it is to be handed on, if it is
}

const (
	pushLife    = 1500 * time.Millisecond // then a copy is not sent any more: it was asked for elsewhere
	keyTarget   = 200 * time.Millisecond  // copies of a new piece with a keyframe should have left by then,
	newTarget   = 350 * time.Millisecond  // others by then,
	lateSlack   = 250 * time.Millisecond  // what is needed so soon is late
	askedTarget = 300 * time.Millisecond  // and what was asked for so long before it is needed
	maxWaiting  = 4096
	maxDeferred = 4096
	deferTimes  = 3
	handOnLimit = 3 * time.Second
	burstMin    = 64 << 10 // the bucket holds this, or a quarter of a second
	// waitMost is how long a copy may have to wait, as far as that can be known
	// when it is queued. Beyond it the neighbour is told at once that it will not
	// come from here, and can turn to another while there is time.
	waitMost = 700 * time.Millisecond
	// waitLeast is the same where the uplink is short all the time.
	waitLeast = 150 * time.Millisecond
)

func (g *give) init(bps int64) {
	g.rate = float64(max(0, bps)) / 8
	g.tokens = g.burst()
}

func (g *give) burst() float64 { return max(burstMin, g.rate/4) }

// SetMaxUpload changes the bound, in bits per second.
func (s *Swarm) SetMaxUpload(bps int64) { s.give.rate = float64(max(0, bps)) / 8 }

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

// pace is how fast what waits will leave, in bytes per second; 0: nobody knows.
func (s *Swarm) pace() float64 {
	r := s.up.carries()
	if s.give.rate > 0 && (r == 0 || s.give.rate < r) {
		r = s.give.rate
	}
	return r
}

// waits is how long a piece would wait before it left.
func (s *Swarm) waits(p *push) time.Duration {
	r := s.pace()
	if r == 0 {
		return 0
	}
	ahead := 0
	for rank := range p.rank + 1 {
		for i := range s.give.queues[rank] {
			if q := &s.give.queues[rank][i]; rank < p.rank || !q.target.After(p.target) {
				ahead += len(q.h.body)
			}
		}
	}
	return time.Duration(float64(ahead) / r * float64(time.Second))
}

// patient is how long a copy may have to wait here.
func (s *Swarm) patient(now time.Time, p *push) time.Duration {
	if s.mesh() && !s.cfg.Seed {
		return pullQueue
	}
	if s.give.load.short && p.flags&wire.PieceDistribute == 0 {
		return waitLeast
	}
	if s.cfg.Seed {
		return pushLife // what a whole group waits for comes from nowhere else
	}
	return waitMost
}

// lacks reports whether a neighbour can and should be sent a piece.
func (s *Swarm) lacks(n *neighbour, id segment.ID) bool {
	return n.ready() && n.sent(id) == nil && !n.have.has(id) && n.owed < maxOwed && !(n.stuck && n.owed > 0) && id.Compare(n.from) >= 0
}

// push queues a piece for a neighbour; false if it would not leave in time.
func (s *Swarm) push(now time.Time, p push) bool {
	if !s.lacks(p.n, p.h.piece.ID) {
		return true
	}
	if p.n.last() {
		p.rank = rankLast
	}
	g := &s.give
	q := g.queues[p.rank]
	g.load.offered += len(p.h.body)
	if p.rank > rankBelow && len(q) < maxWaiting && s.spared(now, p.n, p.h) {
		g.putFirst(now, p)
		s.pump(now)
		return true
	}
	if len(q) >= maxWaiting || s.waits(&p) > min(s.patient(now, &p), p.end.Sub(now)) {
		g.load.refused += len(p.h.body)
		return false
	}
	at, _ := slices.BinarySearchFunc(q, p.target, func(o push, t time.Time) int {
		if o.target.After(t) {
			return 1
		}
		return -1 // behind those with the same target
	})
	g.queues[p.rank] = slices.Insert(q, at, p)
	g.bytes += len(p.h.body)
	s.pump(now)
	return true
}

// late lets a copy go before all others whose receiver needs it at once: what is
// new has time, even where many wait behind it.
func (s *Swarm) late(now time.Time, p *push) {
	if due := p.n.need.due(now, p.h.piece); !due.IsZero() && due.Sub(now) < lateSlack && !s.cfg.Seed {
		p.rank, p.target = rankLate, due
	}
}

// putFirst queues a copy before all others of its rank, as is done while the uplink
// is short: it is not known then which copies will leave at all; but the uplink is
// never idle, and those that leave are of use for long. Of one piece the first
// goes to who was given least lately.
func (g *give) putFirst(now time.Time, p push) {
	q := g.queues[p.rank]
	for k := len(q); k > 0 && !now.Before(q[k-1].end); k-- {
		g.load.refused += len(q[k-1].h.body)
		g.drop(q[k-1])
		q = q[:k-1]
	}
	at := 0
	for at < len(q) && q[at].h == p.h && q[at].n.lately <= p.n.lately {
		at++
	}
	g.queues[p.rank] = slices.Insert(q, at, p)
	g.bytes += len(p.h.body)
}

// pump sends what waits, as far as the uplink takes it.
func (s *Swarm) pump(now time.Time) {
	g := &s.give
	for g.bytes > 0 {
		if g.flying >= s.up.window() && !s.stuck(now) {
			return // an acknowledgement will bring us back
		}
		if free := s.up.free(g.load.short); now.Before(free) {
			g.wake = earlier(g.wake, free)
			return
		}
		p, ok := s.first(now)
		if !ok {
			return
		}
		if !g.take(now, len(p.h.body)) {
			wait := time.Duration((1 - g.tokens) / g.rate * float64(time.Second))
			g.wake = earlier(g.wake, now.Add(max(wait, time.Millisecond)))
			return
		}
		g.queues[p.rank] = g.queues[p.rank][1:]
		g.bytes -= len(p.h.body)
		s.send(now, p)
	}
}

// first returns what leaves next, and drops what is of no use any more.
func (s *Swarm) first(now time.Time) (push, bool) {
	g := &s.give
	for r := range g.queues {
		for len(g.queues[r]) > 0 {
			p := g.queues[r][0]
			if s.peer(p.n.id) == p.n && s.lacks(p.n, p.h.piece.ID) {
				if now.Before(p.end) {
					return p, true
				}
				g.load.refused += len(p.h.body)
				if p.flags&wire.PieceAsked != 0 || !s.spared(now, p.n, p.h) {
					s.tellBusy(p.n, p.h.piece.ID)
				}
			}
			g.queues[r] = g.queues[r][1:]
			g.drop(p)
		}
		g.queues[r] = nil
	}
	return push{}, false
}

// priorities are those of the connection's objects, by rank.
var priorities = [ranks]uint8{rankLate: prioUrgent, rankUrgent: prioUrgent, rankBelow: prioUrgent, rankRest: prioNew, rankLast: prioNew}

// tellBusy tells a neighbour that a piece will not come from here.
func (s *Swarm) tellBusy(n *neighbour, id segment.ID) {
	runs, _ := wire.AppendToRuns(nil, id.Epoch, id.Seq, id.Index)
	s.control(n, wire.AppendBusy(nil, s.tag, runs))
}

func (s *Swarm) send(now time.Time, p push) {
	n, h := p.n, p.h
	if !s.spend(len(h.body)) {
		return
	}
	s.tags++
	x := &sending{tag: s.tags, id: h.piece.ID, size: len(h.body), at: now, owner: p.flags&wire.PieceDistribute != 0}
	n.away = append(n.away, x)
	s.up.gave(now, x, s.politeFactor())
	s.give.load.gave += x.size
	n.lately += x.size
	if n.owed == 0 {
		n.due = now.Add(s.patience(n))
	}
	s.give.owes(n, x.size)
	if x.owner {
		n.note(now, x.id)
		due := now.Add(s.patience(n))
		s.give.watched = append(s.give.watched, watch{n.id, s.tags, due})
		s.give.wake = earlier(s.give.wake, due)
	}
	head := wire.AppendPieceHead(make([]byte, 0, 32+len(h.desc)), s.tag, &wire.PieceMessage{
		Flags: p.flags, Hops: h.hops, IngestMS: h.ingest, Descriptor: h.desc})
	s.act(Action{Kind: Send, Peer: n.id, Tag: s.tags, Priority: priorities[p.rank], Deadline: now.Add(max(p.end.Sub(now), pushLife)), Data: [][]byte{head, h.body}})
}

// settle takes an object off the books.
func (s *Swarm) settle(n *neighbour, x *sending) {
	n.away = slices.DeleteFunc(n.away, func(o *sending) bool { return o == x })
	s.give.owes(n, -x.size)
}

// giveUp takes an object off the books that will not be acknowledged.
func (s *Swarm) giveUp(n *neighbour, x *sending) {
	s.settle(n, x)
	s.up.spoilt = true
}

// Delivered tells that a neighbour has acknowledged an object.
func (s *Swarm) Delivered(now time.Time, id Peer, tag uint64, left Departure) {
	n := s.peer(id)
	if n == nil {
		return
	}
	x := n.sending(tag)
	if x == nil {
		return
	}
	s.took(now, n)
	if left.At.IsZero() {
		left.At = now.Add(-n.leastTrip())
		left.Queued = left.At.Sub(x.at)
	}
	s.settle(n, x)
	s.up.took(now, x, left)
	s.delay.saw(id, left.Queued)
	n.have.add(x.id)
	n.out += int64(x.size)
	s.Meter.Uploaded += int64(x.size)
	if x.owner {
		n.serve(now)
	}
	s.run(now)
}

// Failed tells that an object was given up: it expired, or the queue was full.
func (s *Swarm) Failed(now time.Time, id Peer, tag uint64) {
	n := s.peer(id)
	if n == nil {
		return
	}
	x := n.sending(tag)
	if x == nil {
		return
	}
	s.giveUp(n, x)
	if x.owner {
		n.fail(now, 1)
		s.handOn(now, x.id, n.id)
	}
}

// runGive hands on what was not acknowledged, answers what was held back, and
// sends what may leave.
func (s *Swarm) runGive(now time.Time) {
	s.runUplink(now)
	g := &s.give
	if g.load.run(now, s.pace()) {
		for _, n := range s.peers {
			n.lately /= 2
		}
	}
	if !g.wake.IsZero() && !now.Before(g.wake) {
		g.wake = time.Time{}
		s.runWatched(now)
		s.runDeferred(now)
	}
	s.pump(now)
	s.runDropped(now)
}

// drop notes that a copy was taken out of its queue unsent.
func (g *give) drop(p push) {
	g.bytes -= len(p.h.body)
	if p.flags&wire.PieceDistribute != 0 {
		g.dropped = append(g.dropped, p)
	}
}

// runDropped hands to others what was not sent to those who should have handed it
// on, unless they have got it by now, or it is of no use any more.
func (s *Swarm) runDropped(now time.Time) {
	list := s.give.dropped
	s.give.dropped = nil
	for _, p := range list {
		if p.n.sent(p.h.piece.ID) == nil && !p.n.have.has(p.h.piece.ID) && now.Before(p.end) {
			s.handTo(now, p.h.piece.ID, p.n.id, p.group, 0)
		}
	}
}

// left forgets what waited for a neighbour.
func (g *give) left(n *neighbour) {
	for r := range g.queues {
		g.queues[r] = slices.DeleteFunc(g.queues[r], func(p push) bool {
			if p.n == n {
				g.drop(p)
			}
			return p.n == n
		})
	}
	g.deferred = slices.DeleteFunc(g.deferred, func(r request) bool { return r.peer == n.id })
}

// callOffWaiting drops what waits for a neighbour that has it already.
func (g *give) callOffWaiting(n *neighbour, id segment.ID) {
	for r := range g.queues {
		g.queues[r] = slices.DeleteFunc(g.queues[r], func(p push) bool {
			off := p.n == n && p.h.piece.ID == id
			if off {
				g.bytes -= len(p.h.body)
			}
			return off
		})
	}
}

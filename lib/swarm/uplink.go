package swarm

import (
	"time"

	"github.com/xp2p/xp2p/lib/wire"
)

// uplink measures how fast this member's pieces leave, over all neighbours
// together, and says when the next may follow. Each connection has its
// congestion control; but they all share one uplink, and what is given to
// several of them at once leaves by turns, packet by packet: the first comes as
// late as the last, and a queue would delay what is urgent behind what is not.
// So the queue is kept here, where it can be ordered, and a piece is given to
// its connection when the one before has nearly left.
//
// When a piece has left is known a round trip later, when it is acknowledged.
// Until then it is reckoned from the rate.
type uplink struct {
	handed  int64     // bytes of pieces, in all
	left    int64     // of these, up to the last that was acknowledged
	leftAt  time.Time // when the newest of them had left
	before  time.Time // the same of those before the burst
	leave   time.Time // when all of it will have left, as reckoned
	next    time.Time // not before: the user has something to send too
	burst   burst     // pieces that left one upon the other, the newest of them
	busyFor float64   // seconds for which something was leaving all the time
	busy    float64   // bytes that left in them
	loneFor float64   // the same of pieces that left when nothing else did
	lone    float64
	loose   float64 // bytes per second that left while the uplink had room for more
	turn    time.Time
	spoilt  bool          // something was withdrawn since
	trip    time.Duration // the middle of the neighbours' least round trips, now and then
	tripAt  time.Time
	told    float64 // what neighbours were told
	toldAt  time.Time
}

// A burst is pieces that left without a break between them, in turn or mixed with
// each other: only together do they tell how fast they left. It lasts until
// uplink.leftAt.
type burst struct {
	pieces int // 0: there is none
	from   time.Time
	bytes  float64
	// What of it has been added to busy and busyFor.
	counted    float64
	countedFor float64
}

// Our choices.
const (
	spanBusy    = 1.0              // seconds: what was measured before counts half, for links change, radio links fast
	spanLoose   = 10 * time.Second // the same of a rate at which nothing was full
	windowFirst = 48 << 10         // on their way, before anything is measured: three pieces
	windowMore  = 40 << 10         // beside two round trips' worth
	windowMost  = 8 << 20
	leaveAhead  = 10 * time.Millisecond  // an acknowledgement's jitter must not let the uplink run dry
	leaveShort  = 25 * time.Millisecond  // the same where it is short, and nothing urgent is ever far behind
	queuedLeast = 4 * time.Millisecond   // what waited less had the uplink to itself
	leastLeave  = 100 * time.Microsecond // what takes less cannot be measured
	tellUplink  = 3 * time.Second
	busyLeast   = 0.15 // seconds of a busy uplink that tell its capacity
)

// gave notes that a piece was given to a connection.
func (u *uplink) gave(now time.Time, x *sending, polite float64) {
	u.handed += int64(x.size)
	x.upto, x.left = u.handed, u.left
	took := u.takes(x.size)
	u.leave = later(u.leave, now).Add(took)
	u.next = now
	if polite < 1 {
		u.next = now.Add(time.Duration(float64(took) / polite))
	}
}

// A Departure says when the last of an object had left our access link, and for
// how long it had stood in a queue then. The zero Departure: nobody knows.
type Departure struct {
	At     time.Time
	Queued time.Duration
}

// took notes the acknowledgement of a piece, and when it had left.
func (u *uplink) took(now time.Time, x *sending, left Departure) {
	if u.busyFor+u.loneFor >= spanBusy {
		for _, v := range [...]*float64{&u.busyFor, &u.busy, &u.loneFor, &u.lone} {
			*v /= 2
		}
	}
	if now.Sub(u.turn) >= spanLoose {
		u.loose /= 2
		u.turn = now
	}
	at, size := later(left.At, x.at), float64(x.size)
	queued := left.Queued >= queuedLeast
	if d := now.Sub(x.at).Seconds(); !queued && d > 0 {
		u.loose = max(u.loose, float64(max(0, x.upto-x.left))/d)
	}
	u.left = max(u.left, x.upto)
	behind := !at.After(u.leftAt) // it left in a time that another, who is nearer, has told of
	switch {
	case u.spoilt, !queued && !behind:
		// Something was withdrawn while it left, and took some of the time; or the uplink
		// had room, and what took its time was the connection.
		u.endBurst()
	case u.burst.pieces > 0 && x.at.Before(u.leftAt) && at.After(u.burst.from):
		u.burst.pieces++
		u.burst.bytes += size
		u.burst.from = earlier(u.burst.from, later(x.at, u.before))
	case !behind:
		u.endBurst()
		u.before = u.leftAt
		u.burst = burst{pieces: 1, from: later(x.at, u.leftAt), bytes: size}
	}
	if behind {
		u.count()
		return
	}
	u.leftAt, u.leave, u.spoilt = at, at, false
	u.count()
	if queued {
		u.leave = at.Add(u.takes(int(u.handed - u.left)))
	}
}

// count adds what is new of a burst of several pieces to what was seen of the busy
// uplink.
func (u *uplink) count() {
	b := &u.burst
	if b.pieces < 2 {
		return
	}
	took := u.leftAt.Sub(b.from).Seconds()
	u.busy += b.bytes - b.counted
	u.busyFor += took - b.countedFor
	b.counted, b.countedFor = b.bytes, took
}

// endBurst: what comes next is of another. A piece that stayed alone may have
// left as slowly as its connection gave it.
func (u *uplink) endBurst() {
	if b := &u.burst; b.pieces == 1 {
		u.lone += b.bytes
		u.loneFor += max(u.leftAt.Sub(b.from), leastLeave).Seconds()
	}
	u.burst = burst{}
}

// takes is how long bytes need to leave; 0 if nobody knows.
func (u *uplink) takes(bytes int) time.Duration {
	r := u.carries()
	if r == 0 {
		return 0
	}
	return time.Duration(float64(bytes) / r * float64(time.Second))
}

// rate is how fast the uplink is, in bytes per second, as far as was seen: what it
// carries, or at least what it carried when it had room for more; 0: nobody knows.
func (u *uplink) rate() float64 {
	if r := u.carries(); r > 0 {
		return r
	}
	return u.loose
}

// carries is what the uplink carries, in bytes per second: what left while
// something was leaving all the time, or what left by itself, which is never more
// than it carries; 0: it was never seen full. Who gave one piece after another as
// fast as a slow uplink took them would not see otherwise that it has become faster.
func (u *uplink) carries() float64 {
	switch {
	case u.busyFor >= busyLeast && u.loneFor >= busyLeast:
		return max(u.busy/u.busyFor, u.lone/u.loneFor)
	case u.busyFor >= busyLeast:
		return u.busy / u.busyFor
	case u.loneFor > 0:
		return u.lone / u.loneFor
	case u.burst.pieces > 0:
		return u.burst.bytes / max(u.leftAt.Sub(u.burst.from), leastLeave).Seconds()
	}
	return 0
}

// window is how many bytes of pieces may be on their way.
func (u *uplink) window() int {
	r := u.rate()
	if r == 0 {
		return windowFirst
	}
	return min(int(2*r*u.trip.Seconds())+windowMore, windowMost)
}

// free returns when the uplink can take the next piece.
func (u *uplink) free(short bool) time.Time {
	ahead := leaveAhead
	if short {
		ahead = leaveShort
	}
	return later(u.leave.Add(-ahead), u.next)
}

// Uplink returns how many bits per second the swarm can upload: as far as it
// was seen full for a while, else what was said at the start; 0 if nobody knows.
func (s *Swarm) Uplink() int64 {
	if s.up.busyFor >= busyLeast {
		return int64(8 * s.up.carries())
	}
	return s.cfg.Uplink
}

// runUplink looks at the round trips, and tells the neighbours when the uplink
// has turned out to be another than they know.
func (s *Swarm) runUplink(now time.Time) {
	u := &s.up
	if now.Sub(u.tripAt) < 250*time.Millisecond {
		return
	}
	u.tripAt = now
	var sum time.Duration
	count := 0
	for _, n := range s.peers {
		if n.ready() && n.path.SRTT > 0 {
			t := n.path.SRTT
			if n.path.MinRTT > 0 {
				t = min(t, n.path.MinRTT)
			}
			sum += t
			count++
		}
	}
	u.trip = firstRTT
	if count > 0 {
		u.trip = sum / time.Duration(count)
	}
	r := float64(s.Uplink())
	if s.cfg.Seed || r == 0 || now.Sub(u.toldAt) < tellUplink || r < u.told*1.1 && r > u.told*0.9 {
		return
	}
	u.told, u.toldAt = r, now
	for _, n := range s.peers {
		if n.ready() && !n.seed || n.ready() && s.feeds(n) {
			s.greet(n, wire.HelloReply)
		}
	}
}

// feeds reports whether a seed gives us pieces to hand on.
func (s *Swarm) feeds(n *neighbour) bool { return n.seed && n.in > 0 }

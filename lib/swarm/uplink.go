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
	left    int64     // of these, what had left by the newest acknowledgement,
	leftAt  time.Time // and when
	leave   time.Time // when all of it will have left, as reckoned
	next    time.Time // not before: the user has something to send too
	busyFor float64   // seconds for which something was leaving all the time
	busy    float64   // bytes that left in them
	loneFor float64   // the same of pieces that left when nothing else did
	lone    float64
	turn    time.Time
	trip    time.Duration // the middle of the neighbours' least round trips, now and then
	tripAt  time.Time
	told    float64 // what neighbours were told
	toldAt  time.Time
}

// Our choices.
const (
	spanTime    = 10 * time.Second // what was measured before counts half
	windowFirst = 48 << 10         // on their way, before anything is measured: three pieces
	windowMore  = 40 << 10         // beside two round trips' worth
	windowMost  = 8 << 20
	leaveAhead  = 10 * time.Millisecond // an acknowledgement's jitter must not let the uplink run dry
	tellUplink  = 3 * time.Second
	busyLeast   = 0.15 // seconds of a busy uplink that tell its capacity
)

// gave notes that a piece was given to a connection.
func (u *uplink) gave(now time.Time, x *sending, polite float64) {
	u.handed += int64(x.size)
	x.upto = u.handed
	took := u.takes(x.size)
	u.leave = later(u.leave, now).Add(took)
	u.next = now
	if polite < 1 {
		u.next = now.Add(time.Duration(float64(took) / polite))
	}
}

// took notes the acknowledgement of a piece, and when it had left.
func (u *uplink) took(now time.Time, x *sending, at time.Time) {
	if x.upto <= u.left {
		return // what was given later was faster
	}
	if now.Sub(u.turn) >= spanTime {
		for _, v := range [...]*float64{&u.busyFor, &u.busy, &u.loneFor, &u.lone} {
			*v /= 2
		}
		u.turn = now
	}
	if at.Before(x.at) {
		at = x.at
	}
	size := float64(x.upto - u.left)
	if x.at.Before(u.leftAt) && at.After(u.leftAt) {
		u.busyFor += at.Sub(u.leftAt).Seconds()
		u.busy += size
	} else {
		u.loneFor += at.Sub(x.at).Seconds()
		u.lone += size
	}
	u.left, u.leftAt = x.upto, at
	u.leave = at.Add(u.takes(int(u.handed - u.left)))
}

// takes is how long bytes need to leave.
func (u *uplink) takes(bytes int) time.Duration {
	r := u.rate()
	if r == 0 {
		return 0
	}
	return time.Duration(float64(bytes) / r * float64(time.Second))
}

// rate is what the uplink carries, in bytes per second, as far as was seen; 0:
// nobody knows.
func (u *uplink) rate() float64 {
	r := u.known()
	if u.loneFor > 0 {
		r = max(r, u.lone/u.loneFor) // no more than it carries: jitter and all is in its time
	}
	return r
}

// known is what the uplink carried while it was busy: its capacity, and not just
// what there was to send; 0: it was not.
func (u *uplink) known() float64 {
	if u.busyFor < busyLeast {
		return 0
	}
	return u.busy / u.busyFor
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
func (u *uplink) free() time.Time { return later(u.leave.Add(-leaveAhead), u.next) }

// Uplink returns how many bits per second the swarm can upload: as far as it
// was seen busy, else what was said at the start; 0 if nobody knows.
func (s *Swarm) Uplink() int64 {
	if r := s.up.known(); r > 0 {
		return int64(8 * r)
	}
	if r := int64(8 * s.up.rate()); r > s.cfg.Uplink && s.cfg.Uplink > 0 {
		return r
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
	if s.cfg.Seed || r == 0 || now.Sub(u.toldAt) < tellUplink || r < u.told*4/3 && r > u.told*3/4 {
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

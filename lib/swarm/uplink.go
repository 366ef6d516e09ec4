package swarm

import (
	"time"

	"github.com/xp2p/xp2p/lib/wire"
)

// uplink measures how fast this member's pieces leave, over all neighbours
// together, and says how many bytes may be on their way at once. What is
// measured is BBR's delivery rate (draft-ietf-ccwg-bbr): for each piece, the
// bytes that were acknowledged between its sending and its acknowledgement, over
// that time. Each connection has its congestion control; but they all share one
// uplink, and a queue in it would delay what is urgent behind what is not. So
// the queue is kept here, where it can be ordered, and the uplink is given just
// what it needs to be busy.
type uplink struct {
	acked   int64      // bytes of pieces, in all
	best    [2]float64 // the fastest of this span and of the one before, bytes per second
	busyAt  time.Time  // of the last acknowledgement, if something waited behind it
	busyFor float64    // seconds between acknowledgements while something waited all the time
	busy    float64    // bytes that were acknowledged in them
	turn    time.Time
	trip    time.Duration // the middle of the neighbours' least round trips, now and then
	tripAt  time.Time
	told    float64 // what neighbours were told
	toldAt  time.Time
}

// Our choices.
const (
	spanTime    = 10 * time.Second // a maximum is remembered for one to two of these
	windowFirst = 64 << 10         // before anything is measured: four pieces
	windowLeast = 40 << 10         // two and a half: one leaves, one is on its way, one is being acknowledged
	windowPiece = 24 << 10         // beside what the round trip holds: what leaves next must stand ready
	windowMost  = 8 << 20
	windowGain  = 1.15 // so that a faster uplink shows
	tellUplink  = 3 * time.Second
	busyLeast   = 0.15 // seconds of a busy uplink that tell its capacity
)

// sample takes the acknowledgement of a piece.
func (u *uplink) sample(now time.Time, x *sending) {
	u.acked += int64(x.size)
	took := now.Sub(x.at)
	if took <= 0 {
		return
	}
	if now.Sub(u.turn) >= spanTime {
		if now.Sub(u.turn) < 2*spanTime {
			u.best[1] = u.best[0]
		}
		u.best[0] = 0
		u.busyFor, u.busy = u.busyFor/2, u.busy/2
		u.turn = now
	}
	rate := float64(u.acked-x.acked) / took.Seconds()
	u.best[0] = max(u.best[0], rate)
}

// loaded notes that an acknowledgement came, and whether something waited before
// it and waits behind it.
func (u *uplink) loaded(now time.Time, size int, before, behind bool) {
	if before && !u.busyAt.IsZero() {
		u.busyFor += now.Sub(u.busyAt).Seconds()
		u.busy += float64(size)
	}
	u.busyAt = time.Time{}
	if behind {
		u.busyAt = now
	}
}

// rate is the fastest that was seen lately, in bytes per second; 0: nothing was.
func (u *uplink) rate() float64 { return max(u.best[0], u.best[1]) }

// known is what the uplink carried while it was busy all the time: its capacity,
// and not just what there was to send. It is a mean: acknowledgements come in
// bunches from near and far, and the fastest moment says too much.
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
	return min(max(windowLeast, int(windowGain*r*u.trip.Seconds())+windowPiece), windowMost)
}

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

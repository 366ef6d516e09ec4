package congestion

import (
	"math"
	"time"
)

// A TFRC is the rate control of RFC 5348, whose sender computes the throughput
// that TCP would have at the loss event rate it sees. It is smooth, and slow to
// use what becomes free; it stands here to be compared with.
type TFRC struct {
	mtu  int
	rate float64 // X, bytes per second; 0 before the first round trip
	srtt time.Duration
	loss lossMeter
	undo struct {
		rate   float64
		meter  lossMeter
		active bool
	}
}

// NewTFRC returns the controller of a new path.
func NewTFRC(mtu int) *TFRC { return &TFRC{mtu: mtu} }

func (t *TFRC) OnSent(time.Time, int, int) {}

func (t *TFRC) OnAck(a Ack) {
	t.srtt = max(a.SRTT, time.Microsecond)
	t.loss.acked(a.Bytes)
	if t.rate == 0 {
		t.rate = float64(initialWindow(t.mtu)) / t.srtt.Seconds() // §4.2
	}
	if !a.RoundEnd || a.AppLimited && t.loss.events == 0 {
		return
	}
	// §4.3: never more than twice what the receiver reports, and without loss
	// twice as much each round trip.
	most := 2 * max(a.DeliveryRate, float64(initialWindow(t.mtu))/t.srtt.Seconds())
	if t.loss.events == 0 {
		t.rate = max(min(2*t.rate, most), float64(initialWindow(t.mtu))/t.srtt.Seconds())
		return
	}
	t.rate = max(min(t.equation(), most), t.least())
}

// equation is §3.1, with one packet an acknowledgement and t_RTO = 4 RTT.
func (t *TFRC) equation() float64 {
	p := min(1, float64(t.mtu)/t.loss.interval())
	r := t.srtt.Seconds()
	return float64(t.mtu) / (r*math.Sqrt(2*p/3) + 4*r*(3*math.Sqrt(3*p/8)*p*(1+32*p*p)))
}

// least is s/t_mbi: a packet in 64 seconds.
func (t *TFRC) least() float64 { return float64(t.mtu) / 64 }

func (t *TFRC) OnLoss(l Loss) {
	before, rate, first := t.loss, t.rate, t.loss.events == 0
	if !t.loss.lost(l, 0) || t.rate == 0 {
		return
	}
	if first {
		// §6.3.1: the first interval is the one that gives half the rate so far.
		lo, hi := 1e-8, 1.0
		for range 40 {
			p := math.Sqrt(lo * hi)
			t.loss.intervals[0] = float64(t.mtu) / p
			if t.equation() > t.rate/2 {
				lo = p
			} else {
				hi = p
			}
		}
	}
	t.undo.rate, t.undo.meter, t.undo.active = rate, before, !l.CE
	t.rate = max(min(t.rate, t.equation()), t.least())
	if l.Persistent {
		t.rate, t.undo.active = t.least(), false
	}
}

func (t *TFRC) OnSpurious(time.Time) {
	if t.undo.active {
		t.rate, t.loss, t.undo.active = t.undo.rate, t.undo.meter, false
	}
}

// Window only keeps a rate from running on when nothing is acknowledged.
func (t *TFRC) Window() int {
	if t.rate == 0 {
		return initialWindow(t.mtu)
	}
	return max(minimumWindow(t.mtu), int(2*t.rate*t.srtt.Seconds()))
}

func (t *TFRC) Rate(srtt time.Duration) float64 {
	if t.rate == 0 {
		return windowRate(initialWindow(t.mtu), 2, srtt)
	}
	return t.rate
}

func (t *TFRC) Burst() int {
	if t.rate == 0 {
		return initialWindow(t.mtu)
	}
	return restBurst * t.mtu
}

func (t *TFRC) SetMTU(mtu int) { t.mtu = mtu }

package congestion

import (
	"math"
	"time"
)

// A CUBIC is the controller of RFC 9438, with HyStart++ (RFC 9406) to leave
// slow start before the queue overflows. Our choice over a careful slow start:
// packets are paced, so that round trips rise smoothly and tell the truth, which
// is what HyStart++ needs; L is then infinite (RFC 9406 §4.3).
type CUBIC struct {
	mtu      int
	window   float64 // bytes
	ssthresh float64
	start    hystart
	recovery time.Time // packets sent before it are part of an answered congestion event

	epoch    time.Time // when the current congestion avoidance stage began; zero if it has not
	wMax     float64   // bytes; the window before the latest reduction
	k        float64   // seconds from epoch until wMax is reached again
	wEst     float64   // bytes; the window that Reno would have
	startWin float64   // cwnd_epoch
	paused   time.Time // since when the application is the limit

	undo struct {
		set                    bool
		window, ssthresh, wMax float64
		epoch                  time.Time
		k, wEst, startWin      float64
	}
}

const (
	cubicC    = 0.4 // RFC 9438 §5.1, segments per second cubed
	cubicBeta = 0.7 // §4.6
)

// NewCUBIC returns the controller of a new path.
func NewCUBIC(mtu int) *CUBIC {
	c := &CUBIC{mtu: mtu, window: float64(initialWindow(mtu)), ssthresh: math.Inf(1)}
	c.start.reset()
	return c
}

func (c *CUBIC) OnSent(time.Time, int, int) {}

func (c *CUBIC) OnAck(a Ack) {
	if a.AppLimited {
		if c.paused.IsZero() {
			c.paused = a.Now
		}
		return
	}
	if !c.paused.IsZero() {
		// §5.8: "CUBIC SHOULD NOT count the time when the application is not
		// sending": the epoch moves along.
		if !c.epoch.IsZero() {
			c.epoch = c.epoch.Add(a.Now.Sub(c.paused))
		}
		c.paused = time.Time{}
	}
	if c.window < c.ssthresh {
		c.slowStart(a)
		return
	}
	if a.Sent.After(c.recovery) {
		c.avoid(a)
	}
}

func (c *CUBIC) slowStart(a Ack) {
	switch c.start.onAck(a) {
	case growFully:
		c.window += float64(a.Bytes)
	case growCarefully:
		c.window += float64(a.Bytes) / cssGrowthDivisor
	case stopGrowing:
		c.ssthresh = c.window
	}
}

// avoid is congestion avoidance, §4.2 to §4.5.
func (c *CUBIC) avoid(a Ack) {
	m := float64(c.mtu)
	if c.epoch.IsZero() {
		c.epoch = a.Now
		c.startWin, c.wEst = c.window, c.window
		if c.wMax <= c.window { // slow start ended without a loss: §4.10
			c.wMax, c.k = c.window, 0
		} else {
			c.k = math.Cbrt((c.wMax - c.window) / m / cubicC)
		}
	}
	// §4.3: the Reno-friendly region. alpha_cubic until wEst reaches wMax, then 1.
	alpha := 3 * (1 - cubicBeta) / (1 + cubicBeta)
	if c.wEst >= c.wMax {
		alpha = 1
	}
	c.wEst += alpha * m * float64(a.Bytes) / c.window
	cubic := func(t float64) float64 { d := t - c.k; return (cubicC*d*d*d)*m + c.wMax }
	t := a.Now.Sub(c.epoch).Seconds()
	if cubic(t) < c.wEst {
		c.window = max(c.window, c.wEst)
		return
	}
	// §4.4: towards W_cubic(t + RTT), at most half as much again.
	target := min(max(cubic(t+a.SRTT.Seconds()), c.window), 1.5*c.window)
	c.window += (target - c.window) / c.window * float64(a.Bytes)
}

func (c *CUBIC) OnLoss(l Loss) {
	if l.Persistent {
		// RFC 9002 §7.6.2.
		c.reduce(l.Now, cubicBeta)
		c.undo.set = false
		c.window, c.recovery = float64(minimumWindow(c.mtu)), time.Time{}
		return
	}
	if !l.Sent.After(c.recovery) {
		return // one reduction for a round trip
	}
	c.undo.set = !l.CE
	c.undo.window, c.undo.ssthresh, c.undo.wMax = c.window, c.ssthresh, c.wMax
	c.undo.epoch, c.undo.k, c.undo.wEst, c.undo.startWin = c.epoch, c.k, c.wEst, c.startWin
	beta := cubicBeta
	if l.CE {
		beta = 0.85 // RFC 8511 §3: a mark means a short queue
	}
	c.reduce(l.Now, beta)
}

// reduce is §4.6 and §4.7.
func (c *CUBIC) reduce(now time.Time, beta float64) {
	if c.window < c.wMax {
		c.wMax = c.window * (1 + cubicBeta) / 2 // fast convergence: leave room to newcomers
	} else {
		c.wMax = c.window
	}
	c.ssthresh = max(c.window*beta, float64(minimumWindow(c.mtu)))
	c.window = c.ssthresh
	c.epoch, c.recovery, c.paused = time.Time{}, now, time.Time{}
}

// OnSpurious is §4.9.1: the variables return to what they were.
func (c *CUBIC) OnSpurious(time.Time) {
	if !c.undo.set || c.undo.window < c.window {
		return
	}
	u := &c.undo
	c.window, c.ssthresh, c.wMax = u.window, u.ssthresh, u.wMax
	c.epoch, c.k, c.wEst, c.startWin = u.epoch, u.k, u.wEst, u.startWin
	c.recovery = time.Time{}
	u.set = false
}

func (c *CUBIC) Window() int { return int(c.window) }

func (c *CUBIC) Rate(srtt time.Duration) float64 {
	if c.window < c.ssthresh {
		return windowRate(int(c.window), 2, srtt)
	}
	return windowRate(int(c.window), 1.25, srtt)
}

func (c *CUBIC) SetMTU(mtu int) {
	c.mtu = mtu
	c.window = max(c.window, float64(minimumWindow(mtu)))
}

func (c *CUBIC) Burst() int {
	if math.IsInf(c.ssthresh, 1) && int(c.window) <= initialWindow(c.mtu) {
		return initialWindow(c.mtu)
	}
	return restBurst * c.mtu
}

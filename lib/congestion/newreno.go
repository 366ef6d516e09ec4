package congestion

import "time"

// A NewReno is the controller of RFC 9002 §7: slow start, halving, and one
// segment more per round trip.
type NewReno struct {
	mtu      int
	window   int
	ssthresh int
	partial  int       // bytes acknowledged towards the next segment
	recovery time.Time // packets sent before it are part of an answered loss
	undo     struct{ window, ssthresh int }
}

// NewNewReno returns the controller of a new path.
func NewNewReno(mtu int) *NewReno {
	return &NewReno{mtu: mtu, window: initialWindow(mtu), ssthresh: 1 << 62}
}

func (r *NewReno) OnSent(time.Time, int, int) {}

func (r *NewReno) OnAck(a Ack) {
	// §7.3.2: "A recovery period ends … when a packet sent during the recovery
	// period is acknowledged"; before that the window does not grow.
	if a.AppLimited || !a.Sent.After(r.recovery) {
		return
	}
	if r.window < r.ssthresh {
		r.window += a.Bytes
		return
	}
	// §7.3.3: at most one datagram for each window acknowledged.
	r.partial += a.Bytes
	if r.partial >= r.window {
		r.partial -= r.window
		r.window += r.mtu
	}
}

func (r *NewReno) OnLoss(l Loss) {
	if l.Persistent {
		// §7.6.2: "the sender's congestion window MUST be reduced to the minimum
		// congestion window".
		r.window, r.recovery = minimumWindow(r.mtu), time.Time{}
		return
	}
	if !l.Sent.After(r.recovery) {
		return // one reduction for a round trip
	}
	r.undo.window, r.undo.ssthresh = r.window, r.ssthresh
	r.recovery = l.Now
	r.ssthresh = max(r.window/2, minimumWindow(r.mtu)) // kLossReductionFactor, appendix B.1
	r.window = r.ssthresh
	r.partial = 0
}

func (r *NewReno) OnSpurious(time.Time) {
	if r.undo.window > r.window {
		r.window, r.ssthresh = r.undo.window, r.undo.ssthresh
	}
	r.recovery = time.Time{}
	r.undo.window = 0
}

func (r *NewReno) Window() int { return r.window }

func (r *NewReno) Rate(srtt time.Duration) float64 {
	if r.window < r.ssthresh {
		return windowRate(r.window, 2, srtt) // the window doubles while it is acknowledged
	}
	return windowRate(r.window, 1.25, srtt)
}

func (r *NewReno) SetMTU(mtu int) {
	r.window = max(r.window, minimumWindow(mtu))
	r.mtu = mtu
}

package congestion

import (
	"math"
	"time"
)

// lossMeter counts loss in the two ways that matter: as a share of bytes, which
// says whether a link is broken or overrun, and as loss events, several losses
// of one round trip being one (RFC 5348 §5.2), which say what a loss-based
// sender would do here.
type lossMeter struct {
	round struct{ acked, lost float64 } // bytes of the round under way
	share float64                       // smoothed over rounds

	intervals [8]float64 // bytes between loss events, newest first
	events    int
	since     float64 // bytes since the latest event
	answered  time.Time
}

func (m *lossMeter) acked(bytes int) {
	m.round.acked += float64(bytes)
	m.since += float64(bytes)
}

// lost notes a loss and reports whether it is a new event: packets sent before
// the previous one was noticed belong to that.
func (m *lossMeter) lost(l Loss) bool {
	m.round.lost += float64(l.Bytes)
	if !l.Sent.After(m.answered) {
		return false
	}
	m.answered = l.Now
	copy(m.intervals[1:], m.intervals[:7])
	m.intervals[0] = max(m.since, float64(l.Bytes))
	m.since = 0
	m.events++
	return true
}

// turn ends a round and returns its share of loss; of a round of fewer than
// twenty packets it is none, because one of them is 5 %.
func (m *lossMeter) turn(mtu int) float64 {
	sum := m.round.acked + m.round.lost
	if sum < 20*float64(mtu) {
		return m.share
	}
	p := m.round.lost / sum
	m.round.acked, m.round.lost = 0, 0
	m.share += (p - m.share) / 4
	return p
}

// interval is the mean loss interval in bytes (RFC 5348 §5.4); infinite without
// loss.
func (m *lossMeter) interval() float64 {
	n := min(m.events, len(m.intervals))
	if n == 0 {
		return math.Inf(1)
	}
	weights := [8]float64{1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2}
	var past, open, sum, openSum float64
	for i := range n {
		past += weights[i] * m.intervals[i]
		sum += weights[i]
		if i > 0 {
			open += weights[i] * m.intervals[i-1]
			openSum += weights[i]
		}
	}
	open += weights[0] * m.since // the interval under way counts if it is long
	openSum += weights[0]
	return max(past/sum, open/openSum)
}

// cubicRate is what a CUBIC flow would reach here, in bytes per second: the
// larger of RFC 9438's equation 6 with β 0.7 and C 0.4, and what Reno would.
func (m *lossMeter) cubicRate(mtu int, rtt time.Duration) float64 {
	packets := m.interval() / float64(mtu)
	if math.IsInf(packets, 1) {
		return packets
	}
	r := max(rtt, time.Millisecond).Seconds()
	window := max(1.054*math.Pow(r*packets, 0.75), math.Sqrt(1.5*packets))
	return window * float64(mtu) / r
}

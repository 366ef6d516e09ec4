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
	round        struct{ acked, lost float64 } // bytes of the round under way
	recent       struct{ acked, lost float64 } // bytes, what is older than lossMemory counting half, and so on
	halved       time.Time
	intervals    [8]float64 // bytes between loss events, newest first
	periods      [8]float64 // the same in seconds
	events       int
	since        float64 // bytes since the latest event
	at, answered time.Time
}

const lossMemory = 2 * time.Second

func (m *lossMeter) acked(bytes int) {
	m.round.acked += float64(bytes)
	m.recent.acked += float64(bytes)
	m.since += float64(bytes)
}

// share is the share of bytes that were lost in the last seconds.
func (m *lossMeter) share() float64 {
	if sum := m.recent.acked + m.recent.lost; sum > 0 {
		return m.recent.lost / sum
	}
	return 0
}

// forget makes the share that of what follows.
func (m *lossMeter) forget() { m.recent.acked, m.recent.lost = 0, 0 }

// lost notes a loss and reports whether it is a new event: packets sent before
// the previous one was noticed belong to that, and so does what is lost less than
// apart behind it.
func (m *lossMeter) lost(l Loss, apart time.Duration) bool {
	m.round.lost += float64(l.Bytes)
	m.recent.lost += float64(l.Bytes)
	if !l.Sent.After(m.answered) || m.events > 0 && l.Now.Sub(m.answered) < apart {
		return false
	}
	copy(m.intervals[1:], m.intervals[:7])
	copy(m.periods[1:], m.periods[:7])
	m.intervals[0] = max(m.since, float64(l.Bytes))
	if !m.at.IsZero() {
		m.periods[0] = l.Now.Sub(m.at).Seconds()
	}
	m.since, m.answered, m.at = 0, l.Now, l.Now
	m.events++
	return true
}

// turn ends a round and returns its share of loss; of a round of fewer than
// twenty packets it is zero, because one of them is 5 %, and the round goes on.
func (m *lossMeter) turn(now time.Time, mtu int) float64 {
	if now.Sub(m.halved) > lossMemory {
		m.halved = now
		m.recent.acked /= 2
		m.recent.lost /= 2
	}
	sum := m.round.acked + m.round.lost
	if sum < 20*float64(mtu) {
		return 0
	}
	p := m.round.lost / sum
	m.round.acked, m.round.lost = 0, 0
	return p
}

// interval is the mean loss interval in bytes (RFC 5348 §5.4); infinite without
// loss.
func (m *lossMeter) interval() float64 {
	return mean(m.intervals[:min(m.events, 8)], m.since, &[8]float64{1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2})
}

// mean is the weighted mean of intervals, the newest first. The one under way
// counts if that makes it longer.
func mean(list []float64, open float64, weights *[8]float64) float64 {
	if len(list) == 0 {
		return math.Inf(1)
	}
	var past, with, sum, withSum float64
	for i, v := range list {
		past += weights[i] * v
		sum += weights[i]
		if i > 0 {
			with += weights[i] * list[i-1]
			withSum += weights[i]
		}
	}
	with += weights[0] * open
	withSum += weights[0]
	return max(past/sum, with/withSum)
}

// cubicRate is what a CUBIC flow has here that meets loss as often as we do, in
// bytes per second. Its window before a loss is what it grew to in the time since
// the one before, by RFC 9438's W_max = C K³/(1-β), or, where Reno would be
// faster, by 0.53 packets a round trip to make up for 0.3 W_max; on the average it
// is a tenth less. Only times enter, not what we send: the answer is the rivals'.
func (m *lossMeter) cubicRate(now time.Time, mtu int, rtt time.Duration) float64 {
	if m.events < 2 {
		return math.Inf(1)
	}
	// The window that they have now is of the latest times; a start that overflowed
	// thrice in a second is soon forgotten.
	p := mean(m.periods[:min(m.events-1, 4)], now.Sub(m.at).Seconds(), &[8]float64{1, 0.8, 0.4, 0.2})
	r := max(rtt, time.Millisecond).Seconds()
	alpha := 3 * (1 - cubicBeta) / (1 + cubicBeta)
	window := max(cubicC*p*p*p, alpha*p/r) / (1 - cubicBeta)
	return 0.9 * window * float64(mtu) / r
}

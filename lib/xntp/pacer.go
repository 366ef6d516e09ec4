package xntp

import "time"

// pacerState spreads packets over time. It is a bucket of bytes that fills at
// the controller's rate:
//
//	a packet may leave when the bucket holds it; when the bucket has run dry,
//	sending resumes only when it holds a quantum.
//
// The quantum exists because wake-ups, not bytes, are the cost at video rates:
// four packets, or what a millisecond brings, but never more than four
// milliseconds of waiting. The bucket is bounded by the controller's burst or two
// milliseconds, so that a timer that fired late is repaid, and silence is not
// saved up. The burst is four packets once a path is known, and before that a
// train that measures it (RFC 9002 §7.7: "Senders SHOULD limit bursts to the
// initial congestion window"). Behind the train packets leave one by one.
type pacerState struct {
	credit float64
	last   time.Time
	dry    bool
	fine   bool // packet by packet: a path is being measured
}

func (p *pacerState) advance(now time.Time, rate float64, burst int) {
	if p.last.IsZero() {
		p.credit, p.last = float64(burst), now
		return
	}
	if most := max(float64(burst), rate*0.002); p.credit < most {
		p.credit = min(p.credit+rate*now.Sub(p.last).Seconds(), most)
	}
	p.last = now
}

func quantum(rate float64, mtu int) float64 {
	m := float64(mtu)
	return max(m, min(4*m, rate*0.004), rate*0.001)
}

func (p *pacerState) need(rate float64, mtu int) float64 {
	if p.dry && !p.fine {
		return quantum(rate, mtu)
	}
	return float64(mtu)
}

// ready reports whether a full packet may leave now.
func (p *pacerState) ready(now time.Time, rate float64, mtu, burst int) bool {
	p.advance(now, rate, burst)
	p.fine = burst > 4*mtu
	// A nanosecond's worth of rounding must not make a timer fire twice.
	p.dry = p.credit < p.need(rate, mtu)-rate*1e-6
	return !p.dry
}

// next returns when ready will say yes.
func (p *pacerState) next(rate float64, mtu int) time.Time {
	missing := p.need(rate, mtu) - p.credit
	if missing <= 0 || rate <= 0 {
		return p.last
	}
	return p.last.Add(time.Duration(missing / rate * 1e9))
}

func (p *pacerState) sent(bytes int) { p.credit -= float64(bytes) }

package congestion

import "time"

// A BBR paces at the most that was delivered lately and keeps no more than
// twice that by the least round trip in flight, as the first version of BBR
// does (draft-cardwell-iccrg-bbr-congestion-control-00). Loss does not concern
// it. It stands here to be compared with, and to be met on a link.
type BBR struct {
	mtu      int
	state    bbrState
	gain     float64
	rates    [bbrRounds]float64 // the most delivered, by round
	round    int
	full     float64 // the rate that STARTUP last grew to
	fullFor  int     // rounds without growth
	minRTT   time.Duration
	minAt    time.Time
	probed   time.Time // until when the window is at its least, to see the round trip
	phase    int
	phaseAt  time.Time
	inFlight int
}

type bbrState uint8

const (
	bbrStartup bbrState = iota
	bbrDrain
	bbrProbe
	bbrProbeRTT
)

const (
	bbrRounds    = 10
	bbrHigh      = 2.885 // 2/ln 2
	bbrMinRTTFor = 10 * time.Second
	bbrProbeFor  = 200 * time.Millisecond
)

var bbrCycle = [...]float64{1.25, 0.75, 1, 1, 1, 1, 1, 1}

// NewBBR returns the controller of a new path.
func NewBBR(mtu int) *BBR { return &BBR{mtu: mtu, gain: bbrHigh} }

func (b *BBR) OnSent(_ time.Time, _, inFlight int) { b.inFlight = inFlight }

func (b *BBR) bandwidth() float64 {
	most := 0.0
	for _, r := range b.rates {
		most = max(most, r)
	}
	return most
}

// target is a gain times the product of bandwidth and round trip.
func (b *BBR) target(gain float64) int {
	if b.minRTT == 0 || b.bandwidth() == 0 {
		return initialWindow(b.mtu)
	}
	return int(gain*b.bandwidth()*b.minRTT.Seconds()) + 3*b.mtu
}

func (b *BBR) OnAck(a Ack) {
	b.inFlight = a.InFlight
	if a.RoundEnd {
		b.round++
		b.rates[b.round%bbrRounds] = 0
	}
	if r := &b.rates[b.round%bbrRounds]; !a.AppLimited || a.DeliveryRate > b.bandwidth() {
		*r = max(*r, a.DeliveryRate)
	}
	expired := b.minRTT > 0 && a.Now.Sub(b.minAt) > bbrMinRTTFor
	if a.RTT > 0 && (b.minRTT == 0 || a.RTT <= b.minRTT || expired) {
		b.minRTT, b.minAt = a.RTT, a.Now
	}
	switch b.state {
	case bbrStartup:
		if a.RoundEnd && !a.AppLimited {
			if b.bandwidth() >= 1.25*b.full {
				b.full, b.fullFor = b.bandwidth(), 0
			} else if b.fullFor++; b.fullFor >= 3 {
				b.state, b.gain = bbrDrain, 1/bbrHigh
			}
		}
	case bbrDrain:
		if a.InFlight <= b.target(1) {
			b.enterProbe(a.Now)
		}
	case bbrProbe:
		b.cycle(a)
	case bbrProbeRTT:
		if b.probed.IsZero() && a.InFlight <= restBurst*b.mtu {
			b.probed = a.Now.Add(max(bbrProbeFor, a.SRTT))
		}
		if !b.probed.IsZero() && !a.Now.Before(b.probed) {
			b.minAt = a.Now
			if b.fullFor >= 3 {
				b.enterProbe(a.Now)
			} else {
				b.state, b.gain = bbrStartup, bbrHigh
			}
		}
	}
	if expired && b.state != bbrProbeRTT {
		b.state, b.gain, b.probed = bbrProbeRTT, 1, time.Time{}
	}
}

func (b *BBR) enterProbe(now time.Time) {
	// Anywhere in the cycle but at its draining phase; by the clock's digits, so that
	// several flows do not march in step.
	b.state = bbrProbe
	b.phase = (2 + int(now.UnixMicro()%7)) % len(bbrCycle)
	b.phaseAt, b.gain = now, bbrCycle[b.phase]
}

func (b *BBR) cycle(a Ack) {
	over := a.Now.Sub(b.phaseAt) > b.minRTT
	switch {
	case b.gain > 1:
		over = over && a.InFlight >= b.target(b.gain)-b.mtu
		over = over || a.Now.Sub(b.phaseAt) > 2*a.SRTT
	case b.gain < 1:
		over = over || a.InFlight <= b.target(1)
	}
	if over {
		b.phase = (b.phase + 1) % len(bbrCycle)
		b.phaseAt, b.gain = a.Now, bbrCycle[b.phase]
	}
}

func (b *BBR) OnLoss(l Loss) {
	if l.Persistent {
		*b = *NewBBR(b.mtu)
	}
}

func (b *BBR) OnSpurious(time.Time) {}

func (b *BBR) Window() int {
	switch b.state {
	case bbrProbeRTT:
		return restBurst * b.mtu
	case bbrProbe:
		return max(b.target(2), restBurst*b.mtu)
	}
	return max(b.target(bbrHigh), initialWindow(b.mtu))
}

func (b *BBR) Rate(srtt time.Duration) float64 {
	if bw := b.bandwidth(); bw > 0 {
		return b.gain * bw
	}
	return bbrHigh * float64(initialWindow(b.mtu)) / max(srtt, time.Microsecond).Seconds()
}

func (b *BBR) Burst() int {
	if b.bandwidth() == 0 {
		return initialWindow(b.mtu)
	}
	return restBurst * b.mtu
}

func (b *BBR) SetMTU(mtu int) { b.mtu = mtu }

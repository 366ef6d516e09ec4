package congestion

import (
	"slices"
	"time"
)

// A train is a run of packets that left at one moment. They leave the narrowest
// link of their way back to back, so the spacing with which they arrive is that
// link's: bytes over time is its capacity, even where others fill it, as long
// as they queue behind each other there. (Dovrolis et al.: long trains may
// converge to less, where others' packets come between.)
const (
	trainGap   = 100 * time.Microsecond // packets that left within it are of one train: a batch of sendmmsg takes less
	trainLeast = 4                      // packets of a train that says something: three gaps
	trainMost  = 32                     // packets looked at of one: the pairs grow with the square
	// mergeGap: stamps closer than it are an aggregate's (Wi-Fi, interrupt
	// coalescing), whose inside says nothing of the link.
	mergeGap = 25 * time.Microsecond
	// vanishMost: a train of which more gaps have vanished is no measurement.
	vanishMost = 0.4

	capacityMemory = 16               // trains
	capacityAge    = 10 * time.Second // after which one is forgotten
)

// capacityMeter measures the narrowest link's capacity from trains.
type capacityMeter struct {
	train []Arrival
	slope []float64
	kept  [capacityMemory]struct {
		rate   float64
		weight int // packets
		at     time.Duration
	}
	next   int
	keptAt time.Duration // the latest
	value  float64       // bytes per second; 0 until known
	trains int           // measured so far
	long   int           // packets of the longest
	broken int           // trains of which too many gaps had vanished
}

// arrived takes the next packet in the order of sending.
func (m *capacityMeter) arrived(p Arrival) {
	if n := len(m.train); n > 0 && (p.Sent-m.train[0].Sent > trainGap || n == trainMost) {
		m.close()
	}
	m.train = append(m.train, p)
	// The first train of all is read as it comes in: every millisecond counts then.
	if m.trains == 0 && len(m.train) >= 2*trainLeast {
		if rate, ok := m.measure(); ok {
			m.value, m.long = rate, len(m.train)
		}
	}
}

// close ends a train and takes what it says.
func (m *capacityMeter) close() {
	if len(m.train) >= trainLeast {
		if rate, ok := m.measure(); ok {
			m.trains++
			m.long = max(m.long, len(m.train))
			m.keep(rate, len(m.train), m.train[len(m.train)-1].Sent)
		}
	}
	m.train = m.train[:0]
}

// keep remembers a measurement.
func (m *capacityMeter) keep(rate float64, packets int, now time.Duration) {
	k := &m.kept[m.next]
	m.next = (m.next + 1) % capacityMemory
	k.rate, k.weight, k.at = rate, packets, now
	m.keptAt = now
	m.settle(now)
}

// settle makes the value the upper quartile of what is remembered, by weight. Jitter
// spreads some trains and squeezes others, which the median would answer to; but
// packets of others between ours only spread them, and among many connections
// that happens to most.
func (m *capacityMeter) settle(now time.Duration) {
	m.slope = m.slope[:0]
	total := 0
	var order [capacityMemory]int
	list := order[:0]
	for i := range m.kept {
		if k := &m.kept[i]; k.weight > 0 && now-k.at < capacityAge {
			list = append(list, i)
			total += k.weight
		}
	}
	slices.SortFunc(list, func(a, b int) int {
		switch x, y := m.kept[a].rate, m.kept[b].rate; {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	sum := 0
	for _, i := range list {
		if sum += m.kept[i].weight; 4*sum >= 3*total {
			m.value = m.kept[i].rate
			return
		}
	}
}

// measure is the rate at which the train came out of the link: the median of
// the slopes of all pairs (Theil–Sen), because single stamps lie.
func (m *capacityMeter) measure() (float64, bool) {
	// Points of bytes over time; an aggregate is one point, at its last stamp. A
	// packet that overtook others is passed over.
	type point struct{ bytes, at float64 }
	var array [trainMost]point
	points := array[:0]
	sum, gone := 0, 0
	last := m.train[0].At
	for i, p := range m.train {
		if i > 0 {
			sum += p.Bytes
		}
		switch {
		case i == 0:
		case p.At-last < mergeGap:
			gone++
			if len(points) > 1 && p.At >= last {
				points[len(points)-1] = point{float64(sum), (p.At - m.train[0].At).Seconds()}
				last = p.At
			}
			continue
		default:
			last = p.At
		}
		points = append(points, point{float64(sum), (p.At - m.train[0].At).Seconds()})
	}
	if float64(gone) > vanishMost*float64(len(m.train)-1) {
		m.broken++
		return 0, false
	}
	m.slope = m.slope[:0]
	for i := range points {
		for j := i + 1; j < len(points); j++ {
			if dt := points[j].at - points[i].at; dt > 0 {
				m.slope = append(m.slope, (points[j].bytes-points[i].bytes)/dt)
			}
		}
	}
	first, end := m.train[0], m.train[len(m.train)-1]
	if len(m.slope) < trainLeast-1 || 3*(end.Sent-first.Sent) > 2*(end.At-first.At) {
		return 0, false // the second: it left hardly faster than it arrived, and says how fast it left
	}
	slices.Sort(m.slope)
	return m.slope[len(m.slope)/2], true
}

// probeState saves up for a train where none leaves by itself: below 11 Mbit/s a
// steady flow sends fewer than four packets at a time.
type probeState struct {
	saving bool
	left   int // bytes of the train that may leave now
	at     time.Time
	spent  time.Time // when the latest train had left
}

const (
	probePackets = 8
	// probeTime is what the pacer saves up at most.
	probeTime = 2 * time.Millisecond
	// probeRounds without a measurement of the capacity, and a train is due.
	probeRounds = 16
	// fasterRounds without any queue, at the capacity, and one is due at once: a link
	// that became faster is known two round trips later, and not when the rate has
	// crept up to it.
	fasterRounds = 3
)

// seen says that the latest train's own queue may still be what acknowledgements
// tell of.
func (p *probeState) seen(m *Model, a Ack) bool {
	return a.Now.Sub(p.spent) < 2*a.SRTT+time.Duration(2*probePackets*float64(m.mtu)/max(m.link(), 1)*1e9)
}

// probeCapacity sends a train when the capacity is not known, or was measured long
// ago: the flow holds back for a moment, and spends it at once.
func (m *Model) probeCapacity(a Ack) {
	p := &m.probe
	// The link carries what it should carry at most, and no queue comes up.
	faster := m.mode == modeAlone && !m.steer.idle && m.steer.empty >= fasterRounds && m.rate > paceBelow*m.link()
	switch {
	case m.mode == modeStart || m.drain.on:
		p.saving = false
	case p.saving:
		if m.purse.bytes >= float64(probePackets*m.mtu) {
			p.saving, p.left = false, probePackets*m.mtu
		}
	case len(a.Arrivals) == 0 || m.rate*0.004 >= trainLeast*float64(m.mtu):
	case m.capacity.value > 0 && a.Arrivals[len(a.Arrivals)-1].Sent-m.capacity.keptAt < capacityAge/2 && !faster:
	case a.Now.Sub(p.at) > probeRounds*a.SRTT:
		p.saving, p.at = true, a.Now
	}
}

package congestion

import "time"

// arrivalMeter knows how fast packets arrive, and how long they stand in
// queues, from when they left and when they arrived. The two clocks need not
// agree; only differences are used.
type arrivalMeter struct {
	have bool
	// The least one-way time of this baseTime and of the one before: the way
	// without queues, as in LEDBAT (RFC 6817 §2.1).
	base, baseWas time.Duration
	baseTurned    time.Duration
	// The least of this half round trip, or lowLeast, and of the one before.
	low, lowWas time.Duration
	lowTurned   time.Duration
	// How much longer than the least of its half round trip a packet takes on the
	// average: our own bursts, and the way's jitter, which must not be taken for a
	// queue.
	noise  time.Duration
	bursts time.Duration // as far as our own bursts make it
	ways   time.Duration // sum
	counts int
	fresh  time.Duration // of the newest packet

	sum   int64         // bytes that arrived
	marks []arrivalMark // a ring, once it has arrivalMarks
	n     int
}

// An arrivalMark is what was known when an acknowledgement came.
type arrivalMark struct {
	sent, at time.Duration
	sum      int64
}

const (
	// baseTime is for how long a least one-way time counts, one to two times.
	// Clocks drift 50 µs a second, so it is one millisecond old at most; and who
	// is alone sees an empty queue far more often.
	baseTime = 10 * time.Second
	// lowLeast is the shortest time of which the least is taken: the queue swings with
	// everybody's bursts, and who looks for less long finds a longer one, and gets less.
	lowLeast = 20 * time.Millisecond
	// arrivalMarks covers two round trips of eight acknowledgements, and bunches.
	arrivalMarks = 64
)

// arrived takes the next packet; full says that its way may be compared, hold that
// the least is not to be forgotten.
func (m *arrivalMeter) arrived(p Arrival, full bool, srtt time.Duration, hold bool) {
	m.sum += int64(p.Bytes)
	if !full {
		return
	}
	way := p.At - p.Sent
	if !m.have {
		m.have = true
		m.base, m.baseWas, m.baseTurned = way, way, p.Sent
		m.low, m.lowWas, m.lowTurned = way, way, p.Sent
	}
	if p.Sent-m.baseTurned >= baseTime && !hold {
		m.baseWas, m.base, m.baseTurned = m.base, way, p.Sent
	}
	if p.Sent-m.lowTurned >= max(srtt/2, lowLeast) {
		if m.counts >= 4 {
			m.noise += (m.ways/time.Duration(m.counts) - m.noise) / 8
		}
		m.ways, m.counts = 0, 0
		m.lowWas, m.low, m.lowTurned = m.low, way, p.Sent
	}
	if way < m.low {
		m.ways += time.Duration(m.counts) * (m.low - way) // it is counted from the least
		m.low = way
	}
	m.ways += way - m.low
	m.counts++
	m.base, m.fresh = min(m.base, way), way
}

// untold counts the packets that are acknowledged without a stamp: of hundreds in one
// acknowledgement only the latest have one.
func (m *arrivalMeter) untold(a Ack) {
	told := 0
	for _, p := range a.Arrivals {
		told += p.Bytes
	}
	if m.have {
		m.sum += int64(max(0, a.Bytes-told))
	}
}

// mark ends an acknowledgement whose newest packet is p.
func (m *arrivalMeter) mark(p Arrival) {
	k := arrivalMark{p.Sent, p.At, m.sum}
	if len(m.marks) < arrivalMarks {
		m.marks = append(m.marks, k)
	} else {
		m.marks[m.n%arrivalMarks] = k
	}
	m.n++
}

func (m *arrivalMeter) least() time.Duration { return min(m.base, m.baseWas) }

// standing is the queue that did not go away for half a round trip to a whole one, or
// for one to two times lowLeast.
func (m *arrivalMeter) standing() time.Duration {
	return max(0, min(m.low, m.lowWas)-m.least()-m.jitter())
}

// newest is the queue that the newest packet met, less what it may be wrong by.
func (m *arrivalMeter) newest() time.Duration { return max(0, m.fresh-m.least()-2*m.jitter()) }

// jitter is the noise that is not our own.
func (m *arrivalMeter) jitter() time.Duration { return max(0, m.noise-m.bursts) }

// since compares sending and arriving over the last span of arriving: the rate
// of arrival, and how long it took to send the same. ok is false if too little
// is known.
func (m *arrivalMeter) since(span time.Duration, bytes int) (rate float64, took, sending time.Duration, ok bool) {
	if m.n == 0 {
		return 0, 0, 0, false
	}
	end := &m.marks[(m.n-1)%arrivalMarks]
	for i := m.n - 2; i >= max(0, m.n-arrivalMarks); i-- {
		k := &m.marks[i%arrivalMarks]
		if dt := end.at - k.at; dt >= span && end.sum-k.sum >= int64(bytes) {
			return float64(end.sum-k.sum) / dt.Seconds(), dt, end.sent - k.sent, true
		}
	}
	return 0, 0, 0, false
}

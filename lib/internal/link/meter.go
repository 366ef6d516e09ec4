package link

import "time"

// A Meter counts the packets of a line in use. What a benchmark says of a
// bottleneck comes from here, and not from those who share it.
type Meter struct {
	count Count
	waits Delays
	begun bool
	began int64
}

// A Count is what became of a line's packets. Bytes are of whole IP packets.
type Count struct {
	Packets, Bytes        uint64 // that came through
	LostRandom, LostQueue uint64
	LostNAT               uint64 // that a box beside the line did not let through; who has one counts them
	LostTooBig            uint64 // larger than the link's MTU: lost without a word, as in a black hole
	// For how long the packets that came through stood in the queue, their own
	// bits not counted.
	QueueP50, QueueP95, QueueMax time.Duration
	// Tenths are the tenths of a second since the first packet, at most
	// maxTenths of them.
	Tenths []Tenth
}

// A Tenth is what happened to the packets that came in a tenth of a second.
type Tenth struct {
	Bytes uint64        // of those that came through
	Queue time.Duration // the longest wait
}

// maxTenths is ten minutes.
const maxTenths = 6000

// Note counts a packet that came to the line at a time, with what Pass said.
func (m *Meter) Note(l *Line, at int64, size int, v Verdict) {
	if !m.begun {
		m.begun, m.began = true, at
	}
	switch v {
	case LostRandom:
		m.count.LostRandom++
		return
	case LostQueue:
		m.count.LostQueue++
		return
	}
	wait := time.Duration(l.Wait)
	m.count.Packets++
	m.count.Bytes += uint64(size)
	m.waits.Add(wait)
	i := int((at - m.began) / int64(100*time.Millisecond))
	if i < 0 || i >= maxTenths {
		return
	}
	for len(m.count.Tenths) <= i {
		m.count.Tenths = append(m.count.Tenths, Tenth{})
	}
	t := &m.count.Tenths[i]
	t.Bytes += uint64(size)
	t.Queue = max(t.Queue, wait)
}

// TooBig counts a packet that was larger than the link's MTU.
func (m *Meter) TooBig() { m.count.LostTooBig++ }

// Count is what was counted so far.
func (m *Meter) Count() Count {
	c := m.count
	c.Tenths = append([]Tenth(nil), c.Tenths...)
	c.QueueP50, c.QueueP95, c.QueueMax = m.waits.Quantile(0.5), m.waits.Quantile(0.95), m.waits.Worst
	return c
}

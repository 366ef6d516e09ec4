package wire

import "time"

const (
	// MaxAckRanges is how many ranges an ACK may have.
	MaxAckRanges = 32
	// MaxAckStamps is how many receive times an ACK may have.
	MaxAckStamps = 64
	// StampUnit is the unit of receive times: what a 100 Mbit/s link needs for
	// 50 bytes, finer than any kernel's stamp is true.
	StampUnit = 4 * time.Microsecond
)

// A Range is a run of packet numbers, both ends included.
type Range struct{ First, Last uint64 }

// An Ack says which packets arrived, and when. Ranges are ordered from the
// highest numbers down, and there is at least one.
//
// Stamps are receive times on the receiver's own clock, counted from a moment
// of its choice, for the packets with the highest numbers: Stamps[0] is that of
// Ranges[0].Last, the next that of the next lower packet number that is
// acknowledged, and so on. There may be fewer stamps than packets, or none.
type Ack struct {
	Delay      time.Duration // from the arrival of the highest packet to the sending of the ACK, in whole units of StampUnit
	CE         uint64        // ACK with ECN only: packets received so far with the mark
	rangeArray [MaxAckRanges]Range
	stampArray [MaxAckStamps]time.Duration
	ranges     int
	stamps     int
}

// Reset empties a for use as a builder.
func (a *Ack) Reset() { a.Delay, a.CE, a.ranges, a.stamps = 0, 0, 0, 0 }

// Ranges returns the ranges, highest first. The slice is the Ack's own.
func (a *Ack) Ranges() []Range { return a.rangeArray[:a.ranges] }

// Stamps returns the receive times, that of the highest number first, in
// multiples of StampUnit.
func (a *Ack) Stamps() []time.Duration { return a.stampArray[:a.stamps] }

// AddRange adds a range below those it has and reports whether there was room.
func (a *Ack) AddRange(r Range) bool {
	if a.ranges == MaxAckRanges {
		return false
	}
	a.rangeArray[a.ranges] = r
	a.ranges++
	return true
}

// AddStamp adds the receive time of the next lower packet and reports whether
// there was room.
func (a *Ack) AddStamp(t time.Duration) bool {
	if a.stamps == MaxAckStamps || t < 0 {
		return false
	}
	a.stampArray[a.stamps] = t / StampUnit * StampUnit
	a.stamps++
	return true
}

func (a *Ack) append(b []byte, t FrameType) []byte {
	b = AppendVarint(b, uint64(t))
	first := a.rangeArray[0]
	b = AppendVarint(b, first.Last)
	b = AppendVarint(b, uint64(a.Delay/StampUnit))
	b = AppendVarint(b, uint64(a.ranges-1))
	b = AppendVarint(b, first.Last-first.First)
	above := first.First
	for _, r := range a.rangeArray[1:a.ranges] {
		b = AppendVarint(b, above-r.Last-2) // RFC 9000 §19.3.1
		b = AppendVarint(b, r.Last-r.First)
		above = r.First
	}
	if t == FrameAckECN {
		b = AppendVarint(b, a.CE)
	}
	b = AppendVarint(b, uint64(a.stamps))
	prev := int64(0)
	for i, s := range a.stampArray[:a.stamps] {
		u := int64(s / StampUnit)
		if i == 0 {
			b = AppendVarint(b, uint64(u))
		} else {
			b = AppendVarint(b, zigzag(prev-u)) // usually positive: lower numbers came earlier
		}
		prev = u
	}
	return b
}

func (a *Ack) parse(c *cursor, t FrameType) {
	a.Reset()
	last := c.varint()
	a.Delay = time.Duration(min(c.varint(), 1<<40)) * StampUnit
	more := c.varint()
	if more >= MaxAckRanges {
		c.fail()
	}
	length := c.varint()
	if length > last {
		c.fail()
	}
	if c.bad {
		return
	}
	a.AddRange(Range{last - length, last})
	above := last - length
	for range more {
		gap, length := c.varint(), c.varint()
		if c.bad || gap+2 > above || length > above-gap-2 {
			c.fail()
			return
		}
		last := above - gap - 2
		a.AddRange(Range{last - length, last})
		above = last - length
	}
	if t == FrameAckECN {
		a.CE = c.varint()
	}
	stamps := c.varint()
	if stamps > MaxAckStamps {
		c.fail()
	}
	if c.bad {
		return
	}
	const limit = int64(1) << 50 // a century in units
	prev := int64(0)
	for i := range stamps {
		v := c.varint()
		if i == 0 {
			if v > uint64(limit) {
				c.fail()
			}
			prev = int64(v)
		} else {
			prev -= unzigzag(v)
		}
		if c.bad || prev < 0 || prev > limit {
			c.fail()
			return
		}
		a.stampArray[i] = time.Duration(prev) * StampUnit
	}
	a.stamps = int(stamps)
}

func zigzag(v int64) uint64   { return uint64(v<<1) ^ uint64(v>>63) }
func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

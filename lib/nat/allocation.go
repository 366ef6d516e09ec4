package nat

import (
	"math/bits"
	"net/netip"
	"slices"
)

// An Allocation is how a NAT chooses the outside port of a new mapping.
type Allocation uint8

const (
	AllocationUnknown Allocation = iota
	PortPreserving               // the inside port, where that is free
	Sequential                   // the last one and a step
	Block                        // anywhere in a block of ports that the subscriber has
	Random
)

var allocationNames = [...]string{"unknown", "port-preserving", "sequential", "block", "random"}

// String returns the word of reports.
func (a Allocation) String() string { return allocationNames[min(a, Random)] }

// ParseAllocation reads the word of reports; ok is false for any other.
func ParseAllocation(s string) (a Allocation, ok bool) {
	i := slices.Index(allocationNames[1:], s)
	return Allocation(i + 1), i >= 0
}

// PortUse is how a burst of sockets was mapped.
type PortUse struct {
	Allocation Allocation
	Preserving Tri
	Delta      int    // between successive mappings; only if Sequential
	Low, High  uint16 // the range seen; Low is 0 if nothing was
	BlockSize  int    // at least so many ports; only if Block
}

const (
	minBurst = 4 // sockets; fewer tell nothing
	maxDelta = 64
	// maxBlock is the largest range that is called a block. Ten ports drawn from
	// all of 64512 lie within 4096 once in a hundred million times.
	maxBlock = 4096
)

// PortUseOf reads a burst: local ports in the order in which they were used, and
// the address at which each was seen; invalid, or of port 0, where there was no answer.
func PortUseOf(local []uint16, mapped []netip.AddrPort) (u PortUse) {
	var ports []int
	kept, n := 0, 0
	for i, m := range mapped {
		if !m.IsValid() || m.Port() == 0 || i >= len(local) {
			ports = append(ports, -1)
			continue
		}
		n++
		p := m.Port()
		if p == local[i] {
			kept++
		}
		if u.Low == 0 || p < u.Low {
			u.Low = p
		}
		u.High = max(u.High, p)
		ports = append(ports, int(p))
	}
	if n < minBurst {
		return u
	}
	// A socket whose port was taken by another host is given another one.
	if u.Preserving = TriOf(kept*4 >= n*3); u.Preserving == Yes {
		u.Allocation = PortPreserving
		return u
	}
	if d, ok := modalGap(ports); ok {
		u.Allocation, u.Delta = Sequential, d
		return u
	}
	if span := int(u.High) - int(u.Low) + 1; span <= maxBlock && n >= 2*minBurst {
		u.Allocation, u.BlockSize = Block, 1<<bits.Len(uint(span-1))
		return u
	}
	u.Allocation = Random
	return u
}

// modalGap returns the gap that at least half of the neighbours in a burst have.
// Foreign allocations and lost packets make others.
func modalGap(ports []int) (gap int, ok bool) {
	var gaps []int
	for i := 1; i < len(ports); i++ {
		if ports[i] >= 0 && ports[i-1] >= 0 {
			if d := ports[i] - ports[i-1]; d != 0 && d >= -maxDelta && d <= maxDelta {
				gaps = append(gaps, d)
			}
		}
	}
	slices.Sort(gaps)
	best, run := 0, 0
	for i, d := range gaps {
		if i > 0 && d == gaps[i-1] {
			run++
		} else {
			run = 1
		}
		if run > best {
			best, gap = run, d
		}
	}
	return gap, best >= 3 && best*2 >= len(ports)-1
}

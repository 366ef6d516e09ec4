// Package link is one direction of an emulated link: a droptail queue in virtual
// time, delay, jitter, loss and reordering. The virtual network and the lab of
// real namespaces share it, so that a link means the same in both.
package link

import (
	"math/rand/v2"
	"time"
)

// A Rate is in bits per second, and counts whole IP packets. Zero is
// unlimited.
type Rate int64

// The rates that people say.
const (
	Kbps Rate = 1e3
	Mbps Rate = 1e6
	Gbps Rate = 1e9
)

// Link is one direction of an access link. The zero Link is a perfect one.
type Link struct {
	Rate Rate
	// Queue is how many bytes may wait for the link; zero is 100 ms at the
	// rate, and at least 16 full packets.
	Queue int
	Delay time.Duration
	// Jitter adds up to this much to the delay, evenly; order is kept.
	Jitter time.Duration
	// Loss is the share of packets lost before they reach the queue.
	Loss float64
	// Reorder is the share of packets that are held back by ReorderBy (zero:
	// 5 ms) while those behind them overtake.
	Reorder   float64
	ReorderBy time.Duration
	// Mark is the backlog in bytes from which packets of ECN-capable
	// transports are marked CE (RFC 3168); zero is never.
	Mark int
	// MTU is the largest IP packet; zero is 1500. A larger packet is dropped if
	// it must not be fragmented, else it costs as many headers as fragments.
	MTU int
}

const (
	defaultMTU       = 1500
	defaultReorderBy = 5 * time.Millisecond
)

// PathMTU is the largest IP packet.
func (l Link) PathMTU() int {
	if l.MTU == 0 {
		return defaultMTU
	}
	return l.MTU
}

func (l Link) queue() int {
	if l.Queue == 0 {
		return max(16*l.PathMTU(), int(l.Rate/80))
	}
	return l.Queue
}

// A Verdict is what a link did with a packet.
type Verdict uint8

const (
	Passed Verdict = iota
	LostRandom
	LostQueue
)

// A Line is a Link in use. The queue exists only in virtual time: when a
// packet comes in, it is known when it will have left; so the rate is exact
// however late somebody looks.
type Line struct {
	Link
	Rand     *rand.Rand
	idleAt   int64 // when the last packet in the queue will have left, ns
	lastExit int64 // when the last packet arrives at the far end: jitter keeps order
	limit    int   // Link.queue()
}

// Set changes the link from now on. What is in the queue leaves as it would
// have.
func (l *Line) Set(c Link) {
	l.Link = c
	l.limit = c.queue()
}

// Perfect links pass everything at once.
func (l *Line) Perfect() bool {
	return l.Rate == 0 && l.Delay == 0 && l.Jitter == 0 && l.Loss == 0 && l.Reorder == 0
}

// Backlog is how long a packet that came at now would wait.
func (l *Line) Backlog(now int64) time.Duration { return time.Duration(max(0, l.idleAt-now)) }

// Pass sends an IP packet of size bytes into the link at now and returns when
// it comes out at the far end, and whether it is to be marked CE on the way.
// Calls must be in order of now.
func (l *Line) Pass(now int64, size int) (exit int64, mark bool, v Verdict) {
	if l.Loss > 0 && l.Rand.Float64() < l.Loss {
		return 0, false, LostRandom
	}
	exit = now
	if l.Rate > 0 {
		start := max(now, l.idleAt)
		backlog := int(float64(start-now) * float64(l.Rate) / 8e9)
		if backlog+size > l.limit {
			return 0, false, LostQueue
		}
		mark = l.Mark > 0 && backlog >= l.Mark
		exit = start + int64(size)*8e9/int64(l.Rate)
		l.idleAt = exit
	}
	exit += int64(l.Delay)
	if l.Jitter > 0 {
		exit += l.Rand.Int64N(int64(l.Jitter))
	}
	if l.Reorder > 0 && l.Rand.Float64() < l.Reorder {
		by := l.ReorderBy
		if by == 0 {
			by = defaultReorderBy
		}
		return exit + int64(by), mark, Passed
	}
	exit = max(exit, l.lastExit)
	l.lastExit = exit
	return exit, mark, Passed
}

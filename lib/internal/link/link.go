// Package link is one direction of an emulated link: a droptail queue in virtual
// time, delay, jitter, loss and reordering. The virtual network and the lab of
// real namespaces share it, so that a link means the same in both.
package link

import (
	"math"
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
	// Burst loses packets in bursts, beside Loss.
	Burst Burst
	// Steps change Rate while the line is in use.
	Steps []Step
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

// Burst is loss by the model of Gilbert and Elliott: a line is in a good state
// or in a bad one, and is asked at each packet. The zero Burst loses nothing.
type Burst struct {
	Enter float64 // chance to go from good to bad
	Leave float64 // chance to go from bad to good: 1/Leave packets is a burst on average
	Loss  float64 // share of packets lost in the bad state
}

// Share is the part of all packets that is lost.
func (b Burst) Share() float64 {
	if b.Enter == 0 {
		return 0
	}
	return b.Loss * b.Enter / (b.Enter + b.Leave)
}

// A Step is a rate from a time on, which is counted from the first packet that
// the line saw. Before the first step the rate is Link.Rate; where that is
// unlimited, steps mean nothing. Steps are in the order of time.
type Step struct {
	At   time.Duration
	Rate Rate
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
	bad      bool  // in a burst of losses
	begun    bool
	began    int64 // when the first packet came
	// Wait is for how long the packet that passed last stands in the queue, ns,
	// before its own bits leave.
	Wait int64
}

// Set changes the link from now on. What is in the queue leaves as it would
// have.
func (l *Line) Set(c Link) {
	l.Link = c
	l.limit = c.queue()
	l.begun = false
}

// Perfect links pass everything at once.
func (l *Line) Perfect() bool {
	return l.Rate == 0 && l.Delay == 0 && l.Jitter == 0 && l.Loss == 0 && l.Reorder == 0 &&
		l.Burst.Enter == 0 && len(l.Steps) == 0
}

// Backlog is how long a packet that came at now would wait.
func (l *Line) Backlog(now int64) time.Duration { return time.Duration(max(0, l.idleAt-now)) }

// Pass sends an IP packet of size bytes into the link at now and returns when
// it comes out at the far end, and whether it is to be marked CE on the way.
// Calls must be in order of now.
func (l *Line) Pass(now int64, size int) (exit int64, mark bool, v Verdict) {
	if !l.begun {
		l.begun, l.began = true, now
	}
	l.Wait = 0
	if l.lost() {
		return 0, false, LostRandom
	}
	exit = now
	if l.Rate > 0 {
		start := max(now, l.idleAt)
		backlog := l.bytesIn(now, start)
		if backlog+size > l.limit {
			return 0, false, LostQueue
		}
		mark = l.Mark > 0 && backlog >= l.Mark
		exit = l.finish(start, size)
		l.Wait = start - now
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

func (l *Line) lost() bool {
	if l.Loss > 0 && l.Rand.Float64() < l.Loss {
		return true
	}
	if l.Burst.Enter == 0 {
		return false
	}
	if l.bad {
		l.bad = l.Rand.Float64() >= l.Burst.Leave
	} else {
		l.bad = l.Rand.Float64() < l.Burst.Enter
	}
	return l.bad && l.Rand.Float64() < l.Burst.Loss
}

// rateAt is the rate at a time, and until when it holds.
func (l *Line) rateAt(at int64) (r Rate, until int64) {
	r, until = l.Rate, math.MaxInt64
	for _, s := range l.Steps {
		if s.Rate <= 0 {
			continue // nothing would ever leave
		}
		if from := l.began + int64(s.At); from > at {
			return r, from
		}
		r = s.Rate
	}
	return r, until
}

// bytesIn is what leaves between two times.
func (l *Line) bytesIn(from, to int64) int {
	var bits float64
	for from < to {
		r, until := l.rateAt(from)
		until = min(until, to)
		bits += float64(until-from) * float64(r) / 1e9
		from = until
	}
	return int(bits / 8)
}

// finish is when a packet has left whose first bit leaves at start.
func (l *Line) finish(start int64, size int) int64 {
	for bits := float64(size) * 8; ; {
		r, until := l.rateAt(start)
		if until == math.MaxInt64 && bits == float64(size)*8 {
			return start + int64(size)*8e9/int64(r) // one rate: no rounding
		}
		if end := start + int64(bits*1e9/float64(r)); end <= until {
			return end
		}
		bits -= float64(until-start) * float64(r) / 1e9
		start = until
	}
}

package simnet

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

func (l Link) mtu() int {
	if l.MTU == 0 {
		return defaultMTU
	}
	return l.MTU
}

func (l Link) queue() int {
	if l.Queue == 0 {
		return max(16*l.mtu(), int(l.Rate/80))
	}
	return l.Queue
}

type verdict uint8

const (
	passed verdict = iota
	lostRandom
	lostQueue
	lostTooBig
)

// wireLink is a Link in use. The queue exists only in virtual time: when a
// packet comes in, it is known when it will have left.
type wireLink struct {
	Link
	rng      *rand.Rand
	idleAt   int64 // when the last packet in the queue will have left, ns
	lastExit int64 // when the last packet arrives at the far end: jitter keeps order
	limit    int   // Link.queue()
}

func (l *wireLink) set(c Link) {
	l.Link = c
	l.limit = c.queue()
}

// perfect links cost no event and no random number.
func (l *wireLink) perfect() bool {
	return l.Rate == 0 && l.Delay == 0 && l.Jitter == 0 && l.Loss == 0 && l.Reorder == 0
}

// pass sends an IP packet of size bytes into the link at now and returns when
// it comes out at the far end, and whether it is to be marked CE on the way.
func (l *wireLink) pass(now int64, size int) (exit int64, mark bool, v verdict) {
	if l.Loss > 0 && l.rng.Float64() < l.Loss {
		return 0, false, lostRandom
	}
	exit = now
	if l.Rate > 0 {
		start := max(now, l.idleAt)
		backlog := int(float64(start-now) * float64(l.Rate) / 8e9)
		if backlog+size > l.limit {
			return 0, false, lostQueue
		}
		mark = l.Mark > 0 && backlog >= l.Mark
		exit = start + int64(size)*8e9/int64(l.Rate)
		l.idleAt = exit
	}
	exit += int64(l.Delay)
	if l.Jitter > 0 {
		exit += l.rng.Int64N(int64(l.Jitter))
	}
	if l.Reorder > 0 && l.rng.Float64() < l.Reorder {
		by := l.ReorderBy
		if by == 0 {
			by = defaultReorderBy
		}
		return exit + int64(by), mark, passed
	}
	exit = max(exit, l.lastExit)
	l.lastExit = exit
	return exit, mark, passed
}

// fragments returns the size on the wire of a UDP datagram with n bytes of
// payload, and whether it is in one piece.
func (l Link) fragments(n int, v6 bool) (size int, whole bool) {
	ip := 20
	if v6 {
		ip = 40
	}
	size = n + 8 + ip
	if size <= l.mtu() {
		return size, true
	}
	room := (l.mtu() - ip) &^ 7 // RFC 791: offsets count eight bytes
	pieces := (n + 8 + room - 1) / max(8, room)
	return n + 8 + pieces*ip, false
}

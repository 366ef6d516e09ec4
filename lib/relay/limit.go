package relay

import (
	"net/netip"
	"sync"
	"time"
)

// A bucket lets so many bytes pass a second, and saves up for a burst. With rate 0
// all pass.
type bucket struct {
	mu    sync.Mutex
	rate  float64 // bytes a second
	level float64
	at    time.Time
}

// burst is how long a bucket saves up.
const (
	burst    = 250 * time.Millisecond
	minBurst = 64 << 10 // a train of the transport's
)

func newBucket(bitRate int64) *bucket {
	b := &bucket{rate: float64(bitRate) / 8}
	b.level = b.size()
	return b
}

func (b *bucket) size() float64 { return max(minBurst, b.rate*burst.Seconds()) }

func (b *bucket) take(now time.Time, n int) bool {
	if b.rate == 0 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.at.IsZero() {
		b.level = min(b.size(), b.level+max(0, now.Sub(b.at).Seconds())*b.rate)
	}
	b.at = now
	if b.level < float64(n) {
		return false
	}
	b.level -= float64(n)
	return true
}

// network is what limits count by: whoever has an IPv6 address has 2^64.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

// An allowance bounds what a socket answers to whom it does not know: TURN's first
// answer is longer than its question, and the source may be forged. In the long run
// what leaves is a quarter more than what came, on the wire, and a trickle.
type allowance struct {
	mu       sync.Mutex
	income   int // bytes that were paid for
	trickle  bucketOf
	prefixes [strangerSlots]bucketOf
	salt     uint64
}

const (
	strangerSlots = 1024
	strangerRate  = 4 // answers a second to an IPv4 /24 or IPv6 /48 that no request pays for
	strangerBurst = 32
	allRate       = 100 // to all together
	allBurst      = 200
	maxIncome     = 64 << 10
	overhead      = 28 // IPv4 and UDP headers; IPv6's 48 would only pay for more
	maxGain       = 125
)

type bucketOf struct {
	level float64
	at    time.Time
}

func (b *bucketOf) has(now time.Time, rate, burst float64) bool {
	if b.at.IsZero() {
		b.level = burst
	} else {
		b.level = min(burst, b.level+max(0, now.Sub(b.at).Seconds())*rate)
	}
	b.at = now
	return b.level >= 1
}

// came counts a datagram.
func (a *allowance) came(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.income = min(maxIncome, a.income+(n+overhead)*maxGain/100)
}

// leaves says whether an answer of n bytes may leave.
func (a *allowance) leaves(now time.Time, to netip.Addr, n int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if cost := n + overhead; a.income >= cost {
		a.income -= cost
		return true
	}
	b := to.Unmap().As16()
	h := a.salt
	for _, x := range b[:6] { // an IPv6 /48
		h = (h ^ uint64(x)) * 0x9e3779b97f4a7c15
	}
	if to.Unmap().Is4() {
		for _, x := range b[12:15] {
			h = (h ^ uint64(x)) * 0x9e3779b97f4a7c15
		}
	}
	p := &a.prefixes[(h^h>>32)%strangerSlots]
	if !p.has(now, strangerRate, strangerBurst) || !a.trickle.has(now, allRate, allBurst) {
		return false
	}
	p.level--
	a.trickle.level--
	return true
}

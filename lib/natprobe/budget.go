package natprobe

import (
	"net/netip"
	"time"

	"github.com/xp2p/xp2p/lib/wire"
)

// Bare requests, as other people's clients send them, do not pay for what RFC 5780
// adds to an answer. So that these clients work too, a prefix has a small
// allowance, and all together an account: in the long run no more leaves
// than the bound of amplification times what came.
const (
	prefixSlots = 1024
	prefixRate  = 0.5 // rich answers a second to the bare requests of an IPv4 /24 or IPv6 /48
	prefixBurst = 32
	quietRate   = 100 // requests a second; with more nobody is given what he did not pay for
	quietBurst  = 200
	maxDebt     = 4096 // bytes
	maxCredit   = 1 << 16
)

// A bucket fills at a rate up to a burst; each answer takes one.
type bucket struct {
	level float64
	at    time.Time
}

func (b *bucket) take(now time.Time, rate, burst float64) bool {
	if !b.has(now, rate, burst) {
		return false
	}
	b.level--
	return true
}

// has says whether take would.
func (b *bucket) has(now time.Time, rate, burst float64) bool {
	if b.at.IsZero() {
		b.level = burst
	} else if d := now.Sub(b.at); d > 0 {
		b.level = min(burst, b.level+d.Seconds()*rate)
	}
	b.at = now
	return b.level >= 1
}

// A budget counts bytes on the wire: what came, with the bound of amplification,
// is its income.
type budget struct {
	level    int // negative: more has left than came for
	quiet    bucket
	prefixes [prefixSlots]bucket
}

func allowed(at netip.AddrPort, size int) (in, over int) {
	if at.Addr().Is4() {
		return (size + overhead4) * maxAmplification4 / 100, overhead4
	}
	return (size + overhead6) * longRun6 / 100, overhead6
}

// in counts a request.
func (b *budget) in(from netip.AddrPort, size int) {
	n, _ := allowed(from, size)
	b.level = min(b.level+n, maxCredit)
}

// spare says whether a bare request of size bytes may be given an answer that it
// did not pay for.
func (b *budget) spare(now time.Time, prefix int, at netip.AddrPort, size, answer int) bool {
	_, over := allowed(at, size)
	return b.level-answer-over > -maxDebt && b.quiet.has(now, quietRate, quietBurst) && b.prefixes[prefix].take(now, prefixRate, prefixBurst)
}

// out counts an answer, and says whether it may leave: while requests come fast any
// debt is paid back by silence, and a large one is always.
func (b *budget) out(now time.Time, to netip.AddrPort, size, answer int) bool {
	quiet := b.quiet.take(now, quietRate, quietBurst)
	_, over := allowed(to, size)
	if left := b.level - answer - over; left < -maxDebt || !quiet && left < 0 {
		return false
	}
	b.level -= answer + over
	return true
}

// account counts an answer that its request pays for.
func (b *budget) account(to netip.AddrPort, size, answer int) {
	_, over := allowed(to, size)
	b.level -= answer + over
}

// A favour is what is done for the bearer of a token: packets to the address in it,
// at other times or from elsewhere than asked.
const (
	favoursPerToken = 3
	maxFavours      = 4096 // tokens that are remembered; beyond it nobody new is done one
)

type favours struct {
	done  map[[16]byte]favour
	swept time.Time
}

type favour struct {
	n      int
	expiry time.Time
}

// take says whether one more favour may be done.
func (f *favours) take(now time.Time, token wire.Token, expiry time.Time) bool {
	if f.done == nil {
		f.done = map[[16]byte]favour{}
	}
	key := [16]byte(token[len(token)-16:]) // of the signature
	d, known := f.done[key]
	if !known && len(f.done) >= maxFavours {
		if now.Sub(f.swept) > time.Second {
			f.swept = now
			for k, d := range f.done {
				if now.After(d.expiry) {
					delete(f.done, k)
				}
			}
		}
		if len(f.done) >= maxFavours {
			return false
		}
	}
	if d.n >= favoursPerToken {
		return false
	}
	f.done[key] = favour{d.n + 1, expiry}
	return true
}

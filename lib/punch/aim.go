package punch

import (
	"net/netip"
	"time"

	"github.com/xp2p/xp2p/lib/nat"
)

// Our choices; window and burst are measured.
const (
	burst  = 10 // sockets that show how ports are given out
	window = 48 // ports that are foretold: enough for 50 foreign allocations a second

	patience = 50 * time.Millisecond // with busy machines

	lowestPort = 1024 // below it NATs give out none
	openers    = 32   // in a millisecond, of a birthday's sockets

	// Of a birthday's probes as many go at once as fill TCP's first flight of 14,600
	// bytes (RFC 6928), which every path takes: with 512 sockets they meet in six cases
	// of seven. The rest go one each probeEvery.
	firstProbes = 250
	atOnce      = 8 // in a millisecond
)

// lowTTL is how many hops an opener lives, by round: enough to leave one's own NATs
// and, but for short ways, not enough to come to the other's.
var lowTTL = [...]uint8{5, 3, 8}

// repeats are when a check is sent again.
var repeats = [...]time.Duration{0, 50 * time.Millisecond, 120 * time.Millisecond, 250 * time.Millisecond, 450 * time.Millisecond, 700 * time.Millisecond}

// aim makes the schedule of a round: now is when the other side's addresses came,
// start when it will have ours.
//
// Who answers opens its NAT at once, with packets that do not arrive. Who offers sends at
// once: the other NAT is open. So who answers needs to send such as do arrive only if
// nothing has come by then; they are late rather than early, for a NAT may not forgive
// those that come before its own host's, and the tracker's word may be late.
func (s *session) aim(now, start time.Time, trip time.Duration) {
	full := start
	switch {
	case s.offers:
	case s.way == nat.Direct && s.p.kind >= nat.KindSequential:
		full = start.Add(trip / 2) // nothing comes before: it goes to a port that is not ours
	default:
		full = start.Add(trip + patience)
	}
	ttl := lowTTL[(s.round-1)%uint8(len(lowTTL))]
	kind, _ := s.theirs.Kind()
	last := len(s.socks) - 1
	switch {
	case s.way == nat.Birthday && s.p.kind == nat.KindRandom:
		// They only open our NAT. What the other side's packets find open, answers.
		for i := range s.socks {
			s.add(now.Add(time.Duration(i/openers)*time.Millisecond), i, s.addrs[0], ttl)
		}
		s.again(full, s.addrs[1:])
		return
	case s.way == nat.Birthday:
		// They must arrive when the other side has opened all, which it does when it
		// hears of us: so the first leave no sooner.
		for i, port := range s.draw() {
			s.add(start.Add(probeAfter(i)), last, netip.AddrPortFrom(s.addrs[0].Addr(), port), 0)
		}
		s.again(start, s.addrs[:1])
		return
	case s.way == nat.Relayed:
		for i := range s.socks {
			for _, a := range s.addrs {
				for _, d := range repeats {
					s.add(now.Add(d), i, a, 0)
				}
			}
		}
		return
	}
	targets := s.addrs
	if s.way == nat.Predicted && kind == nat.KindSequential {
		targets = append(s.foretell(), s.addrs[1:]...)
	}
	if !s.offers {
		for _, a := range targets {
			s.add(now, last, a, ttl)
		}
	}
	s.again(full, targets)
}

// probeAfter is when a birthday's i-th probe leaves, after the first.
func probeAfter(i int) time.Duration {
	early := min(i, firstProbes)
	return time.Duration(early/atOnce)*time.Millisecond + time.Duration(i-early)*probeEvery
}

// again sends to every target now and then.
func (s *session) again(at time.Time, targets []netip.AddrPort) {
	for _, d := range repeats {
		for _, a := range targets {
			s.add(at.Add(d), len(s.socks)-1, a, 0)
		}
	}
}

func (s *session) add(at time.Time, sock int, to netip.AddrPort, ttl uint8) {
	s.schedule = append(s.schedule, send{at, sock, to, ttl})
}

// foretell returns the ports that the other side's NAT gives out next: each, or
// every second if ours counts, too, and we answer.
func (s *session) foretell() (list []netip.AddrPort) {
	base, delta := s.addrs[0], s.theirs.Delta
	if delta == 0 {
		delta = 1
	}
	for i := 1; i <= window; i++ {
		steps := i
		if s.p.kind == nat.KindSequential && !s.offers {
			steps = 2*i - 1
		}
		list = append(list, netip.AddrPortFrom(base.Addr(), portAt(base.Port(), steps*delta)))
	}
	return list
}

// portAt is so many steps from a port, and begins anew at the end of the numbers.
func portAt(port uint16, steps int) uint16 {
	const ports = 1<<16 - lowestPort
	p := (int(port) - lowestPort + steps) % ports
	if p < 0 {
		p += ports
	}
	return uint16(lowestPort + p)
}

// draw returns ports of the range in which the other side's were seen, each once, in
// any order: of what an attempt may send, all but what goes to where the other side was
// seen, and to where a check comes from.
func (s *session) draw() (list []uint16) {
	low, high := int(s.theirs.Low), int(s.theirs.High)
	if b := s.theirs.BlockSize; b > 0 && s.theirs.Allocation == nat.Block {
		low = low / b * b
		high = max(high, low+b-1)
	}
	if low == 0 || high-low < BirthdayProbes/8 {
		low, high = lowestPort, 1<<16-1
	}
	high = min(high, 1<<16-1)
	n := high - low + 1
	seen := map[int]bool{}
	for len(list) < min(s.cost.entries-2*len(repeats), n) {
		if p := low + s.p.cfg.Rand.IntN(n); !seen[p] {
			seen[p] = true
			list = append(list, uint16(p))
		}
	}
	return list
}

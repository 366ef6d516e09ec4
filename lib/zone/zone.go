// Package zone says where in the network an address is, and what it costs to
// move bytes from there to elsewhere: the part of P4P that a tracker needs. A
// zone is what the operator makes of it, most often an ISP or an AS.
//
// A map is read from text, in the grammar of this package, and from the network
// and cost maps of ALTO (RFC 7285). It holds
//
//   - networks (CIDR), each in a zone; of those that hold an address the longest
//     prefix counts;
//   - costs from zone to zone, without a unit: only which is lower matters, and
//     that it is zero within a zone;
//   - budgets: how many bits per second may cross a zone's border.
//
// # The text
//
// One statement a line; words are separated by spaces or tabs, what follows a #
// is a comment, and empty lines say nothing.
//
//	203.0.113.0/24 isp-a          # a network and its zone
//	2001:db8::/32  isp-b
//	198.51.100.7   isp-b          # one address
//	cost isp-a isp-b 10           # both ways
//	cost isp-a -> isp-c 20        # one way
//	default-cost 5                # between zones that no line names
//	budget isp-b 20M              # bits per second into it, and as many out of it
//
// A zone is called by 1 to 64 letters, digits and the characters - _ . : @, as
// ALTO calls its PIDs. Costs are whole numbers from 0 to a million. A rate may
// end in k, M, G or T: powers of 1000. Lines may stand in any order; two that
// contradict each other are an error.
//
// An address in no network is in the zone 0, which costs the default from and to
// every other. Where no default is given it is the highest cost that is: what
// nobody rated is not preferred to what somebody did.
package zone

import "net/netip"

// An ID names a zone within one Source. Zero is where nobody knows.
type ID uint32

// A Source answers the questions of a tracker. A Map is one; a database of
// addresses under a Map, which package zonefile reads, another.
type Source interface {
	// Lookup returns the zone of an address; IPv4 in IPv6 counts as IPv4.
	Lookup(netip.Addr) ID
	// Name returns what people call a zone; empty for 0 and for who is no zone.
	Name(ID) string
	// Cost returns what it costs to get bytes from one zone to another; 0 within
	// a zone.
	Cost(from, to ID) uint32
	// Budget returns how many bits per second may cross the border of a zone, each
	// way; 0: without bound.
	Budget(ID) int64
}

// Bounds of a map, each some way above what anybody needs.
const (
	// MaxNetworks: the Internet routes about 1.3 million prefixes, of both families.
	MaxNetworks = 2 << 20
	// MaxZones: there are about 120,000 AS numbers in use.
	MaxZones = 1 << 17
	// MaxCosts: all pairs of a thousand zones.
	MaxCosts = 1 << 20
	// MaxCost keeps the sum of a thousand hops within 32 bits.
	MaxCost = 1_000_000
	// MaxBudget is beyond any border, and keeps sums within 63 bits.
	MaxBudget = 1_000_000_000_000_000
	// MaxText is a line of 64 bytes for each network.
	MaxText = 128 << 20

	maxName = 64 // RFC 7285 §10.1
)

// CheckName says whether s may name a zone: a PID name of RFC 7285 §10.1.
func CheckName(s string) bool {
	if len(s) == 0 || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9', 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z':
		case c == '-', c == '_', c == '.', c == ':', c == '@':
		default:
			return false
		}
	}
	return true
}

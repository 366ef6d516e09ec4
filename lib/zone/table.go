package zone

import (
	"cmp"
	"net/netip"
	"slices"
)

// A network is a prefix in a zone, and where that was written.
type network struct {
	prefix netip.Prefix
	zone   ID
	at     place
}

// byPrefix orders networks by address, and around each other from the outside
// in.
func byPrefix(a, b network) int {
	return cmp.Or(a.prefix.Addr().Compare(b.prefix.Addr()), cmp.Compare(a.prefix.Bits(), b.prefix.Bits()))
}

// A table holds networks as ranges that do not overlap, so that the longest
// prefix is found by halving: 32 bytes a range, two ranges a network at most.
// All of IPv4 stands before all of IPv6, as netip.Addr compares.
type table []span

// A span reaches from its first address to that of the next one.
type span struct {
	first netip.Addr
	zone  ID
}

// newTable flattens networks, which are ordered by byPrefix and of which no two
// are the same.
func newTable(networks []network) table {
	t := table{{netip.IPv4Unspecified(), 0}, {netip.IPv6Unspecified(), 0}}
	if len(networks) == 0 {
		return t
	}
	t = t[:1]
	var open []network // those around the address that we have come to, outermost first
	begin := func(at netip.Addr, z ID) {
		if t[len(t)-1].first == at { // something else began or ended here: the innermost counts
			t[len(t)-1].zone = z
			return
		}
		t = append(t, span{at, z})
	}
	// leave closes what ends before an address; the zero address is beyond all.
	leave := func(before netip.Addr) {
		for len(open) > 0 {
			end := last(open[len(open)-1].prefix)
			if before.IsValid() && end.Compare(before) >= 0 {
				return
			}
			open = open[:len(open)-1]
			next := end.Next()
			if !next.IsValid() {
				continue // the family ends with it
			}
			z := ID(0)
			if len(open) > 0 {
				z = open[len(open)-1].zone
			}
			begin(next, z)
		}
	}
	for _, n := range networks {
		at := n.prefix.Addr()
		if at.Is6() && t[len(t)-1].first.Is4() {
			leave(netip.Addr{})
			begin(netip.IPv6Unspecified(), 0)
		}
		leave(at)
		begin(at, n.zone)
		open = append(open, n)
	}
	leave(netip.Addr{})
	if t[len(t)-1].first.Is4() {
		begin(netip.IPv6Unspecified(), 0)
	}
	// Neighbours in one zone are one range.
	return slices.Clip(slices.CompactFunc(t, func(a, b span) bool { return a.zone == b.zone }))
}

// last returns the last address of a prefix.
func last(p netip.Prefix) netip.Addr {
	fill := func(b []byte) {
		for i := p.Bits(); i < 8*len(b); i++ {
			b[i/8] |= 1 << (7 - i%8)
		}
	}
	if p.Addr().Is4() {
		b := p.Addr().As4()
		fill(b[:])
		return netip.AddrFrom4(b)
	}
	b := p.Addr().As16()
	fill(b[:])
	return netip.AddrFrom16(b)
}

func (t table) lookup(a netip.Addr) ID {
	if !a.IsValid() {
		return 0
	}
	a = a.Unmap().WithZone("")
	i, ok := slices.BinarySearchFunc(t, a, func(s span, a netip.Addr) int { return s.first.Compare(a) })
	if !ok {
		i-- // the first address of all has a range of its own, so there is one before
	}
	return t[i].zone
}

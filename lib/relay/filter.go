package relay

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// A scope says where an address may be relayed to.
type scope uint8

const (
	public  scope = iota
	private       // only in a laboratory, and there only to whom the tracker saw
	never
)

// What no relay sends to, as the registries of special addresses have it (RFC 6890).
// A relay that did would be a way into its own machine and network (CVE-2020-26262,
// CVE-2020-4067); of what holds an IPv4 address inside, nobody knows where it ends.
var (
	neverPrefixes = prefixes(
		"0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "192.0.0.0/24", "192.88.99.0/24",
		"::/96",          // unspecified, and IPv4-compatible
		"64:ff9b::/96",   // NAT64 (RFC 6052)
		"64:ff9b:1::/48", // NAT64, local (RFC 8215)
		"2001::/32",      // Teredo
		"2002::/16",      // 6to4
		"ff00::/8", "100::/64", "fec0::/10",
	)
	privatePrefixes = prefixes(
		"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "198.18.0.0/15",
		"::1/128", "fc00::/7", "fe80::/10",
	)
)

func prefixes(list ...string) (all []netip.Prefix) {
	for _, s := range list {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

// scopeOf sorts an address. An IPv4 address is the same in all its forms.
func scopeOf(a netip.Addr) scope {
	a = a.Unmap().WithZone("")
	in := func(p netip.Prefix) bool { return p.Contains(a) }
	switch {
	case !a.IsValid():
		return never
	case slices.ContainsFunc(privatePrefixes, in): // ::1 is in ::/96 too
		return private
	case slices.ContainsFunc(neverPrefixes, in):
		return never
	}
	return public
}

// A filter says who may be reached through a relay.
type filter struct {
	// member reports whether a server has seen somebody of the room at ip. nil:
	// everybody is a member.
	member  func(room string, ip netip.Addr) bool
	private bool         // a laboratory
	given   []netip.Addr // own addresses that no interface has

	mu  sync.Mutex
	own []netip.Addr
	at  time.Time // when own was looked up
}

const (
	ownEvery = time.Minute // interfaces come and go
	// verdictLife is how long a verdict counts: so late does a relay notice that
	// somebody has left the room.
	verdictLife = 5 * time.Second
)

// isOwn reports whether an address is this machine's.
func (f *filter) isOwn(now time.Time, a netip.Addr) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.at) > ownEvery {
		f.at, f.own = now, slices.Clone(f.given)
		nics, _ := net.InterfaceAddrs() // without an answer: those that were given
		for _, nic := range nics {
			if p, err := netip.ParsePrefix(nic.String()); err == nil {
				f.own = append(f.own, p.Addr().Unmap().WithZone(""))
			}
		}
	}
	return slices.Contains(f.own, a)
}

// allows says whether members of a room may send to an address. This machine's own
// is another matter: what listens there trusts what comes from itself.
func (f *filter) allows(now time.Time, room string, a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	s := scopeOf(a)
	lab := f.private && f.member != nil
	switch {
	case s == never, s == private && !lab, f.isOwn(now, a) && !lab:
		return false
	}
	return f.member == nil || f.member(room, a)
}

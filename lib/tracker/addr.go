package tracker

import (
	"net/netip"
	"slices"

	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/wire"
)

// privateHosts returns those claimed addresses that may be passed on at all:
// private ones (RFC 1918, RFC 4193). A public one that no server saw would let
// a peer point others at a stranger.
func privateHosts(hosts []netip.AddrPort) (out []netip.AddrPort) {
	for _, h := range hosts {
		if nat.ReachOf(h.Addr()) == nat.Site && !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	return out
}

// mapped is where the peer's router says that it passes packets on to it. The port
// is the peer's word, the address a server's: nobody is pointed at a stranger.
func (p *peer) mapped() (netip.AddrPort, bool) {
	if p.hello.Mapped == 0 || len(p.observed) == 0 || nat.ReachOf(p.observed[0].Addr()) != nat.World {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(p.observed[0].Addr(), p.hello.Mapped), true
}

// withMapped puts a peer's mapped port before its other addresses: strangers are let
// in there.
func (p *peer) withMapped(addrs []netip.AddrPort) []netip.AddrPort {
	at, ok := p.mapped()
	if !ok || slices.Contains(addrs, at) {
		return addrs
	}
	addrs = slices.Insert(slices.Clone(addrs), 0, at)
	return addrs[:min(len(addrs), wire.MaxSignalAddrs)]
}

// addrsFor returns the addresses of o that p may know: those that a server
// observed, as far as they can mean the same machine to p, and o's own private
// ones if both stand behind one address. What is nearest to both comes first.
func addrsFor(p, o *peer) []netip.AddrPort {
	out := known(p, o.observed, o.hello.Hosts)
	slices.SortStableFunc(out, func(a, b netip.AddrPort) int {
		return int(nat.ReachOf(a.Addr())) - int(nat.ReachOf(b.Addr()))
	})
	return out[:min(len(out), wire.MaxSignalAddrs)]
}

// known returns what p may know of somebody whom servers have observed, and who
// claims hosts: the observed ones first.
func known(p *peer, observed, hosts []netip.AddrPort) (out []netip.AddrPort) {
	nearest := nat.World
	together := false
	for _, a := range p.observed {
		nearest = min(nearest, nat.ReachOf(a.Addr()))
		together = together || slices.ContainsFunc(observed, func(b netip.AddrPort) bool { return a.Addr() == b.Addr() })
	}
	for _, a := range observed {
		if nat.ReachOf(a.Addr()) >= nearest {
			out = append(out, a)
		}
	}
	for _, h := range hosts {
		if together && !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	return out
}

package discovery

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"

	"github.com/xp2p/xp2p/lib/natprobe"
)

// Ports of a probe: above what systems keep for services, below where Linux ends.
const (
	firstPort = 49152
	lastPort  = 60999
)

// sockets are where a Prober's sockets listen: anywhere, of the family that its
// servers have, and one of IPv6. Those that test filters have odd ports, the
// others even ones: then no earlier probe, of this process or another, has opened
// a filter for them.
func sockets(servers []netip.AddrPort, lifetime bool) (list []netip.AddrPort) {
	anywhere := netip.IPv4Unspecified()
	if !slices.ContainsFunc(servers, func(a netip.AddrPort) bool { return a.Addr().Is4() }) {
		anywhere = netip.IPv6Unspecified()
	}
	var taken []uint16
	for i := range natprobe.Sockets(lifetime) {
		at, odd := anywhere, uint16(0)
		if i == natprobe.IPv6Socket {
			at = netip.IPv6Unspecified() // IPv4 where there is no other
		}
		if i >= natprobe.FilterSocket && i < natprobe.FilterSocket+natprobe.FilterSockets {
			odd = 1
		}
		port := freePort(at, odd, taken)
		taken = append(taken, port)
		list = append(list, netip.AddrPortFrom(at, port))
	}
	return list
}

// freePort returns a port that is free just now, even or odd as asked, and none of
// those taken; 0, which lets the system choose, if none is found.
func freePort(at netip.Addr, odd uint16, taken []uint16) uint16 {
	network := "udp4"
	if at.Is6() {
		network = "udp"
	}
	for range 50 {
		port := (firstPort+uint16(rand.IntN(lastPort-firstPort)))&^1 | odd
		if slices.Contains(taken, port) {
			continue
		}
		if c, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, port))); err == nil {
			c.Close()
			return port
		}
	}
	return 0
}

package endpoint

import (
	"net"
	"net/netip"
)

// maxHosts bounds the addresses that Hosts returns.
const maxHosts = 8

// Hosts returns the addresses at which socket i can be reached from this
// machine's own networks, as far as the machine knows.
func (e *Endpoint) Hosts(i int) (all []netip.AddrPort) {
	a := e.LocalAddr(i)
	if ip := a.Addr().Unmap(); !ip.IsUnspecified() {
		return []netip.AddrPort{netip.AddrPortFrom(ip, a.Port())}
	}
	nics, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, nic := range nics {
		prefix, err := netip.ParsePrefix(nic.String())
		if err != nil {
			continue
		}
		ip := prefix.Addr().Unmap()
		if ip.IsLinkLocalUnicast() || ip.IsMulticast() || a.Addr().Is4() && ip.Is6() || len(all) == maxHosts {
			continue
		}
		all = append(all, netip.AddrPortFrom(ip, a.Port()))
	}
	return all
}

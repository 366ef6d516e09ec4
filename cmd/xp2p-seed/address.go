package main

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
)

// maxHosts bounds the addresses that a seed gives itself.
const maxHosts = 8

// hosts are the addresses at which a socket bound to a can be reached, as far
// as this machine knows.
func hosts(a netip.AddrPort) (all []netip.AddrPort) {
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

// seenAt is the address at which whoever made the request reaches the UDP port:
// where its HTTP connection ended, for that way is known to work. Behind a
// proxy it is what --public names.
func (s *seed) seenAt(r *http.Request) (netip.AddrPort, bool) {
	udp := s.ep.LocalAddr(0)
	if ip := udp.Addr().Unmap(); !ip.IsUnspecified() {
		return netip.AddrPortFrom(ip, udp.Port()), true
	}
	if s.o.public != "" {
		u, err := url.Parse(s.o.public)
		if err != nil {
			return netip.AddrPort{}, false
		}
		ips, err := net.DefaultResolver.LookupNetIP(r.Context(), "ip", u.Hostname())
		if err != nil || len(ips) == 0 {
			return netip.AddrPort{}, false
		}
		return netip.AddrPortFrom(ips[0].Unmap(), udp.Port()), true
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}, false
	}
	ip := local.AddrPort().Addr().Unmap().WithZone("")
	return netip.AddrPortFrom(ip, udp.Port()), true
}

package main

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
)

// seenAt is the address at which whoever made the request reaches UDP socket i:
// where its HTTP connection ended, for that way is known to work. Behind a
// proxy it is what --public names.
func (s *seed) seenAt(r *http.Request, i int) (netip.AddrPort, bool) {
	udp := s.ep.LocalAddr(i)
	if !udp.IsValid() {
		return netip.AddrPort{}, false
	}
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

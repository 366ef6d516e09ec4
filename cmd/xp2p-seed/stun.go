package main

import (
	"crypto/ed25519"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/endpoint"
	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/tool"
	"github.com/xp2p/xp2p/lib/wire"
)

// checkSTUN reads --stun-listen.
func (o *options) checkSTUN() error {
	for _, text := range o.stunListen {
		at, err := netip.ParseAddrPort(text)
		if err != nil || at.Port() == 0 || at.Addr().IsUnspecified() {
			return tool.Usage("--stun-listen %s: want an address of this machine and a port", text).Hint("192.0.2.1:3478")
		}
		o.stunAt = append(o.stunAt, netip.AddrPortFrom(at.Addr().Unmap(), at.Port()))
	}
	switch a := o.stunAt; {
	case len(a) > 0 && !o.serves(partSTUN):
		return tool.Usage("--stun-listen: the STUN responder is not here")
	case len(a) > 2:
		return tool.Usage("--stun-listen: %d addresses, and two are all that RFC 5780 knows", len(a))
	case len(a) == 2 && (a[0].Addr() == a[1].Addr() || a[0].Port() == a[1].Port() || a[0].Addr().Is4() != a[1].Addr().Is4()):
		return tool.Usage("--stun-listen: %s and %s: want two IP addresses of one kind and two ports", a[0], a[1]).
			Hint("--stun-listen 192.0.2.1:3478 --stun-listen 192.0.2.2:3479; each address gets both ports")
	}
	return nil
}

// stunSockets are the addresses of the responder: a viewer can tell how its NAT
// maps it only from two ports, so there always are two somewhere. That of XNTP may
// be one of them.
func (o *options) stunSockets(udp netip.AddrPort) []netip.AddrPort {
	switch a := o.stunAt; {
	case !o.serves(partSTUN):
		return nil
	case len(a) == 2:
		return []netip.AddrPort{a[0], netip.AddrPortFrom(a[0].Addr(), a[1].Port()), netip.AddrPortFrom(a[1].Addr(), a[0].Port()), a[1]}
	case len(a) == 1:
		return []netip.AddrPort{a[0], netip.AddrPortFrom(a[0].Addr(), a[0].Port()^1)}
	}
	return []netip.AddrPort{udp, netip.AddrPortFrom(udp.Addr(), udp.Port()+1)}
}

// openSockets opens the node's UDP sockets: the first at the given address, then
// the responder's others. A second port that nobody asked for may be any other.
func (s *seed) openSockets(udp netip.AddrPort, cfg endpoint.Config) (err error) {
	udp = netip.AddrPortFrom(udp.Addr().Unmap(), udp.Port())
	stun := s.o.stunSockets(udp)
	shared := slices.Contains(stun, udp)
	more := slices.DeleteFunc(slices.Clone(stun), func(a netip.AddrPort) bool { return a == udp })
	cfg.Listen = append([]netip.AddrPort{udp}, more...)
	if s.ep, err = endpoint.New(s.node, cfg); err != nil && len(s.o.stunAt) == 0 && len(more) > 0 {
		cfg.Listen[1] = netip.AddrPortFrom(udp.Addr(), 0)
		s.ep, err = endpoint.New(s.node, cfg)
	}
	if err != nil || len(more) == 0 {
		return err
	}
	var sites []netip.AddrPort
	for i := range cfg.Listen {
		at := s.ep.LocalAddr(i)
		if i == 0 && !shared {
			at = netip.AddrPort{} // it answers, and has no part in the others' grid
		}
		sites = append(sites, at)
	}
	s.node.STUNSites(sites)
	return nil
}

// trusted are the responders elsewhere for whose clients ours sends packets.
func (o *options) trusted() (keys []ed25519.PublicKey) {
	for i := range o.tokenKeys {
		keys = append(keys, o.tokenKeys[i][:])
	}
	return keys
}

// describeSTUN says in a room's document whom viewers may ask for their address.
func (s *seed) describeSTUN(r *http.Request, d *wire.RoomDocument) {
	if !s.o.serves(partSTUN) || s.ep == nil {
		return
	}
	token := wire.Key(s.id.token.Public().(ed25519.PublicKey))
	var own []string
	for _, at := range s.o.stunAt {
		own = append(own, at.String())
	}
	if len(s.o.stunAt) == 0 {
		for i := range 2 {
			if at, ok := s.seenAt(r, i); ok {
				own = append(own, at.String())
			}
		}
	}
	if len(own) > 0 {
		d.STUN, d.TokenKey = append(d.STUN, own...), &token
	}
}

// openSocket opens a socket that the node asks for, where socket 0 listens. On the
// loop.
func (s *seed) openSocket(o node.OpenSocket) {
	if o.Kind != node.SocketUDP {
		s.carry(o)
		return
	}
	at := o.Local
	if !at.IsValid() {
		at = netip.AddrPortFrom(s.ep.LocalAddr(0).Addr(), 0)
	}
	id, err := s.ep.OpenSocket(at)
	// Hundreds take tens of milliseconds, and what is to be sent from them begins then.
	s.node.Opened(time.Now(), o.Ref, id, s.ep.SocketAddr(id), err)
}

package main

import (
	"context"
	"net"
	"net/netip"
	"sync"

	"github.com/xp2p/xp2p/lib/netlab"
	"github.com/xp2p/xp2p/lib/wire"
)

// deafPorts are those at which a deaf server listens, at each of its two addresses.
var deafPorts = [2]uint16{3478, 3479}

// serveDeaf runs a STUN server that claims to know RFC 5780, as many in the open do:
// it names its other address, and answers CHANGE-REQUEST from where it was asked. A
// client that believes it takes every filter for an open door.
func serveDeaf(ctx context.Context, l *netlab.Lab, host string, addrs [2]netip.Addr) (stop func(), err error) {
	var conns []net.PacketConn
	var serving sync.WaitGroup
	stop = func() {
		for _, c := range conns {
			c.Close()
		}
		serving.Wait()
	}
	for i, addr := range addrs {
		for j, port := range deafPorts {
			var c net.PacketConn
			if err := l.Do(host, func() (err error) {
				c, err = new(net.ListenConfig).ListenPacket(ctx, "udp4", netip.AddrPortFrom(addr, port).String())
				return err
			}); err != nil {
				stop()
				return nil, err
			}
			conns = append(conns, c)
			other := netip.AddrPortFrom(addrs[1-i], deafPorts[1-j])
			serving.Go(func() { answerDeaf(c, other) })
		}
	}
	return stop, nil
}

// answerDeaf answers from one socket until it is closed.
func answerDeaf(c net.PacketConn, other netip.AddrPort) {
	var m wire.STUN
	buf := make([]byte, 2048)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		if m.Parse(buf[:n]) != nil || m.Class != wire.STUNRequest {
			continue
		}
		at := from.(*net.UDPAddr).AddrPort()
		_, _ = c.WriteTo(wire.AppendSTUNAnswer(nil, m.Transaction, wire.STUNAnswer{Mapped: netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), Other: other}), from)
	}
}

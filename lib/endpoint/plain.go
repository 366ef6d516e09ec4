package endpoint

import (
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/xp2p/xp2p/lib/machine"
)

// plainIO reads and writes one datagram a call, with what every system has:
// no stamps, no ECN, no choice about fragments: where the system can, there are
// none. The TTL is the socket's and is set when it changes.
type plainIO struct {
	ttl int // what the socket has now; 0 is the system's default
	buf []byte
}

func (io *plainIO) read(s *socket, e *Endpoint) (*batch, error) {
	if io.buf == nil {
		io.buf = make([]byte, maxDatagram)
	}
	n, from, err := s.conn.ReadFromUDPAddrPort(io.buf[:maxDatagram])
	if err != nil {
		return nil, err
	}
	b := e.take(s) // only now: sockets that hear nothing hold no batch
	if b == nil {
		return nil, net.ErrClosed
	}
	b.socket, b.n = s, 0
	if n == maxDatagram { // it may have been longer
		e.count.tooBig.Add(1)
		return b, nil
	}
	b.bufs[0], io.buf = io.buf, b.bufs[0]
	b.n = 1
	b.pkts[0] = machine.Packet{Remote: unmapped(from), Data: b.bufs[0][:n]}
	b.stamps[0] = 0
	return b, nil
}

func (io *plainIO) write(s *socket, pkts []machine.Packet) (w written) {
	for _, p := range pkts {
		if !s.v6 && !p.Remote.Addr().Unmap().Is4() {
			continue
		}
		io.setTTL(s, int(p.TTL))
		switch _, err := s.conn.WriteToUDPAddrPort(p.Data, p.Remote); {
		case err == nil:
			w.packets++
			w.messages++
			w.bytes += len(p.Data)
		case tooBig(err):
			w.tooBig++
		}
	}
	return w
}

const defaultTTL = 64 // IANA, IP Time To Live Parameter

func (io *plainIO) setTTL(s *socket, ttl int) {
	if ttl == io.ttl {
		return
	}
	io.ttl = ttl
	if ttl == 0 {
		ttl = defaultTTL
	}
	// An IPv6 socket that speaks IPv4 has both.
	ipv4.NewPacketConn(s.conn).SetTTL(ttl)
	if s.v6 {
		ipv6.NewPacketConn(s.conn).SetHopLimit(ttl)
	}
}

func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

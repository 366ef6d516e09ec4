package endpoint

import (
	"net"
	"net/netip"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
)

// A Carrier carries a machine's datagrams by another way than a UDP socket: an
// allocation at a TURN server, or TCP connections (TCP). To the machine it is a
// socket like others, but for what it does not know: there are no stamps, no ECN,
// no TTL and no choice about fragments. Where it carries only datagrams up to some
// size, larger ones are lost, both ways, so that the machine finds the size as it
// finds a path's MTU.
type Carrier interface {
	// ReadFrom waits for the next datagram. Any error is the end.
	ReadFrom(b []byte) (n int, from netip.AddrPort, err error)
	// WriteTo sends a datagram, or loses it with an error. It never waits.
	WriteTo(b []byte, to netip.AddrPort) error
	// LocalAddr is where others can send to the carrier, if they can.
	LocalAddr() netip.AddrPort
	Close() error
}

// Attach makes a socket of a carrier, which CloseSocket and the endpoint's end will
// close. When it ends by itself, Config.Lost hears of it. It must be called where
// OpenSocket is.
func (e *Endpoint) Attach(c Carrier) (machine.Socket, error) {
	select {
	case <-e.done:
		return 0, ErrClosed
	default:
	}
	s := &socket{id: machine.Socket(len(e.sockets)), carrier: c, local: c.LocalAddr(), gone: make(chan struct{})}
	e.sockets = append(e.sockets, s)
	if e.started {
		e.read(s)
	}
	return s.id, nil
}

// readCarrier reads one datagram.
func (s *socket) readCarrier(e *Endpoint) (*batch, error) {
	if s.buf == nil {
		s.buf = make([]byte, maxDatagram)
	}
	n, from, err := s.carrier.ReadFrom(s.buf)
	if err != nil {
		return nil, err
	}
	b := e.take(s) // only now: a carrier that hears nothing holds no batch
	if b == nil {
		return nil, net.ErrClosed
	}
	b.socket, b.n = s, 1
	b.pkts[0] = machine.Packet{Remote: unmapped(from), Data: b.bufs[0][:copy(b.bufs[0], s.buf[:n])]}
	b.stamps[0] = 0
	return b, nil
}

// writeCarrier sends datagrams.
func (s *socket) writeCarrier(pkts []machine.Packet) (w written) {
	for _, p := range pkts {
		if s.carrier.WriteTo(p.Data, p.Remote) == nil {
			w.packets++
			w.messages++
			w.bytes += len(p.Data)
		}
	}
	return w
}

// lose closes the socket of a carrier that has ended.
func (e *Endpoint) lose(s *socket, err error) {
	select {
	case <-s.gone: // we ended it
		return
	default:
	}
	f := func(now time.Time) {
		if e.socket(s.id) != s {
			return
		}
		e.CloseSocket(s.id)
		if e.c.Lost != nil {
			e.c.Lost(now, s.id, err)
		}
	}
	select {
	case e.work <- f:
	case <-s.gone:
	case <-e.done:
	}
}

package xntp

import (
	"net/netip"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

// Dial starts a connection. EventConnected or EventClosed follows. If there is
// an open connection with the peer, its id is returned with ErrConnected; several
// dials to one peer, at different addresses, may run at once: the first to
// be answered wins and the others end with ClosedReplaced.
func (e *Endpoint) Dial(now time.Time, o DialOptions) (ConnID, error) {
	switch {
	case len(o.Early) > MaxEarly || len(o.Token) > wire.MaxToken:
		return 0, ErrTooLarge
	case o.Remote == e.public || !o.Addr.IsValid():
		return 0, ErrKey
	}
	for _, c := range e.order {
		if c.key == o.Remote && c.state == stateOpen {
			return c.id, ErrConnected
		}
	}
	c, err := e.newConn(now)
	if err != nil {
		return 0, err
	}
	c.key = o.Remote
	c.path = pathState{path: path{o.Socket, o.Addr}, proved: true} // we begin: there is nothing to amplify
	if err := c.startDial(now, &o); err != nil {
		e.remove(c)
		return 0, err
	}
	e.touch(c)
	return c.id, nil
}

// find returns a connection that objects can be sent on.
func (e *Endpoint) find(id ConnID) *conn {
	c := e.conns[id]
	if c == nil || c.state == stateClosing {
		return nil
	}
	return c
}

// Send queues an object. Objects may be sent from EventAccepted on, and after
// Dial; they leave when the handshake permits.
func (e *Endpoint) Send(now time.Time, id ConnID, o Object) (ObjectID, error) {
	c := e.find(id)
	if c == nil {
		return 0, ErrClosed
	}
	object, err := c.send(now, o)
	e.touch(c)
	return object, err
}

// Cancel gives up an object that is not delivered. No event follows for it.
func (e *Endpoint) Cancel(now time.Time, id ConnID, object ObjectID) {
	if c := e.find(id); c != nil {
		if o := c.out.all[uint64(object)]; o != nil {
			c.giveUp(o, true)
			e.touch(c)
		}
	}
}

// OpenStream starts an endless object: an ordered, reliable stream of bytes.
func (e *Endpoint) OpenStream(now time.Time, id ConnID, priority uint8) (ObjectID, error) {
	c := e.find(id)
	if c == nil {
		return 0, ErrClosed
	}
	object, err := c.openStream(priority)
	e.touch(c)
	return object, err
}

// Write appends to a stream as much of p as the send queue has room for, copied;
// with n < len(p) the error is ErrBlocked.
func (e *Endpoint) Write(now time.Time, id ConnID, stream ObjectID, p []byte) (n int, err error) {
	c := e.find(id)
	if c == nil {
		return 0, ErrClosed
	}
	n, err = c.write(now, stream, p)
	e.touch(c)
	return n, err
}

// CloseStream ends a stream. EventDelivered follows when the peer has all.
func (e *Endpoint) CloseStream(now time.Time, id ConnID, stream ObjectID) error {
	c := e.find(id)
	if c == nil {
		return ErrClosed
	}
	err := c.closeStream(stream)
	e.touch(c)
	return err
}

// Close ends a connection at once: what was not delivered is dropped. The peer
// is told the code, which must be below 65536; those above are the protocol's.
// EventClosed follows.
func (e *Endpoint) Close(now time.Time, id ConnID, code uint64) {
	if c := e.find(id); c != nil {
		c.close(now, ClosedByUs, min(code, codeFrame-1))
		e.touch(c)
	}
}

// CloseAll closes every connection with code zero.
func (e *Endpoint) CloseAll(now time.Time) {
	for _, c := range slices.Clone(e.order) {
		e.Close(now, c.id, 0)
	}
}

// Probe asks every peer for a sign of life at once: for a driver that notices a
// change of network, so that peers learn the new address without waiting for
// traffic.
func (e *Endpoint) Probe(now time.Time) {
	for _, c := range e.order {
		if c.state == stateOpen {
			c.show()
			e.touch(c)
		}
	}
}

// Move moves an open connection to another path, as when hole punching has found a
// way past a relay. The path is challenged first, while everything else goes on as
// it was; EventMigrated follows when the peer has answered, and its own packets
// come that way from then on, too; or EventStayed if it does not, or has moved
// elsewhere by itself meanwhile.
func (e *Endpoint) Move(now time.Time, id ConnID, socket machine.Socket, addr netip.AddrPort) error {
	c := e.conns[id]
	if c == nil || c.state != stateOpen {
		return ErrClosed
	}
	if !addr.IsValid() {
		return ErrAddr
	}
	c.moveTo(now, path{socket, addr})
	e.touch(c)
	return nil
}

// Stats returns what is known of a connection.
func (e *Endpoint) Stats(id ConnID) (Stats, bool) {
	c := e.find(id)
	if c == nil {
		return Stats{}, false
	}
	s := Stats{
		SRTT: c.rtt.smoothed, MinRTT: c.rtt.min, RTTVar: c.rtt.variation,
		DeliveryRate: c.rate.bps, PacingRate: c.pacingRate(), Cwnd: c.cc.Window(), InFlight: c.loss.bytes,
		QueuedBytes: c.out.waiting, HeldBytes: c.out.held, QueuedObjects: len(c.out.all),
		SentBytes: c.stats.sentBytes, ReceivedBytes: c.stats.receivedBytes, SentPackets: c.loss.sentCount,
		ReceivedPackets: c.stats.receivedPackets, LostPackets: c.loss.lostCount, SpuriousPackets: c.loss.spurious,
		ObjectBytes: c.stats.objectBytes, RepeatedBytes: c.stats.repeatedBytes, ParityBytes: c.stats.parityBytes, RecoveredPackets: c.stats.recovered, MTU: c.mtu, Connected: c.state == stateOpen,
	}
	if s.SentPackets > 0 {
		s.Loss = float64(s.LostPackets-s.SpuriousPackets) / float64(s.SentPackets)
	}
	return s, true
}

// Remote returns the peer's key and the address it is reached by; zero values
// if there is no such connection.
func (e *Endpoint) Remote(id ConnID) (PublicKey, netip.AddrPort) {
	c := e.conns[id]
	if c == nil {
		return PublicKey{}, netip.AddrPort{}
	}
	return c.key, c.path.addr
}

// Conns appends the ids of all connections, oldest first.
func (e *Endpoint) Conns(dst []ConnID) []ConnID {
	for _, c := range e.order {
		dst = append(dst, c.id)
	}
	return dst
}

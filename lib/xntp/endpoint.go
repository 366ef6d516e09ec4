package xntp

import (
	"net/netip"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
)

// An Endpoint is all XNTP connections of a node behind one machine.Machine.
type Endpoint struct {
	cfg    Config
	public PublicKey
	events []Event
}

var _ machine.Machine = (*Endpoint)(nil)

// New returns an endpoint without connections. Config needs a Key, Rand and
// Entropy; it is copied.
func New(cfg Config) *Endpoint { return &Endpoint{cfg: cfg, public: cfg.Key.Public()} }

// Public returns the endpoint's own key.
func (e *Endpoint) Public() PublicKey { return e.public }

// Receive implements machine.Machine.
func (e *Endpoint) Receive(now time.Time, p machine.Packet) {}

// Advance implements machine.Machine.
func (e *Endpoint) Advance(now time.Time) {}

// NextTimeout implements machine.Machine.
func (e *Endpoint) NextTimeout() time.Time { return time.Time{} }

// AppendDatagram implements machine.Machine. Connections with something to
// send take turns, a datagram each.
func (e *Endpoint) AppendDatagram(now time.Time, dst []byte) (machine.Packet, bool) {
	return machine.Packet{}, false
}

// NextEvent returns what happened, oldest first.
func (e *Endpoint) NextEvent() (Event, bool) { return Event{}, false }

// Dial starts a connection. EventConnected or EventClosed follows. If there is
// an open connection with the peer, its id is returned with ErrConnected; several
// dials to one peer, at different addresses, may run at once: the first to
// be answered wins and the others end with ClosedReplaced.
func (e *Endpoint) Dial(now time.Time, o DialOptions) (ConnID, error) { return 0, ErrTooMany }

// Send queues an object. Objects may be sent from EventAccepted on, and after
// Dial; they leave when the handshake permits.
func (e *Endpoint) Send(now time.Time, id ConnID, o Object) (ObjectID, error) { return 0, ErrClosed }

// Cancel gives up an object that is not delivered. No event follows for it.
func (e *Endpoint) Cancel(now time.Time, id ConnID, object ObjectID) {}

// OpenStream starts an endless object: an ordered, reliable stream of bytes.
func (e *Endpoint) OpenStream(now time.Time, id ConnID, priority uint8) (ObjectID, error) {
	return 0, ErrClosed
}

// Write appends to a stream as much of p as the send queue has room for, copied;
// with n < len(p) the error is ErrBlocked.
func (e *Endpoint) Write(now time.Time, id ConnID, stream ObjectID, p []byte) (n int, err error) {
	return 0, ErrClosed
}

// CloseStream ends a stream. EventDelivered follows when the peer has all.
func (e *Endpoint) CloseStream(now time.Time, id ConnID, stream ObjectID) error { return ErrClosed }

// Close ends a connection at once: what was not delivered is dropped. The peer
// is told the code. EventClosed follows.
func (e *Endpoint) Close(now time.Time, id ConnID, code uint64) {}

// CloseAll closes every connection with code zero.
func (e *Endpoint) CloseAll(now time.Time) {}

// Probe asks every peer for a sign of life at once: for a driver that notices a
// change of network, so that peers learn the new address without waiting for
// traffic.
func (e *Endpoint) Probe(now time.Time) {}

// Stats returns what is known of a connection.
func (e *Endpoint) Stats(id ConnID) (Stats, bool) { return Stats{}, false }

// Remote returns the peer's key, and the socket and address it is reached by.
func (e *Endpoint) Remote(id ConnID) (PublicKey, machine.Socket, netip.AddrPort, bool) {
	return PublicKey{}, 0, netip.AddrPort{}, false
}

// Conns appends the ids of all connections, oldest first.
func (e *Endpoint) Conns(dst []ConnID) []ConnID { return dst }

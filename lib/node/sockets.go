package node

import (
	"net/netip"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
)

// maxSockets is how many sockets beside the first a node has at most, those that
// it has asked for included.
const maxSockets = 1024

// sockets are those that the node asked its driver for.
type sockets struct {
	ref  uint64
	asks map[uint64]SocketKind // that were not answered yet
	open map[machine.Socket]SocketKind
}

// openSocket asks for a socket; ok is false where there are too many.
func (n *Node) openSocket(o OpenSocket) (ref uint64, ok bool) {
	s := &n.sockets
	if len(s.asks)+len(s.open) >= maxSockets || n.closed {
		return 0, false
	}
	if s.asks == nil {
		s.asks, s.open = map[uint64]SocketKind{}, map[machine.Socket]SocketKind{}
	}
	s.ref++
	o.Ref = s.ref
	s.asks[o.Ref] = o.Kind
	n.tell(Event{Kind: EventOpenSocket, Open: o})
	return o.Ref, true
}

// closeSocket has a socket closed.
func (n *Node) closeSocket(s machine.Socket) {
	if _, ok := n.sockets.open[s]; ok {
		delete(n.sockets.open, s)
		n.tell(Event{Kind: EventCloseSocket, Socket: s})
	}
}

// Opened answers EventOpenSocket: socket is open, and its address is local. With
// err there is none. Drivers may answer at once or later, in any order.
func (n *Node) Opened(now time.Time, ref uint64, socket machine.Socket, local netip.AddrPort, err error) {
	kind, ok := n.sockets.asks[ref]
	delete(n.sockets.asks, ref)
	switch {
	case err != nil:
	case !ok || socket == 0:
		n.tell(Event{Kind: EventCloseSocket, Socket: socket})
	default:
		n.sockets.open[socket] = kind
	}
	n.turn(now)
}

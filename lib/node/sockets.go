package node

import (
	"net/netip"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

// maxSockets is how many sockets beside the first a node has at most, those that
// it has asked for included.
const maxSockets = 1024

// sockets are those that the node asked its driver for.
type sockets struct {
	ref  uint64
	asks map[uint64]ask // that were not answered yet
	tcps map[uint64]ask // observations that were not
	open map[machine.Socket]SocketKind
	own  machine.Socket // the driver's, which stays open; 0: none
	// Those that no connection uses any more are closed a little later: something
	// may be on its way to them.
	left []leftSocket
}

// An ask is a socket that was asked for, and for which of the puncher's, or for
// whom.
type ask struct {
	kind  SocketKind
	punch uint64
	peer  wire.PeerID // 0: for the puncher
	to    netip.AddrPort
}

type leftSocket struct {
	id machine.Socket
	at time.Time // when to close it
}

// leaveTime is how long a socket outlives the connection that used it.
const leaveTime = 2 * time.Second

// openSocket asks for a socket; ok is false where there are too many.
func (n *Node) openSocket(o OpenSocket, punch uint64) (ok bool) {
	s := &n.sockets
	if len(s.asks)+len(s.open) >= maxSockets || n.closed {
		return false
	}
	if s.asks == nil {
		s.asks, s.open = map[uint64]ask{}, map[machine.Socket]SocketKind{}
	}
	s.ref++
	o.Ref = s.ref
	s.asks[o.Ref] = ask{kind: o.Kind, punch: punch}
	n.tell(Event{Kind: EventOpenSocket, Open: o})
	return true
}

// observeTCP asks how a server sees us over TCP: for a session of the puncher's, or for
// the tracker if punch is 0.
func (n *Node) observeTCP(punch uint64) (ok bool) {
	s := &n.sockets
	if len(s.tcps) >= maxObservations || n.closed {
		return false
	}
	if s.tcps == nil {
		s.tcps = map[uint64]ask{}
	}
	s.ref++
	s.tcps[s.ref] = ask{kind: SocketTCP, punch: punch}
	n.tell(Event{Kind: EventObserveTCP, Open: OpenSocket{Ref: s.ref, Kind: SocketTCP}})
	return true
}

// maxObservations is how many questions over TCP are under way at most.
const maxObservations = 32

// ObservedTCP answers EventObserveTCP: a server has seen the port of TCP that is local,
// which nobody listens at now, at the address that the token proves.
func (n *Node) ObservedTCP(now time.Time, ref uint64, local netip.AddrPort, token wire.Token, err error) {
	a, ok := n.sockets.tcps[ref]
	delete(n.sockets.tcps, ref)
	switch {
	case !ok:
		return
	case a.punch != 0:
		n.punch.Observed(now, a.punch, local, token, err)
	case err == nil && len(token) > 0:
		// It proves to the tracker where we are.
		n.tcpToken = token
		for _, r := range n.rooms {
			if !r.cfg.NoSignal {
				r.helloAt = now
				r.advance(now)
			}
		}
	}
	n.turn(now)
}

// closeSocket has a socket closed.
func (n *Node) closeSocket(s machine.Socket) {
	if _, ok := n.sockets.open[s]; ok && s != n.sockets.own {
		delete(n.sockets.open, s)
		n.tell(Event{Kind: EventCloseSocket, Socket: s})
	}
}

// leaveSocket notes that a connection has left a socket.
func (n *Node) leaveSocket(now time.Time, s machine.Socket) {
	if s != 0 && s == n.relay.socket {
		n.leaveRelay(now)
		return
	}
	if _, ok := n.sockets.open[s]; ok && s != n.sockets.own && len(n.sockets.left) < maxSockets {
		n.sockets.left = append(n.sockets.left, leftSocket{s, now.Add(leaveTime)})
		n.wakeDial(now.Add(leaveTime))
	}
}

// advanceSockets closes those that have been left, if nothing uses them again.
func (n *Node) advanceSockets(now time.Time) {
	n.advanceRelay(now)
	left := n.sockets.left
	n.sockets.left = nil
	for _, l := range left {
		switch {
		case now.Before(l.at):
			n.sockets.left = append(n.sockets.left, l)
			n.wakeDial(l.at)
		case n.punch != nil && n.punch.Owns(l.id), n.used(l.id):
		default:
			n.closeSocket(l.id)
		}
	}
}

func (n *Node) used(s machine.Socket) bool {
	for _, c := range n.conns.list {
		if c.socket == s {
			return true
		}
	}
	return false
}

// Opened answers EventOpenSocket: socket is open, and its address is local. With
// err there is none. Drivers may answer at once or later, in any order.
func (n *Node) Opened(now time.Time, ref uint64, socket machine.Socket, local netip.AddrPort, err error) {
	a, ok := n.sockets.asks[ref]
	delete(n.sockets.asks, ref)
	switch {
	case err == nil && (!ok || socket == 0 || n.closed):
		n.tell(Event{Kind: EventCloseSocket, Socket: socket})
		return
	case !ok:
		return
	case err == nil:
		n.sockets.open[socket] = a.kind
	}
	switch {
	case a.peer != 0:
		n.carried(now, a, socket, err)
	case a.kind == SocketRelay:
		n.relayOpened(now, socket, local, err)
	default:
		n.punch.Opened(now, a.punch, socket, local, err)
	}
	n.turn(now)
}

// LostSocket tells that a socket, which is no UDP socket, has ended by itself.
func (n *Node) LostSocket(now time.Time, socket machine.Socket) {
	if _, ok := n.sockets.open[socket]; !ok || socket == 0 {
		return
	}
	delete(n.sockets.open, socket)
	if n.relay.socket == socket {
		n.relay.socket = 0
	}
	for _, c := range slices.Clone(n.conns.list) {
		if c.socket == socket {
			n.xn.Close(now, c.id, closeNormal)
		}
	}
	n.turn(now)
}

// Carries tells of a socket that the driver opened by itself: a seed's for those who
// come over TCP. Connections that come by it are answered there.
func (n *Node) Carries(socket machine.Socket, kind SocketKind) {
	if n.sockets.open == nil {
		n.sockets.asks, n.sockets.open = map[uint64]ask{}, map[machine.Socket]SocketKind{}
	}
	n.sockets.open[socket], n.sockets.own = kind, socket
}

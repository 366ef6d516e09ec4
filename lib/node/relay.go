package node

import (
	"net/netip"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
)

// allocation is the node's one allocation at a relay, which serves all whom nothing
// else reaches: relays give each user few.
type allocation struct {
	socket  machine.Socket // 0: there is none
	local   netip.AddrPort // where the relay takes packets for us
	waiting []uint64       // of the puncher's requests
	idleAt  time.Time      // when it is given back, if nobody uses it; zero: somebody does
}

// relayIdle is how long an allocation is kept that nobody uses.
const relayIdle = 30 * time.Second

// openRelay gives the puncher the allocation, which is asked for if there is none.
func (n *Node) openRelay(now time.Time, ref uint64) {
	a := &n.relay
	if a.socket != 0 && n.sockets.open[a.socket] == SocketRelay {
		a.idleAt = time.Time{}
		n.punch.Opened(now, ref, a.socket, a.local, nil)
		return
	}
	a.socket = 0
	a.waiting = append(a.waiting, ref)
	if len(a.waiting) > 1 {
		return
	}
	if len(n.relays) == 0 || !n.openSocket(OpenSocket{Kind: SocketRelay, Relay: n.relays[0]}, 0) {
		n.relayOpened(now, 0, netip.AddrPort{}, errTooManySockets)
	}
}

// relayOpened passes the allocation on to all who wait for it.
func (n *Node) relayOpened(now time.Time, socket machine.Socket, local netip.AddrPort, err error) {
	a := &n.relay
	refs := a.waiting
	a.waiting = nil
	if err == nil {
		a.socket, a.local, a.idleAt = socket, local, time.Time{}
	}
	for _, ref := range refs {
		n.punch.Opened(now, ref, socket, local, err)
	}
	if err == nil && len(refs) == 0 {
		n.leaveRelay(now)
	}
}

// leaveRelay notes that one less uses the allocation.
func (n *Node) leaveRelay(now time.Time) {
	n.relay.idleAt = now.Add(relayIdle)
	n.wakeDial(n.relay.idleAt)
}

// advanceRelay gives the allocation back that nobody has used for a while.
func (n *Node) advanceRelay(now time.Time) {
	a := &n.relay
	switch {
	case a.socket == 0 || a.idleAt.IsZero():
	case now.Before(a.idleAt):
		n.wakeDial(a.idleAt)
	case n.used(a.socket) || n.punch.Owns(a.socket):
		a.idleAt = time.Time{} // who uses it says when it leaves
	default:
		n.closeSocket(a.socket)
		a.socket = 0
	}
}

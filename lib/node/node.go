package node

import (
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/wire"
	"github.com/xp2p/xp2p/lib/xntp"
)

// A Node is a member of rooms.
type Node struct {
	cfg Config
	xn  *xntp.Endpoint
}

// New returns a node without rooms.
func New(cfg Config) *Node { return &Node{cfg: cfg} }

// Public returns the node's key, by which others know it.
func (n *Node) Public() xntp.PublicKey { return n.cfg.Key.Public() }

// ID returns the node's name in every room.
func (n *Node) ID() wire.PeerID { return wire.PeerIDOf(wire.Key(n.Public())) }

// Join enters a room.
func (n *Node) Join(now time.Time, r Room) error { return nil }

// Leave says goodbye to a room's neighbours and tracker.
func (n *Node) Leave(now time.Time, room string) error { return nil }

// Close leaves all rooms and closes all connections. Drain the datagrams once
// more after it.
func (n *Node) Close(now time.Time) {}

// Signal brings what the room's tracker said.
func (n *Node) Signal(now time.Time, room string, m wire.Signal) error { return nil }

// Reconnected tells that the connection to the room's tracker is new.
func (n *Node) Reconnected(now time.Time, room string) error { return nil }

// Offer gives a seed the next record of its room, in stream order. The record
// has been verified; its body is never changed by anybody.
func (n *Node) Offer(now time.Time, room string, rec segment.Record) error { return nil }

// Supply brings a part of the origin's answer to an EventNeedOrigin.
func (n *Node) Supply(now time.Time, room string, s Supply) error { return nil }

// Written tells that an output's bytes are out, for the measure of lag.
func (n *Node) Written(now time.Time, room string, o Output) {}

// NextEvent returns what the owner must know or do, oldest first.
func (n *Node) NextEvent() (Event, bool) { return Event{}, false }

// Stats returns what the node knows of itself in a room.
func (n *Node) Stats(now time.Time, room string) (measure.Report, bool) {
	return measure.Report{}, false
}

// Receive implements machine.Machine.
func (n *Node) Receive(now time.Time, p machine.Packet) {}

// Advance implements machine.Machine.
func (n *Node) Advance(now time.Time) {}

// NextTimeout implements machine.Machine.
func (n *Node) NextTimeout() time.Time { return time.Time{} }

// AppendDatagram implements machine.Machine.
func (n *Node) AppendDatagram(now time.Time, dst []byte) (machine.Packet, bool) {
	return machine.Packet{}, false
}

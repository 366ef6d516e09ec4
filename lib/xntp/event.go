package xntp

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
)

// A ConnID names a connection of this endpoint. It is local, never sent, and
// never used twice.
type ConnID uint64

// An ObjectID names an object that one end of a connection sends. Both ends
// know it; ids of the two directions are independent.
type ObjectID uint64

// An EventKind says what happened.
type EventKind uint8

const (
	// EventAccepted: a peer dialed us; Key, Socket, Addr and Early are valid.
	// The address may not be proved yet and Early may be a replay, so it must be
	// an idempotent request. Objects may be sent from now on; they leave within
	// three times what was received until the address is proved. When two peers
	// dial each other at once, the event brings the other's Early and names the
	// connection that our own Dial returned.
	EventAccepted EventKind = iota + 1
	// EventConnected: the handshake is complete and the peer's key is proved.
	// Key, Socket and Addr are valid.
	EventConnected
	// EventClosed: the connection is gone; Reason, Code and Key are valid.
	// Nothing more is heard of its objects: what was not Delivered or Expired
	// before may or may not have arrived.
	EventClosed
	// EventObject: a whole object arrived. Object, Class, Priority and Data are
	// valid; Data is owned by the receiver of the event.
	EventObject
	// EventDelivered: the peer has acknowledged every byte of an object that we
	// sent; its Data is no longer referenced. Left and Queued are
	// valid if Left is not zero.
	EventDelivered
	// EventExpired: an object that we sent was given up: its deadline passed, or
	// it was best effort and a part of it was lost. Its Data is no longer
	// referenced.
	EventExpired
	// EventMigrated: the peer's new address is proved and in use. Socket and
	// Addr are valid.
	EventMigrated
	// EventStayed: the move that the owner asked for has failed; Socket and Addr
	// are those that it named.
	EventStayed
	// EventStream: the next bytes of an endless object. Object, Data, Fin are
	// valid; Data is owned by the receiver of the event.
	EventStream
	// EventWritable: a send queue that refused with ErrBlocked has room again.
	EventWritable
)

var eventNames = [...]string{"", "accepted", "connected", "closed", "object", "delivered", "expired", "migrated", "stayed", "stream", "writable"}

func (k EventKind) String() string {
	if int(k) < len(eventNames) && k > 0 {
		return eventNames[k]
	}
	return fmt.Sprintf("event(%d)", uint8(k))
}

// An Event is what the owner of an Endpoint must know. Which fields are valid
// is said at its Kind; Conn always is.
type Event struct {
	Kind     EventKind
	Conn     ConnID
	Key      PublicKey
	Socket   machine.Socket
	Addr     netip.AddrPort
	Early    []byte
	Object   ObjectID
	Class    Class
	Priority uint8
	Data     []byte
	Tail     []byte // of an object, behind Data: only where bytes travel by reference (package flownet)
	Fin      bool
	// When the last of an object had left our access link, and for how long it had
	// stood in a queue, as far as the receiver's times say.
	Left   time.Time
	Queued time.Duration
	Reason Reason
	Code   uint64
}

// A Reason says why a connection ended.
type Reason uint8

const (
	ClosedByUs      Reason = iota + 1 // Close was called
	ClosedByPeer                      // the peer closed; Event.Code is its code
	ClosedIdle                        // nothing was heard for the idle timeout
	ClosedLost                        // probes went unanswered
	ClosedHandshake                   // the handshake did not finish in time
	ClosedReplaced                    // another connection with the same peer took its place
	ClosedProtocol                    // the peer broke the protocol; Event.Code says how
	ClosedVersion                     // the peer speaks other versions of XNTP only
	ClosedReset                       // the peer knows nothing of the connection any more
)

var reasonNames = [...]string{"", "closed by us", "closed by peer", "idle", "lost", "handshake timed out", "replaced", "protocol violation", "version", "reset"}

func (r Reason) String() string {
	if int(r) < len(reasonNames) && r > 0 {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason(%d)", uint8(r))
}

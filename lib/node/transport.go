package node

import (
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/xntp"
)

// A Transport is what a node asks of its connections: *xntp.Endpoint, or in a
// simulation of thousands package flownet, where an object on its way is one
// event and not a dozen packets.
type Transport interface {
	machine.Machine
	Public() xntp.PublicKey
	Counts() xntp.Counts
	Dial(now time.Time, o xntp.DialOptions) (xntp.ConnID, error)
	Send(now time.Time, c xntp.ConnID, o xntp.Object) (xntp.ObjectID, error)
	Cancel(now time.Time, c xntp.ConnID, id xntp.ObjectID)
	Close(now time.Time, c xntp.ConnID, code uint64)
	CloseAll(now time.Time)
	Stats(c xntp.ConnID) (xntp.Stats, bool)
	NextEvent() (xntp.Event, bool)
}

var _ Transport = (*xntp.Endpoint)(nil)

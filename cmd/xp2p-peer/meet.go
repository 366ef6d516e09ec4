package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/origin"
	"github.com/xp2p/xp2p/lib/signal"
	"github.com/xp2p/xp2p/lib/wire"
)

// meetWithin is how long the first bytes wait for the tracker's word. Both were
// asked for at the same time, so it is there already unless the tracker is ill;
// then playing begins without it.
const meetWithin = 250 * time.Millisecond

// A meeting is the tracker's word on a room.
type meeting struct {
	doc *wire.RoomDocument
	err error
}

// meet asks for the room document until there is one.
func meet(ctx context.Context, room origin.RoomURL) <-chan meeting {
	met := make(chan meeting, 1)
	go func() {
		backoff := 200 * time.Millisecond
		for {
			doc, err := signal.Fetch(ctx, room.Base, room.Room)
			if err == nil || errors.Is(err, signal.ErrNoRoom) || ctx.Err() != nil {
				met <- meeting{doc, err}
				return
			}
			select {
			case <-time.After(backoff):
				backoff = min(2*backoff, 5*time.Second)
			case <-ctx.Done():
			}
		}
	}()
	return met
}

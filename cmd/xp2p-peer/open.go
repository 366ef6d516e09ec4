package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/origin"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/wire"
)

// elsewhere is how long to wait for the tracker's word on where the origin is,
// when it is not where the URL says.
const elsewhere = 2 * time.Second

// An opening is the origin's answer to the question where the stream starts,
// asked before there is a node.
type opening struct {
	client *origin.Client // nil with home
	header segment.Header
	pull   *origin.Pull       // nil: the origin has no room for us just now
	home   *wire.RoomDocument // of a room whose origin is somebody's seed at home
}

func (f *opening) close() {
	if f.pull != nil {
		f.pull.Close()
	}
}

// open opens the room at the origin that the URL names, or, if that is only the
// tracker, at those that it names. An origin without room is not passed by for
// another: the other viewers come first.
func open(ctx context.Context, o *options, doc *briefing) (*opening, error) {
	try := func(base string) (*opening, error) {
		c, err := origin.NewClient(origin.ClientConfig{Base: base, Room: o.room.Room, Key: o.room.Key})
		if err != nil {
			return nil, err
		}
		p, err := c.Start(ctx, startAt(o.from))
		switch {
		case errors.Is(err, origin.ErrBusy):
			h, err := describe(ctx, c, doc)
			return &opening{client: c, header: h}, err
		case err != nil:
			return nil, err
		}
		return &opening{client: c, header: p.Header(), pull: p}, nil
	}
	answer, first := try(o.room.Base)
	if first == nil || errors.Is(first, origin.ErrBadData) {
		return answer, first
	}
	d, ok := doc.within(ctx, elsewhere)
	if !ok {
		return nil, first
	}
	if d.AtHome {
		return openHome(o, d)
	}
	for _, base := range d.Origins {
		base = strings.TrimSuffix(base, "/")
		if base == o.room.Base {
			continue
		}
		if answer, err := try(base); err == nil {
			return answer, nil
		}
	}
	return nil, first
}

// describe says what kind of stream the room is, where the start of it was
// refused. The room document was asked for at the same time as that, so it costs
// no round trip; a room without a tracker has none.
func describe(ctx context.Context, c *origin.Client, doc *briefing) (segment.Header, error) {
	const moment = 100 * time.Millisecond
	if d, ok := doc.within(ctx, moment); ok {
		if container, known := media.ParseContainer(d.Container); known && c.Pin(d.RoomKey[:]) == nil {
			return segment.Header{Key: c.Key(), Container: container, VOD: d.Mode == "vod"}, nil
		}
	}
	return c.Header(ctx)
}

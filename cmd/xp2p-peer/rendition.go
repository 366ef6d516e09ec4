package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/xp2p/xp2p/lib/tool"
	"github.com/xp2p/xp2p/lib/wire"
)

// listPatience is how long to ask for a room's renditions.
const listPatience = 10 * time.Second

// renditions asks what streams a room has. The room's key has signed the list;
// whose key that is, is the tracker's word unless it was pinned, as with a room
// of one stream.
func (o *options) renditions(ctx context.Context) (*wire.Manifest, error) {
	ctx, cancel := context.WithTimeout(ctx, listPatience)
	defer cancel()
	b := brief(ctx, http.DefaultClient, o.room)
	select {
	case <-b.done:
	case <-ctx.Done():
	}
	doc, ok := b.within(context.WithoutCancel(ctx), listPatience)
	switch {
	case !ok && ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, context.Cause(ctx)
	case !ok:
		return nil, tool.Unreachable("%s: nobody says what renditions there are", o.room.Document())
	case doc.Renditions == nil:
		return nil, tool.Usage("%s is one stream, without renditions", o.room.Room).Hint("xp2p-peer %s/%s", o.room.Base, o.room.Room)
	}
	key := o.room.Key
	if key == nil {
		key = ed25519.PublicKey(doc.RoomKey[:])
	}
	if err := doc.Renditions.Verify(key); err != nil {
		return nil, tool.BadData("%s: %w", o.room.Document(), err).Hint("the room is signed with another key than the one you trust")
	}
	o.room.Key = key
	return doc.Renditions, nil
}

// choose makes the rendition of --rendition the room to watch.
func (o *options) choose(ctx context.Context) error {
	list, err := o.renditions(ctx)
	if err != nil {
		return err
	}
	r, ok := list.Rendition(o.rendition)
	if !ok {
		return tool.Usage("--rendition %s: there is none of that name", o.rendition).Hint("%s", strings.Join(names(list), ", "))
	}
	o.room.Room = r.Room
	return nil
}

func names(list *wire.Manifest) (names []string) {
	for _, r := range list.Renditions {
		names = append(names, r.Name)
	}
	return names
}

package main

import (
	"context"
	"errors"
	"io"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/store"
	"github.com/xp2p/xp2p/lib/tool"
)

// feed verifies the slice streams that in, which is called name, holds, one behind the other, and
// appends them to the room that open makes of the first one's header. The room
// is closed at the end of the input, and not before: a broadcaster that starts
// anew writes a second stream behind the first, and its viewers stay. A disk
// that takes no more does not end a live stream: sick hears of it.
func feed(ctx context.Context, in io.Reader, name string, open func(segment.Header) (*store.Room, error), sick func(error)) (err error) {
	rd := segment.NewReader(in)
	h, err := rd.Header()
	if err != nil {
		return tool.BadData("%s: %w", name, err).Hint("ffmpeg … -f flv - | xp2p-slice | xp2p-seed --room ROOM")
	}
	room, err := open(h)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, room.Close()) }()
	key := segment.NewVerifier(h.Key)
	var end *segment.Record // held back: another stream may follow
	anew := false           // a stream begins that need not follow on the one before
	for {
		rec, err := rd.Next()
		switch {
		case errors.Is(err, io.EOF):
			if end == nil {
				return nil
			}
			return room.Append(*end)
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, segment.ErrTruncated):
			return tool.BadData("%s: %w", name, err).Hint("the slicer ended without saying so; what came before it is served")
		case err != nil:
			return tool.BadData("%s: %w", name, err)
		}
		if err := key.Verify(&rec); err != nil {
			return tool.BadData("%s: record before byte %d: %w", name, rd.Offset(), err)
		}
		switch rec.Kind {
		case segment.KindEnd:
			end = &rec
			continue
		case segment.KindHeader:
			anew = true
		}
		end = nil
		err = room.Append(rec)
		if errors.Is(err, store.ErrGap) && anew {
			// A viewer that feeds us has lost what lies between: so have ours.
			room.Reset()
			err = room.Append(rec)
		}
		if rec.Kind == segment.KindPiece {
			anew = false
		}
		switch {
		case errors.Is(err, store.ErrDuplicate) && !h.VOD:
			return tool.BadData("%s: %w", name, err).Hint("the room has had this part of the stream")
		case errors.Is(err, store.ErrDuplicate), errors.Is(err, store.ErrGap):
			return tool.BadData("%s: %w", name, err)
		case err != nil && rec.Kind == segment.KindHeader:
			return tool.BadData("%s: %w", name, err).Hint("a slicer that starts anew must sign with the same --key")
		case err != nil && h.VOD:
			return err
		case err != nil:
			sick(err)
		}
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/store"
	"github.com/xp2p/xp2p/lib/tool"
)

// feed verifies the slice streams that in holds, one behind the other, and
// appends them to the room that open makes of the first one's header. The room
// is closed at the end of the input, and not before: a broadcaster that starts
// anew writes a second stream behind the first, and its viewers stay.
func feed(ctx context.Context, in io.Reader, open func(segment.Header) (*store.Room, error)) (err error) {
	rd := segment.NewReader(in)
	h, err := rd.Header()
	if err != nil {
		return tool.BadData("stdin: %w", err).Hint("ffmpeg … -f flv - | xp2p-slice | xp2p-seed --room ROOM")
	}
	room, err := open(h)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, room.Close()) }()
	check := newChecker(h)
	var end *segment.Record // held back: another stream may follow
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
			return tool.BadData("stdin: %w", err).Hint("the slicer ended without saying so; what came before it is served")
		case err != nil:
			return tool.BadData("stdin: %w", err)
		}
		if err := check.record(&rec); err != nil {
			return tool.BadData("stdin: record before byte %d: %w", rd.Offset(), err)
		}
		if rec.Kind == segment.KindEnd {
			end = &rec
			continue
		}
		end = nil
		if err := room.Append(rec); err != nil {
			return tool.BadData("stdin: %w", err).Hint("a slicer that starts anew must sign with the same --key")
		}
	}
}

// A checker verifies the records of a stream as they come. Those of a live
// stream are signed one by one. Those of a recording are vouched for by the
// index behind them: the pieces by their segment, the segment by the index.
type checker struct {
	header   segment.Header
	verify   *segment.Verifier
	pieces   []segment.Hash // of the open segment of a recording
	segments []segment.Hash
}

func newChecker(h segment.Header) *checker {
	return &checker{header: h, verify: segment.NewVerifier(h.Key)}
}

func (c *checker) record(rec *segment.Record) error {
	if !c.header.VOD {
		return c.verify.Verify(rec)
	}
	switch rec.Kind {
	case segment.KindPiece:
		if rec.Piece.Index == 0 {
			c.pieces = c.pieces[:0]
		}
		c.pieces = append(c.pieces, rec.Piece.SHA256)
		return rec.Piece.Check(rec.Body)
	case segment.KindSegment:
		c.segments = append(c.segments, rec.Segment.SHA256)
		return rec.Segment.Check(c.pieces)
	case segment.KindIndex:
		if err := c.verify.Verify(rec); err != nil {
			return err
		}
		if len(rec.Index.Segments) != len(c.segments) {
			return fmt.Errorf("index: it names %d segments, %d came", len(rec.Index.Segments), len(c.segments))
		}
		for i, h := range rec.Index.Segments {
			if h != c.segments[i] {
				return fmt.Errorf("index: segment %d: %w", i, segment.ErrContent)
			}
		}
	}
	return nil
}

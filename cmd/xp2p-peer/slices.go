package main

import (
	"context"
	"io"
	"time"

	"github.com/xp2p/xp2p/lib/origin"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/store"
)

// closingTime bounds the wait for a segment's record that no neighbour sent.
const closingTime = 5 * time.Second

// sliceWriter writes a slice stream, for another seed: complete, as a slicer
// would, but for what lies before its beginning.
type sliceWriter struct {
	ctx    context.Context
	client *origin.Client
	header segment.Header
	w      *segment.Writer
	last   segment.ID // the newest piece
	open   bool       // the record of its segment is missing
}

func (w *sliceWriter) write(rec segment.Record, flush bool) error {
	switch rec.Kind {
	case segment.KindInit:
		if rec.Init.Proof.Count == 0 {
			return nil // known by its hash alone: nothing proves it to others
		}
		if !rec.Init.Copy {
			if err := w.closeSegment(); err != nil {
				return err
			}
		}
	case segment.KindPiece:
		if id := rec.Piece.ID; id.Epoch != w.last.Epoch || id.Seq != w.last.Seq {
			if err := w.closeSegment(); err != nil {
				return err
			}
		}
		w.last, w.open = rec.Piece.ID, true
	case segment.KindSegment:
		w.open = false
	case segment.KindEnd:
		if err := w.closeSegment(); err != nil {
			return err
		}
	}
	err := w.w.Write(rec)
	if err == nil && flush {
		err = w.w.Flush()
	}
	return err
}

// closeSegment makes sure that the record of the segment written last stands
// behind it. Neighbours send it beside the pieces; where it got lost, the origin
// has it behind the last piece. Without it the stream has a hole that its reader
// will notice.
func (w *sliceWriter) closeSegment() error {
	if !w.open {
		return nil
	}
	w.open = false
	ctx, cancel := context.WithTimeout(w.ctx, closingTime)
	defer cancel()
	pull, err := patiently(ctx, 0, func() (*origin.Pull, error) { return w.client.Start(ctx, store.After(w.last)) })
	if err != nil {
		return nil
	}
	defer pull.Close()
	for {
		rec, err := pull.Next()
		switch {
		case err != nil || rec.Kind == segment.KindPiece:
			return nil
		case rec.Kind == segment.KindSegment:
			return w.w.Write(rec)
		}
	}
}

// rejoin begins anew behind a gap.
func (w *sliceWriter) rejoin() error {
	w.open = false
	return w.w.Write(segment.Record{Kind: segment.KindHeader, Header: &w.header})
}

func (w *sliceWriter) finish() error { return w.w.Flush() }

// copySlices writes a recording's records, as its slicer wrote them.
func copySlices(ctx context.Context, client *origin.Client, out io.Writer) error {
	pull, err := patiently(ctx, 0, func() (*origin.Pull, error) { return client.Start(ctx, store.Oldest()) })
	if err != nil {
		return explainOrigin(err)
	}
	defer pull.Close()
	w := segment.NewWriter(out, pull.Header())
	for {
		rec, err := pull.Next()
		if err != nil {
			return explainOrigin(err)
		}
		if err := w.Write(rec); err != nil {
			return err
		}
		if rec.Kind == segment.KindEnd {
			return w.Flush()
		}
	}
}

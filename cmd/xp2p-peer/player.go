package main

import (
	"context"
	"errors"
	"io"

	"github.com/xp2p/xp2p/lib/origin"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/store"
)

// play writes the room to out from cur on as it comes in, until the room ends,
// the reader leaves or ctx is done. It reads the local room and not the node, so
// that a player which stops reading for a while stops nobody else.
func (s *session) play(ctx context.Context, cur *store.Cursor, out io.Writer) error {
	w := s.newWriter(ctx, out)
	for {
		err := s.copy(ctx, cur, w)
		switch {
		case errors.Is(err, store.ErrEnded):
			return w.finish()
		case !errors.Is(err, store.ErrFellBehind):
			return err
		}
		// Either nobody had the bytes any more (the node said so, and emptied the
		// local room) or the reader slept longer than the window.
		s.io.Log.Warn("the output has a gap")
		s.gaps.Add(1)
		s.backlog.wrote(0, true)
		if err := w.rejoin(); err != nil {
			return err
		}
		if cur, err = s.local.Start(store.Oldest()); err != nil {
			return err
		}
	}
}

func (s *session) copy(ctx context.Context, cur *store.Cursor, w recordWriter) error {
	for {
		rec, err := cur.Next(ctx)
		if err != nil {
			return err
		}
		if err := w.write(rec, !cur.Ready()); err != nil {
			return err
		}
		if rec.Kind != segment.KindPiece {
			continue
		}
		s.backlog.wrote(len(rec.Body), false)
		if near, ok := w.(*edgeWriter); ok && s.o.catchUp == "skip" {
			if next := near.ahead(); next != nil {
				s.io.Log.Info("the player is behind: going on at the newest keyframe")
				s.backlog.wrote(0, true)
				cur = next
				if err := w.rejoin(); err != nil {
					return err
				}
			}
		}
	}
}

// A recordWriter writes records in one of the two output formats.
type recordWriter interface {
	write(rec segment.Record, flush bool) error
	rejoin() error // what comes next does not follow on what was written
	finish() error // the stream is over
}

func (s *session) newWriter(ctx context.Context, out io.Writer) recordWriter {
	if s.o.format == "slices" {
		return &sliceWriter{ctx: ctx, client: s.client, header: s.local.Header(), w: segment.NewWriter(out, s.local.Header())}
	}
	if s.hurries() {
		return s.newEdgeWriter(out)
	}
	w := &mediaWriter{out: out, playable: origin.NewPlayable(s.local.Container()), entrance: &s.entrance}
	w.playable.Early = true
	return w
}

// mediaWriter writes what a player reads. It ends on a border of the container,
// however it ends.
type mediaWriter struct {
	out      io.Writer
	playable *origin.Playable
	entrance *entrance
}

func (w *mediaWriter) write(rec segment.Record, _ bool) error {
	was, bufs := w.playable.Opening(), w.playable.Add(rec)
	if !was && w.playable.Opening() {
		if err := w.entrance.begin(); err != nil {
			return err
		}
	}
	err := w.all(bufs)
	if was && !w.playable.Opening() {
		w.entrance.end()
	}
	return err
}

func (w *mediaWriter) rejoin() error {
	w.playable.Rejoin()
	return nil
}

func (w *mediaWriter) finish() error {
	return w.all(w.playable.Finish())
}

func (w *mediaWriter) all(bufs [][]byte) error {
	for _, b := range bufs {
		if _, err := w.out.Write(b); err != nil {
			return err
		}
	}
	return nil
}

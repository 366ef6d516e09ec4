package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/origin"
	"github.com/xp2p/xp2p/lib/playout"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/store"
	"github.com/xp2p/xp2p/lib/tool"
)

// inStep is how many records of a stream may be on their way to the node.
const inStep = 16

// maxRun is how many pieces are asked for in one request.
const maxRun = 64

// ask carries out what the node wants of the origin. On the loop.
func (s *session) ask(q node.Origin) {
	if q.Kind == node.OriginStart && time.Now().Before(s.othersFirst) {
		s.work.Go(func() {
			s.do(func(now time.Time) {
				s.node.Supply(now, s.name, node.Supply{ID: q.ID, Done: true, Err: node.ErrBusy})
			})
		})
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	wait := time.Duration(0)
	if q.Kind == node.OriginPieces {
		if wait = time.Until(s.othersFirst); wait > 0 {
			s.later = q.ID
		}
	}
	var first *opening
	if q.Kind == node.OriginStart {
		first, s.opening = s.opening, nil // asked before there was a node: it is this answer
	}
	s.requests[q.ID] = func() {
		cancel()
		if first != nil && first.pull != nil {
			first.pull.Stop()
		}
	}
	s.work.Go(func() {
		var err error
		if s.turnsTo(ctx, q.ID, wait) {
			err = s.answer(ctx, q, first)
		}
		over := errors.Is(err, store.ErrEnded)
		if over {
			err = nil
		}
		cancel()
		s.do(func(now time.Time) {
			if delete(s.requests, q.ID); s.in() {
				s.node.Supply(now, s.name, node.Supply{ID: q.ID, Done: true, Err: err})
			}
		})
		if over {
			s.do(func(time.Time) {
				s.brokenOff = true
				s.closeBroken()
			})
		}
	})
}

// turnsTo waits until the other viewers have had their time, and reports whether
// a request is still to be carried out: it may have come, or been asked for again.
func (s *session) turnsTo(ctx context.Context, id uint64, wait time.Duration) (yes bool) {
	if wait <= 0 {
		return true
	}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return false
	}
	_ = s.ep.Call(ctx, func(time.Time) { yes = s.later == id })
	return yes
}

// stopAsking cancels a request. On the loop.
func (s *session) stopAsking(id uint64) {
	if s.rush {
		s.held = append(s.held, id) // neighbours would bring what is past at leisure
		return
	}
	if cancel, ok := s.requests[id]; ok {
		delete(s.requests, id)
		cancel()
	}
}

// endRush cancels what was to be cancelled during it. On the loop.
func (s *session) endRush() {
	s.rush = false
	for _, id := range s.held {
		s.stopAsking(id)
	}
	s.held = nil
}

// answer fetches what q asks for and supplies it, record by record. first is the
// answer to a start, if it is there already.
func (s *session) answer(ctx context.Context, q node.Origin, first *opening) (err error) {
	defer func() { err = forNode(err) }()
	switch q.Kind {
	case node.OriginStart:
		if first != nil && first.pull == nil {
			return origin.ErrBusy
		}
		if first != nil {
			return s.stream(ctx, q.ID, first.pull)
		}
		return s.streamFrom(ctx, q.ID, startAt(q.Start))
	case node.OriginAfter:
		if q.For > 0 {
			pull, err := s.client.After(ctx, q.After, q.For)
			if err != nil {
				return err
			}
			return s.stream(ctx, q.ID, pull)
		}
		return s.streamFrom(ctx, q.ID, store.After(q.After))
	case node.OriginPieces:
		for ids := q.Pieces; len(ids) > 0; {
			n := runLength(ids)
			recs, err := s.client.At(ctx, ids[0], n)
			if err != nil {
				return err
			}
			for _, rec := range recs {
				s.supply(ctx, q.ID, rec)
			}
			ids = ids[min(len(recs), n):]
		}
		return nil
	case node.OriginInit:
		body, err := s.client.Init(ctx, q.Init)
		if err != nil {
			return err
		}
		in := &segment.Init{Hash: q.Init, Size: len(body), Copy: true}
		s.supply(ctx, q.ID, segment.Record{Kind: segment.KindInit, Init: in, Body: body})
		return nil
	}
	return fmt.Errorf("origin request of unknown kind %d", q.Kind)
}

// closeBroken ends a room whose broadcaster broke off, so that there is no end
// record: the origin's room is closed, and all that it had is put out. On the
// loop.
func (s *session) closeBroken() {
	if edge, ok := s.local.Edge(); s.brokenOff && ok && edge.Compare(s.newest) >= 0 {
		s.local.Close()
	}
}

func (s *session) streamFrom(ctx context.Context, id uint64, from store.Start) error {
	pull, err := s.client.Start(ctx, from)
	if err != nil {
		return err
	}
	return s.stream(ctx, id, pull)
}

// stream supplies a slice stream until it is cancelled or over: store.ErrEnded,
// if there was no end record.
func (s *session) stream(ctx context.Context, id uint64, pull *origin.Pull) error {
	defer pull.Close()
	whole := false
	for n := 1; ; n++ {
		rec, err := pull.Next()
		whole = whole || rec.Kind == segment.KindEnd
		switch {
		case whole && errors.Is(err, store.ErrEnded), errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, origin.ErrBadData):
			s.io.Log.Warn("the origin sent bad data", "err", err)
			return err
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
		// Who is to be at the edge has to know where it is.
		if !s.hurries() {
			if err := s.backlog.wait(ctx); err != nil {
				return err
			}
		}
		s.supply(ctx, id, rec)
		if n%inStep == 0 {
			// What was supplied is put out by now, and so in the backlog.
			if err := s.ep.Call(ctx, func(time.Time) {}); err != nil {
				return err
			}
		}
	}
}

func (s *session) supply(ctx context.Context, id uint64, rec segment.Record) {
	s.ep.DoContext(ctx, func(now time.Time) {
		if _, wanted := s.requests[id]; wanted && s.in() {
			if rec.Kind == segment.KindPiece && rec.Piece.ID.Compare(s.newest) > 0 {
				s.newest = rec.Piece.ID
			}
			s.node.Supply(now, s.name, node.Supply{ID: id, Record: rec})
		}
	})
}

// runLength says how many of ids, from the first on, follow each other within a
// segment: they are one request.
func runLength(ids []segment.ID) int {
	n := 1
	for n < len(ids) && n < maxRun {
		next := ids[n-1]
		if next.Index++; ids[n] != next {
			break
		}
		n++
	}
	return n
}

// forNode puts an origin's error into the node's words.
func forNode(err error) error {
	switch {
	case errors.Is(err, store.ErrGone), errors.Is(err, origin.ErrNotFound):
		return fmt.Errorf("%w: %w", node.ErrGone, err)
	case errors.Is(err, origin.ErrBusy):
		return fmt.Errorf("%w: %w", node.ErrBusy, err)
	}
	return err
}

func startAt(s playout.Start) store.Start {
	switch s.Mode {
	case playout.Oldest:
		return store.Oldest()
	case playout.Back:
		return store.Back(s.Back)
	case playout.At:
		return store.At(s.At)
	}
	return store.Live()
}

// explainOrigin puts an origin's error into the user's words.
func explainOrigin(err error) error {
	switch {
	case tool.Interrupted(err):
		return err
	case errors.Is(err, origin.ErrNotFound):
		return tool.Unreachable("%w", err).Hint("is the room's name right, and is it on the air?")
	case errors.Is(err, origin.ErrUnreachable):
		return tool.Unreachable("%w", err)
	case errors.Is(err, origin.ErrBadData):
		return tool.BadData("%w", err).Hint("the room is signed with another key than the one you trust")
	}
	return err
}

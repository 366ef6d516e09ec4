package main

import (
	"context"
	"errors"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/signal"
	"github.com/xp2p/xp2p/lib/squeeze"
	"github.com/xp2p/xp2p/lib/store"
	"github.com/xp2p/xp2p/lib/tool"
)

// leaveWithin bounds how long saying goodbye may take.
const leaveWithin = 500 * time.Millisecond

// lowerEffort is the code point of what may be delayed and dropped before all
// else (RFC 8622 §4).
const lowerEffort = 1

// errEnded ends a session whose stream is over and written.
var errEnded = errors.New("the stream has ended")

// run joins the room, plays it to the output and to local players, and leaves.
func run(ctx context.Context, t *tool.IO, o *options) error {
	began := time.Now()
	ctx, over := context.WithCancelCause(ctx)
	defer over(nil)

	if o.abr {
		return runLadder(ctx, t, o)
	}
	if o.rendition != "" {
		if err := o.choose(ctx); err != nil {
			return err
		}
	}
	// The media and the tracker's word are asked for at the same time: a viewer
	// starts in one round trip.
	doc := brief(ctx, signal.Reach(), o.room)
	first, err := open(ctx, o, doc)
	if err != nil {
		return explainOrigin(err)
	}
	header := first.header
	switch {
	case header.VOD && first.home != nil:
		s := &session{viewer: &viewer{o: o, io: t, began: began, over: over, atHome: true}, name: o.room.Room, key: header.Key, requests: map[uint64]func(){}}
		return s.fetch(ctx, doc, first.home)
	case header.VOD:
		first.close()
		return save(ctx, t, o, first.client, 0)
	}
	var out io.WriteCloser
	if o.http == "" || o.output != "" || !t.OutIsTerminal {
		if out, err = t.Output(o.output); err != nil {
			first.close()
			return err
		}
		defer out.Close()
	}
	local, err := store.NewRoom(store.RoomConfig{Name: o.room.Room, Key: header.Key, Container: header.Container, Window: o.window, WindowBytes: o.windowBytes})
	if err != nil {
		first.close()
		return err
	}
	s := &session{
		viewer: &viewer{o: o, io: t, began: began, over: over}, name: o.room.Room, key: header.Key, client: first.client, local: local,
		opening: first, requests: map[uint64]func(){}, playing: out != nil,
	}
	if o.nearness != squeeze.Off && first.home == nil {
		s.edge.learn(ctx, doc, first.client)
	}
	if first.home != nil {
		s.atHome, s.opening = true, nil
		if s.client, err = s.homeClient(first.home); err != nil {
			return err
		}
	} else if first.pull == nil {
		s.waiting.begin(o.lonely, func() { over(errNobody(o)) })
		defer s.waiting.end()
	}
	return s.run(ctx, out, doc)
}

// run runs the session's parts until the stream is over, the player leaves, or
// whoever started the program wants it to end.
func (s *session) run(ctx context.Context, out io.Writer, doc *briefing) error {
	told := ctx
	ctx, end := context.WithCancelCause(context.WithoutCancel(told))
	defer end(nil)
	defer context.AfterFunc(told, func() {
		s.entrance.leave(leaveWithin)
		end(context.Cause(told))
	})()
	stop, looped, err := s.start(ctx)
	if err != nil {
		return err
	}
	defer s.manners.leave()
	defer stop()

	g, gctx := errgroup.WithContext(ctx)
	s.ctx = gctx
	// Taken before the first byte can come: no part of the start is missed.
	cur, err := s.local.Start(store.Oldest())
	if err != nil {
		return err
	}
	if err := s.join(node.Room{Start: s.o.from, Edge: s.hurries(), AtHome: s.atHome}); err != nil {
		return err
	}
	if !s.o.originOnly || s.atHome {
		g.Go(func() error { return s.meet(gctx, doc) })
		if s.o.portMap {
			g.Go(func() error { return s.mapPort(gctx) })
		}
	}
	if !s.o.originOnly {
		g.Go(func() error { return s.log(gctx, doc) })
	}
	g.Go(func() error { return s.count(gctx) })
	g.Go(func() error { return s.behave(gctx) })
	if s.o.http != "" {
		g.Go(func() error { return s.serve(gctx) })
	}
	g.Go(func() error {
		if out == nil {
			return s.wait(gctx)
		}
		// A player that has stopped reading does not keep us from leaving.
		played := make(chan error, 1)
		go func() { played <- s.play(gctx, cur, out) }()
		var err error
		select {
		case err = <-played:
		case <-gctx.Done():
			select {
			case err = <-played:
			case <-time.After(leaveWithin):
				err = context.Cause(gctx)
			}
		}
		if err == nil {
			err = errEnded
		}
		return err
	})
	g.Go(func() error { return untilLooped(gctx, looped) })
	err = g.Wait()
	s.leave(stop, looped)
	return s.verdict(err, context.Cause(ctx))
}

// join enters the room. Whom to meet there comes later, with the room document.
func (s *session) join(room node.Room) error {
	room.Name, room.Key, room.NoSignal = s.name, s.key, true
	joined := make(chan error, 1)
	s.do(func(now time.Time) {
		s.rooms[s.name] = s
		joined <- s.node.Join(now, room)
	})
	select {
	case err := <-joined:
		return err
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}

// wait waits until the room has ended, for a session that only serves local
// players.
func (s *session) wait(ctx context.Context) error {
	cur, err := s.local.Start(store.Live())
	for err == nil {
		_, err = cur.Next(ctx)
		if errors.Is(err, store.ErrFellBehind) {
			cur, err = s.local.Start(store.Live())
		}
	}
	if errors.Is(err, store.ErrEnded) {
		return errEnded
	}
	return err
}

// verdict turns what ended the session into what the program says of it.
func (s *session) verdict(err, cause error) error {
	switch {
	case errors.Is(err, errEnded) && s.gaps.Load() > 0:
		return tool.Incomplete("the output has %d gaps: nobody had the bytes any more", s.gaps.Load())
	case errors.Is(err, errEnded):
		return nil
	case cause != nil:
		return cause
	}
	return err
}

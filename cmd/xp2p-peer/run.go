package main

import (
	"context"
	crand "crypto/rand"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xp2p/xp2p/lib/endpoint"
	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/origin"
	"github.com/xp2p/xp2p/lib/store"
	"github.com/xp2p/xp2p/lib/tool"
	"github.com/xp2p/xp2p/lib/xntp"
)

// leaveWithin bounds how long saying goodbye may take.
const leaveWithin = 500 * time.Millisecond

// errEnded ends a session whose stream is over and written.
var errEnded = errors.New("the stream has ended")

// run joins the room, plays it to the output and to local players, and leaves.
func run(ctx context.Context, t *tool.IO, o *options) error {
	began := time.Now()
	client, err := origin.NewClient(origin.ClientConfig{Base: o.room.Base, Room: o.room.Room, Key: o.room.Key})
	if err != nil {
		return tool.Usage("%w", err)
	}
	ctx, over := context.WithCancelCause(ctx)
	defer over(nil)

	// The media and the tracker's word are asked for at the same time: a viewer
	// starts in one round trip.
	met := meet(ctx, o.room)
	pull, err := client.Start(ctx, startAt(o.from))
	if err != nil {
		return explainOrigin(err)
	}
	header := pull.Header()
	if header.VOD {
		pull.Close()
		return save(ctx, t, o, client)
	}
	var out io.WriteCloser
	if o.http == "" || o.output != "" || !t.OutIsTerminal {
		if out, err = t.Output(o.output); err != nil {
			pull.Close()
			return err
		}
		defer out.Close()
	}
	local, err := store.NewRoom(store.RoomConfig{Name: o.room.Room, Key: header.Key, Container: header.Container})
	if err != nil {
		pull.Close()
		return err
	}
	s := &session{
		o: o, io: t, name: o.room.Room, began: began, client: client, local: local,
		opening: pull, requests: map[uint64]func(){}, over: over,
	}
	return s.run(ctx, out, met)
}

// run runs the session's parts until the stream is over, the player leaves, or
// whoever started the program wants it to end.
func (s *session) run(ctx context.Context, out io.Writer, met <-chan meeting) error {
	key, err := xntp.GenerateKey(crand.Reader)
	if err != nil {
		return err
	}
	s.node = node.New(node.Config{
		Key: key, Rand: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), Entropy: crand.Reader,
		MaxUpload: s.o.maxUpload, NoUpload: s.o.noUpload, Uplink: s.o.uplink, Explain: s.o.explain,
	})
	s.ep, err = endpoint.New(s.node, endpoint.Config{
		Listen: []netip.AddrPort{s.o.local}, Step: s.step, Log: s.io.Log,
		Leave: func(now time.Time) { s.node.Close(now) },
	})
	if err != nil {
		return tool.Failed("--listen %s: %w", s.o.listen, err)
	}
	// The node outlives the rest by a moment, to say goodbye.
	loopCtx, stopLoop := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLoop()
	looped := make(chan error, 1)
	go func() { looped <- s.ep.Run(loopCtx) }()

	g, gctx := errgroup.WithContext(ctx)
	s.ctx = gctx
	if err := s.join(met); err != nil {
		return err
	}
	g.Go(func() error { return s.follow(gctx, met) })
	g.Go(func() error { return s.count(gctx) })
	if s.o.http != "" {
		g.Go(func() error { return s.serve(gctx) })
	}
	g.Go(func() error {
		if out == nil {
			return s.wait(gctx)
		}
		if err := s.play(gctx, out); err != nil {
			return err
		}
		return errEnded
	})
	g.Go(func() error {
		select {
		case err := <-looped:
			looped <- err
			return err
		case <-gctx.Done():
			return context.Cause(gctx)
		}
	})
	err = g.Wait()
	s.work.Wait()
	stopLoop()
	select {
	case <-looped:
	case <-time.After(leaveWithin):
	}
	return s.verdict(err, context.Cause(ctx))
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

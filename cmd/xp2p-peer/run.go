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
	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/qlog"
	"github.com/xp2p/xp2p/lib/store"
	"github.com/xp2p/xp2p/lib/tool"
	"github.com/xp2p/xp2p/lib/xntp"
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

	// The media and the tracker's word are asked for at the same time: a viewer
	// starts in one round trip.
	doc := brief(ctx, o.room)
	first, err := open(ctx, o, doc)
	if err != nil {
		return explainOrigin(err)
	}
	header := first.header
	switch {
	case header.VOD && first.home != nil:
		s := &session{o: o, io: t, name: o.room.Room, key: header.Key, began: began, atHome: true, over: over}
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
		o: o, io: t, name: o.room.Room, key: header.Key, began: began, client: first.client, local: local,
		opening: first, requests: map[uint64]func(){}, over: over, playing: out != nil,
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
	if err := s.openNode(); err != nil {
		return err
	}
	defer s.manners.leave()
	stopLoop, looped := s.runNode(ctx)
	defer stopLoop()

	g, gctx := errgroup.WithContext(ctx)
	s.ctx = gctx
	// Taken before the first byte can come: no part of the start is missed.
	cur, err := s.local.Start(store.Oldest())
	if err != nil {
		return err
	}
	if err := s.join(node.Room{Start: s.o.from, AtHome: s.atHome}); err != nil {
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

// openNode makes the node and its socket.
func (s *session) openNode() error {
	key, err := xntp.GenerateKey(crand.Reader)
	if err != nil {
		return err
	}
	if s.manners, err = newManners(s.io, s.o, time.Now()); err != nil {
		return err
	}
	bounds := s.manners.bounds(time.Now())(0)
	records := 0
	if s.o.qlog != "" {
		if s.traces, err = qlog.Open(s.o.qlog, "xp2p-peer"); err != nil {
			s.manners.leave()
			return tool.Failed("--qlog: %w", err)
		}
		records = qlog.Records
	}
	s.node = node.New(node.Config{
		Key: key, Rand: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), Entropy: crand.Reader,
		MaxUpload: s.o.maxUpload, NoUpload: s.o.noUpload || s.o.originOnly, Uplink: s.o.uplink, Polite: &bounds, Explain: s.o.explain, Born: s.began,
		Trace: records, Streams: s.atHome, NAT: s.o.facts,
	})
	var class uint8
	if s.o.background {
		class = lowerEffort
	}
	s.ep, err = endpoint.New(s.node, endpoint.Config{
		Listen: []netip.AddrPort{s.o.local}, Step: s.step, Log: s.io.Log, DSCP: class,
		Lost: func(now time.Time, id machine.Socket, _ error) { s.node.LostSocket(now, id) },
		Leave: func(now time.Time) {
			s.node.Close(now)
			s.manners.given.Store(s.node.Counts().Given)
		},
	})
	if err != nil {
		s.manners.leave()
		return tool.Failed("--listen %s: %w", s.o.listen, err)
	}
	if s.atHome {
		s.openTunnel()
	}
	// Two viewers behind one address translator meet at these.
	s.node.SetHosts(s.ep.Hosts(0))
	return nil
}

// runNode runs the node; it outlives the rest by a moment, to say goodbye.
func (s *session) runNode(ctx context.Context) (stop func(), looped chan error) {
	ctx, stop = context.WithCancel(context.WithoutCancel(ctx))
	looped = make(chan error, 1)
	go func() {
		err := s.ep.Run(ctx)
		if err := s.traces.Close(); err != nil {
			s.io.Log.Warn("traces are missing", "err", err)
		}
		looped <- err
	}()
	return stop, looped
}

// join enters the room. Whom to meet there comes later, with the room document.
func (s *session) join(room node.Room) error {
	room.Name, room.Key, room.NoSignal = s.name, s.key, true
	joined := make(chan error, 1)
	s.do(func(now time.Time) { joined <- s.node.Join(now, room) })
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

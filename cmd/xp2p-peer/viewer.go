package main

import (
	"context"
	crand "crypto/rand"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/xp2p/xp2p/lib/endpoint"
	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/qlog"
	"github.com/xp2p/xp2p/lib/relay"
	"github.com/xp2p/xp2p/lib/tool"
	"github.com/xp2p/xp2p/lib/tunnel"
	"github.com/xp2p/xp2p/lib/xntp"
)

// A viewer is what is one in all rooms: the node on its socket, what its user
// allows, and what ends it.
type viewer struct {
	o     *options
	io    *tool.IO
	began time.Time
	ctx   context.Context
	over  context.CancelCauseFunc

	node    *node.Node
	ep      *endpoint.Endpoint
	traces  *qlog.Dir // nil without --qlog; the loop's
	work    sync.WaitGroup
	manners *manners
	rooms   map[string]*session // of the endpoint's loop
	stun    []netip.AddrPort    // of the newest room; the loop's
	relays  relay.Servers
	atHome  bool           // the room's origin is a seed that is reached through the node
	tunnel  *tunnel.Tunnel // to that
}

// start opens the socket and runs the node on it. The node outlives ctx until
// stop is called, to say goodbye; looped then says how it ended.
func (v *viewer) start(ctx context.Context) (stop func(), looped chan error, err error) {
	key, err := xntp.GenerateKey(crand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if v.manners, err = newManners(v.io, v.o, time.Now()); err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			v.manners.leave()
		}
	}()
	bounds := v.manners.bounds(time.Now())(0)
	records := 0
	if v.o.qlog != "" {
		if v.traces, err = qlog.Open(v.o.qlog, "xp2p-peer"); err != nil {
			return nil, nil, tool.Failed("--qlog: %w", err)
		}
		records = qlog.Records
	}
	v.rooms = map[string]*session{}
	v.node = node.New(node.Config{
		Key: key, Rand: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), Entropy: crand.Reader,
		MaxUpload: v.o.maxUpload, NoUpload: v.o.noUpload || v.o.originOnly, Uplink: v.o.uplink, Polite: &bounds, Explain: v.o.explain, Born: v.began,
		Trace: records, Streams: v.atHome, NAT: v.o.facts,
	})
	var class uint8
	if v.o.background {
		class = lowerEffort
	}
	v.ep, err = endpoint.New(v.node, endpoint.Config{
		Listen: []netip.AddrPort{v.o.local}, Step: v.step, Log: v.io.Log, DSCP: class,
		Lost: func(now time.Time, id machine.Socket, _ error) { v.node.LostSocket(now, id) },
		Leave: func(now time.Time) {
			v.node.Close(now)
			v.manners.given.Store(v.node.Counts().Given)
		},
	})
	if err != nil {
		return nil, nil, tool.Failed("--listen %s: %w", v.o.local, err)
	}
	if v.atHome {
		v.tunnel = tunnel.New(v.node, v.ep.Do, false)
	}
	// Two viewers behind one address translator meet at these.
	v.node.SetHosts(v.ep.Hosts(0))
	loopCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	looped = make(chan error, 1)
	go func() {
		err := v.ep.Run(loopCtx)
		if err := v.traces.Close(); err != nil {
			v.io.Log.Warn("traces are missing", "err", err)
		}
		looped <- err
	}()
	return stop, looped, nil
}

// untilLooped ends with the node, or with ctx.
func untilLooped(ctx context.Context, looped chan error) error {
	select {
	case err := <-looped:
		looped <- err
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// leave waits until all work is done and the node has said goodbye.
func (v *viewer) leave(stop func(), looped <-chan error) {
	v.work.Wait()
	stop()
	select {
	case <-looped:
	case <-time.After(leaveWithin):
	}
}

// do gives a command to the node; once the session is over it does nothing.
func (v *viewer) do(f func(now time.Time)) { v.ep.DoContext(v.ctx, f) }

// step drains the node's events. On the loop, after each turn.
func (v *viewer) step(now time.Time) {
	v.traces.Drain(v.node.NextTrace)
	for {
		ev, ok := v.node.NextEvent()
		if !ok {
			return
		}
		if v.tunnel != nil {
			v.tunnel.Event(now, ev)
		}
		switch s := v.rooms[ev.Room]; {
		case ev.Kind == node.EventOpenSocket:
			v.openSocket(ev.Open)
		case ev.Kind == node.EventObserveTCP:
			v.observeTCP(ev.Open.Ref)
		case ev.Kind == node.EventCloseSocket:
			v.ep.CloseSocket(ev.Socket)
		case s != nil:
			s.event(ev)
		}
	}
}

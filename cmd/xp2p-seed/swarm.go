package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"time"

	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/relay"
	"github.com/xp2p/xp2p/lib/signal"
	"github.com/xp2p/xp2p/lib/store"
	"github.com/xp2p/xp2p/lib/wire"
)

// A trackerLink is the seed's way to the tracker of one room: in this process,
// or over the network.
type trackerLink struct {
	send  func(wire.Signal) error
	close func()
}

// step drains the node's events. On the endpoint's loop, after each turn.
func (s *seed) step(now time.Time) {
	s.traces.Drain(s.node.NextTrace)
	for {
		ev, ok := s.node.NextEvent()
		if !ok {
			return
		}
		s.streams(now, ev)
		switch ev.Kind {
		case node.EventSignal:
			s.signal(ev.Room, ev.Signal)
		case node.EventOpenSocket:
			s.openSocket(ev.Open)
		case node.EventObserveTCP:
			s.observeTCP(ev.Open.Ref)
		case node.EventCloseSocket:
			s.ep.CloseSocket(ev.Socket)
		case node.EventUp:
			s.t.Log.Info("a viewer has come", "room", ev.Room, "id", ev.Neighbour, "addr", ev.Addr)
		case node.EventDown:
			s.t.Log.Info("a viewer is gone", "room", ev.Room, "id", ev.Neighbour, "why", ev.Why)
		}
	}
}

// signal passes a message of the node's to the room's tracker; the first is a
// hello and makes the connection. On the loop.
func (s *seed) signal(room string, m wire.Signal) {
	if link, ok := s.links[room]; ok {
		link.send(m)
		return
	}
	hello, ok := m.(*wire.SignalHello)
	if !ok {
		return
	}
	if s.o.tracker != "" {
		cfg := signal.ClientConfig{URL: s.o.tracker + "/v1/rooms/" + room + "/signal", Hello: hello, Log: s.t.Log}
		if s.o.announces() && s.isOwn(room) {
			cfg.Announce = func() *wire.SignalAnnounce { return s.announcement(room) }
		}
		c := signal.Dial(s.ctx, cfg)
		s.links[room] = trackerLink{close: c.Close, send: func(m wire.Signal) error {
			if h, ok := m.(*wire.SignalHello); ok {
				c.Hello(h)
				return nil
			}
			return c.Send(m)
		}}
		s.work.Go(func() {
			for ev := range c.Events() {
				switch ev.Kind {
				case signal.Message:
					if _, ok := ev.Signal.(*wire.SignalWelcome); ok {
						s.canBeJoined()
					}
					s.heard(room, ev.Signal)
				case signal.Up:
					s.health.set("tracker of "+room, nil)
				case signal.Down:
					s.refused(room, ev.Err)
					s.health.set("tracker of "+room, ev.Err)
				}
			}
		})
		return
	}
	l, err := s.tracker.Attach(room, hello, s.ep.Hosts(0))
	if err != nil {
		s.t.Log.Error("the tracker does not take its own seed", "room", room, "err", err)
		return
	}
	s.links[room] = trackerLink{send: l.Send, close: l.Close}
	s.work.Go(func() {
		for m := range l.Events() {
			s.heard(room, m)
		}
	})
}

// heard gives the node what the tracker said.
func (s *seed) heard(room string, m wire.Signal) {
	s.do(func(now time.Time) {
		if err := s.node.Signal(now, room, m); err != nil {
			s.t.Log.Warn("the tracker said what makes no sense", "room", room, "err", err)
		}
	})
}

// do gives a command to the node; once the seed ends it does nothing.
func (s *seed) do(f func(now time.Time)) { s.ep.DoContext(s.ctx, f) }

// join makes the node a seed of a room. Of a tracker elsewhere it hears by meet;
// but the tracker has no room of our own before we have announced it.
func (s *seed) join(ctx context.Context, room *store.Room) error {
	joined := make(chan error, 1)
	s.do(func(now time.Time) {
		joined <- s.node.Join(now, node.Room{
			Name: room.Name(), Key: room.Key(), Topology: s.o.topology, Window: s.o.window, NoOrigin: true,
			NoSignal: s.o.tracker != "" && !(s.o.announces() && s.isOwn(room.Name())),
		})
	})
	select {
	case err := <-joined:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// offer joins a live room and gives the node all its records, as they come.
func (s *seed) offer(ctx context.Context, room *store.Room) error {
	name := room.Name()
	if err := s.join(ctx, room); err != nil {
		return err
	}
	if s.o.tracker != "" {
		s.work.Go(func() { s.meet(ctx, name) })
	}
	// What is longer ago than the window nobody asks a seed for.
	from := store.Back(s.o.window)
	for {
		cur, err := room.Start(from)
		for err == nil {
			rec, nextErr := cur.Next(ctx)
			if err = nextErr; err == nil {
				s.do(func(now time.Time) {
					if err := s.node.Offer(now, name, rec); err != nil {
						s.t.Log.Warn("the swarm does not take a record", "room", name, "kind", rec.Kind, "err", err)
					}
				})
			}
		}
		switch {
		case errors.Is(err, store.ErrEnded):
			return nil
		case errors.Is(err, store.ErrFellBehind):
			from = store.Live() // an edge whose upstream has left it behind
		default:
			return err
		}
	}
}

// meet asks a tracker elsewhere how the room is joined, as viewers do, until it
// says so. Its STUN responder proves our address to it.
func (s *seed) meet(ctx context.Context, name string) {
	for wait := 200 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		doc, err := signal.FetchRoom(ctx, nil, s.o.tracker+"/v1/rooms/"+name)
		if err == nil {
			m := node.Meeting{STUN: signal.Resolve(ctx, doc.STUN), Relays: doc.Relays}
			s.relays.Set(relay.Accesses(doc), func(ctx context.Context) ([]relay.Access, error) {
				doc, err := signal.FetchRoom(ctx, nil, s.o.tracker+"/v1/rooms/"+name)
				if err != nil {
					return nil, err
				}
				return relay.Accesses(doc), nil
			})
			if doc.TokenKey != nil {
				m.TokenKeys = []ed25519.PublicKey{doc.TokenKey[:]}
			}
			s.health.set("tracker of "+name, nil)
			s.do(func(now time.Time) {
				s.servers = m.STUN
				s.node.Meet(now, name, m)
			})
			s.knowNAT(ctx, m.STUN)
			return
		}
		s.t.Log.Info("the tracker does not answer", "room", name, "err", err, "retry", wait)
		s.health.set("tracker of "+name, err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

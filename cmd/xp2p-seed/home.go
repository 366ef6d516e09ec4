package main

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/xp2p/xp2p/lib/discovery"
	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/origin"
	"github.com/xp2p/xp2p/lib/store"
	"github.com/xp2p/xp2p/lib/tool"
	"github.com/xp2p/xp2p/lib/wire"
)

// announces reports whether rooms of this seed's own are announced at a tracker
// elsewhere, and so whether the seed is their origin, for viewers who reach it as
// they reach each other.
func (o *options) announces() bool {
	return o.tracker != "" && o.serves(partOrigin) && o.serves(partSeed)
}

// checkTracker reads --tracker: a base URL, or that of a room, by whose name the one
// room here is called then.
func (o *options) checkTracker() error {
	u, err := url.Parse(o.tracker)
	if o.tracker == "" || err != nil {
		return nil // checked with the other URLs
	}
	name := strings.Trim(u.Path, "/")
	if name == "" || strings.Contains(name, "/") {
		return nil
	}
	if err := store.CheckName(name); err != nil {
		return tool.Usage("--tracker: %w", err)
	}
	u.Path = ""
	o.tracker, o.called = u.String(), name
	switch {
	case len(o.upstreams) > 0 || len(o.dirs) > 1 || len(o.dirs) == 1 && o.room != "":
		return tool.Usage("--tracker names the room %s, and there are several rooms here", name).Hint("--tracker %s announces each under its own name", o.tracker)
	case o.room != "" && o.room != name:
		return tool.Usage("--room %s and --tracker …/%s are two names", o.room, name)
	case len(o.dirs) == 0:
		o.room = name
	}
	return nil
}

// nameOf is what the room in a directory is called.
func (o *options) nameOf(abs string) string {
	if o.called != "" {
		return o.called
	}
	return filepath.Base(abs)
}

// isOwn reports whether a room has its origin here, and not at an upstream.
func (s *seed) isOwn(name string) bool { return s.clients[name] == nil }

// announcement says what a room is, to the tracker that shall open it.
func (s *seed) announcement(name string) *wire.SignalAnnounce {
	room, err := s.rooms.Room(name)
	if err != nil {
		return nil
	}
	m := &wire.SignalAnnounce{
		Mode: "live", Container: room.Container().String(), RoomKey: wire.Key(room.Key()), Seed: wire.Key(s.id.xntp.Public()),
		TimeMS: time.Now().UnixMilli(),
	}
	if room.VOD() {
		m.Mode = "vod"
	}
	m.Sign(s.id.token, name)
	return m
}

// present is in a room whose bytes viewers fetch: a recording, or a stream that is
// over.
func (s *seed) present(ctx context.Context, room *store.Room) error {
	if err := s.join(ctx, room); err != nil {
		return err
	}
	s.meet(ctx, room.Name())
	return nil
}

// serveTunnels answers the origin's URLs to viewers who come through XNTP.
func (s *seed) serveTunnels(ctx context.Context) error {
	return origin.Serve(ctx, s.tunnels, s.content, s.content.Stop, leaveWithin)
}

// guest describes a room that was announced here.
func (s *seed) guest(r *http.Request, name string) *wire.RoomDocument {
	d := &wire.RoomDocument{Origins: []string{}}
	s.describe(r, name, d)
	return d
}

// refused says what to do about a tracker that does not take a room or its seed.
func (s *seed) refused(room string, err error) {
	var why *wire.SignalError
	code := ""
	if errors.As(err, &why) {
		code = why.Code
	}
	switch own := s.o.announces() && s.isOwn(room); {
	case code == wire.SignalForbidden && !own:
		s.t.Log.Error("the tracker refuses this seed: give it --allow-seed KEY", "room", room, "key", s.id.xntp.Public())
	case code == wire.SignalForbidden:
		s.t.Log.Error("the tracker does not take this room", "room", room, "err", err)
	case code == wire.SignalFull:
		s.t.Log.Error("the tracker has no place for this room: its --guest-rooms says how many it has", "room", room, "err", err)
	default:
		s.t.Log.Info("the tracker does not answer", "room", room, "err", err)
		if code == "" {
			s.canBeJoined() // here, by who reaches us: a tracker that pulls the room does, before it can answer
		}
	}
}

// streams are events that the tunnels take.
func (s *seed) streams(now time.Time, ev node.Event) {
	if s.tunnels != nil {
		s.tunnels.Event(now, ev)
	}
}

// observeTCP asks a server over TCP how it sees us, and tells the node: two without
// UDP may meet so. On the loop, and then not.
func (s *seed) observeTCP(ref uint64) {
	servers := s.servers
	s.work.Go(func() {
		local, token, err := discovery.ObserveTCP(s.ctx, servers)
		if err != nil {
			s.t.Log.Info("no server sees us over TCP", "err", err)
		}
		s.do(func(now time.Time) { s.node.ObservedTCP(now, ref, local, token, err) })
	})
}

// knowNAT finds out what NAT the seed is behind, so that viewers know how to reach
// it. When this machine's addresses change, it is found out anew.
func (s *seed) knowNAT(ctx context.Context, stun []netip.AddrPort) {
	if len(stun) > 0 && s.asked.CompareAndSwap(false, true) {
		s.work.Go(func() { s.watchNAT(ctx, stun) })
	}
}

func (s *seed) watchNAT(ctx context.Context, stun []netip.AddrPort) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for before := []netip.Addr(nil); ; {
		if now := discovery.LocalAddrs(); !slices.Equal(now, before) {
			if before != nil {
				s.t.Log.Info("the network has changed", "addresses", now)
				s.do(func(now time.Time) { s.node.NetworkChanged(now, s.ep.Hosts(0)) })
			}
			before = now
			f, err := discovery.Run(ctx, discovery.Config{Servers: stun, Reached: true, Log: s.t.Log})
			switch {
			case err == nil:
				s.t.Log.Info("the network", "class", f.Report.Class, "candidates", f.Report.Candidates, "took_ms", f.Report.TookMS)
				s.do(func(now time.Time) { s.node.SetNAT(now, nat.FactsOf(f.Report)) })
			case ctx.Err() == nil:
				s.t.Log.Warn("cannot find out about the network", "err", err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// lookEvery is how often this machine's addresses are compared with those before.
const lookEvery = time.Second

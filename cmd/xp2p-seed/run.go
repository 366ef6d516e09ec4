package main

import (
	"context"
	"crypto/ed25519"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xp2p/xp2p/lib/endpoint"
	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/monitor"
	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/origin"
	"github.com/xp2p/xp2p/lib/qlog"
	"github.com/xp2p/xp2p/lib/relay"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/signal"
	"github.com/xp2p/xp2p/lib/store"
	"github.com/xp2p/xp2p/lib/tool"
	"github.com/xp2p/xp2p/lib/tracker"
	"github.com/xp2p/xp2p/lib/tunnel"
	"github.com/xp2p/xp2p/lib/wire"
	"github.com/xp2p/xp2p/lib/zone"
)

// leaveWithin bounds how long saying goodbye may take.
const leaveWithin = 600 * time.Millisecond

// errServed ends a seed whose stdin is over and whose viewers have it.
var errServed = errors.New("served")

// A seed is what one process serves.
type seed struct {
	o     *options
	t     *tool.IO
	id    identity
	zones zone.Source // nil without --zones
	ctx   context.Context
	rooms *store.Store
	base  string // URL of the HTTP address, as seen from this machine

	clients   map[string]*origin.Client // by room, for rooms pulled from another seed
	content   *origin.Handler           // nil if this is no origin
	tracker   *signal.Server            // nil if the tracker is elsewhere
	monitor   *monitor.Monitor
	node      *node.Node
	ep        *endpoint.Endpoint     // nil without a UDP socket
	tcp       *endpoint.TCP          // a socket of ep's; nil where this is no peer
	turn      *turnServer            // nil without --relay
	relays    relay.Servers          // of the tracker elsewhere
	tunnels   *tunnel.Tunnel         // nil where no room is announced elsewhere
	links     map[string]trackerLink // of the endpoint's loop
	servers   []netip.AddrPort       // STUN servers of the tracker elsewhere; of the endpoint's loop
	asked     atomic.Bool            // somebody finds out what NAT we are behind
	work      sync.WaitGroup
	opened    chan struct{} // closed when the first room can be joined
	listed    chan struct{} // closed when its renditions are known to all
	once      sync.Once
	key       ed25519.PrivateKey // the room's; nil without --rendition
	health    health
	manifests manifests
	traces    *qlog.Dir // nil without --qlog; the loop's

	counted    sync.Mutex
	lastCounts node.Counts
	countedAt  time.Time
}

// run opens the addresses, serves what is to be served, and feeds the rooms.
func run(ctx context.Context, t *tool.IO, o *options) error {
	zones, err := o.loadZones()
	if err != nil {
		return err
	}
	id, err := loadIdentity(o.identity)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	g, gctx := errgroup.WithContext(ctx)
	s := &seed{
		o: o, t: t, id: id, zones: zones, ctx: gctx, rooms: store.New(),
		clients: map[string]*origin.Client{}, links: map[string]trackerLink{}, opened: make(chan struct{}), listed: make(chan struct{}),
	}
	for _, up := range o.pulls {
		if s.clients[up.Room], err = origin.NewClient(origin.ClientConfig{Base: up.Base, Room: up.Room, Key: up.Key, Log: t.Log}); err != nil {
			return tool.Usage("--upstream: %w", err)
		}
	}
	if o.key != "" {
		if s.key, _, err = tool.LoadKey(o.key); err != nil {
			return err
		}
	}
	s.adopt(gctx)
	ln, stopLoop, looped, err := s.listen()
	if err != nil {
		return err
	}
	s.base = baseURL(ln.Addr())
	defer stopLoop()
	if o.serves(partTracker) {
		s.tracker = s.newTracker()
		defer s.tracker.Close()
	}
	if err := s.openRelay(); err != nil {
		return err
	}
	if o.serves(partOrigin) {
		s.content = origin.NewHandler(s.rooms, origin.Config{Parts: origin.Content | origin.Live, Uplink: o.uplink, Upstream: s.upstream, Log: t.Log})
	}
	s.monitor = s.newMonitor()
	g.Go(func() error { return s.serve(gctx, ln) })
	g.Go(func() error { return s.feedAll(gctx, g) })
	g.Go(func() error { return s.ready(gctx) })
	g.Go(func() error { return s.tally(gctx) })
	if s.tunnels != nil {
		g.Go(func() error { return s.serveTunnels(gctx) })
	}
	if o.portMap {
		g.Go(func() error { return s.mapPort(gctx) })
	}
	s.answerTCP(gctx)
	s.serveRelay(gctx)
	if o.uplink > 0 && s.content != nil && s.ep != nil {
		g.Go(func() error { return s.share(gctx) })
	}
	if looped != nil {
		g.Go(func() error {
			select {
			case err := <-looped:
				looped <- err
				return err
			case <-gctx.Done():
				return nil
			}
		})
	}
	err = g.Wait()
	s.leave(looped, stopLoop)
	switch cause := context.Cause(ctx); {
	case errors.Is(err, errServed):
		return nil
	case cause != nil:
		return cause
	}
	return err
}

// listen opens the two addresses. Where the system chooses the port, it must be
// one that is free for both.
func (s *seed) listen() (ln net.Listener, stop func(), looped chan error, err error) {
	_, port, _ := net.SplitHostPort(s.o.listen)
	for tries := 1; ; tries++ {
		if ln, err = net.Listen("tcp", s.o.listen); err != nil {
			return nil, nil, nil, tool.Failed("--listen: %w", err).Hint("--listen names another address")
		}
		stop, looped, err = s.openUDP(ln.Addr().(*net.TCPAddr).AddrPort())
		if err == nil {
			return ln, stop, looped, nil
		}
		ln.Close()
		if port != "0" || s.o.udp != "" || tries == 8 {
			return nil, nil, nil, err
		}
	}
}

// openUDP opens the UDP socket, if one is needed, at the port of the HTTP
// address, and runs what answers there.
func (s *seed) openUDP(tcp netip.AddrPort) (stop func(), looped chan error, err error) {
	if !s.o.udpServed() {
		return func() {}, nil, nil
	}
	at := tcp
	if s.o.udp != "" {
		at = netip.MustParseAddrPort(s.o.udp)
	}
	cfg := node.Config{
		Key: s.id.xntp, Rand: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), Entropy: crand.Reader,
		Role: wire.RoleSeed, MaxUpload: s.o.swarmUpload(), Uplink: origin.Planned(s.o.uplink),
		Streams: s.o.announces(), AtHome: s.o.announces(),
	}
	if s.o.serves(partSTUN) {
		cfg.TokenKey = s.id.token
		cfg.TokenKeys = []ed25519.PublicKey{s.id.token.Public().(ed25519.PublicKey)}
		cfg.STUNTrusted = s.o.trusted()
	}
	if s.o.qlog != "" {
		if s.traces, err = qlog.Open(s.o.qlog, "xp2p-seed"); err != nil {
			return nil, nil, tool.Failed("--qlog: %w", err)
		}
		cfg.Trace = qlog.Records
	}
	s.node = node.New(cfg)
	err = s.openSockets(at, endpoint.Config{Step: s.step, Log: s.t.Log, Lost: func(now time.Time, id machine.Socket, _ error) { s.node.LostSocket(now, id) }, Leave: func(now time.Time) { s.node.Close(now) }})
	if err != nil {
		return nil, nil, tool.Failed("UDP %s: %w", at, err).Hint("--udp names another address")
	}
	if err := s.openTCP(); err != nil {
		return nil, nil, err
	}
	if s.o.announces() {
		s.node.SetHosts(s.ep.Hosts(0)) // for viewers behind the same NAT
		s.tunnels = tunnel.New(s.node, s.ep.Do, true)
		s.tunnels.SetRate(s.o.swarmUpload())
	}
	// The node outlives the rest by a moment, to say goodbye.
	ctx, stop := context.WithCancel(context.WithoutCancel(s.ctx))
	looped = make(chan error, 1)
	go func() {
		err := s.ep.Run(ctx)
		if err := s.traces.Close(); err != nil {
			s.t.Log.Warn("traces are missing", "err", err)
		}
		looped <- err
	}()
	return stop, looped, nil
}

// leave ends the connections to viewers and trackers.
func (s *seed) leave(looped <-chan error, stopLoop func()) {
	if s.ep != nil {
		ctx, cancel := context.WithTimeout(context.Background(), leaveWithin)
		defer cancel()
		s.ep.Call(ctx, func(time.Time) {
			for _, l := range s.links {
				go l.close()
			}
		})
	}
	stopLoop()
	if looped != nil {
		select {
		case <-looped:
		case <-time.After(leaveWithin):
		}
	}
	s.rooms.Close()
}

func (s *seed) newTracker() *signal.Server {
	tokens := []ed25519.PublicKey{s.id.token.Public().(ed25519.PublicKey)}
	for i := range s.o.tokenKeys {
		tokens = append(tokens, s.o.tokenKeys[i][:])
	}
	return signal.NewServer(signal.ServerConfig{
		Tracker: tracker.Config{
			Rand: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), Entropy: crand.Reader, TokenKeys: tokens,
			SeedKeys: append([]wire.Key{wire.Key(s.id.xntp.Public())}, s.o.seedKeys...),
			Zones:    s.zones,
			Relays:   s.o.relayIPs(),
		},
		Document:  s.document,
		Report:    s.report,
		MaxGuests: s.o.guestRooms, GuestTopology: s.o.topology, Own: s.isHere, Guest: s.guest,
		Log: s.t.Log,
	})
}

// serve answers HTTP until ctx ends.
func (s *seed) serve(ctx context.Context, ln net.Listener) error {
	mux := http.NewServeMux()
	if s.content != nil {
		mux.Handle("/", s.content)
	}
	if s.tracker != nil {
		mux.Handle("GET /v1/rooms/{room}", s.tracker)
		mux.Handle("GET /v1/rooms/{room}/signal", s.tracker)
	}
	if s.tcp != nil {
		mux.HandleFunc("GET "+tcpPath, s.upgrade)
	}
	s.watch(mux)
	var stop func()
	if s.content != nil {
		stop = s.content.Stop
	}
	return origin.Serve(ctx, ln, mux, stop, leaveWithin)
}

// open makes a room of a stream and lets viewers in.
func (s *seed) open(name string, h segment.Header, dir string) (*store.Room, error) {
	room, err := store.NewRoom(store.RoomConfig{
		Name: name, Key: h.Key, Container: h.Container, VOD: h.VOD, Window: s.o.window, Dir: dir,
	})
	if err != nil {
		return nil, err
	}
	return room, s.admit(room)
}

// admit lets viewers into a room.
func (s *seed) admit(room *store.Room) error {
	name := room.Name()
	if err := s.rooms.Add(room); err != nil {
		return err
	}
	live, announced := !room.VOD() && !room.Ended(), s.o.announces() && s.isOwn(name)
	if live && s.tracker != nil {
		if err := s.tracker.Open(name, s.o.topology); err != nil {
			return err
		}
	}
	take := s.present
	if live {
		take = s.offer
	}
	if live && s.o.serves(partSeed) || announced {
		s.work.Go(func() {
			if err := take(s.ctx, room); err != nil && s.ctx.Err() == nil {
				s.t.Log.Error("the swarm of a room has failed", "room", name, "err", err)
			}
		})
	}
	watch := s.base
	if announced {
		watch = s.o.tracker
	} else if len(s.o.renditions) == 0 || s.fed() {
		s.canBeJoined() // the renditions of a room are joined together
	}
	s.t.Milestone("room is open", "room", name, "watch", watch+"/"+name, "play", s.base+"/live/"+name+"."+room.Container().String())
	return nil
}

// canBeJoined notes that somebody can join a room.
func (s *seed) canBeJoined() { s.once.Do(func() { close(s.opened) }) }

// isHere reports whether a name is one of this seed's rooms, or will be.
func (s *seed) isHere(name string) bool { return s.o.names[name] != "" }

// openDir serves what xp2p-slice -o wrote or is writing.
func (s *seed) openDir(ctx context.Context, g *errgroup.Group, name, dir string) error {
	room, err := store.OpenRoom(name, dir)
	if err == nil {
		if err := s.checkDir(room, dir); err != nil {
			return err
		}
		return s.admit(room)
	}
	bad := func(err error) error {
		return tool.BadData("%w", err).Hint("xp2p-slice -o %s writes such a directory", dir)
	}
	if !errors.Is(err, store.ErrUnfinished) {
		return bad(err)
	}
	room, follow, err := store.FollowRoom(name, dir, s.o.window)
	if errors.Is(err, store.ErrUnfinished) {
		return tool.BadData("%w", err).Hint("a recording can be served when it is whole")
	}
	if err != nil {
		return bad(err)
	}
	if err = s.checkDir(room, dir); err == nil {
		err = s.admit(room)
	}
	if err != nil {
		return errors.Join(err, follow.Close())
	}
	g.Go(func() error {
		defer follow.Close()
		if err := follow.Run(ctx); ctx.Err() == nil && err != nil {
			// The others live on; this one is as it is.
			s.t.Log.Error("a directory cannot be followed any further", "room", name, "err", err)
			s.health.set(dir, err)
		}
		return nil
	})
	return nil
}

// dirOf is where a room is kept on disk, if anywhere.
func (s *seed) dirOf(name string) string {
	if s.o.store == "" {
		return ""
	}
	return filepath.Join(s.o.store, name)
}

// feedAll feeds every room from where it comes.
func (s *seed) feedAll(ctx context.Context, g *errgroup.Group) error {
	for _, dir := range s.o.dirs {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return err
		}
		if err := s.openDir(ctx, g, s.o.nameOf(abs), dir); err != nil {
			return err
		}
	}
	if s.o.pullsRooms() {
		for _, up := range s.o.pulls {
			g.Go(func() error { return s.mirror(ctx, up) })
			g.Go(func() error { return s.refresh(ctx, up) })
		}
	}
	dirs := len(s.o.dirs)
	for _, src := range s.o.sources {
		if isDir(src.from) {
			dirs++
			if err := s.openDir(ctx, g, src.room, src.from); err != nil {
				return err
			}
		}
	}
	if len(s.o.renditions) > 0 {
		g.Go(func() error { return s.list(ctx) })
	}
	if len(s.o.sources) == 0 {
		return nil
	}
	err := s.feedSources(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !s.fed() {
		return err // it never was a room
	}
	if err != nil && len(s.o.renditions) == 0 {
		s.health.set("stdin", err)
	}
	if dirs+len(s.o.pulls) > 0 {
		if err != nil && len(s.o.renditions) == 0 {
			s.t.Log.Error("stdin broke off: the other rooms are served on", "room", s.o.room, "err", err)
		}
		return nil
	}
	s.linger(ctx) // what came before an error is served all the same
	if err != nil {
		return err
	}
	return errServed
}

// fed reports whether all rooms of this seed's own were opened.
func (s *seed) fed() bool {
	for _, src := range s.o.sources {
		if _, missing := s.rooms.Room(src.room); missing != nil {
			return false
		}
	}
	return true
}

// linger waits until every viewer has the end of the room on stdin.
func (s *seed) linger(ctx context.Context) {
	deadline := time.After(s.o.linger)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-deadline:
			return
		case <-tick.C:
			if s.viewers() == 0 {
				return
			}
		}
	}
}

// viewers counts those who are still watching the rooms of this seed's own.
func (s *seed) viewers() int64 {
	var n int64
	if s.content != nil {
		n += s.content.Served().Streams.Load()
	}
	if s.tracker != nil {
		for _, src := range s.o.sources {
			if st, ok := s.tracker.RoomStats(src.room); ok {
				n += int64(st.Peers)
			}
		}
	}
	if s.content == nil && s.tracker == nil {
		n += int64(s.counts().Conns)
	}
	return n
}

// upstream is where a room is pulled from; nil for others.
func (s *seed) upstream(room string) *origin.Client { return s.clients[room] }

// mirror keeps a room filled from another seed.
func (s *seed) mirror(ctx context.Context, up origin.RoomURL) error {
	client := s.upstream(up.Room)
	h, err := client.Header(ctx)
	switch {
	case errors.Is(err, origin.ErrBadData):
		return tool.BadData("--upstream %s/%s: %w", up.Base, up.Room, err)
	case err != nil:
		return tool.Unreachable("--upstream %s/%s: %w", up.Base, up.Room, err)
	case h.VOD:
		return s.mirrorRecording(ctx, client, up, h)
	}
	room, err := s.open(up.Room, h, s.dirOf(up.Room))
	if err != nil {
		return err
	}
	return origin.Mirror(ctx, client, room)
}

// mirrorRecording copies a recording to disk. What is asked for before it is
// there comes from the upstream.
func (s *seed) mirrorRecording(ctx context.Context, client *origin.Client, up origin.RoomURL, h segment.Header) error {
	dir := s.dirOf(up.Room)
	if dir == "" {
		return tool.Usage("--upstream %s/%s: a recording needs a --store to be kept in", up.Base, up.Room)
	}
	room, err := store.OpenRoom(up.Room, dir)
	if err != nil {
		if room, err = s.open(up.Room, h, dir); err != nil {
			return err
		}
		return origin.Mirror(ctx, client, room)
	}
	theirs, err := client.Index(ctx)
	if err != nil {
		s.t.Log.Warn("the upstream's index cannot be had: serving what the store has", "room", up.Room, "err", err)
	} else if ours, ok := room.Index(); !ok || !slices.Equal(ours.Index.Segments, theirs.Segments) {
		return tool.Failed("%s holds another recording than %s/%s", dir, up.Base, up.Room).Hint("remove the directory, or give another --store")
	}
	return s.admit(room)
}

// ready tells scripts that rooms can be joined.
func (s *seed) ready(ctx context.Context) error {
	if len(s.o.dirs) > 0 || len(s.o.sources) > 0 || len(s.o.pulls) > 0 && s.o.pullsRooms() {
		select {
		case <-s.opened:
		case <-ctx.Done():
			return nil
		}
	}
	if len(s.o.renditions) > 0 {
		select {
		case <-s.listed:
		case <-ctx.Done():
			return nil
		}
	}
	if s.o.readyFile == "" {
		return nil
	}
	return tool.WriteFile(s.o.readyFile, []byte(s.base+"\n"), 0o644)
}

// baseURL is the URL of a listening address, as seen from this machine.
func baseURL(a net.Addr) string {
	at := a.(*net.TCPAddr).AddrPort()
	ip := at.Addr().Unmap()
	if ip.IsUnspecified() {
		if host, err := os.Hostname(); err == nil && host != "" {
			return fmt.Sprintf("http://%s:%d", host, at.Port())
		}
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return "http://" + netip.AddrPortFrom(ip, at.Port()).String()
}

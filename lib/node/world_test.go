package node

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/playout"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/simnet"
	"github.com/xp2p/xp2p/lib/tracker"
	"github.com/xp2p/xp2p/lib/wire"
	"github.com/xp2p/xp2p/lib/xntp"
)

// A world is a broadcaster, a seed, a tracker, an origin and viewers on a
// virtual network. All of it is the shipped code, but for the origin, which
// answers from a list.
type world struct {
	t    *testing.T
	w    *simnet.World
	topo string
	rng  *rand.Rand

	roomPub  ed25519.PublicKey
	roomKey  ed25519.PrivateKey
	tokenPub ed25519.PublicKey
	tr       *tracker.Tracker
	trGone   bool
	sessions map[tracker.Session]func(wire.Signal)
	nextSess tracker.Session

	seed     *Node
	seedProc *simnet.Process
	seedHost *simnet.Host

	// The broadcaster's bytes, and where each piece stands in them.
	input  []byte
	where  map[segment.ID]int
	recs   []segment.Record
	ingest []time.Time
	grew   []func()

	originRTT  time.Duration
	originDead bool
	originBusy bool  // it has room for nobody
	originOut  int64 // bytes that the origin gave

	viewers []*viewer
	relay   *simnet.NAT // a TURN server; nil: there is none
	relayed int         // allocations
}

var relayAddr = netip.MustParseAddr("192.0.2.8")

// allocate is an allocation at the relay: a socket of a host behind a box that lets in
// what comes from an address that was sent to.
func (x *world) allocate(v *viewer) (machine.Socket, netip.AddrPort) {
	if x.relay == nil {
		x.relay = x.w.AddNAT(simnet.NATConfig{BoxConfig: nat.BoxConfig{
			Public: []netip.Addr{relayAddr}, Mapping: nat.EndpointIndependent, Filtering: nat.AddressDependent,
		}})
	}
	x.relayed++
	at := netip.AddrPortFrom(relayAddr, 50000+uint16(x.relayed))
	h := x.w.AddHost(simnet.HostConfig{Addr: netip.AddrFrom4([4]byte{10, 8, 0, byte(x.relayed)}), Behind: x.relay})
	return v.proc.OpenSocketOn(h, at.Port()), at
}

// A viewer is a node with a player behind it, who checks every byte.
type viewer struct {
	name  string
	world *world
	host  *simnet.Host
	proc  *simnet.Process
	n     *Node
	sess  tracker.Session

	asks   map[uint64]bool // open requests to the origin
	began  time.Time
	first  time.Duration // from Join to the first keyframe byte
	pos    int           // in the input: where the next byte must stand
	from   int           // where it began
	out    int64
	last   segment.ID
	gaps   int
	stalls int
	starts int // runs
	lags   []time.Duration
	downs  []string
	opened int // sockets at a time
	ended  bool
}

type hostOptions struct {
	up, down simnet.Rate
	delay    time.Duration // of the access link, each way
	loss     float64
	box      *nat.BoxConfig // that the host is behind; its Public is filled in
}

func newWorld(t *testing.T, seed uint64, topo string, with ...func(*tracker.Config)) *world {
	if raceBuild && testing.Short() && seed%3 != 1 {
		t.Skip("a room is one goroutine: the race detector watches a third of them")
	}
	x := &world{t: t, w: simnet.New(seed), topo: topo, where: map[segment.ID]int{}, sessions: map[tracker.Session]func(wire.Signal){}, originRTT: 40 * time.Millisecond}
	x.rng = x.w.Rand("test")
	x.roomPub, x.roomKey = x.ed25519("room")
	pub, tokenKey := x.ed25519("token")
	x.tokenPub = pub
	cfg := tracker.Config{Rand: x.w.Rand("tracker"), Entropy: x.entropy("tracker"), TokenKeys: []ed25519.PublicKey{pub}}
	for _, f := range with {
		f(&cfg)
	}
	x.tr = tracker.New(cfg)
	if err := x.tr.Open(x.w.Now(), "match", topo); err != nil {
		t.Fatal(err)
	}
	x.seedHost = x.w.AddHost(simnet.HostConfig{Addr: netip.MustParseAddr("192.0.2.1"), Up: simnet.Link{Delay: 5 * time.Millisecond}, Down: simnet.Link{Delay: 5 * time.Millisecond}})
	x.seed = New(Config{Key: x.key("seed"), Rand: x.w.Rand("seed"), Entropy: x.entropy("seed"), Role: wire.RoleSeed, TokenKey: tokenKey, TokenKeys: []ed25519.PublicKey{pub}})
	sess, send := x.signalling(func() bool { return true }, func(now time.Time, m wire.Signal) {
		x.seedProc.Do(func(now time.Time) { x.must(x.seed.Signal(now, "match", m)) })
	})
	x.seedProc = x.seedHost.Run(x.seed, 3478, func(now time.Time) {
		for {
			e, ok := x.seed.NextEvent()
			if !ok {
				return
			}
			if e.Kind == EventSignal {
				switch m := e.Signal.(type) {
				case *wire.SignalHello:
					x.arrive(tracker.Arrival{Session: sess, Room: "match", Remote: x.seedHost.Addr(), Hello: m, Trusted: true, Addrs: []netip.AddrPort{x.seedProc.Addr(0)}})
				case *wire.SignalReport:
					if !x.trGone {
						_, err := x.tr.Report(sess, m)
						x.must(err)
						x.drainTracker()
					}
				}
			}
		}
	})
	_ = send
	var tick func()
	tick = func() {
		x.tr.Tick(x.w.Now())
		x.drainTracker()
		x.w.After(tracker.TickInterval, tick)
	}
	x.w.After(tracker.TickInterval, tick)
	x.seedProc.Do(func(now time.Time) { x.must(x.seed.Join(now, Room{Name: "match", Key: x.roomPub, Topology: topo})) })
	return x
}

func (x *world) must(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Error(err)
	}
}

type entropy struct{ r *rand.Rand }

func (e entropy) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e.r.Uint32())
	}
	return len(p), nil
}

func (x *world) entropy(label string) entropy { return entropy{x.w.Rand("entropy " + label)} }

func (x *world) key(label string) xntp.PrivateKey {
	k, err := xntp.GenerateKey(x.entropy("key " + label))
	x.must(err)
	return k
}

func (x *world) ed25519(label string) (ed25519.PublicKey, ed25519.PrivateKey) {
	seed := make([]byte, ed25519.SeedSize)
	x.entropy("ed25519 " + label).Read(seed)
	k := ed25519.NewKeyFromSeed(seed)
	return k.Public().(ed25519.PublicKey), k
}

// signalling is a connection to the tracker, 20 ms each way.
func (x *world) signalling(alive func() bool, deliver func(now time.Time, m wire.Signal)) (tracker.Session, *simnet.Channel[wire.Signal]) {
	x.nextSess++
	s := x.nextSess
	down := simnet.NewChannel(x.w, func(now time.Time, m wire.Signal) { deliver(now, m) })
	x.sessions[s] = func(m wire.Signal) { down.Send(20*time.Millisecond, m) }
	return s, down
}

func (x *world) arrive(a tracker.Arrival) {
	if x.trGone {
		return
	}
	if _, err := x.tr.Join(x.w.Now(), a); err != nil {
		x.t.Errorf("tracker: %v", err)
	}
	x.drainTracker()
}

func (x *world) drainTracker() {
	for {
		m, ok := x.tr.NextMessage(x.w.Now())
		if !ok {
			return
		}
		// Through the grammar, as on the wire.
		b, err := wire.AppendSignal(nil, m.Signal)
		x.must(err)
		s, err := wire.ParseSignal(b)
		x.must(err)
		x.sessions[m.Session](s)
	}
}

// broadcast sends a synthetic FLV stream for d: 25 frames a second of video, a
// keyframe every gop, eight times the size of the others.
func (x *world) broadcast(bps int, gop, d time.Duration) {
	const fps = 25
	cut := segment.NewCutter(segment.CutterConfig{Container: media.FLV, Epoch: x.w.Now().UnixMilli(), Key: x.roomKey})
	frames := int(d.Seconds() * fps)
	perGOP := int(gop.Seconds() * fps)
	// perGOP frames of one GOP: 8 + (perGOP-1) units of bytes.
	unit := float64(bps) / 8 * gop.Seconds() / float64(8+perGOP-1)
	fill := x.w.Rand("media")
	var head []byte
	head = append(head, "FLV\x01\x01\x00\x00\x00\x09\x00\x00\x00\x00"...)
	head = flvTag(head, 0, []byte{0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 4, 0x67, 0x64, 0, 0x1f, 1, 0, 1, 0x68})
	for i := range frames {
		x.w.After(time.Duration(i)*time.Second/fps, func() {
			size := int(unit)
			body := []byte{0x27, 1, 0, 0, 0}
			if i%perGOP == 0 {
				size, body[0] = int(8*unit), 0x17
			}
			for len(body) < size {
				body = binary.LittleEndian.AppendUint64(body, fill.Uint64())
			}
			b := flvTag(head, uint32(i*1000/fps), body)
			head = nil
			cut.Feed(b)
			cut.Sign()
			x.ingestFrom(cut)
		})
	}
	x.w.After(d, func() {
		cut.Finish()
		x.ingestFrom(cut)
	})
}

func flvTag(b []byte, ms uint32, body []byte) []byte {
	n := len(body)
	b = append(b, 9, byte(n>>16), byte(n>>8), byte(n), byte(ms>>16), byte(ms>>8), byte(ms), byte(ms>>24), 0, 0, 0)
	b = append(b, body...)
	return binary.BigEndian.AppendUint32(b, uint32(n+11))
}

func (x *world) ingestFrom(cut *segment.Cutter) {
	for {
		rec, ok := cut.Next()
		if !ok {
			return
		}
		rec.Body = slices.Clone(rec.Body)
		switch rec.Kind {
		case segment.KindHeader:
			continue
		case segment.KindPiece:
			x.where[rec.Piece.ID] = len(x.input)
			x.input = append(x.input, rec.Body...)
		case segment.KindInit:
			if !rec.Init.Copy {
				x.input = append(x.input, rec.Body...)
			}
		}
		x.recs = append(x.recs, rec)
		x.ingest = append(x.ingest, x.w.Now())
		x.seedProc.Do(func(now time.Time) { x.must(x.seed.Offer(now, "match", rec)) })
		for _, f := range x.grew {
			f()
		}
	}
}

// newestStart returns the position of the newest piece with a keyframe.
func (x *world) newestStart() int {
	for i := len(x.recs) - 1; i >= 0; i-- {
		if p := x.recs[i].Piece; p != nil && len(p.Keyframes) > 0 {
			return i
		}
	}
	return -1
}

// join adds a viewer after a while.
func (x *world) join(after time.Duration, name string, o hostOptions, with ...func(*Config, *Room)) *viewer {
	v := &viewer{name: name, world: x, asks: map[uint64]bool{}, pos: -1}
	i := len(x.viewers)
	x.viewers = append(x.viewers, v)
	addr := netip.AddrFrom4([4]byte{198, 51, 100, byte(10 + i)})
	if o.delay == 0 {
		o.delay = 5 * time.Millisecond
	}
	var behind *simnet.NAT
	if o.box != nil {
		c := *o.box
		if c.Mapping != nat.Unknown && c.Allocation != nat.AllocationUnknown {
			c.Public = []netip.Addr{addr}
			addr = netip.AddrFrom4([4]byte{192, 168, 1, byte(10 + i)})
		}
		behind = x.w.AddNAT(simnet.NATConfig{BoxConfig: c})
	}
	v.host = x.w.AddHost(simnet.HostConfig{Addr: addr, Behind: behind,
		Up:   simnet.Link{Rate: o.up, Delay: o.delay, Loss: o.loss},
		Down: simnet.Link{Rate: o.down, Delay: o.delay, Loss: o.loss}})
	x.w.After(after, func() {
		cfg := Config{Key: x.key(name), Rand: x.w.Rand(name), Entropy: x.entropy(name), TokenKeys: []ed25519.PublicKey{x.tokenPub}, Name: name, Explain: true}
		room := Room{Name: "match", Key: x.roomPub, Topology: x.topo, STUN: []netip.AddrPort{x.seedProc.Addr(0)},
			Seeds: []wire.RoomSeed{{Key: wire.Key(x.seed.Public()), Addrs: []netip.AddrPort{x.seedProc.Addr(0)}}}}
		for _, f := range with {
			f(&cfg, &room)
		}
		v.n = New(cfg)
		v.sess, _ = x.signalling(func() bool { return v.proc.Alive() }, func(now time.Time, m wire.Signal) {
			v.proc.Do(func(now time.Time) { x.must(v.n.Signal(now, "match", m)) })
		})
		v.began = x.w.Now()
		v.proc = v.host.Run(v.n, 4000, v.step)
		v.proc.Do(func(now time.Time) { x.must(v.n.Join(now, room)) })
	})
	return v
}

// step drains a viewer's events, as cmd/xp2p-peer does.
func (v *viewer) step(now time.Time) {
	for {
		e, ok := v.n.NextEvent()
		if !ok {
			return
		}
		switch e.Kind {
		case EventSignal:
			v.signal(e.Signal)
		case EventNeedOrigin:
			v.needOrigin(now, e.Origin)
		case EventStopOrigin:
			delete(v.asks, e.Origin.ID)
		case EventOutput:
			v.output(now, e.Output)
		case EventDown:
			v.downs = append(v.downs, e.Why)
		case EventOpenSocket:
			s, at := machine.Socket(0), netip.AddrPort{}
			if e.Open.Kind == SocketRelay {
				s, at = v.world.allocate(v)
			} else {
				s = v.proc.OpenSocket(0)
				at = v.proc.Addr(s)
			}
			v.n.Opened(now, e.Open.Ref, s, at, nil)
			v.opened = max(v.opened, len(v.n.sockets.open))
		case EventCloseSocket:
			v.proc.CloseSocket(e.Socket)
		case EventStall:
			v.stalls++
			if debug {
				fmt.Printf("%8.3f %s stall at %v\n", v.world.w.Elapsed().Seconds(), v.name, e.Piece)
			}
		case EventGap:
			v.gaps++
		case EventEnd:
			v.ended = true
		}
		if debug {
			switch e.Kind {
			case EventNeedOrigin, EventStopOrigin:
				fmt.Printf("%8.3f %s %v %+v\n", v.world.w.Elapsed().Seconds(), v.name, e.Kind, e.Origin)
			case EventUp, EventDown, EventResume, EventGap, EventRestart, EventEnd:
				fmt.Printf("%8.3f %s %v %v %v %v %s\n", v.world.w.Elapsed().Seconds(), v.name, e.Kind, e.Neighbour, e.Piece, e.Late, e.Why)
			case EventExplain:
				fmt.Printf("%8.3f %s %v %s %v %s\n", v.world.w.Elapsed().Seconds(), v.name, e.Piece, e.Source, e.Neighbour, e.Why)
			}
		}
	}
}

var debug = false

func (v *viewer) signal(m wire.Signal) {
	x := v.world
	b, err := wire.AppendSignal(nil, m)
	x.must(err)
	s, err := wire.ParseSignal(b)
	x.must(err)
	up := simnet.NewChannel(x.w, func(now time.Time, m wire.Signal) {
		switch m := m.(type) {
		case *wire.SignalHello:
			x.arrive(tracker.Arrival{Session: v.sess, Room: "match", Remote: v.host.Addr(), Hello: m})
		case *wire.SignalReport:
			if !x.trGone {
				_, err := x.tr.Report(v.sess, m)
				x.must(err)
				x.drainTracker()
			}
		case *wire.SignalPunch:
			if !x.trGone {
				x.must(x.tr.Punch(x.w.Now(), v.sess, m))
				x.drainTracker()
			}
		case *wire.SignalBye:
			if !x.trGone {
				x.tr.Leave(x.w.Now(), v.sess)
				x.drainTracker()
			}
		}
	})
	up.Send(20*time.Millisecond, s)
}

// supply answers after half a round trip more.
func (v *viewer) supply(ask uint64, s Supply) {
	if !v.asks[ask] {
		return
	}
	s.ID = ask
	v.world.originOut += int64(len(s.Record.Body))
	v.proc.Do(func(now time.Time) {
		if v.asks[ask] {
			v.world.must(v.n.Supply(now, "match", s))
		}
	})
}

func (v *viewer) needOrigin(now time.Time, o Origin) {
	x := v.world
	v.asks[o.ID] = true
	answer := simnet.NewChannel(x.w, func(_ time.Time, s Supply) { v.supply(o.ID, s) })
	x.w.After(x.originRTT/2, func() {
		if x.originDead {
			x.w.After(2*time.Second, func() { v.supply(o.ID, Supply{Done: true, Err: fmt.Errorf("no answer")}) })
			return
		}
		if x.originBusy {
			answer.Send(x.originRTT/2, Supply{Done: true, Err: ErrBusy})
			return
		}
		give := func(i int) { answer.Send(x.originRTT/2, Supply{Record: x.recs[i], Ingest: x.ingest[i]}) }
		follow := func(next int) {
			// As a stream does: what is there, then what comes, until it is cut.
			pump := func() {
				for ; next < len(x.recs) && v.asks[o.ID] && !x.originDead; next++ {
					give(next)
				}
			}
			x.grew = append(x.grew, pump)
			pump()
		}
		switch o.Kind {
		case OriginStart:
			i := x.newestStart()
			if i < 0 {
				follow(0)
				return
			}
			for j := i; j >= 0; j-- {
				if r := x.recs[j]; r.Kind == segment.KindInit && r.Init.Hash == x.recs[i].Piece.Keyframes[0].Init {
					give(j)
					break
				}
			}
			follow(i)
		case OriginAfter:
			i := slices.IndexFunc(x.recs, func(r segment.Record) bool { return r.Piece != nil && r.Piece.ID == o.After })
			follow(i + 1)
		case OriginPieces:
			for _, id := range o.Pieces {
				if i := slices.IndexFunc(x.recs, func(r segment.Record) bool { return r.Piece != nil && r.Piece.ID == id }); i >= 0 {
					give(i)
				}
			}
			answer.Send(x.originRTT/2, Supply{Done: true})
		case OriginInit:
			if i := slices.IndexFunc(x.recs, func(r segment.Record) bool { return r.Init != nil && r.Init.Hash == o.Init }); i >= 0 {
				give(i)
			}
			answer.Send(x.originRTT/2, Supply{Done: true})
		}
	})
}

// output checks that each byte is the one that stands next in the input.
func (v *viewer) output(now time.Time, o Output) {
	x := v.world
	switch o.Record.Kind {
	case segment.KindInit:
		if !o.Begin && o.Skip == 0 {
			if !bytes.Equal(x.input[v.pos:v.pos+len(o.Record.Body)], o.Record.Body) {
				x.t.Errorf("%s: a new stream's init is not the next in the input", v.name)
			}
			v.pos += len(o.Record.Body)
		}
	case segment.KindPiece:
		at, ok := x.where[o.Record.Piece.ID]
		if !ok {
			x.t.Fatalf("%s: a piece that the broadcaster never made: %v", v.name, o.Record.Piece.ID)
		}
		at += o.Skip
		b := o.Record.Body[o.Skip:]
		switch {
		case o.Begin:
			v.starts++
			if v.pos < 0 {
				v.first = now.Sub(v.began)
				v.from = at
			}
			if b[0] != 9 || b[11] != 0x17 {
				x.t.Errorf("%s: begins with a tag that is no keyframe: % x", v.name, b[:12])
			}
		case at != v.pos:
			x.t.Fatalf("%s: piece %v stands at %d of the input, and the output is at %d", v.name, o.Record.Piece.ID, at, v.pos)
		}
		if !bytes.Equal(x.input[at:at+len(b)], b) {
			x.t.Fatalf("%s: piece %v has other bytes than the input", v.name, o.Record.Piece.ID)
		}
		v.pos = at + len(b)
		v.out += int64(len(b))
		v.last = o.Record.Piece.ID
		if !o.Ingest.IsZero() && now.Sub(v.began) > 3*time.Second {
			v.lags = append(v.lags, now.Sub(o.Ingest))
		}
	}
}

func (v *viewer) report() measure.Report {
	r, _ := v.n.Stats(v.world.w.Now(), "match")
	return r
}

// run lets the world live, and returns the totals of all viewers.
func (x *world) run(d time.Duration) { x.w.RunFor(d) }

type totals struct {
	peer, seed, origin, dup, overhead int64
	share                             float64
	lagP50, lagP95                    time.Duration
	stalls, gaps                      int
}

func (x *world) totals(vs ...*viewer) (s totals) {
	if len(vs) == 0 {
		vs = x.viewers
	}
	var lags []time.Duration
	for _, v := range vs {
		r := v.report()
		s.peer += r.PeerBytes
		s.seed += r.SeedBytes
		s.origin += r.OriginBytes
		s.dup += r.DuplicateBytes
		s.overhead += r.OverheadBytes
		s.stalls += v.stalls
		s.gaps += v.gaps
		lags = append(lags, v.lags...)
	}
	s.share = float64(s.peer) / float64(s.peer+s.seed+s.origin)
	if len(lags) > 0 {
		slices.Sort(lags)
		s.lagP50, s.lagP95 = lags[len(lags)/2], lags[len(lags)*95/100]
	}
	return s
}

func (s totals) String() string {
	all := s.peer + s.seed + s.origin
	return fmt.Sprintf("share %.1f%% (peer %d seed %d origin %d kB) dup %.2f%% overhead %.2f%% lag p50 %v p95 %v stalls %d gaps %d", 100*s.share, s.peer/1000, s.seed/1000, s.origin/1000,
		100*float64(s.dup)/float64(all), 100*float64(s.overhead)/float64(2*all), s.lagP50, s.lagP95, s.stalls, s.gaps)
}

// complete asserts that a viewer has put out everything up to the input's end.
func (x *world) complete(v *viewer) {
	x.t.Helper()
	if v.pos != len(x.input) {
		x.t.Errorf("%s: the output ends at %d of %d (last piece %v)", v.name, v.pos, len(x.input), v.last)
	}
	if v.gaps > 0 || v.starts != 1 {
		x.t.Errorf("%s: %d gaps, %d runs", v.name, v.gaps, v.starts)
	}
}

var _ = playout.Live

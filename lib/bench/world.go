package bench

import (
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/flownet"
	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/origin"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/simnet"
	"github.com/xp2p/xp2p/lib/tracker"
	"github.com/xp2p/xp2p/lib/wire"
	"github.com/xp2p/xp2p/lib/xntp"
	"github.com/xp2p/xp2p/lib/zone"
)

const roomName = "room"

// signalDelay is what the tracker's connection takes beside the way through the
// viewer's access link, each way.
const signalDelay = 5 * time.Millisecond

// A world is a broadcaster, a server with origin, seed and tracker, and the
// viewers of a scenario, on a virtual network.
type world struct {
	sc         *Scenario
	topology   string
	seedNumber uint64
	link       string
	sim        *simnet.World
	flows      *flownet.Net // nil over packets
	err        error

	roomPub  ed25519.PublicKey
	roomKey  ed25519.PrivateKey
	tokenPub ed25519.PublicKey
	verifier *segment.Verifier

	tracker     *tracker.Tracker
	trackerGone bool
	tickAt      time.Time // when it is called next
	sessions    map[tracker.Session]func(wire.Signal)
	nextSession tracker.Session

	server   *simnet.Host
	seed     *node.Node
	seedProc *simnet.Process
	origin   simOrigin

	viewers []*viewer
	byHost  map[*simnet.Host]*viewer
	present int
	most    int

	streamBytes  int64
	originBytes  int64
	bad          int64
	lag, startup measure.Histogram
	lagNow       measure.Histogram // of this second
	shares, lags []float64
	counts       []int
	lastPeer     int64
	lastAll      int64
	way          way
}

func newWorld(sc *Scenario, topology string, seed uint64, link string) (*world, error) {
	x := &world{sc: sc, topology: topology, seedNumber: seed, link: link, sim: simnet.New(seed),
		sessions: map[tracker.Session]func(wire.Signal){}, byHost: map[*simnet.Host]*viewer{}}
	x.roomPub, x.roomKey = x.ed25519("room")
	pub, tokenKey := x.ed25519("token")
	x.tokenPub = pub
	x.verifier = segment.NewSharedVerifier(x.roomPub)
	if link == FlowLink {
		x.flows = flownet.New(x.sim)
		x.flows.Blocked = x.blocked
		x.flows.Tap = x.tap
	} else {
		x.sim.Tap(func(_ time.Time, from, to netip.AddrPort, _ []byte) bool {
			return !x.blocked(x.sim.HostAt(from.Addr()), x.sim.HostAt(to.Addr()))
		})
	}
	cfg := tracker.Config{Rand: x.sim.Rand("tracker"), Entropy: x.entropy("tracker"), TokenKeys: []ed25519.PublicKey{pub}, MaxPeers: 1 << 20}
	if sc.Zones > 1 {
		m, err := zone.Parse(string(zoneMap(sc)))
		if err != nil {
			return nil, err
		}
		cfg.Zones = m
	}
	x.tracker = tracker.New(cfg)
	if err := x.tracker.Open(x.sim.Now(), roomName, topology); err != nil {
		return nil, err
	}
	x.sim.SetDelayFunc(x.pathDelay)

	up := simnet.Rate(0)
	if sc.ServerStreams > 0 {
		up = simnet.Rate(sc.ServerStreams * float64(sc.RateBPS))
	}
	x.server = x.sim.AddHost(simnet.HostConfig{Addr: netip.MustParseAddr("192.0.2.1"), Up: simnet.Link{Rate: up, Delay: ServerDelay(sc)}, Down: simnet.Link{Delay: ServerDelay(sc)}})
	x.origin.init(x)
	x.startSeed(tokenKey)
	x.callTracker()
	for i, d := range Draw(sc, seed) {
		v := &viewer{Viewer: d, world: x, index: i, asks: map[uint64]bool{}}
		x.viewers = append(x.viewers, v)
	}
	return x, nil
}

// zoneMap is the map of a scenario's ISPs, as an operator would write it: the
// server stands in the first.
func zoneMap(sc *Scenario) []byte {
	b := []byte("192.0.2.0/24 isp-0\n")
	for z := range sc.Zones {
		if sc.ZoneStreams > 0 {
			// The stream's rate is measured, and never quite the same.
			b = fmt.Appendf(b, "budget isp-%d %d\n", z, int64((float64(sc.ZoneStreams)+0.5)*float64(sc.RateBPS)))
		}
		b = fmt.Appendf(b, "10.%d.0.0/16 isp-%d\n", z, z)
		for o := range z {
			b = fmt.Appendf(b, "cost isp-%d isp-%d 10\n", o, z)
		}
	}
	return b
}

// transport makes the connections of a node on a host: flows, or nil, which is
// XNTP over packets.
func (x *world) transport(h *simnet.Host, key xntp.PrivateKey) *flownet.Endpoint {
	if x.flows == nil {
		return nil
	}
	return x.flows.Endpoint(h, key)
}

func (x *world) startSeed(tokenKey ed25519.PrivateKey) {
	key := x.key("seed")
	cfg := node.Config{Key: key, Rand: x.sim.Rand("seed"), Entropy: x.entropy("seed"), Role: wire.RoleSeed,
		TokenKey: tokenKey, TokenKeys: []ed25519.PublicKey{x.tokenPub}, Verifier: x.verifier, NoReceipts: true, Uplink: origin.Planned(int64(max(0, x.sc.ServerStreams) * float64(x.sc.RateBPS)))}
	ep := x.transport(x.server, key)
	if ep != nil {
		cfg.Transport = ep
	}
	x.seed = node.New(cfg)
	session := x.signalling(func(m wire.Signal) {
		x.seedProc.Do(func(now time.Time) { x.must(x.seed.Signal(now, roomName, m)) })
	}, func() time.Duration { return 0 })
	x.seedProc = x.server.Run(x.seed, 3478, func(now time.Time) {
		for {
			e, ok := x.seed.NextEvent()
			if !ok {
				return
			}
			switch m := e.Signal.(type) {
			case *wire.SignalHello:
				x.arrive(tracker.Arrival{Session: session, Room: roomName, Remote: x.server.Addr(), Hello: m, Trusted: true, Addrs: []netip.AddrPort{x.seedProc.Addr(0)}})
			case *wire.SignalReport:
				x.report(session, m)
			}
		}
	})
	if ep != nil {
		ep.Bind(x.seedProc.Addr(0), poke(x.seedProc, x.seed))
	}
	x.seedProc.Do(func(now time.Time) {
		x.must(x.seed.Join(now, node.Room{Name: roomName, Key: x.roomPub, Topology: x.topology, Window: simWindow}))
	})
}

// poke brings a node to look at its transport's events.
func poke(p *simnet.Process, n *node.Node) func() {
	look := func(now time.Time) { n.Receive(now, pokePacket) }
	return func() { p.Do(look) }
}

func (x *world) must(err error) {
	if err != nil && x.err == nil {
		x.err = fmt.Errorf("bench: at %.3f s: %w", x.sim.Elapsed().Seconds(), err)
	}
}

type entropy struct{ r *rand.Rand }

func (e entropy) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e.r.Uint32())
	}
	return len(p), nil
}

func (x *world) entropy(label string) entropy { return entropy{x.sim.Rand("entropy " + label)} }

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

// pathDelay is what lies between access links: nothing, or the way between two
// ISPs.
func (x *world) pathDelay(a, b *simnet.Host) time.Duration {
	if x.zoneOf(a) != x.zoneOf(b) {
		return time.Duration(x.sc.CrossRTTMS / 2 * float64(time.Millisecond))
	}
	return 0
}

func (x *world) zoneOf(h *simnet.Host) int {
	if v := x.byHost[h]; v != nil {
		return v.Zone
	}
	return 0
}

func (x *world) blocked(a, b *simnet.Host) bool {
	v, w := x.byHost[a], x.byHost[b]
	return v != nil && w != nil && v.Hard && w.Hard
}

// signalling is a connection to the tracker; delay is its way, once.
func (x *world) signalling(deliver func(wire.Signal), delay func() time.Duration) tracker.Session {
	x.nextSession++
	down := simnet.NewChannel(x.sim, func(now time.Time, m wire.Signal) { deliver(m) })
	x.sessions[x.nextSession] = func(m wire.Signal) { down.Send(delay(), m) }
	return x.nextSession
}

func (x *world) arrive(a tracker.Arrival) {
	if !x.trackerGone {
		_, err := x.tracker.Join(x.sim.Now(), a)
		x.must(err)
		x.drainTracker()
	}
}

func (x *world) report(s tracker.Session, m *wire.SignalReport) {
	if !x.trackerGone {
		_, err := x.tracker.Report(s, m)
		x.must(err)
		x.drainTracker()
	}
}

// callTracker calls it when it wants to be called.
func (x *world) callTracker() {
	now := x.sim.Now()
	switch {
	case now.Before(x.tickAt):
		return // it is to be called later now
	case x.trackerGone:
		x.tickAt = now.Add(time.Second)
		x.sim.After(time.Second, x.callTracker)
	default:
		x.tickAt = time.Time{}
		x.tracker.Tick(now)
		x.drainTracker()
	}
}

func (x *world) drainTracker() {
	now := x.sim.Now()
	if at := x.tracker.NextTimeout(); x.tickAt.IsZero() || at.Before(x.tickAt) {
		x.tickAt = at
		x.sim.After(max(0, at.Sub(now)), x.callTracker)
	}
	for {
		m, ok := x.tracker.NextMessage(now)
		if !ok {
			return
		}
		if f := x.sessions[m.Session]; f != nil {
			f(m.Signal)
		}
	}
}

// happen is an event of the scenario.
func (x *world) happen(e Event) {
	later := func(f func()) {
		if e.ForS > 0 {
			x.sim.After(seconds(e.ForS), f)
		}
	}
	switch e.Kind {
	case "leave":
		r := x.sim.Rand("leave")
		var there []*viewer
		for _, v := range x.viewers {
			if v.here() {
				there = append(there, v)
			}
		}
		r.Shuffle(len(there), func(i, j int) { there[i], there[j] = there[j], there[i] })
		for _, v := range there[:int(e.Ratio*float64(len(there)))] {
			v.kill()
		}
	case "tracker_gone":
		x.trackerGone = true
		later(func() {
			x.trackerGone = false
			for _, v := range x.viewers {
				if v.here() {
					v.proc.Do(func(now time.Time) { x.must(v.n.Reconnected(now, roomName)) })
				}
			}
		})
	case "origin_slow":
		x.origin.slow = e.Factor
		later(func() { x.origin.slow = 1 })
	case "origin_gone":
		x.origin.gone = true
		later(func() { x.origin.gone = false })
	default:
		x.must(fmt.Errorf("event %q is not known", e.Kind))
	}
}

// sinceEvent is how long ago the first event was that a viewer has seen; 0 if
// there was none.
func (x *world) sinceEvent(v *viewer) (ago time.Duration) {
	now := x.sim.Elapsed()
	for _, e := range x.sc.Events {
		if at := seconds(e.AtS); at < now && v.JoinS < e.AtS {
			ago = max(ago, now-at)
		}
	}
	return ago
}

// tick ends a second: what its share was, how many there were.
func (x *world) tick(broadcasting bool) {
	var peer, all int64
	for _, v := range x.viewers {
		peer += v.got[measure.Peer]
		for _, n := range v.got {
			all += n
		}
	}
	if broadcasting {
		share := 0.0
		if d := all - x.lastAll; d > 0 {
			share = float64(peer-x.lastPeer) / float64(d)
		}
		x.shares = append(x.shares, share)
		x.counts = append(x.counts, x.present)
		x.lags = append(x.lags, float64(x.lagNow.Quantile(0.95)))
		x.lagNow = measure.Histogram{}
	}
	x.lastPeer, x.lastAll = peer, all
}

// tap sees every object over flows: the polluters work here, and the way of one
// piece is noted before they do.
func (x *world) tap(from, to *simnet.Host, data [][]byte) [][]byte {
	if len(data) < 2 {
		return data
	}
	x.way.sent(x, from, to, data)
	v := x.byHost[from]
	if v != nil && v.Polluter {
		if kind, _, _ := wire.SwarmRoom(data[0]); kind == wire.SwarmPiece && v.dice.IntN(100) == 0 {
			body := slices.Clone(data[1])
			body[v.dice.IntN(len(body))] ^= 1 << v.dice.IntN(8)
			return [][]byte{data[0], body}
		}
	}
	return data
}

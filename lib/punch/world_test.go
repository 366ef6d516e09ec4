package punch

import (
	"crypto/ed25519"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/natprobe"
	"github.com/xp2p/xp2p/lib/simnet"
	"github.com/xp2p/xp2p/lib/wire"
)

// A pair is two sides behind boxes, a STUN server in the open, and what a tracker
// does for them. The sides are 50 ms apart, and so is the server from each.
type pair struct {
	t      testing.TB
	w      *simnet.World
	stun   netip.AddrPort
	a, b   *side
	heard  time.Time // when the offerer first had the answer's candidates
	signal int       // messages
	relay  *simnet.NAT
	// strangers were sent to.
	strangers []netip.AddrPort
}

var relayAddr = netip.MustParseAddr("192.0.2.8")

const peerTrip = 50 * time.Millisecond

// A side is a Puncher with what a node has beside it: socket 0, and a server's word
// on it.
type side struct {
	*Puncher
	x      *pair
	id     wire.PeerID
	bind   *natprobe.Binding
	other  *side
	proc   *simnet.Process
	box    *simnet.NAT
	host   *simnet.Host
	seen   netip.AddrPort
	path   *Event
	at     time.Time // of path
	failed []Event
	most   int // sockets at a time
}

type entropy struct{ r *rand.Rand }

func (e entropy) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(e.r.Uint32())
	}
	return len(b), nil
}

func (s *side) Receive(now time.Time, p machine.Packet) {
	if p.Socket == 0 && wire.IsSTUN(p.Data) {
		s.bind.Receive(now, p)
		return
	}
	s.Puncher.Receive(now, p)
}

func (s *side) Advance(now time.Time) {
	s.bind.Advance(now)
	s.Puncher.Advance(now)
}

func (s *side) NextTimeout() time.Time {
	return earlier(s.bind.NextTimeout(), s.Puncher.NextTimeout())
}

func (s *side) AppendDatagram(now time.Time, dst []byte) (machine.Packet, bool) {
	if p, ok := s.bind.AppendDatagram(now, dst); ok {
		return p, true
	}
	return s.Puncher.AppendDatagram(now, dst)
}

func (s *side) step(now time.Time) {
	for {
		e, ok := s.bind.NextEvent()
		if !ok {
			break
		}
		s.seen = e.Mapped
		s.SetRTT(e.RTT)
	}
	for {
		e, ok := s.NextEvent()
		if !ok {
			s.most = max(s.most, s.Sockets())
			return
		}
		switch e.Kind {
		case EventOpen:
			var id machine.Socket
			if e.Relay {
				// An allocation is as a socket of a host behind a box of the relay's.
				h := s.x.w.AddHost(simnet.HostConfig{Addr: netip.AddrFrom4([4]byte{10, 8, 0, byte(s.id)}), Behind: s.x.relay})
				id = s.proc.OpenSocketOn(h, 50000+uint16(s.id))
				s.Opened(now, e.Ref, id, netip.AddrPortFrom(relayAddr, 50000+uint16(s.id)), nil)
				continue
			}
			id = s.proc.OpenSocket(0)
			s.Opened(now, e.Ref, id, s.proc.Addr(id), nil)
		case EventClose:
			s.proc.CloseSocket(e.Socket)
		case EventSignal:
			s.x.pass(s, e.Signal)
		case EventPath:
			if s.path == nil {
				s.path, s.at = &e, now
			}
		case EventFailed:
			s.failed = append(s.failed, e)
		}
	}
}

// pass is the tracker: what comes from s goes to the other, with the addresses that
// tokens prove or that were seen, and the key.
func (x *pair) pass(s *side, m *wire.SignalPunch) {
	x.signal++
	out := *m
	out.Peer, out.Tokens, out.Hosts, out.MAC = s.id, nil, nil, wire.Key{7, byte(m.Session)}
	for _, t := range m.Tokens {
		a, _, err := t.Parse()
		if err != nil {
			x.t.Fatal(err)
		}
		out.Addrs = append(out.Addrs, a)
	}
	if len(out.Addrs) == 0 {
		out.Addrs = []netip.AddrPort{s.seen}
	}
	out.Addrs, out.Relayed = append(out.Addrs, m.Relayed...), nil
	b, err := wire.AppendSignal(nil, &out)
	if err != nil {
		x.t.Fatal(err)
	}
	x.w.After(peerTrip, func() { // half to the tracker, half from it
		got, err := wire.ParseSignal(b)
		if err != nil {
			x.t.Fatal(err)
		}
		if m.Answer && x.heard.IsZero() {
			x.heard = x.w.Now()
		}
		s.other.proc.Do(func(now time.Time) { s.other.Signal(now, got.(*wire.SignalPunch)) })
	})
}

type boxes struct {
	configs []nat.BoxConfig
	foreign float64 // allocations that others make, a second
}

func newPair(t testing.TB, seed uint64, a, b boxes) *pair {
	x := &pair{t: t, w: simnet.New(seed)}
	x.w.SetDelayFunc(func(_, _ *simnet.Host) time.Duration { return peerTrip / 2 })
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	stun := x.w.AddHost(simnet.HostConfig{Addr: netip.MustParseAddr("192.0.2.1")})
	x.stun = stun.Run(natprobe.NewResponder(natprobe.ResponderConfig{TokenKey: key, Rand: x.w.Rand("stun")}), 3478, nil).Addr(0)
	x.a, x.b = x.side(1, a), x.side(2, b)
	x.a.other, x.b.other = x.b, x.a
	x.w.Tap(func(_ time.Time, from, to netip.AddrPort, _ []byte) bool {
		if known := to == x.stun || from == x.stun || x.a.seen.Addr() == to.Addr() || x.b.seen.Addr() == to.Addr(); !known && a.foreign+b.foreign == 0 {
			x.strangers = append(x.strangers, to)
		}
		return true
	})
	return x
}

func (x *pair) side(n byte, b boxes) *side {
	s := &side{x: x, id: wire.PeerID(n)}
	e := entropy{x.w.Rand("entropy " + string('0'+n))}
	s.Puncher = New(Config{Rand: x.w.Rand("puncher " + string('0'+n)), Entropy: e})
	s.SetServers([]netip.AddrPort{x.stun})
	s.bind = natprobe.NewBinding(natprobe.BindingConfig{Entropy: e, Servers: []netip.AddrPort{x.stun}, WantToken: true})
	addr := netip.AddrFrom4([4]byte{203, 0, 113, n})
	public := addr
	for i := len(b.configs) - 1; i >= 0; i-- {
		c := b.configs[i]
		if len(c.Public) > 0 {
			c.Public = []netip.Addr{public}
			public = netip.AddrFrom4([4]byte{100, 64, n, byte(i)})
		}
		s.box = x.w.AddNAT(simnet.NATConfig{BoxConfig: c, Behind: s.box})
	}
	if len(b.configs) > 0 && len(b.configs[0].Public) > 0 {
		addr = netip.AddrFrom4([4]byte{192, 168, 1, n})
	}
	s.host = x.w.AddHost(simnet.HostConfig{Addr: addr, Behind: s.box})
	s.proc = s.host.Run(s, 5000, s.step)
	if b.foreign > 0 {
		x.crowd(s, b.foreign)
	}
	return s
}

// crowd has others behind the same box begin flows, by a Poisson process.
func (x *pair) crowd(s *side, rate float64) {
	rng := x.w.Rand("crowd " + string('0'+byte(s.id)))
	loud := &shout{}
	p := x.w.AddHost(simnet.HostConfig{Addr: netip.AddrFrom4([4]byte{192, 168, 1, 200}), Behind: s.box}).Run(loud, 6000, nil)
	port := uint16(1)
	var next func()
	next = func() {
		port++
		p.Do(func(time.Time) { loud.to = netip.AddrPortFrom(netip.MustParseAddr("192.0.2.99"), port) })
		x.w.After(time.Duration(rng.ExpFloat64()/rate*float64(time.Second)), next)
	}
	x.w.After(0, next)
}

// A shout sends one datagram to a new address now and then.
type shout struct{ to netip.AddrPort }

func (s *shout) Receive(time.Time, machine.Packet) {}
func (s *shout) Advance(time.Time)                 {}
func (s *shout) NextTimeout() time.Time            { return time.Time{} }
func (s *shout) AppendDatagram(_ time.Time, dst []byte) (machine.Packet, bool) {
	if !s.to.IsValid() {
		return machine.Packet{}, false
	}
	to := s.to
	s.to = netip.AddrPort{}
	return machine.Packet{Remote: to, Data: append(dst, 'x')}, true
}

// Networks of the matrix, and what a probe says of each.
func network(k nat.Kind) (b boxes, f nat.Facts) {
	const eim, adm, apdm = nat.EndpointIndependent, nat.AddressDependent, nat.AddressAndPortDependent
	one := []netip.Addr{netip.MustParseAddr("203.0.113.9")}
	box := func(m, filter nat.Behavior, a nat.Allocation) nat.BoxConfig {
		return nat.BoxConfig{Public: one, Mapping: m, Filtering: filter, Allocation: a}
	}
	f = nat.Facts{Mapping: nat.Only(eim)}
	switch k {
	case nat.KindPublic:
		f.Classes, f.Filtering = []nat.Class{nat.Public}, nat.Only(eim)
		return b, f
	case nat.KindFirewall:
		f.Classes, f.Filtering = []nat.Class{nat.SymmetricFirewall}, nat.Only(apdm)
		b.configs = []nat.BoxConfig{{Mapping: eim, Filtering: apdm}}
		return b, f
	case nat.KindFullCone:
		f.Classes, f.Filtering = []nat.Class{nat.FullCone}, nat.Only(eim)
		b.configs = []nat.BoxConfig{box(eim, eim, nat.PortPreserving)}
	case nat.KindRestricted:
		f.Classes, f.Filtering = []nat.Class{nat.RestrictedCone}, nat.Only(adm)
		b.configs = []nat.BoxConfig{box(eim, adm, nat.PortPreserving)}
	case nat.KindPortRestricted:
		f.Classes, f.Filtering = []nat.Class{nat.PortRestrictedCone}, nat.Only(apdm)
		b.configs = []nat.BoxConfig{box(eim, apdm, nat.PortPreserving)}
	case nat.KindSequential:
		f.Classes, f.Mapping, f.Filtering = []nat.Class{nat.Symmetric}, nat.Only(apdm), nat.Only(apdm)
		f.Allocation, f.Delta = nat.Sequential, 1
		b.configs = []nat.BoxConfig{box(apdm, apdm, nat.Sequential)}
	case nat.KindRandom:
		f.Classes, f.Mapping, f.Filtering = []nat.Class{nat.Symmetric}, nat.Only(apdm), nat.Only(apdm)
		f.Allocation, f.Low, f.High = nat.Random, 5000, 60000 // as ten sockets were seen
		b.configs = []nat.BoxConfig{box(apdm, apdm, nat.Random)}
	case nat.KindBlocked:
		f.Classes = []nat.Class{nat.UDPBlocked}
		b.configs = []nat.BoxConfig{{DropUDP: true}}
	}
	return b, f
}

// meet has a offer to b, and returns when there is a path or there will be none.
func (x *pair) meet(fa, fb nat.Facts) bool {
	x.w.RunFor(200 * time.Millisecond) // servers have answered
	x.a.SetFacts(fa)
	x.b.SetFacts(fb)
	x.a.proc.Do(func(now time.Time) { x.a.Meet(now, x.b.id, Say(fb), false) })
	return x.w.RunUntil(func() bool { return x.a.path != nil || len(x.a.failed) > 0 }, 20*time.Second) && x.a.path != nil
}

func between(t testing.TB, seed uint64, a, b nat.Kind) (*pair, bool) {
	ba, fa := network(a)
	bb, fb := network(b)
	x := newPair(t, seed, ba, bb)
	return x, x.meet(fa, fb)
}

package natprobe

import (
	"bytes"
	"crypto/ed25519"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/simnet"
	"github.com/xp2p/xp2p/lib/wire"
)

// A service is the STUN servers of a simulated world.
type service struct {
	addrs    int           // of the first server: 1 or 2
	ports    int           // 1 or 2
	second   bool          // another server, with one address
	friends  bool          // both believe each other's tokens
	deaf     bool          // CHANGE-REQUEST is taken off requests on their way
	away     time.Duration // one way; 0 is 25 ms
	reticent bool          // and what RFC 5780 adds to answers on theirs
}

var full = service{addrs: 2, ports: 2}

func (s service) delay() time.Duration {
	if s.away > 0 {
		return s.away
	}
	return 25 * time.Millisecond
}

const probePort = 3478

func serverAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + i)}) }

// a probed is what came of one run.
type probed struct {
	nat.Report
	prober *Prober
	trace  uint64
}

// probe runs a Prober behind a specimen's boxes, 50 ms from the servers.
func probe(t testing.TB, z nat.Specimen, s service, seed uint64, loss float64, tweak func(*ProberConfig)) probed {
	t.Helper()
	return probeWith(t, z, s, seed, loss, tweak, nil)
}

// probeWith is probe with others behind the innermost box.
func probeWith(t testing.TB, z nat.Specimen, s service, seed uint64, loss float64, tweak func(*ProberConfig), furnish func(*simnet.World, *simnet.NAT)) probed {
	t.Helper()
	w := simnet.New(seed)
	w.SetDelayFunc(func(_, _ *simnet.Host) time.Duration { return s.delay() })
	servers := s.start(w)
	host := simnet.HostConfig{Addr: netip.MustParseAddr("192.168.1.7"), Up: simnet.Link{Loss: loss}, Down: simnet.Link{Loss: loss}}
	boxes := z.Build(netip.MustParseAddr("203.0.113.5"))
	for i := len(boxes) - 1; i >= 0; i-- {
		host.Behind = w.AddNAT(simnet.NATConfig{BoxConfig: boxes[i], Behind: host.Behind})
	}
	if len(boxes) == 0 || len(boxes[0].Public) == 0 {
		host.Addr = netip.MustParseAddr("203.0.113.7")
	}
	h := w.AddHost(host)
	if furnish != nil {
		furnish(w, host.Behind)
	}
	rng := w.Rand("ports")
	cfg := ProberConfig{Entropy: entropySource(w.Rand("entropy").Uint32), Servers: servers, Local: []netip.Addr{host.Addr}, TCP: true}
	if tweak != nil {
		tweak(&cfg)
	}
	for range Sockets(cfg.Lifetime) {
		for {
			port := uint16(32768 + rng.IntN(28000))
			if !slices.Contains(cfg.Ports, port) {
				cfg.Ports = append(cfg.Ports, port)
				break
			}
		}
	}
	p := NewProber(cfg)
	pr := h.Run(p, cfg.Ports[0], nil)
	for _, port := range cfg.Ports[1:] {
		pr.OpenSocket(port)
	}
	w.After(60*time.Millisecond, func() { pr.Do(func(now time.Time) { p.TCP(now, nat.Yes) }) })
	if !w.RunUntil(p.Done, 10*time.Minute) {
		t.Fatalf("%s, seed %d: not done; waiting for %+v", z.Name, seed, p.Probes())
	}
	return probed{p.Report(w.Now()), p, w.Trace()}
}

// start runs the servers and returns what a Prober is told of them.
func (s service) start(w *simnet.World) (told []netip.AddrPort) {
	keys := []ed25519.PrivateKey{tokenKey, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, 32))}
	run := func(first, addrs, ports int, key, friend ed25519.PrivateKey) {
		cfg := ResponderConfig{TokenKey: key, Rand: w.Rand("responder")}
		if s.friends {
			cfg.Trusted = []ed25519.PublicKey{friend.Public().(ed25519.PublicKey)}
		}
		r := NewResponder(cfg)
		var hosts []*simnet.Host
		for i := range addrs {
			hosts = append(hosts, w.AddHost(simnet.HostConfig{Addr: serverAddr(first + i)}))
		}
		pr := hosts[0].Run(r, probePort, nil)
		sites := []netip.AddrPort{pr.Addr(0)}
		for i, h := range hosts {
			for k := range ports {
				if i+k > 0 {
					sites = append(sites, pr.Addr(pr.OpenSocketOn(h, probePort+uint16(k))))
				}
			}
		}
		if len(sites) > 1 {
			r.SetSites(sites)
		}
		told = append(told, sites[0])
	}
	run(0, s.addrs, s.ports, keys[0], keys[1])
	if s.second {
		run(2, 1, s.ports, keys[1], keys[0])
	}
	if s.deaf || s.reticent {
		w.Tap(func(_ time.Time, _, to netip.AddrPort, data []byte) bool {
			s.distort(data)
			return true
		})
	}
	return told
}

// distort makes a server of another kind by changing types of attributes on the
// way to ones that nobody knows and everybody may skip. There is no fingerprint
// to mend: it is made one of these too.
func (s service) distort(b []byte) {
	if !wire.IsSTUN(b) {
		return
	}
	for i := 20; i+4 <= len(b); {
		t := uint16(b[i])<<8 | uint16(b[i+1])
		if s.deaf && t == attrChangeRequest || s.reticent && (t == 0x802b || t == 0x802c || t == wire.AttrPorts || t == wire.AttrToken) || t == 0x8028 {
			b[i] = 0xc1
		}
		i += 4 + (int(b[i+2])<<8|int(b[i+3])+3)&^3
	}
}

// fewer is how many of n runs there are with -short, which the race detector has.
func fewer(n int) int {
	if testing.Short() {
		return max(1, n/5)
	}
	return n
}

func classes(list []string) (all []nat.Class) {
	for _, s := range list {
		c, _ := nat.ParseClass(s)
		all = append(all, c)
	}
	return all
}

// Twenty runs of every specimen without loss, a hundred with one packet in
// twenty lost each way.
func TestEveryNetworkIsNamedInLessThanHalfASecond(t *testing.T) {
	for _, z := range nat.Zoo() {
		t.Run(z.Name, func(t *testing.T) {
			t.Parallel()
			for _, c := range []struct {
				loss        float64
				runs, wrong int
			}{{0, 20, 0}, {0.05, 100, 1}} {
				var took []float64
				wrong := 0
				for seed := range uint64(fewer(c.runs)) {
					r := probe(t, z, full, seed, c.loss, nil)
					took = append(took, r.TookMS)
					right := r.Class == z.Class.String() && slices.Equal(r.Candidates, []string{z.Class.String()})
					if z.Class != nat.UDPBlocked {
						right = right && r.Mapping == z.Mapping.String() && r.Filtering == z.Filtering.String()
					}
					if !right {
						wrong++
						t.Logf("loss %v, seed %d: %s, %s, %s, one of %v", c.loss, seed, r.Class, r.Mapping, r.Filtering, r.Candidates)
					}
				}
				slices.Sort(took)
				limit := 400.0
				if z.Class == nat.UDPBlocked {
					limit = 1800
				}
				p50, worst := took[len(took)/2], took[len(took)-1]
				t.Logf("loss %v: %d of %d wrong, %v ms (half), %v ms (all)", c.loss, wrong, c.runs, p50, worst)
				if wrong > c.wrong || p50 > limit {
					t.Errorf("loss %v: %d of %d wrong, %v ms", c.loss, wrong, c.runs, p50)
				}
			}
		})
	}
}

// All tries of the mapping socket are lost, and other sockets have answers: it asks
// again, for the server is there.
func TestAMappingSocketThatIsUnluckyAsksAgain(t *testing.T) {
	for _, z := range nat.Zoo() {
		if z.Class == nat.UDPBlocked {
			continue
		}
		r := probeWith(t, z, full, 1, 0, nil, func(w *simnet.World, _ *simnet.NAT) {
			w.Tap(func(_ time.Time, _, _ netip.AddrPort, data []byte) bool {
				return len(data) != 72 || w.Elapsed() > 210*time.Millisecond // plain questions with AttrPorts
			})
		})
		if r.Class != z.Class.String() || r.Mapping != z.Mapping.String() || r.Filtering != z.Filtering.String() {
			t.Errorf("%s: %s of %v, %s, %s, %v ms", z.Name, r.Class, r.Candidates, r.Mapping, r.Filtering, r.TookMS)
		}
	}
}

// Servers that are far away, over a satellite even, take longer and are believed as
// much.
func TestFarServersTellTheSame(t *testing.T) {
	for away, limit := range map[time.Duration]float64{2 * time.Millisecond: 400, 100 * time.Millisecond: 900, 320 * time.Millisecond: 2700} {
		for _, z := range nat.Zoo() {
			if z.Class == nat.UDPBlocked {
				continue
			}
			s := full
			s.away = away
			r := probe(t, z, s, 1, 0, nil)
			if r.Class != z.Class.String() || r.Mapping != z.Mapping.String() || r.Filtering != z.Filtering.String() || r.Confidence != "high" || r.TookMS > limit {
				t.Errorf("%s, %v away: %s, %s, %s, confidence %s, %v ms", z.Name, away, r.Class, r.Mapping, r.Filtering, r.Confidence, r.TookMS)
			}
		}
	}
}

// What servers cannot tell is not made up: whatever they are like, the truth is
// among the candidates, and a class is said only if there is no other.
func TestServersThatCannotTellLeaveTheTruthAmongTheCandidates(t *testing.T) {
	cone := []nat.Class{nat.FullCone, nat.RestrictedCone, nat.PortRestrictedCone}
	open := []nat.Class{nat.Public, nat.SymmetricFirewall}
	same := func(c nat.Class, set []nat.Class) bool { return slices.Contains(set, c) }
	for _, c := range []struct {
		name string
		service
		sets [][]nat.Class // which classes it cannot tell apart; nil: all but the mapping is open
	}{
		{"two seeds that know each other", service{addrs: 1, ports: 2, second: true, friends: true}, [][]nat.Class{}},
		{"two seeds that do not", service{addrs: 1, ports: 2, second: true}, [][]nat.Class{{nat.FullCone, nat.RestrictedCone}, open}},
		{"one seed with one address", service{addrs: 1, ports: 2}, nil},
		{"one plain server", service{addrs: 1, ports: 1}, nil},
		{"two plain servers", service{addrs: 1, ports: 1, second: true}, [][]nat.Class{cone, open}},
		{"CHANGE-REQUEST is ignored", service{addrs: 2, ports: 2, deaf: true}, [][]nat.Class{cone, open}},
		{"OTHER-ADDRESS is not told", service{addrs: 2, ports: 2, reticent: true}, nil},
		{"neither, and two of them", service{addrs: 2, ports: 2, reticent: true, deaf: true, second: true}, [][]nat.Class{cone, open}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			told := 0
			for _, z := range nat.Zoo() {
				for seed := range uint64(4) {
					r := probe(t, z, c.service, seed, []float64{0, 0.05}[seed%2], nil)
					got := classes(r.Candidates)
					if !slices.Contains(got, z.Class) || r.Class != "" && r.Class != z.Class.String() {
						t.Errorf("%s, seed %d: %q of %v", z.Name, seed, r.Class, r.Candidates)
					}
					if (r.Class == "") == (len(got) == 1) || (r.Class == "") != (len(r.Undecided) > 0) || (r.Class == "") != (r.Confidence == "low") {
						t.Errorf("%s, seed %d: %q of %v, confidence %s, undecided: %v", z.Name, seed, r.Class, r.Candidates, r.Confidence, r.Undecided)
					}
					if r.Class != "" {
						told++
					}
					for _, a := range got {
						if c.sets != nil && a != z.Class && !slices.ContainsFunc(c.sets, func(s []nat.Class) bool { return same(a, s) && same(z.Class, s) }) {
							t.Errorf("%s, seed %d: %s could have been ruled out", z.Name, seed, a)
						}
					}
				}
			}
			t.Logf("%d of %d named for certain", told, 4*len(nat.Zoo()))
		})
	}
}

func TestFactsBesideTheClass(t *testing.T) {
	yes, no := true, false
	for name, want := range map[string]struct {
		allocation string
		delta      int
		hairpin    *bool
		cgnat      *bool
	}{
		"public":                 {"", 0, nil, &no},
		"port-restricted-cone":   {"port-preserving", 0, &no, nil},
		"port-restricted-random": {"random", 0, &no, nil},
		"hairpin":                {"port-preserving", 0, &yes, nil},
		"symmetric-sequential":   {"sequential", 1, nil, nil},
		"symmetric-step":         {"sequential", 4, nil, nil},
		"symmetric-random":       {"random", 0, nil, nil},
		"carrier":                {"block", 0, nil, &yes},
	} {
		for seed := range uint64(20) {
			r := probe(t, specimen(t, name), full, seed, 0.02, nil)
			delta := 0
			if r.AllocationDelta != nil {
				delta = *r.AllocationDelta
			}
			if r.Allocation != want.allocation || delta != want.delta || !equal(r.Hairpin, want.hairpin) || !equal(r.CGNAT, want.cgnat) {
				t.Errorf("%s, seed %d: %s %d, hairpin %v, carrier %v %v", name, seed, r.Allocation, delta, tell(r.Hairpin), tell(r.CGNAT), r.CGNATEvidence)
			}
			if name == "carrier" && (r.AllocationBlock < 128 || r.AllocationBlock > 1024) {
				t.Errorf("seed %d: a block of %d", seed, r.AllocationBlock)
			}
			if r.RTTms < 50 || r.RTTms > 51 || *r.TCP != true || *r.UDP != true {
				t.Errorf("%s, seed %d: %v ms, TCP %v", name, seed, r.RTTms, tell(r.TCP))
			}
		}
	}
}

func specimen(t testing.TB, name string) nat.Specimen {
	t.Helper()
	for _, z := range nat.Zoo() {
		if z.Name == name {
			return z
		}
	}
	t.Fatalf("there is no %s in the zoo", name)
	return nat.Specimen{}
}

func equal(a, b *bool) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

func tell(b *bool) string {
	if b == nil {
		return "unknown"
	}
	return map[bool]string{true: "yes", false: "no"}[*b]
}

// routerWord is a router that answers NAT-PMP.
type routerWord struct {
	external netip.Addr
	out      []machine.Packet
}

func (r *routerWord) Receive(_ time.Time, p machine.Packet) {
	if bytes.Equal(p.Data, []byte{0, 0}) {
		a := r.external.As4()
		r.out = append(r.out, machine.Packet{Remote: p.Remote, Data: append([]byte{0, 128, 0, 0, 0, 0, 0, 9}, a[:]...)})
	}
}
func (r *routerWord) Advance(time.Time)          {}
func (r *routerWord) NextTimeout() (t time.Time) { return t }
func (r *routerWord) AppendDatagram(_ time.Time, dst []byte) (p machine.Packet, ok bool) {
	if len(r.out) == 0 {
		return p, false
	}
	p, r.out = r.out[0], r.out[1:]
	p.Data = append(dst, p.Data...)
	return p, true
}

func TestARoutersOwnWordTellsACarriersNATFromItsOwn(t *testing.T) {
	yes, no := true, false
	for external, want := range map[string]*bool{"203.0.113.5": &no, "100.64.7.1": &yes, "10.0.0.9": &yes, "203.0.113.77": &yes, "": nil} {
		r := probeWith(t, specimen(t, "port-restricted-cone"), full, 1, 0, func(c *ProberConfig) { c.Gateway = netip.MustParseAddr("192.168.1.1") },
			func(w *simnet.World, behind *simnet.NAT) {
				if external != "" {
					w.AddHost(simnet.HostConfig{Addr: netip.MustParseAddr("192.168.1.1"), Behind: behind}).Run(&routerWord{external: netip.MustParseAddr(external)}, wire.NATPMPPort, nil)
				}
			})
		if !equal(r.CGNAT, want) || r.GatewayAddr != external || r.TookMS > 400 {
			t.Errorf("%q: %s %v, %v ms", external, tell(r.CGNAT), r.CGNATEvidence, r.TookMS)
		}
	}
}

func TestALifetimeIsFoundBetweenTwoTimes(t *testing.T) {
	for name, want := range map[string][2]float64{"short-lived": {28, 40}, "port-restricted-cone": {118, 170}} {
		r := probe(t, specimen(t, name), full, 3, 0, func(c *ProberConfig) { c.Lifetime = true })
		if len(r.Lifetimes) != 2 {
			t.Fatalf("%s: %+v", name, r.Lifetimes)
		}
		for _, l := range r.Lifetimes {
			if l.LivedS != want[0] || l.DiedS != want[1] {
				t.Errorf("%s: %+v, want lived %v, died %v", name, l, want[0], want[1])
			}
		}
		if r.TookMS > 400 {
			t.Errorf("%s: the verdict waited %v ms for the lifetime", name, r.TookMS)
		}
	}
}

func TestTheLargestPacketIsFound(t *testing.T) {
	r := probe(t, specimen(t, "port-restricted-cone"), full, 1, 0.05, func(c *ProberConfig) { c.MTU = true })
	if r.MTUBytes != 1500 {
		t.Errorf("%d bytes", r.MTUBytes)
	}
}

// The whole of it in one number: a thousand random boxes, and the same seed is the
// same run.
func TestAThousandRandomBoxes(t *testing.T) {
	rng := simnet.New(11).Rand("boxes")
	wrong := 0
	for i := range fewer(1000) {
		b := nat.BoxConfig{
			Mapping: nat.Behavior(1 + rng.IntN(3)), Filtering: nat.Behavior(1 + rng.IntN(3)),
			Allocation: []nat.Allocation{nat.Random, nat.Sequential, nat.Block}[rng.IntN(3)], Step: 1 + rng.IntN(8), Hairpin: rng.IntN(2) == 0,
		}
		if b.Mapping == nat.EndpointIndependent && rng.IntN(2) == 0 {
			b.Allocation = nat.PortPreserving
		}
		z := nat.Specimen{Name: "random", Boxes: []nat.BoxConfig{b}, Addrs: []int{1}, Mapping: b.Mapping, Filtering: b.Filtering}
		z.Class = nat.Verdict{UDP: nat.Yes, TCP: nat.Yes, Translated: nat.Yes, Mapping: nat.Only(b.Mapping), Filtering: nat.Only(b.Filtering)}.Class()
		loss := float64(i%2) * 0.05
		r := probe(t, z, full, uint64(i), loss, nil)
		if r.Class != z.Class.String() || r.Mapping != z.Mapping.String() || r.Filtering != z.Filtering.String() {
			wrong++
			t.Logf("box %d %+v: %s %s %s", i, b, r.Class, r.Mapping, r.Filtering)
		}
		if i%100 == 0 {
			if again := probe(t, z, full, uint64(i), loss, nil); again.trace != r.trace {
				t.Errorf("box %d: two runs differ", i)
			}
		}
	}
	if wrong > 1 {
		t.Errorf("%d of 1000 wrong", wrong)
	}
}

// Where half of all exchanges fail, less is said, and what is said is true.
func TestThroughHeavyLossNothingIsMadeUp(t *testing.T) {
	runs, told, wrong := 0, 0, 0
	for _, z := range nat.Zoo() {
		for seed := range uint64(fewer(20)) {
			r := probe(t, z, full, seed, 0.3, nil)
			runs++
			if r.Class != "" {
				told++
			}
			if !slices.Contains(r.Candidates, z.Class.String()) ||
				r.Filtering != "" && r.Filtering != z.Filtering.String() || r.Mapping != "" && r.Mapping != z.Mapping.String() {
				wrong++
				t.Logf("%s, seed %d: %s of %v, %s, %s", z.Name, seed, r.Class, r.Candidates, r.Mapping, r.Filtering)
			}
		}
	}
	t.Logf("%d of %d named, %d wrong", told, runs, wrong)
	if wrong > runs/200 || told < runs/2 {
		t.Errorf("%d of %d named, %d wrong", told, runs, wrong)
	}
}

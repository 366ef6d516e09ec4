package node

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/simnet"
	"github.com/xp2p/xp2p/lib/tracker"
	"github.com/xp2p/xp2p/lib/wire"
)

// home is a kind of network: its box, and what a probe says of it.
func home(k nat.Kind) (box *nat.BoxConfig, f nat.Facts) {
	const eim, adm, apdm = nat.EndpointIndependent, nat.AddressDependent, nat.AddressAndPortDependent
	f.Mapping = nat.Only(eim)
	switch k {
	case nat.KindPublic:
		f.Classes = []nat.Class{nat.Public}
		return nil, f
	case nat.KindFirewall:
		f.Classes = []nat.Class{nat.SymmetricFirewall}
		return &nat.BoxConfig{Mapping: eim, Filtering: apdm}, f
	case nat.KindFullCone:
		f.Classes = []nat.Class{nat.FullCone}
		return &nat.BoxConfig{Mapping: eim, Filtering: eim, Allocation: nat.PortPreserving}, f
	case nat.KindRestricted:
		f.Classes = []nat.Class{nat.RestrictedCone}
		return &nat.BoxConfig{Mapping: eim, Filtering: adm, Allocation: nat.PortPreserving}, f
	case nat.KindPortRestricted:
		f.Classes = []nat.Class{nat.PortRestrictedCone}
		return &nat.BoxConfig{Mapping: eim, Filtering: apdm, Allocation: nat.PortPreserving}, f
	}
	f.Classes, f.Mapping = []nat.Class{nat.Symmetric}, nat.Only(apdm)
	if k == nat.KindSequential {
		f.Allocation, f.Delta = nat.Sequential, 1
		return &nat.BoxConfig{Mapping: apdm, Filtering: apdm, Allocation: nat.Sequential}, f
	}
	f.Allocation, f.Low, f.High = nat.Random, 4000, 61000
	return &nat.BoxConfig{Mapping: apdm, Filtering: apdm, Allocation: nat.Random}, f
}

// Two viewers behind every pair of networks meet as the matrix says, over XNTP, and
// what their statistics say is what it was. No socket stays that is not used.
func TestViewersBehindNATsMeet(t *testing.T) {
	for _, a := range nat.Kinds() {
		for _, b := range nat.Kinds() {
			if b < a || b == nat.KindBlocked {
				continue
			}
			t.Run(fmt.Sprintf("%v and %v", a, b), func(t *testing.T) {
				x := newWorld(t, 40+uint64(a)*8+uint64(b), "balanced")
				x.broadcast(500_000, time.Second, 8*time.Second)
				var vs []*viewer
				for i, k := range []nat.Kind{a, b} {
					box, f := home(k)
					vs = append(vs, x.join(time.Duration(i)*300*time.Millisecond, fmt.Sprintf("viewer %d", i+1), hostOptions{box: box},
						func(c *Config, _ *Room) { c.NAT = f }))
				}
				x.run(6 * time.Second)
				want := nat.WayBetween(a, b)
				for i, v := range vs {
					other := vs[1-i].n.ID().String()
					r := v.report()
					found := false
					for _, n := range r.Neighbours {
						if n.ID != other {
							continue
						}
						found = true
						if n.Path != want.String() || n.ConnectMS == nil || *n.ConnectMS > 2500 {
							t.Errorf("%s: path %s after %d ms, want %v", v.name, n.Path, *n.ConnectMS, want)
						}
					}
					if found != (want != nat.Relayed) {
						t.Errorf("%s: knows the other: %v", v.name, found)
					}
					if n := len(v.n.sockets.open); n > 1 || v.opened > 512 {
						t.Errorf("%s: %d sockets are open, %d were at a time", v.name, n, v.opened)
					}
					if v.stalls > 0 || v.first > 200*time.Millisecond {
						t.Errorf("%s: %d stalls, began after %v", v.name, v.stalls, v.first)
					}
				}
			})
		}
	}
}

// A room of all kinds of networks: everybody plays without a stall, and most of it
// comes from viewers.
func TestARoomOfAllKindsOfNetworks(t *testing.T) {
	x := newWorld(t, 6, "balanced")
	x.broadcast(1_000_000, 2*time.Second, 50*time.Second)
	for i := range 14 {
		box, f := home(nat.Kinds()[i%7])
		x.join(time.Duration(i)*131*time.Millisecond, fmt.Sprintf("viewer %d", i+1), hostOptions{up: 6 * simnet.Mbps, down: 50 * simnet.Mbps, box: box},
			func(c *Config, _ *Room) { c.NAT = f })
	}
	x.run(20 * time.Second)
	before := x.totals()
	x.run(35 * time.Second)
	s := x.totals()
	t.Log(before, s)
	for _, v := range x.viewers {
		x.complete(v)
	}
	if s.stalls > before.stalls || s.share < 0.7 {
		t.Errorf("%d stalls, share %.3f", s.stalls-before.stalls, s.share)
	}
}

// A viewer that learns only later what its NAT is says so, and is met then.
func TestWhoLearnsOfItsNATLaterIsMetThen(t *testing.T) {
	x := newWorld(t, 7, "balanced")
	x.broadcast(500_000, time.Second, 15*time.Second)
	box, f := home(nat.KindPortRestricted)
	var vs []*viewer
	for i := range 2 {
		vs = append(vs, x.join(0, fmt.Sprintf("viewer %d", i+1), hostOptions{box: box}))
		x.w.After(400*time.Millisecond, func() { vs[i].proc.Do(func(now time.Time) { vs[i].n.SetNAT(now, f) }) })
		x.w.After(0, func() { vs[i].n.ExpectNAT(x.w.Now()) })
	}
	var met time.Duration
	x.w.RunUntil(func() bool {
		met = x.w.Elapsed()
		r := vs[0].report
		return vs[0].n != nil && slices.ContainsFunc(r().Neighbours, func(n measure.Neighbour) bool { return n.ID == vs[1].n.ID().String() })
	}, 10*time.Second)
	t.Logf("met after %v", met)
	if met > 900*time.Millisecond {
		t.Errorf("met after %v", met)
	}
}

// Whose address is nobody's but his own need not wait until all is known of the network.
func TestWhoIsSeenAtItsOwnAddressIsMetAtOnce(t *testing.T) {
	x := newWorld(t, 7, "balanced")
	x.broadcast(500_000, time.Second, 15*time.Second)
	var vs []*viewer
	for i := range 2 {
		v := x.join(0, fmt.Sprintf("viewer %d", i+1), hostOptions{})
		x.w.After(0, func() {
			v.n.SetHosts([]netip.AddrPort{v.proc.Addr(0)})
			v.n.ExpectNAT(x.w.Now()) // and it takes long
		})
		vs = append(vs, v)
	}
	var met time.Duration
	x.w.RunUntil(func() bool {
		met = x.w.Elapsed()
		return vs[0].n != nil && slices.ContainsFunc(vs[0].report().Neighbours, func(n measure.Neighbour) bool { return n.ID == vs[1].n.ID().String() })
	}, 10*time.Second)
	t.Logf("met after %v", met)
	if met >= natPatience {
		t.Errorf("met after %v", met)
	}
}

// A viewer whose NAT gives it another public address, and who has other addresses
// itself, meets the others again.
func TestAnotherNetworkIsAnotherSearch(t *testing.T) {
	x := newWorld(t, 8, "balanced")
	x.broadcast(500_000, time.Second, 40*time.Second)
	box, f := home(nat.KindPortRestricted)
	var vs []*viewer
	for i := range 2 {
		vs = append(vs, x.join(0, fmt.Sprintf("viewer %d", i+1), hostOptions{box: box}, func(c *Config, _ *Room) { c.NAT = f }))
	}
	x.run(5 * time.Second)
	if between := vs[0].report().PeerBytes + vs[1].report().PeerBytes; between == 0 {
		t.Fatal("not met")
	}
	vs[0].proc.Do(func(now time.Time) {
		vs[0].host.SetAddr(netip.MustParseAddr("192.168.1.99"))
		vs[0].n.NetworkChanged(now, []netip.AddrPort{netip.MustParseAddrPort("192.168.1.99:4000")})
	})
	x.w.After(400*time.Millisecond, func() { vs[0].proc.Do(func(now time.Time) { vs[0].n.SetNAT(now, f) }) })
	x.run(2 * time.Second)
	between := func() int64 { return vs[0].report().PeerBytes + vs[1].report().PeerBytes }
	from := between()
	x.run(10 * time.Second)
	got := between() - from
	t.Logf("%d bytes went between the two in ten seconds", got)
	if got < 100_000 {
		t.Errorf("%d bytes went between the two", got)
	}
	if vs[0].stalls+vs[1].stalls > 0 {
		t.Errorf("stalls: %d, %d", vs[0].stalls, vs[1].stalls)
	}
}

// While nothing passes between two but through the relay they meet there; when more
// does, the connection moves, and nothing is lost or comes twice.
func TestAConnectionMovesFromTheRelayToTheDirectPath(t *testing.T) {
	x := newWorld(t, 9, "balanced", func(c *tracker.Config) { c.Relays = []netip.Addr{relayAddr} })
	x.broadcast(800_000, time.Second, 150*time.Second)
	box, f := home(nat.KindPortRestricted)
	closed := true
	x.w.Tap(func(_ time.Time, from, to netip.AddrPort, _ []byte) bool {
		home := func(a netip.AddrPort) bool {
			return a.Addr().IsPrivate() && a.Addr().As4()[0] == 192 || a.Addr().As4()[0] == 198
		}
		return !closed || !home(from) || !home(to)
	})
	var vs []*viewer
	for i := range 2 {
		v := x.join(0, fmt.Sprintf("viewer %d", i+1), hostOptions{box: box}, func(c *Config, _ *Room) { c.NAT = f })
		x.w.After(time.Millisecond, func() {
			v.n.relays = []wire.RoomRelay{{URL: "turn:relay.example"}}
			v.n.punch.SetRelay(true)
		})
		vs = append(vs, v)
	}
	path := func() (list []string) {
		for i, v := range vs {
			for _, n := range v.report().Neighbours {
				if n.ID == vs[1-i].n.ID().String() {
					list = append(list, n.Path)
				}
			}
		}
		return list
	}
	x.run(30 * time.Second)
	if got := path(); !slices.Equal(got, []string{"relay", "relay"}) {
		t.Fatalf("paths %v", got)
	}
	closed = false
	before := x.totals()
	x.run(100 * time.Second)
	if got := path(); !slices.Equal(got, []string{"direct", "direct"}) {
		t.Errorf("paths %v", got)
	}
	s := x.totals()
	t.Log(before, s)
	if s.stalls > before.stalls || s.dup > before.dup || len(vs[0].downs)+len(vs[1].downs) > 0 {
		t.Errorf("%d stalls, %d bytes twice, gone: %v %v", s.stalls-before.stalls, s.dup-before.dup, vs[0].downs, vs[1].downs)
	}
	x.run(22 * time.Second)
	for _, v := range vs {
		x.complete(v)
		if n := len(v.n.sockets.open); n > 0 {
			t.Errorf("%s: %d sockets are open", v.name, n)
		}
	}
	if x.relayed != len(vs) {
		t.Errorf("%d allocations", x.relayed)
	}
}

// A seed at home is reached through its NAT as any viewer is.
func TestASeedBehindANATIsReached(t *testing.T) {
	for _, k := range []nat.Kind{nat.KindPortRestricted, nat.KindSequential, nat.KindRandom} {
		x := newWorld(t, 60+uint64(k), "balanced", func(c *tracker.Config) {
			// The key is the one that the world makes for this name.
			key := (&world{t: t, w: simnet.New(60 + uint64(k))}).key("home")
			c.SeedKeys = []wire.Key{wire.Key(key.Public())}
		})
		x.broadcast(500_000, time.Second, 15*time.Second)
		box, facts := home(k)
		seed := x.join(0, "home", hostOptions{box: box}, func(c *Config, r *Room) { c.NAT, c.Role, r.NoOrigin, r.Seeds = facts, wire.RoleSeed, true, nil })
		cone, viewers := home(nat.KindPortRestricted)
		v := x.join(500*time.Millisecond, "viewer", hostOptions{box: cone}, func(c *Config, _ *Room) { c.NAT = viewers })
		x.run(8 * time.Second)
		found := false
		for _, n := range v.report().Neighbours {
			if n.ID == seed.n.ID().String() {
				found = true
				if want := nat.WayBetween(k, nat.KindPortRestricted).String(); n.Path != want {
					t.Errorf("%v: the path is %s, want %s", k, n.Path, want)
				}
			}
		}
		if !found {
			t.Errorf("%v: the seed is no neighbour: %+v", k, v.report().Neighbours)
		}
	}
}

// Who meets several at the relay has one allocation there.
func TestOneAllocationServesAll(t *testing.T) {
	x := newWorld(t, 10, "balanced", func(c *tracker.Config) { c.Relays = []netip.Addr{relayAddr} })
	x.broadcast(500_000, time.Second, 30*time.Second)
	box, f := home(nat.KindPortRestricted)
	x.w.Tap(func(_ time.Time, from, to netip.AddrPort, _ []byte) bool {
		return !from.Addr().IsPrivate() || from.Addr().As4()[0] == 10 || to.Addr().As4()[0] != 198
	})
	for i := range 5 {
		v := x.join(time.Duration(i)*100*time.Millisecond, fmt.Sprintf("viewer %d", i+1), hostOptions{box: box}, func(c *Config, _ *Room) { c.NAT = f })
		x.w.After(time.Duration(i)*100*time.Millisecond+time.Millisecond, func() {
			v.n.relays = []wire.RoomRelay{{URL: "turn:relay.example"}}
			v.n.punch.SetRelay(true)
		})
	}
	x.run(25 * time.Second)
	met := 0
	for _, v := range x.viewers {
		for _, n := range v.report().Neighbours {
			if n.Role == "peer" && n.Path == "relay" {
				met++
			}
		}
	}
	if met != 5*4 || x.relayed > 5 {
		t.Errorf("%d of 20 ends of pairs, by %d allocations", met, x.relayed)
	}
}

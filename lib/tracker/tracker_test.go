package tracker

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
)

var (
	now      = time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	tokenKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
)

// A lab is a tracker with one room and what every session has heard.
type lab struct {
	t *testing.T
	*Tracker
	lists   map[Session]*wire.SignalNeighbours
	feeds   map[Session]map[uint64]wire.SignalGroup
	welcome map[Session]*wire.SignalWelcome
	gone    map[Session]*wire.SignalError
	trace   hash.Hash64
	quick   bool // skips the wire's grammar
	heard   int
}

func newLab(t *testing.T, topo string, cfg Config) *lab {
	t.Helper()
	cfg.Rand = rand.New(rand.NewPCG(1, 2))
	cfg.TokenKeys = []ed25519.PublicKey{tokenKey.Public().(ed25519.PublicKey)}
	if cfg.Entropy == nil {
		cfg.Entropy = rand.NewChaCha8([32]byte{9})
	}
	w := &lab{
		t: t, Tracker: New(cfg), lists: map[Session]*wire.SignalNeighbours{}, feeds: map[Session]map[uint64]wire.SignalGroup{},
		welcome: map[Session]*wire.SignalWelcome{}, gone: map[Session]*wire.SignalError{}, trace: fnv.New64a(),
	}
	if err := w.Open(now, "match", topo); err != nil {
		t.Fatal(err)
	}
	return w
}

// drain delivers all messages, over the wire's grammar.
func (w *lab) drain() {
	w.t.Helper()
	for {
		m, ok := w.NextMessage(now)
		if !ok {
			return
		}
		s := m.Signal
		if !w.quick {
			b, err := wire.AppendSignal(nil, s)
			if err != nil {
				w.t.Fatal(err)
			}
			if s, err = wire.ParseSignal(b); err != nil {
				w.t.Fatalf("%s: %v", b, err)
			}
		}
		w.heard++
		w.note(m)
		switch s := s.(type) {
		case *wire.SignalWelcome:
			w.welcome[m.Session] = s
		case *wire.SignalNeighbours:
			if old := w.lists[m.Session]; old != nil && s.Version <= old.Version {
				w.t.Fatalf("session %d: version %d behind %d", m.Session, s.Version, old.Version)
			}
			w.lists[m.Session] = s
		case *wire.SignalFeed:
			if s.Reset || w.feeds[m.Session] == nil {
				w.feeds[m.Session] = map[uint64]wire.SignalGroup{}
			}
			for _, g := range s.Groups {
				w.feeds[m.Session][g.Group] = g
				if len(g.Members) == 0 {
					delete(w.feeds[m.Session], g.Group)
				}
			}
		case *wire.SignalError:
			w.gone[m.Session] = s
		}
	}
}

// note adds a message to the trace.
func (w *lab) note(m Message) {
	put := func(v ...uint64) {
		var b [8]byte
		for _, v := range v {
			binary.BigEndian.PutUint64(b[:], v)
			w.trace.Write(b[:])
		}
	}
	members := func(list []wire.SignalMember) {
		for _, m := range list {
			put(uint64(m.ID), uint64(m.UplinkBPS), uint64(len(m.Addrs)))
		}
	}
	put(uint64(m.Session))
	switch s := m.Signal.(type) {
	case *wire.SignalNeighbours:
		put(s.Version, s.Group)
		members(s.Members)
	case *wire.SignalFeed:
		for _, g := range s.Groups {
			put(g.Version, g.Group)
			members(g.Members)
		}
	}
}

func keyOf(n int) (k wire.Key) {
	binary.BigEndian.PutUint64(k[:], uint64(n)+1)
	return k
}

func proof(addr string) wire.Token {
	return wire.AppendToken(nil, tokenKey, netip.MustParseAddrPort(addr), now.Add(time.Minute))
}

func (w *lab) hello(session Session, n int, remote string, tokens ...string) Arrival {
	a := Arrival{Session: session, Room: "match", Remote: netip.MustParseAddr(remote), Hello: &wire.SignalHello{
		Key: keyOf(n), Role: wire.RolePeer, Upload: true,
	}}
	for _, s := range tokens {
		a.Hello.Tokens = append(a.Hello.Tokens, proof(s))
	}
	return a
}

func (w *lab) join(a Arrival) wire.PeerID {
	w.t.Helper()
	id, err := w.Join(now, a)
	if err != nil {
		w.t.Fatal(err)
	}
	w.drain()
	return id
}

func (w *lab) seed(session Session, n int, addrs ...string) wire.PeerID {
	w.t.Helper()
	a := w.hello(session, n, "127.0.0.1")
	a.Hello.Role, a.Trusted = wire.RoleSeed, true
	for _, s := range addrs {
		a.Addrs = append(a.Addrs, netip.MustParseAddrPort(s))
	}
	return w.join(a)
}

// addrs returns where session was told that peer is; nil if it knows him not.
func (w *lab) addrs(session Session, peer wire.PeerID) (out []string, known bool) {
	if l := w.lists[session]; l != nil {
		for _, m := range l.Members {
			if m.ID == peer {
				for _, a := range m.Addrs {
					out = append(out, a.String())
				}
				return out, true
			}
		}
	}
	return nil, false
}

func TestPeersMeetAndPartAtOnce(t *testing.T) {
	w := newLab(t, "balanced", Config{})
	seed := w.seed(1, 1, "203.0.113.1:9000")
	if w.feeds[1] == nil || len(w.feeds[1]) != 0 {
		t.Fatalf("a seed of an empty room feeds %v", w.feeds[1])
	}
	anna := w.join(w.hello(2, 2, "198.51.100.2", "198.51.100.2:5000"))
	if w.welcome[2] == nil || w.welcome[2].ID != anna || w.welcome[2].TimeUnixMS != now.UnixMilli() {
		t.Fatalf("welcome %+v", w.welcome[2])
	}
	if got, _ := w.addrs(2, seed); !slices.Equal(got, []string{"203.0.113.1:9000"}) {
		t.Errorf("anna finds the seed at %v", got)
	}
	bert := w.join(w.hello(3, 3, "198.51.100.3", "198.51.100.3:5000"))
	for session, other := range map[Session]wire.PeerID{2: bert, 3: anna} {
		if _, ok := w.addrs(session, other); !ok {
			t.Errorf("session %d does not know %s", session, other)
		}
		if _, ok := w.addrs(session, w.welcome[session].ID); ok {
			t.Errorf("session %d is told of itself", session)
		}
	}
	if g := w.feeds[1][1]; len(g.Members) != 2 || g.Version != w.lists[2].Version || g.Version != w.lists[3].Version {
		t.Errorf("the seed feeds %+v, at another version than %d, %d", g, w.lists[2].Version, w.lists[3].Version)
	}
	w.Leave(now, 2)
	w.drain()
	if _, ok := w.addrs(3, anna); ok {
		t.Error("bert still knows anna, who left")
	}
	if g := w.feeds[1][1]; len(g.Members) != 1 {
		t.Errorf("the seed still feeds %v", g.Members)
	}
	w.Leave(now, 3)
	w.drain()
	if len(w.feeds[1]) != 0 {
		t.Errorf("the seed feeds %v, and all have left", w.feeds[1])
	}
}

func TestNobodyIsToldOfAPeerThatNoServerSaw(t *testing.T) {
	w := newLab(t, "balanced", Config{})
	w.seed(1, 1, "203.0.113.1:9000")
	w.join(w.hello(2, 2, "198.51.100.2", "198.51.100.2:5000"))
	forger := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, 32))
	victim := netip.MustParseAddrPort("192.0.2.80:80")
	late := w.hello(3, 3, "198.51.100.3")
	late.Hello.Tokens = []wire.Token{
		wire.AppendToken(nil, forger, victim, now.Add(time.Minute)),
		wire.AppendToken(nil, tokenKey, victim, now.Add(-time.Second)),
	}
	late.Hello.Hosts = []netip.AddrPort{victim}
	id := w.join(late)
	if _, ok := w.addrs(2, id); ok || w.lists[3] != nil {
		t.Fatal("others meet a peer without proof")
	}
	if s, _ := w.Stats("match"); s.Unseen != 1 || s.Peers != 2 {
		t.Errorf("stats %+v", s)
	}
	// His Binding is answered at last, and he says hello again.
	again := w.hello(3, 3, "198.51.100.3", "198.51.100.3:6000")
	again.Hello.Hosts = []netip.AddrPort{victim}
	w.join(again)
	if got, _ := w.addrs(2, id); !slices.Equal(got, []string{"198.51.100.3:6000"}) {
		t.Errorf("he is at %v", got)
	}
}

func TestWhoMayKnowWhichAddress(t *testing.T) {
	for _, c := range []struct {
		name  string
		him   []string // proved
		hosts []string // claimed
		me    []string // proved
		want  []string
	}{
		{"strangers", []string{"198.51.100.2:1"}, []string{"192.168.1.2:1"}, []string{"198.51.100.9:1"}, []string{"198.51.100.2:1"}},
		{"behind one address", []string{"198.51.100.2:1"}, []string{"192.168.1.2:1"}, []string{"198.51.100.2:7"}, []string{"192.168.1.2:1", "198.51.100.2:1"}},
		{"a claimed public address", []string{"198.51.100.2:1"}, []string{"192.0.2.9:1"}, []string{"198.51.100.2:7"}, []string{"198.51.100.2:1"}},
		{"a claimed loopback address", []string{"198.51.100.2:1"}, []string{"127.0.0.1:1"}, []string{"198.51.100.2:7"}, []string{"198.51.100.2:1"}},
		{"on one machine", []string{"127.0.0.1:1"}, nil, []string{"127.0.0.1:2"}, []string{"127.0.0.1:1"}},
		{"loopback seen from afar", []string{"127.0.0.1:1"}, nil, []string{"198.51.100.9:1"}, nil},
		{"loopback seen from the house", []string{"127.0.0.1:1", "192.168.1.2:1"}, nil, []string{"192.168.1.3:1"}, []string{"192.168.1.2:1"}},
		{"the house seen from afar", []string{"192.168.1.2:1", "198.51.100.2:1"}, nil, []string{"198.51.100.9:1"}, []string{"198.51.100.2:1"}},
		{"both families", []string{"[2001:db8::2]:1", "198.51.100.2:1"}, nil, []string{"198.51.100.9:1"}, []string{"[2001:db8::2]:1", "198.51.100.2:1"}},
	} {
		w := newLab(t, "mesh", Config{})
		a := w.hello(1, 1, "198.51.100.2", c.him...)
		for _, h := range c.hosts {
			a.Hello.Hosts = append(a.Hello.Hosts, netip.MustParseAddrPort(h))
		}
		him := w.join(a)
		w.join(w.hello(2, 2, "198.51.100.9", c.me...))
		if got, known := w.addrs(2, him); !known || !slices.Equal(got, c.want) {
			t.Errorf("%s: told %v, want %v", c.name, got, c.want)
		}
	}
}

func TestASeedIsMetOnlyWhereItCanBe(t *testing.T) {
	w := newLab(t, "balanced", Config{})
	seed := w.seed(1, 1, "0.0.0.0:9000", "[::ffff:203.0.113.1]:9000", "203.0.113.1:9000", "127.0.0.1:9000", "192.168.1.1:9000")
	w.join(w.hello(2, 2, "198.51.100.2", "198.51.100.2:5000"))
	w.join(w.hello(3, 3, "127.0.0.1", "127.0.0.1:5000"))
	if got, _ := w.addrs(2, seed); !slices.Equal(got, []string{"203.0.113.1:9000"}) {
		t.Errorf("from afar it is at %v", got)
	}
	if got, _ := w.addrs(3, seed); !slices.Equal(got, []string{"127.0.0.1:9000", "192.168.1.1:9000", "203.0.113.1:9000"}) {
		t.Errorf("from its own machine it is at %v", got)
	}
}

func TestAPeerComesBackAndTheOthersKeepHim(t *testing.T) {
	w := newLab(t, "balanced", Config{})
	anna := w.join(w.hello(1, 1, "198.51.100.1", "198.51.100.1:5000"))
	w.join(w.hello(2, 2, "198.51.100.2", "198.51.100.2:5000"))
	// Wi-Fi to 4G: another address, the same secret. The old connection is not
	// known to be dead yet.
	back := w.hello(3, 1, "203.0.113.77", "203.0.113.77:6000")
	back.Hello.Resume = w.welcome[1].Resume
	if id := w.join(back); id != anna {
		t.Fatalf("anna comes back as %s", id)
	}
	if e := w.gone[1]; e == nil || e.Code != wire.SignalReplaced {
		t.Errorf("the old connection heard %v", e)
	}
	if got, _ := w.addrs(2, anna); !slices.Equal(got, []string{"203.0.113.77:6000"}) {
		t.Errorf("bert finds anna at %v", got)
	}
	if w.lists[3] == nil || len(w.lists[3].Members) != 1 {
		t.Errorf("anna's new connection heard %+v", w.lists[3])
	}
	w.Leave(now, 1) // the old connection dies at last: nothing happens
	w.drain()
	if _, ok := w.addrs(2, anna); !ok {
		t.Error("the end of the old connection took anna with it")
	}
	// Somebody who knows her key only, as all her fellows do.
	if _, err := w.Join(now, w.hello(4, 1, "192.0.2.66", "192.0.2.66:1")); !errors.Is(err, ErrKeyInUse) {
		t.Errorf("a thief of a public key: %v", err)
	}
	thief := w.hello(5, 1, "192.0.2.66", "192.0.2.66:1")
	thief.Hello.Resume = w.welcome[1].Resume // used up
	if _, err := w.Join(now, thief); !errors.Is(err, ErrKeyInUse) {
		t.Errorf("a thief of an old secret: %v", err)
	}
}

func TestDoorsThatStayClosed(t *testing.T) {
	w := newLab(t, "balanced", Config{MaxPeers: 4, MaxPerAddr: 2, MaxRooms: 2, SeedKeys: []wire.Key{keyOf(50)}})
	refuse := func(name string, a Arrival, want error) {
		t.Helper()
		if _, err := w.Join(now, a); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		w.Leave(now, a.Session)
	}
	other := w.hello(1, 1, "198.51.100.1")
	other.Room = "other"
	refuse("no room", other, ErrNoRoom)
	seed := w.hello(2, 2, "198.51.100.1")
	seed.Hello.Role = wire.RoleSeed
	refuse("a seed that nobody knows", seed, ErrForbidden)
	seed.Hello.Key = keyOf(50)
	w.join(seed)
	w.join(w.hello(3, 3, "198.51.100.1"))
	refuse("a third at one address", w.hello(4, 4, "198.51.100.1"), ErrFull)
	w.join(w.hello(5, 5, "2001:db8::1"))
	w.join(w.hello(6, 6, "2001:db8::2"))
	refuse("a fifth peer", w.hello(7, 7, "203.0.113.1"), ErrFull)
	w.Leave(now, 5)
	w.join(w.hello(8, 8, "203.0.113.1"))
	w.Leave(now, 8)
	refuse("a third in one /64", func() Arrival { w.join(w.hello(9, 9, "2001:db8::3")); return w.hello(10, 10, "2001:db8::4") }(), ErrFull)
	change := w.hello(3, 33, "198.51.100.1")
	if _, err := w.Join(now, change); !errors.Is(err, ErrProtocol) {
		t.Errorf("a second hello with another key: %v", err)
	}
	if err := w.Open(now, "match", "mesh"); !errors.Is(err, ErrRoomOpen) {
		t.Errorf("open twice: %v", err)
	}
	if err := w.Open(now, "../etc", "mesh"); !errors.Is(err, ErrRoomName) {
		t.Errorf("a bad name: %v", err)
	}
	if err := w.Open(now, "b", "star"); err == nil {
		t.Error("a topology that is none")
	}
	if err := w.Open(now, "b", "mesh"); err != nil {
		t.Error(err)
	}
	if err := w.Open(now, "c", "mesh"); !errors.Is(err, ErrFull) {
		t.Errorf("a third room: %v", err)
	}
	w.CloseRoom("match")
	w.drain()
	if e := w.gone[3]; e == nil || e.Code != wire.SignalNoRoom {
		t.Errorf("in a closed room one hears %v", e)
	}
	if len(w.sessions) != 0 || len(w.pending) != 0 {
		t.Errorf("%d sessions and %d to be told stay", len(w.sessions), len(w.pending))
	}
}

func TestMeasuredUplinksReachTheListsOnceInAWhile(t *testing.T) {
	w := newLab(t, "balanced", Config{})
	anna := w.join(w.hello(1, 1, "198.51.100.1", "198.51.100.1:5000"))
	w.join(w.hello(2, 2, "198.51.100.2", "198.51.100.2:5000"))
	w.Tick(now)
	report := func(s string) error {
		_, err := w.Report(1, &wire.SignalReport{Report: json.RawMessage(s)})
		return err
	}
	if err := report(`{"uplink_bps":8000000,"peer_bytes":3,"seed_bytes":1,"room":"another"}`); err != nil {
		t.Fatal(err)
	}
	if err := report(`{"peer_bytes":-3}`); err == nil {
		t.Error("a report of a negative number was taken")
	}
	if _, err := w.Report(99, &wire.SignalReport{Report: json.RawMessage(`{}`)}); !errors.Is(err, ErrProtocol) {
		t.Errorf("a report of nobody: %v", err)
	}
	told := func() int64 {
		for _, m := range w.lists[2].Members {
			if m.ID == anna {
				return m.UplinkBPS
			}
		}
		return -1
	}
	// The first is news: until then nobody knew anything.
	w.drain()
	if told() != 8_000_000 || w.lists[1].UplinkBPS != 8_000_000 {
		t.Errorf("bert was told of %d, anna of %d", told(), w.lists[1].UplinkBPS)
	}
	if err := report(`{"uplink_bps":4000000}`); err != nil {
		t.Fatal(err)
	}
	w.Tick(now.Add(time.Second))
	w.drain()
	if told() != 8_000_000 {
		t.Error("told too early")
	}
	w.Tick(now.Add(TickInterval))
	w.drain()
	if told() != 4_000_000 || w.lists[1].UplinkBPS != 4_000_000 {
		t.Errorf("bert was told of %d, anna of %d", told(), w.lists[1].UplinkBPS)
	}
	before := w.heard
	if err := report(`{"uplink_bps":4500000}`); err != nil {
		t.Fatal(err)
	}
	w.Tick(now.Add(2 * TickInterval))
	w.drain()
	if w.heard != before {
		t.Error("an eighth more is no news")
	}
	s, _ := w.Stats("match")
	if len(s.Reports) != 1 || s.Reports[0].Room != "match" || s.Reports[0].ID != anna.String() {
		t.Errorf("stats %+v", s)
	}
}

// storm lets a thousand peers come and go, and hears all that is said.
func storm(t *testing.T, topo string, seed uint64) *lab {
	w := newLab(t, topo, Config{})
	w.quick = true
	w.seed(1, 1, "203.0.113.1:9000")
	rng := rand.New(rand.NewPCG(seed, 1))
	var present []Session
	for i := range 1500 {
		if len(present) == 0 || rng.IntN(3) > 0 {
			s := Session(i + 10)
			addr := fmt.Sprintf("198.51.%d.%d", i/250, i%250+1)
			a := w.hello(s, i+10, addr, addr+":5000")
			a.Hello.Upload = rng.IntN(10) > 0
			a.Hello.UplinkBPS = rng.Int64N(10_000_000)
			if _, err := w.Join(now, a); err != nil {
				t.Fatal(err)
			}
			present = append(present, s)
		} else {
			j := rng.IntN(len(present))
			w.Leave(now, present[j])
			delete(w.lists, present[j])
			present = slices.Delete(present, j, j+1)
		}
		if len(w.pending) > len(present)+1 {
			t.Fatalf("%d are to be told, and %d are there", len(w.pending), len(present))
		}
		if rng.IntN(4) > 0 { // some of the time several things happen before anybody reads
			w.drain()
		}
	}
	w.drain()
	if len(w.lists) != len(present) {
		t.Fatalf("%d are there and %d have lists", len(present), len(w.lists))
	}
	return w
}

func TestAStormOfAThousandLeavesEverybodyWithTheTruth(t *testing.T) {
	for _, topo := range []string{topology.BalancedName, topology.MeshName} {
		w := storm(t, topo, 5)
		r := w.rooms["match"]
		type key struct{ group, version uint64 }
		byVersion := map[key]string{}
		for session, l := range w.lists {
			p := w.sessions[session]
			v, _ := r.top.View(topology.ID(p.id))
			if len(l.Members) != len(v.Members)-1 {
				t.Fatalf("%s: %s knows %d of %d", topo, p.id, len(l.Members), len(v.Members)-1)
			}
			var whole, group []string // of the list; of those in it who are of its group
			root := true
			for _, m := range l.Members {
				word := fmt.Sprint(m.ID, m.UplinkBPS, m.Upload)
				root = root && m.Tier != int8(topology.Above)
				if m.Role != wire.RoleSeed && m.Tier == int8(topology.Fellow) {
					group = append(group, word)
				}
				o := r.peers[m.ID]
				if _, ok := v.Member(topology.ID(m.ID)); !ok || o.uplink != m.UplinkBPS || o.hello.Upload != m.Upload {
					t.Fatalf("%s: %s holds an old word on %s", topo, p.id, m.ID)
				}
				whole = append(whole, word)
			}
			if topo != topology.BalancedName {
				continue
			}
			self := fmt.Sprint(p.id, l.UplinkBPS, l.Upload)
			whole, group = append(whole, self), append(group, self)
			slices.Sort(whole)
			slices.Sort(group)
			k := key{l.Group, l.Version}
			if s := fmt.Sprint(whole); byVersion[k] == "" {
				byVersion[k] = s
			} else if byVersion[k] != s {
				t.Fatalf("two members of group %d hold different lists of version %d", l.Group, l.Version)
			}
			if !root {
				continue // fed by others: no seed holds its group
			}
			g := w.feeds[1][l.Group]
			var fed []string
			for _, m := range g.Members {
				if m.Role != wire.RoleSeed {
					fed = append(fed, fmt.Sprint(m.ID, m.UplinkBPS, m.Upload))
				}
			}
			if slices.Sort(fed); !slices.Equal(fed, group) || g.Version > l.Version {
				t.Fatalf("group %d is %v to the seed and %v to a member", l.Group, fed, group)
			}
		}
		if got, want := slices.Sorted(keys(w.feeds[1])), r.top.Groups(); !slices.Equal(got, want) {
			t.Fatalf("%s: the seed feeds %v, the room has %v", topo, got, want)
		}
		t.Logf("%s: %d peers, %d groups, %d messages", topo, len(w.lists), len(w.feeds[1]), w.heard)
	}
}

func keys[V any](m map[uint64]V) func(func(uint64) bool) {
	return func(yield func(uint64) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func TestTheSameStormIsToldInTheSameWords(t *testing.T) {
	for _, topo := range []string{topology.BalancedName, topology.MeshName} {
		a, b := storm(t, topo, 77), storm(t, topo, 77)
		if a.trace.Sum64() != b.trace.Sum64() || a.heard != b.heard {
			t.Errorf("%s: two runs differ", topo)
		}
	}
}

func BenchmarkJoinLeave(b *testing.B) {
	t := New(Config{Rand: rand.New(rand.NewPCG(1, 2)), TokenKeys: []ed25519.PublicKey{tokenKey.Public().(ed25519.PublicKey)}})
	if err := t.Open(now, "match", "balanced"); err != nil {
		b.Fatal(err)
	}
	token := proof("127.0.0.1:5000")
	join := func(i int) {
		_, err := t.Join(now, Arrival{Session: Session(i), Room: "match", Remote: netip.MustParseAddr("127.0.0.1"), Hello: &wire.SignalHello{
			Key: keyOf(i), Role: wire.RolePeer, Upload: true, Tokens: []wire.Token{token},
		}})
		if err != nil {
			b.Fatal(err)
		}
		for ok := true; ok; _, ok = t.NextMessage(now) {
		}
	}
	for i := range 10_000 {
		join(i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		join(10_000 + i)
		t.Leave(now, Session(i))
		for ok := true; ok; _, ok = t.NextMessage(now) {
		}
	}
}

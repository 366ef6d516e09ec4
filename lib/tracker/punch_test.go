package tracker

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/wire"
)

// punched returns the punch messages that each session heard since.
func (w *lab) punched() map[Session][]*wire.SignalPunch {
	heard := map[Session][]*wire.SignalPunch{}
	for {
		m, ok := w.NextMessage(now)
		if !ok {
			return heard
		}
		if p, ok := m.Signal.(*wire.SignalPunch); ok {
			heard[m.Session] = append(heard[m.Session], p)
		}
	}
}

// Nobody can have others send to an address that no server has observed: what a peer
// claims is left out, but for private addresses among those at one public address, and
// those of relays that the operator named.
func TestOnlyObservedAddressesArePassedOn(t *testing.T) {
	w := newLab(t, "balanced", Config{Relays: []netip.Addr{netip.MustParseAddr("192.0.2.8")}})
	anna := w.join(w.hello(1, 1, "198.51.100.1", "198.51.100.1:5000"))
	bert := w.join(w.hello(2, 2, "198.51.100.2", "198.51.100.2:5000"))
	home := w.join(w.hello(3, 3, "198.51.100.1", "198.51.100.1:5001")) // behind anna's NAT
	victim := netip.MustParseAddrPort("203.0.113.99:53")
	forged := proof("203.0.113.99:53")
	forged[len(forged)-1] ^= 1
	old := wire.AppendToken(nil, tokenKey, victim, now.Add(-1))
	claims := wire.SignalPunch{
		Session: 7, Round: 1, Addrs: []netip.AddrPort{victim}, MAC: keyOf(9),
		Tokens:  []wire.Token{forged, old},
		Hosts:   []netip.AddrPort{victim, netip.MustParseAddrPort("192.168.1.7:5000")},
		Relayed: []netip.AddrPort{victim, netip.MustParseAddrPort("192.0.2.8:49200")},
	}
	for _, c := range []struct {
		name  string
		fresh wire.Token
		to    wire.PeerID
		at    Session
		want  string
	}{
		{"to another network", nil, bert, 2, "[198.51.100.1:5000 192.0.2.8:49200]"},
		{"with a fresh observation", proof("198.51.100.1:6000"), bert, 2, "[198.51.100.1:6000 192.0.2.8:49200]"},
		{"to one behind the same NAT", proof("198.51.100.1:6000"), home, 3, "[198.51.100.1:6000 192.168.1.7:5000 192.0.2.8:49200]"},
	} {
		m := claims
		m.Peer = c.to
		if c.fresh != nil {
			m.Tokens = append(slices.Clone(m.Tokens), c.fresh)
		}
		if err := w.Punch(now, 1, &m); err != nil {
			t.Fatal(err)
		}
		heard := w.punched()
		if len(heard) != 1 || len(heard[c.at]) != 1 {
			t.Fatalf("%s: heard %v", c.name, heard)
		}
		got := heard[c.at][0]
		if fmt.Sprint(got.Addrs) != c.want || got.Peer != anna || got.Session != 7 || len(got.Tokens)+len(got.Hosts)+len(got.Relayed) > 0 || got.MAC == keyOf(9) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

// The key of a session is the same for the two of it, and another for everybody and
// everything else.
func TestTheTwoOfASessionHaveAKeyOfTheirOwn(t *testing.T) {
	w := newLab(t, "balanced", Config{})
	var ids []wire.PeerID
	for i := range 3 {
		ids = append(ids, w.join(w.hello(Session(i+1), i+1, fmt.Sprintf("198.51.100.%d", i+1), fmt.Sprintf("198.51.100.%d:5000", i+1))))
	}
	key := func(from Session, to int, session uint64) wire.Key {
		if err := w.Punch(now, from, &wire.SignalPunch{Peer: ids[to-1], Session: session, Round: 1}); err != nil {
			t.Fatal(err)
		}
		heard := w.punched()[Session(to)]
		if len(heard) != 1 {
			t.Fatalf("%d heard %v", to, heard)
		}
		return heard[0].MAC
	}
	first := key(1, 2, 5)
	if key(2, 1, 5) != first || first == (wire.Key{}) {
		t.Error("not the same for both")
	}
	if key(1, 2, 6) == first || key(1, 3, 5) == first {
		t.Error("the same in another session, or with another peer")
	}
}

func TestWhoIsNotKnownIsNotDisturbed(t *testing.T) {
	w := newLab(t, "balanced", Config{})
	anna := w.join(w.hello(1, 1, "198.51.100.1", "198.51.100.1:5000"))
	unseen := w.join(w.hello(2, 2, "198.51.100.2"))
	quiet := func(name string, session Session, to wire.PeerID) {
		t.Helper()
		if err := w.Punch(now, session, &wire.SignalPunch{Peer: to, Session: 1, Round: 1}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if heard := w.punched(); len(heard) > 0 {
			t.Errorf("%s: %v", name, heard)
		}
	}
	quiet("nobody", 1, 77)
	quiet("one whom no server has seen", 1, unseen)
	quiet("by one whom no server has seen", 2, anna)
	if err := w.Punch(now, 9, &wire.SignalPunch{Peer: anna, Session: 1, Round: 1}); err == nil {
		t.Error("before the hello")
	}
	w.join(w.hello(3, 3, "198.51.100.3", "198.51.100.3:5000"))
	for range 10 * maxPunches {
		w.Punch(now, 3, &wire.SignalPunch{Peer: anna, Session: 1, Round: 1})
	}
	if heard := w.punched(); len(heard[1]) != maxPunches {
		t.Errorf("%d of a flood wait", len(heard[1]))
	}
}

func TestNATsDecideWhoIsToldOfWhom(t *testing.T) {
	w := newLab(t, "balanced", Config{})
	says := func(session Session, class, allocation string) wire.PeerID {
		a := w.hello(session, int(session), fmt.Sprintf("198.51.100.%d", session), fmt.Sprintf("198.51.100.%d:5000", session))
		a.Hello.NAT = &wire.SignalNAT{Classes: []string{class}, Allocation: allocation}
		return w.join(a)
	}
	cone, counts, counts2, draws := says(1, "port-restricted-cone", ""), says(2, "symmetric", "sequential"), says(3, "symmetric", "sequential"), says(4, "symmetric", "random")
	for session, want := range map[Session][]wire.PeerID{1: {counts, counts2, draws}, 2: {cone, counts2}, 3: {cone, counts}, 4: {cone}} {
		all, _ := w.named(session)
		slices.Sort(all)
		slices.Sort(want)
		if !slices.Equal(all, want) {
			t.Errorf("%d was told of %v, want %v", session, all, want)
		}
	}
	for _, m := range w.lists[1].Members {
		if m.NAT == nil {
			t.Errorf("of the NAT of %v nothing is said", m.ID)
		}
	}
	// What is known better later, others hear of.
	a := w.hello(4, 4, "198.51.100.4", "198.51.100.4:5000")
	a.Hello.NAT = &wire.SignalNAT{Classes: []string{"full-cone"}}
	w.join(a)
	if all, _ := w.named(2); !slices.Contains(all, draws) {
		t.Errorf("2 was told of %v", all)
	}
}

func TestPairsAreCountedByKindAndPath(t *testing.T) {
	w := newLab(t, "balanced", Config{})
	var ids []wire.PeerID
	for i, class := range []string{"public", "port-restricted-cone", "symmetric", "nonsense"} {
		a := w.hello(Session(i+1), i+1, fmt.Sprintf("198.51.100.%d", i+1), fmt.Sprintf("198.51.100.%d:5000", i+1))
		a.Hello.NAT = &wire.SignalNAT{Classes: []string{class}, Allocation: "random"}
		ids = append(ids, w.join(a))
	}
	report := func(session Session, unreached []wire.PeerID, with ...string) {
		body := `{"neighbours":[`
		for i := 0; i < len(with); i += 2 {
			if i > 0 {
				body += ","
			}
			body += fmt.Sprintf(`{"id":"%s","role":"peer","path":"%s"}`, with[i], with[i+1])
		}
		if _, err := w.Report(session, &wire.SignalReport{Report: json.RawMessage(body + "]}"), Unreached: unreached}); err != nil {
			t.Fatal(err)
		}
		w.drain()
	}
	report(1, nil, ids[1].String(), "direct", ids[3].String(), "direct", ids[0].String(), "direct")
	report(2, []wire.PeerID{ids[2]}, ids[0].String(), "direct") // counted by the other's word
	report(3, nil, ids[1].String(), "birthday", ids[0].String(), "a path of its own")
	report(3, nil, ids[0].String(), "direct")
	want := map[WayCount]uint64{
		{nat.KindPublic, nat.KindPortRestricted, "direct"}: 1,
		{nat.KindPortRestricted, nat.KindRandom, Failed}:   1,
		{nat.KindPublic, nat.KindRandom, "direct"}:         1,
	}
	if got := w.Ways(); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

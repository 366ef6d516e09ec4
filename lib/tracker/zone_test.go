package tracker

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
	"github.com/xp2p/xp2p/lib/zone"
)

func twoISPs(t *testing.T) *zone.Map {
	t.Helper()
	m, err := zone.Parse(`
198.51.100.0/24 isp-a
203.0.113.0/24  isp-b
cost isp-a -> isp-b 10
cost isp-b -> isp-a 7
default-cost 20
budget isp-b 9M
`)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// cost is what session was told that it costs to reach peer; -1: they do not
// meet.
func (w *lab) cost(session Session, peer wire.PeerID) int {
	if l := w.lists[session]; l != nil {
		for _, m := range l.Members {
			if m.ID == peer {
				return int(m.Cost)
			}
		}
	}
	return -1
}

func TestPeersHearWhatTheWayToEachOtherCosts(t *testing.T) {
	for _, topo := range []string{topology.BalancedName, topology.MeshName} {
		w := newLab(t, topo, Config{Zones: twoISPs(t)})
		seed := w.seed(1, 1, "192.168.1.1:9000", "198.51.100.1:9000")
		anna := w.join(w.hello(2, 2, "198.51.100.2", "198.51.100.2:5000"))
		bert := w.join(w.hello(3, 3, "203.0.113.3", "203.0.113.3:5000"))
		carl := w.join(w.hello(4, 4, "192.0.2.4", "192.0.2.4:5000")) // in no network
		dora := w.join(w.hello(5, 5, "203.0.113.5", "203.0.113.5:5000"))
		for _, c := range []struct {
			session Session
			peer    wire.PeerID
			want    int
		}{
			{2, seed, 0}, {2, bert, 10}, {2, carl, 20}, {2, dora, 10},
			{3, seed, 7}, {3, anna, 7}, {3, carl, 20}, {3, dora, 0},
			{4, seed, 20}, {4, anna, 20}, {4, dora, 20},
		} {
			want := c.want
			if topo == topology.BalancedName && c.peer != seed && want > 0 {
				want = -1 // groups are of one zone: only the seed is known across borders
			}
			if got := w.cost(c.session, c.peer); got != want {
				t.Errorf("%s: session %d hears that %s costs %d, want %d", topo, c.session, c.peer, got, want)
			}
		}
		for session, want := range map[Session]uint32{2: 0, 3: 7, 4: 20, 5: 7} {
			if got := w.lists[session].SeedCost; got != want {
				t.Errorf("%s: session %d hears that seeds cost %d, want %d", topo, session, got, want)
			}
		}
		fed := 0
		for _, g := range w.rooms["match"].top.Groups() {
			for _, m := range w.feeds[1][g].Members {
				fed++
				want := map[wire.PeerID]uint32{anna: 0, bert: 10, carl: 20, dora: 10}[m.ID]
				if m.Cost != want {
					t.Errorf("%s: the seed hears that %s costs %d, want %d", topo, m.ID, m.Cost, want)
				}
			}
		}
		if fed != 4 {
			t.Errorf("%s: the seed feeds %d", topo, fed)
		}
	}
}

func TestWhoMovesToAnotherISPIsFarFromHisOldFellows(t *testing.T) {
	for _, topo := range []string{topology.BalancedName, topology.MeshName} {
		w := newLab(t, topo, Config{Zones: twoISPs(t)})
		anna := w.join(w.hello(2, 2, "198.51.100.2", "198.51.100.2:5000"))
		bert := w.join(w.hello(3, 3, "198.51.100.3", "198.51.100.3:5000"))
		if w.cost(2, bert) != 0 || w.cost(3, anna) != 0 {
			t.Fatalf("%s: neighbours cost %d and %d", topo, w.cost(2, bert), w.cost(3, anna))
		}
		back := w.hello(4, 2, "203.0.113.2", "203.0.113.2:5000") // Wi-Fi to 4G
		back.Hello.Resume = w.welcome[2].Resume
		w.join(back)
		there, here := 7, 10
		if topo == topology.BalancedName {
			there, here = -1, -1 // she is in a group of her new zone
		}
		if w.cost(4, bert) != there || w.cost(3, anna) != here {
			t.Errorf("%s: after the move they cost %d and %d, want %d and %d", topo, w.cost(4, bert), w.cost(3, anna), there, here)
		}
		s, _ := w.Stats("match")
		if !slices.Equal(s.Zones, []ZoneStats{{"isp-a", 1}, {"isp-b", 1}}) {
			t.Errorf("%s: zones %v", topo, s.Zones)
		}
	}
}

func TestARoomIsCountedByZone(t *testing.T) {
	w := newLab(t, "balanced", Config{Zones: twoISPs(t)})
	w.seed(1, 1, "198.51.100.1:9000")
	for i := range 5 {
		addr := fmt.Sprintf("203.0.113.%d", i+1)
		w.join(w.hello(Session(10+i), 10+i, addr, addr+":5000"))
	}
	w.join(w.hello(20, 20, "198.51.100.20")) // seen by its signalling only
	w.join(w.hello(21, 21, "198.51.100.21", "192.0.2.21:5000"))
	w.join(w.hello(21, 21, "198.51.100.21", "192.0.2.21:5000")) // again
	w.Leave(now, 10)
	zones := func() []ZoneStats {
		s, _ := w.Stats("match")
		return s.Zones
	}
	if got := zones(); !slices.Equal(got, []ZoneStats{{"", 1}, {"isp-a", 1}, {"isp-b", 4}}) {
		t.Errorf("zones %v", got)
	}
	w.join(w.hello(20, 20, "198.51.100.20", "203.0.113.20:5000"))
	if got := zones(); !slices.Equal(got, []ZoneStats{{"", 1}, {"isp-b", 5}}) {
		t.Errorf("zones %v", got)
	}
	for s := range Session(30) {
		w.Leave(now, s)
	}
	if got := zones(); len(got) != 0 || len(w.rooms["match"].inZone) != 0 {
		t.Errorf("an empty room has peers in %v", got)
	}
	plain := newLab(t, "balanced", Config{})
	plain.join(plain.hello(1, 1, "198.51.100.1", "198.51.100.1:1"))
	if s, _ := plain.Stats("match"); s.Zones != nil {
		t.Errorf("a tracker that knows no zones has %v", s.Zones)
	}
}

func TestABudgetBoundsHowManyCopiesCross(t *testing.T) {
	m := twoISPs(t)
	a, _ := m.Find("isp-a")
	b, _ := m.Find("isp-b")
	w := newLab(t, "balanced", Config{Zones: m})
	for _, name := range []string{"other", "third"} {
		if err := w.Open(now, name, "balanced"); err != nil {
			t.Fatal(err)
		}
	}
	seed := func(session Session, room string) {
		h := w.hello(session, int(session), "127.0.0.1")
		h.Room, h.Hello.Role, h.Trusted = room, wire.RoleSeed, true
		w.join(h)
	}
	reports := func(session Session, bps int64) {
		t.Helper()
		if _, err := w.Report(session, &wire.SignalReport{Report: json.RawMessage(fmt.Sprintf(`{"rate_bps":%d}`, bps))}); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when, room string, z zone.ID, want int) {
		t.Helper()
		if got := w.crossings(w.rooms[room], z); got != want {
			t.Errorf("%s: %d copies of %s may cross, want %d", when, got, room, want)
		}
	}
	seed(1, "match")
	seed(2, "other")
	check("no rate is known", "match", b, unbounded)
	reports(1, 2_000_000)
	check("alone", "match", b, 4) // 9 Mbit/s of 2
	check("no budget", "match", a, unbounded)
	check("nowhere", "match", 0, unbounded)
	check("no rate of this one", "other", b, unbounded)
	reports(2, 1_000_000)
	check("the other has nobody there", "match", b, 4)
	for session, room := range map[Session]string{3: "other", 4: "match"} {
		viewer := w.hello(session, int(session), "203.0.113.3", "203.0.113.3:5000")
		viewer.Room = room
		w.join(viewer)
	}
	check("two rooms share the border", "match", b, 3)
	check("two rooms share the border", "other", b, 3)
	reports(1, 50_000_000)
	check("more than the budget", "match", b, 1)
	reports(3, 80_000_000) // a viewer's word on the stream is none
	check("a viewer reports", "match", b, 1)
	w.Leave(now, 4)
	check("the other has nobody there any more", "other", b, 9)
	w.Leave(now, 3)
	reports(1, 3_000_000)
	check("they have left", "match", b, 3)
	plain := newLab(t, "balanced", Config{})
	if got := plain.crossings(plain.rooms["match"], b); got != unbounded {
		t.Errorf("without zones %d may cross", got)
	}
}

package node

import (
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/tracker"
	"github.com/xp2p/xp2p/lib/wire"
	"github.com/xp2p/xp2p/lib/zone"
)

func TestWhatCameFromAnotherISPIsReported(t *testing.T) {
	m, err := zone.Parse("192.0.2.0/24 isp-a\n198.51.100.0/24 isp-b\n198.51.100.10 isp-a\ncost isp-a isp-b 10\n")
	if err != nil {
		t.Fatal(err)
	}
	both(t, func(t *testing.T, topo string) {
		x := newWorld(t, 1, topo, func(c *tracker.Config) { c.Zones = m })
		x.broadcast(1_000_000, time.Second, 12*time.Second)
		x.run(2 * time.Second)
		near := x.join(0, "anna", hostOptions{}) // where the seed is
		far := []*viewer{x.join(time.Second, "bert", hostOptions{}), x.join(2*time.Second, "carl", hostOptions{})}
		x.run(12 * time.Second)

		a := near.report()
		var want int64
		for _, n := range a.Neighbours {
			if m.Name(m.Lookup(n.Addr.Addr())) == "isp-b" {
				want += n.ReceivedBytes
			}
		}
		// In a balanced room those of another ISP are in another group.
		if (want == 0) != (topo == "balanced") || a.InterZoneBytes != want {
			t.Errorf("anna had %d bytes from isp-b and reports %d", want, a.InterZoneBytes)
		}
		for _, v := range far {
			r := v.report()
			want, seen := r.OriginBytes, int64(0) // the origin stands where the seed does
			for _, n := range r.Neighbours {
				seen += n.ReceivedBytes
				if m.Name(m.Lookup(n.Addr.Addr())) == "isp-a" {
					want += n.ReceivedBytes
				}
			}
			if r.OriginBytes == 0 || want == r.OriginBytes || r.PeerBytes == 0 || seen+r.OriginBytes != r.TotalBytes() || r.InterZoneBytes != want {
				t.Errorf("%s had %d bytes from isp-a, %d of them of the origin, and reports %d", v.name, want, r.OriginBytes, r.InterZoneBytes)
			}
		}
		r, ok := x.seed.Stats(x.w.Now(), "match")
		if !ok || r.RateBPS < 950_000 || r.RateBPS > 1_100_000 {
			t.Errorf("the seed says that the stream has %d bit/s", r.RateBPS)
		}
		if a.RateBPS != 0 {
			t.Errorf("a viewer takes in %d bit/s", a.RateBPS)
		}
		s, _ := x.tr.Stats("match")
		if len(s.Zones) != 2 || s.Zones[0] != (tracker.ZoneStats{Name: "isp-a", Peers: 1}) || s.Zones[1] != (tracker.ZoneStats{Name: "isp-b", Peers: 2}) {
			t.Errorf("zones %v", s.Zones)
		}
	})
}

func TestAnOriginIsFarFromThoseWhoKnowNoSeedToo(t *testing.T) {
	x := newWorld(t, 1, "balanced")
	v := x.join(0, "anna", hostOptions{})
	x.run(100 * time.Millisecond)
	r := v.n.rooms[0]
	r.origin = originZone{} // as if the tracker had said nothing
	crossed := func() int64 {
		rep, _ := v.n.Stats(x.w.Now(), "match")
		return rep.InterZoneBytes
	}
	r.fromOrigin(1000)
	if n := crossed(); n != 0 {
		t.Errorf("nobody knows where the origin is, and %d bytes crossed", n)
	}
	r.placeOrigin(&wire.SignalNeighbours{SeedCost: 5})
	r.fromOrigin(200)
	if n := crossed(); n != 1200 {
		t.Errorf("%d bytes of a far origin crossed, want 1200", n)
	}
	r.placeOrigin(&wire.SignalNeighbours{SeedCost: 0, Members: []wire.SignalMember{{Role: wire.RoleSeed}}})
	r.fromOrigin(30)
	if n := crossed(); n != 1200 {
		t.Errorf("%d bytes crossed, and there is a seed nearby now", n)
	}
}

package node

import (
	"fmt"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/simnet"
)

// groupOf is how many are in a group of a balanced room.
const groupOf = 5

func TestOnlyThoseWhomTheTrackerNamesMeetTheSeed(t *testing.T) {
	x := crowd(t, 21, "balanced", 14, 7*time.Second)
	met := 0
	for range 16 {
		x.run(500 * time.Millisecond)
		met = max(met, len(x.seed.rooms[0].sw.Neighbours()))
	}
	s := x.totals()
	t.Log(s, "neighbours of the seed:", met)
	if met != groupOf {
		t.Errorf("the seed met %d of 14 viewers, want the %d of one group", met, groupOf)
	}
	for i, v := range x.viewers {
		x.complete(v)
		if r := v.report(); (r.SeedBytes > 0) != (i < groupOf) {
			t.Errorf("%s got %d bytes from the seed", v.name, r.SeedBytes)
		}
	}
	if s.stalls > 0 || s.share < 0.8 {
		t.Errorf("%d stalls, share %.3f", s.stalls, s.share)
	}
}

func TestWithoutATrackerTheSeedsOfTheDocumentAreMetAfterAWhile(t *testing.T) {
	x := newWorld(t, 22, "balanced")
	x.run(time.Second)
	x.broadcast(1_000_000, time.Second, 6*time.Second)
	x.trGone = true
	v := x.join(0, "anna", hostOptions{})
	x.run(seedPatience)
	if n := len(x.seed.rooms[0].sw.Neighbours()); n != 0 {
		t.Errorf("the seed met %d viewers before the tracker had its time", n)
	}
	x.run(200 * time.Millisecond)
	if n := len(x.seed.rooms[0].sw.Neighbours()); n != 1 {
		t.Errorf("the seed has %d neighbours", n)
	}
	x.run(6 * time.Second)
	x.complete(v)
}

func TestWhoFindsTheOriginBusyBeginsAmongThePeers(t *testing.T) {
	both(t, func(t *testing.T, topo string) {
		x := crowd(t, 23, topo, 5, 8*time.Second)
		x.w.After(3*time.Second, func() { x.originBusy = true })
		var late []*viewer
		for i := range 3 {
			late = append(late, x.join(time.Duration(3300+400*i)*time.Millisecond, fmt.Sprintf("newcomer %d", i+1), hostOptions{up: 8 * simnet.Mbps, down: 50 * simnet.Mbps}))
		}
		x.run(10 * time.Second)
		t.Log(x.totals())
		for _, v := range late {
			t.Logf("%s: first frame after %v", v.name, v.first)
			if v.first <= 0 || v.first > time.Second {
				t.Errorf("%s: first frame after %v", v.name, v.first)
			}
			if r := v.report(); r.OriginBytes > 0 {
				t.Errorf("%s got %d bytes from an origin that has room for nobody", v.name, r.OriginBytes)
			}
		}
		for _, v := range x.viewers {
			x.complete(v)
			if v.stalls > 0 {
				t.Errorf("%s: %d stalls", v.name, v.stalls)
			}
		}
	})
}

package bench

import (
	"math"
	"reflect"
	"slices"
	"testing"
	"time"
)

func TestAViewerIsTheSameInARoomOfTenAndOfAThousand(t *testing.T) {
	small, large := Draw(&Scenario{Peers: 10}, 7), Draw(&Scenario{Peers: 1000}, 7)
	if len(small) != 10 || len(large) != 1000 || !reflect.DeepEqual(small, large[:10]) {
		t.Errorf("%+v\nare not the first of %+v", small, large[:10])
	}
	flash := Draw(&Scenario{Peers: 10, Join: Join{Kind: "flash"}, Zones: 2, Unconnectable: 0.3, NoUpload: 1}, 7)
	for i, v := range flash {
		if v.AccessDelay != small[i].AccessDelay || v.UplinkBPS != small[i].UplinkBPS {
			t.Errorf("viewer %d: %+v became %+v in another scenario", i, small[i], v)
		}
	}
	if reflect.DeepEqual(Draw(&Scenario{Peers: 10}, 8), small) {
		t.Error("another seed draws the same")
	}
	if !reflect.DeepEqual(Draw(&Scenario{Peers: 10}, 7), small) {
		t.Error("the same seed draws another")
	}
}

// share is the part of viewers of whom f holds.
func share(vs []Viewer, f func(Viewer) bool) float64 {
	n := 0
	for _, v := range vs {
		if f(v) {
			n++
		}
	}
	return float64(n) / float64(len(vs))
}

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if math.Abs(got-want) > within {
		t.Errorf("%s: %.4g, want %.4g and at most %.4g off", what, got, want, within)
	}
}

func TestWhatIsDrawnIsWhatTheScenarioSays(t *testing.T) {
	vs := Draw(&Scenario{
		Peers: 10_000, RateBPS: 1_000_000, RTTMS: [2]float64{40, 80}, Zones: 2, Unconnectable: 0.3, Polluters: 0.01, NoUpload: 0.2, Slow: 3,
		Uplinks: []Uplink{{Weight: 1, Low: 0.5}, {Weight: 3, Low: 2, High: 4}},
	}, 1)
	near(t, "slow uplinks", share(vs, func(v Viewer) bool { return v.UplinkBPS == 500_000 }), 0.25, 0.02)
	near(t, "uplinks within the other class", share(vs, func(v Viewer) bool { return v.UplinkBPS >= 2_000_000 && v.UplinkBPS < 4_000_000 }), 0.75, 0.02)
	near(t, "the first zone", share(vs, func(v Viewer) bool { return v.Zone == 0 }), 0.5, 0.02)
	near(t, "polluters", share(vs, func(v Viewer) bool { return v.Polluter }), 0.01, 0.004)
	near(t, "who give nothing", share(vs, func(v Viewer) bool { return v.NoUpload }), 0.2, 0.02)
	near(t, "downlinks", share(vs, func(v Viewer) bool { return v.DownlinkBPS == 20_000_000 }), 1, 0)
	hard := share(vs, func(v Viewer) bool { return v.Hard })
	near(t, "pairs that cannot connect", hard*hard, 0.3, 0.02)
	slow := 0
	low, high := time.Hour, time.Duration(0)
	for _, v := range vs {
		if v.Slow {
			slow++
			near(t, "what a slow uplink carries", float64(v.Carries()), float64(v.UplinkBPS)/10, 1)
		} else if v.Carries() != v.UplinkBPS {
			t.Errorf("%+v carries %d", v, v.Carries())
		}
		low, high = min(low, v.AccessDelay), max(high, v.AccessDelay)
		if v.JoinS < 0 || v.JoinS > 20 || v.StayS != 120 {
			t.Fatalf("%+v", v)
		}
	}
	if slow != 3 {
		t.Errorf("%d are slow", slow)
	}
	near(t, "the shortest round trip", 4*low.Seconds()*1000, 40, 0.1)
	near(t, "the longest round trip", 4*high.Seconds()*1000, 80, 0.1)
}

func TestACrowdComesWhenItIsSaid(t *testing.T) {
	vs := Draw(&Scenario{Peers: 1000, Join: Join{Kind: "flash", First: 30, AtS: 40, OverS: 5}}, 3)
	for i, v := range vs {
		if first := i < 30; first && v.JoinS > firstComeS || !first && (v.JoinS < 40 || v.JoinS > 45) {
			t.Errorf("viewer %d comes at %.2f s", i, v.JoinS)
		}
	}
}

// Little's law: those who are there = arrivals a second × how long each stays,
// but for the longest sessions, which the broadcast cuts off.
func TestArrivalsAndHeavyTailedSessionsFillTheRoom(t *testing.T) {
	vs := Draw(&Scenario{Peers: 1000, Seconds: 3000, Join: Join{Kind: "poisson"}, Session: Session{Kind: "pareto", MeanS: 30, Alpha: 3}}, 5)
	if !slices.IsSortedFunc(vs, func(a, b Viewer) int { return int(math.Copysign(1, a.JoinS-b.JoinS)) }) {
		t.Error("arrivals are not in order")
	}
	near(t, "arrivals", float64(len(vs)), 100_000, 1500)
	near(t, "in the room in the middle", share(vs, func(v Viewer) bool { return v.JoinS <= 1500 && v.JoinS+v.StayS > 1500 })*float64(len(vs)), 1000, 100)
	shortest := 3000.0
	for _, v := range vs {
		shortest = min(shortest, v.StayS)
	}
	near(t, "the shortest session", shortest, 20, 0.1)
	near(t, "arrivals of those who stay", float64(len(Draw(&Scenario{Peers: 1000, Join: Join{Kind: "poisson"}}, 5))), 1000, 100)
}

package swarm

import (
	"math"
	"testing"
	"time"
)

// A road is what the connection to a neighbour measures for a while.
type road struct {
	srtt, min int // ms
	rate      int // bytes per second that it acknowledges
}

func TestAQueueInTheUplinkMakesASwarmGiveLess(t *testing.T) {
	const fed = 30_000
	idle := []road{{20, 20, fed}, {50, 48, fed}, {80, 75, fed}}
	full := []road{{220, 20, fed}, {250, 48, fed}, {280, 75, fed}}
	type phase struct {
		seconds float64
		roads   []road
		least   float64 // the factor is between these at its end
		most    float64
	}
	for _, c := range []struct {
		name   string
		phases []phase
	}{
		{"a road without a queue", []phase{{60, idle, 1, 1}}},
		{"the user's own upload, and its end", []phase{
			{20, idle, 1, 1}, {1.5, full, 0.3, 0.6}, {5, full, 0.1, 0.1}, {3, idle, 0.3, 0.5}, {8, idle, 1, 1},
		}},
		{"a queue of less than the target", []phase{{20, idle, 1, 1}, {20, []road{{110, 20, fed}, {140, 48, fed}, {170, 75, fed}}, 1, 1}}},
		{"one neighbour's own queue", []phase{{20, idle, 1, 1}, {20, []road{{420, 20, fed}, {50, 48, fed}, {80, 75, fed}}, 1, 1}}},
		{"of two only one sees it", []phase{{20, idle[:2], 1, 1}, {20, []road{{420, 20, fed}, {50, 48, fed}}, 1, 1}}},
		{"both of two see it", []phase{{20, idle[:2], 1, 1}, {10, full[:2], 0.1, 0.1}}},
		{"there is but one", []phase{{20, idle[:1], 1, 1}, {10, full[:1], 1, 1}}},
		{"nothing is sent to those who see it", []phase{
			{20, []road{{20, 20, 0}, {50, 48, 0}, {80, 75, 0}}, 1, 1}, {20, []road{{220, 20, 0}, {250, 48, 0}, {280, 75, 0}}, 1, 1},
		}},
		{"little is sent, as of 500 kbit/s in a group of ten", []phase{{20, idle, 1, 1}, {15, []road{{20, 20, 6000}, {50, 48, 6000}, {80, 75, 6000}}, 1, 1}}},
		{"it is there from the beginning: the minimum knows", []phase{{8, full, 0.1, 0.1}}},
		{"no minimum is known, as of other transports", []phase{
			{20, []road{{20, 0, fed}, {50, 0, fed}, {80, 0, fed}}, 1, 1}, {8, []road{{220, 0, fed}, {250, 0, fed}, {280, 0, fed}}, 0.1, 0.1},
		}},
		{"an upload of five minutes is yielded to for all of it", []phase{{40, idle, 1, 1}, {300, full, 0.1, 0.1}, {12, idle, 1, 1}}},
		{"a longer way is believed at last", []phase{{40, idle, 1, 1}, {300, full, 0.1, 0.1}, {330, full, 1, 1}}},
		{"a longer way with an address of its own is believed at once", []phase{
			{20, idle, 1, 1}, {0.5, []road{{333, 0, fed}, {333, 0, fed}, {333, 0, fed}}, 1, 1}, {20, []road{{250, 240, fed}, {260, 240, fed}, {270, 240, fed}}, 1, 1},
		}},
		{"a minimum that grew, seen between two looks", []phase{{20, idle, 1, 1}, {20, []road{{250, 240, fed}, {260, 240, fed}, {270, 240, fed}}, 1, 1}}},
		{"a way that has grown by less than the target is the base after a minute", []phase{
			{20, []road{{20, 20, fed}, {20, 20, fed}}, 1, 1}, {70, []road{{100, 20, fed}, {100, 20, fed}}, 1, 1}, {20, []road{{190, 20, fed}, {190, 20, fed}}, 1, 1},
		}},
	} {
		s := newSwarm(t, 4, false, "balanced")
		meet(t, s, 6)
		ids := []Peer{2, 3, 5}
		now := t0
		for i, p := range c.phases {
			for end := now.Add(time.Duration(p.seconds * float64(time.Second))); now.Before(end); now = now.Add(100 * time.Millisecond) {
				for j, r := range p.roads {
					s.SetPath(ids[j], Path{SRTT: time.Duration(r.srtt) * time.Millisecond, MinRTT: time.Duration(r.min) * time.Millisecond})
					s.peer(ids[j]).out += int64(r.rate / 10)
				}
				s.Advance(now)
			}
			if f := s.politeFactor(); f < p.least-1e-9 || f > p.most+1e-9 || math.IsNaN(f) {
				t.Errorf("%s: after phase %d the factor is %.3f, want %v to %v", c.name, i, f, p.least, p.most)
			}
		}
	}
}

func TestAfterALongSilenceAllIsGivenAgain(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	s.Advance(t0)
	s.delay.less = 1 - factorMin
	s.Advance(at(500))
	if f := s.politeFactor(); math.Abs(f-factorMin-factorUp) > 1e-9 {
		t.Errorf("after a step: %v", f)
	}
	s.Advance(at(60_000))
	if f := s.politeFactor(); f != 1 {
		t.Errorf("after a minute: %v", f)
	}
	seed := newSwarm(t, seedID, true, "balanced")
	seed.Advance(at(60_000))
	if f := seed.politeFactor(); f != 1 {
		t.Errorf("a seed: %v", f)
	}
}

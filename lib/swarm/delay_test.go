package swarm

import (
	"math"
	"testing"
	"time"
)

func TestAQueueInTheUplinkMakesASwarmGiveLess(t *testing.T) {
	// For how long a piece stands in queues on its way to each of three neighbours,
	// in ms, at each of their deliveries; one after another until the last.
	type road [][]time.Duration
	idle := road{{3}, {10}, {60, 4}}
	full := road{{220}, {250}, {280}}
	type phase struct {
		seconds float64
		roads   road
		every   float64 // seconds between two deliveries to the same neighbour
		least   float64 // the factor is between these at its end
		most    float64
	}
	for _, c := range []struct {
		name   string
		phases []phase
	}{
		{"a road without a queue", []phase{{60, idle, 0.2, 1, 1}}},
		{"the user's own upload, and its end", []phase{
			{20, idle, 0.2, 1, 1}, {1.6, full, 0.2, 0.3, 0.6}, {5, full, 0.2, 0.1, 0.1}, {3, idle, 0.2, 0.3, 0.5}, {8, idle, 0.2, 1, 1},
		}},
		{"a queue of less than the target", []phase{{20, road{{90}, {92}, {95}}, 0.2, 1, 1}}},
		{"a queue of our own, which is soon gone", []phase{{20, road{{300, 200, 20}, {20, 300, 200}, {200, 20, 300}}, 0.2, 1, 1}}},
		{"one neighbour's own queue", []phase{{20, road{{400}, {10}, {20}}, 0.2, 1, 1}}},
		{"of two only one sees it", []phase{{20, road{{400}, {2}}, 0.2, 1, 1}}},
		{"both of two see it", []phase{{10, full[:2], 0.2, 0.1, 0.1}}},
		{"there is but one", []phase{{10, full[:1], 0.2, 1, 1}}},
		{"little is given, as by who gives a tenth", []phase{{60, full, 4, 0.1, 0.2}}},
		{"an upload of five minutes is yielded to for all of it", []phase{{40, idle, 0.2, 1, 1}, {300, full, 0.2, 0.1, 0.1}, {12, idle, 0.2, 1, 1}}},
	} {
		s := newSwarm(t, 4, false, "balanced")
		meet(t, s, 6)
		now := t0
		s.Advance(now)
		for i, p := range c.phases {
			given := 0
			next := now
			for end := now.Add(time.Duration(p.seconds * float64(time.Second))); now.Before(end); now = now.Add(50 * time.Millisecond) {
				if !now.Before(next) {
					for j, r := range p.roads {
						s.delay.saw(Peer(2+j), r[given%len(r)]*time.Millisecond)
					}
					given++
					next = next.Add(time.Duration(p.every * float64(time.Second)))
				}
				s.Advance(now)
			}
			if f := s.politeFactor(); f < p.least-1e-9 || f > p.most+1e-9 || math.IsNaN(f) {
				t.Errorf("%s: after phase %d the factor is %.3f, want %v to %v", c.name, i, f, p.least, p.most)
			}
		}
	}
}

// Where all uplinks are full, acknowledgements wait in those of all neighbours. Our
// own may be empty, and who gave less then would make the others all the fuller.
func TestQueuesOnTheWayBackAreNotOurs(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	meet(t, s, 6)
	for i := range 100 {
		for _, id := range []Peer{2, 3, 5} {
			s.SetPath(id, Path{SRTT: 600 * time.Millisecond, MinRTT: 20 * time.Millisecond})
			x := &sending{tag: uint64(1000*i) + uint64(id), size: 10_000, at: at(100 * i)}
			s.peer(id).away = append(s.peer(id).away, x)
			s.give.owes(s.peer(id), x.size)
			s.Delivered(at(100*i+90), id, x.tag, Departure{At: at(100*i + 10), Queued: 8 * time.Millisecond})
		}
	}
	if f := s.politeFactor(); f != 1 {
		t.Errorf("the factor is %v", f)
	}
}

func TestAfterALongSilenceAllIsGivenAgain(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	s.Advance(t0)
	s.delay.less = 1 - factorMin
	s.delay.saw(2, time.Second)
	s.Advance(at(500))
	if f := s.politeFactor(); math.Abs(f-factorMin) > 1e-9 {
		t.Errorf("after half a second, in which too little was seen: %v", f)
	}
	s.Advance(at(5000))
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

package topology

import (
	"math/rand/v2"
	"testing"
)

// Three zones, and the border of one carries three copies of the stream. So many of
// its members have neighbours elsewhere, and so many elsewhere have neighbours in it,
// whoever comes and goes; within it all hang together, and so does the room.
func TestLinksThatCrossABorderStayWithinItsBound(t *testing.T) {
	const tight = 2
	most := 3
	m := NewMesh(rand.New(rand.NewPCG(9, 9)))
	m.SetBound(func(zone uint32) int {
		if zone == tight {
			return most
		}
		return -1
	})
	m.Join(Member{ID: 1, Seed: true, Zone: 1})
	rng := rand.New(rand.NewPCG(5, 5))
	crossing := func() (gates, guests int) {
		in, out := map[ID]bool{}, map[ID]bool{}
		for _, n := range m.peers {
			for _, o := range n.links {
				if n.Zone == tight && o.Zone != tight {
					in[n.ID], out[o.ID] = true, true
				}
			}
		}
		return len(in), len(out)
	}
	check := func(when string) {
		t.Helper()
		if gates, guests := crossing(); gates > most || guests > most || gates == 0 {
			t.Errorf("%s: %d of the zone have neighbours elsewhere, and %d elsewhere in it; at most %d", when, gates, guests, most)
		}
		for _, d := range m.doors {
			for _, n := range d {
				if n.Zone == tight {
					t.Errorf("%s: seeds hand pieces over the border to %d", when, n.ID)
				}
			}
		}
		seen, walk := map[*place]bool{}, m.peers[:1:1]
		for len(walk) > 0 {
			n := walk[len(walk)-1]
			if walk = walk[:len(walk)-1]; !seen[n] {
				seen[n] = true
				walk = append(walk, n.links...)
			}
		}
		if len(seen) != len(m.peers) {
			t.Errorf("%s: only %d of %d hang together", when, len(seen), len(m.peers))
		}
	}
	for id := range ID(300) {
		m.Join(Member{ID: id + 2, Upload: true, Uplink: rng.Int64N(9_000_000), Zone: 1 + uint32(id%3)})
	}
	check("all are in")
	for id := range ID(300) {
		if rng.IntN(2) == 0 {
			m.Leave(id + 2)
		}
	}
	check("half have left")
	most = 1
	for range 20 {
		m.Tend()
	}
	check("less may cross")
}

// Where nobody is near a seed, somebody must be an entry all the same, and stays one.
func TestEntriesFarFromTheSeedsStay(t *testing.T) {
	m := NewMesh(rand.New(rand.NewPCG(9, 9)))
	m.SetBound(func(uint32) int { return 3 })
	m.Join(Member{ID: 1, Seed: true, Zone: 1})
	for id := range ID(100) {
		m.Join(Member{ID: id + 2, Upload: true, Zone: 2})
	}
	if len(m.Groups()) != 1 || len(m.doors[0]) == 0 {
		t.Fatalf("%d copies cross, and the first enters at %d", len(m.Groups()), len(m.doors[0]))
	}
	for range 20 {
		if c := m.Tend(); len(c.Groups) > 0 || len(c.Members) > 0 {
			t.Fatalf("nothing has changed, and %v and %v hear of it", c.Groups, c.Members)
		}
	}
}

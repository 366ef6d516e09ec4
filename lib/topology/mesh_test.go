package topology

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// checkMesh holds a mesh against what it promises: degrees in bounds, links that
// both ends know, one piece, entries in their number and no peer twice.
func checkMesh(t *testing.T, m *Mesh, when string) {
	t.Helper()
	seen := map[*place]bool{}
	var walk []*place
	if len(m.peers) > 0 {
		walk = append(walk, m.peers[0])
	}
	for len(walk) > 0 {
		n := walk[len(walk)-1]
		walk = walk[:len(walk)-1]
		if seen[n] {
			continue
		}
		seen[n] = true
		if d := len(n.links); d > meshMax || d < min(meshMin, len(m.peers)-1)-1 {
			t.Errorf("%s: %d has %d neighbours", when, n.ID, d)
		}
		for i, o := range n.links {
			if o == n || !o.knows(n) || slices.Contains(n.links[:i], o) || m.places[o.ID] != o {
				t.Fatalf("%s: %d and %d are no neighbours", when, n.ID, o.ID)
			}
		}
		walk = append(walk, n.links...)
	}
	if len(seen) != len(m.peers) || len(m.places) != len(m.peers) {
		t.Errorf("%s: only %d of %d hang together", when, len(seen), len(m.peers))
	}
	entries := map[ID]bool{}
	for i, d := range m.doors {
		for _, n := range d {
			if n.door != i+1 || entries[n.ID] {
				t.Errorf("%s: %d is an entry of %d and %d", when, n.ID, i+1, n.door)
			}
			entries[n.ID] = true
		}
	}
	least, most := min(m.copies(len(m.peers))*meshEntries, len(m.peers)), min(m.copies(len(m.peers)*2)*meshEntries, len(m.peers))
	if n := len(entries); n < least || n > most {
		t.Errorf("%s: %d entries, want %d to %d", when, n, least, most)
	}
}

func TestMeshKeepsItsDegreesAndHolds(t *testing.T) {
	for _, zones := range []uint32{1, 2, 5, 300} {
		t.Run(fmt.Sprint(zones), func(t *testing.T) {
			m := NewMesh(rand.New(rand.NewPCG(9, 9)))
			rng := rand.New(rand.NewPCG(5, 5))
			var ids []ID
			for range 1000 {
				id := ID(rng.Uint64() | 1)
				m.Join(Member{ID: id, Upload: rng.IntN(9) > 0, Uplink: rng.Int64N(9_000_000), Zone: 1 + rng.Uint32N(zones)})
				ids = append(ids, id)
			}
			checkMesh(t, m, "full")
			rng.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
			for i, id := range ids {
				if m.Leave(id); i%49 == 0 || i > 980 {
					checkMesh(t, m, fmt.Sprintf("%d left", i+1))
				}
			}
			if len(m.zones)+len(m.doors)+len(m.places) != 0 || m.weight != 0 {
				t.Errorf("an empty mesh keeps something: %+v", m)
			}
		})
	}
}

func TestMostNeighboursAreNearAndSomeAreFar(t *testing.T) {
	m := NewMesh(rand.New(rand.NewPCG(9, 9)))
	rng := rand.New(rand.NewPCG(5, 5))
	var order []ID
	for range 3000 {
		if len(order) > 500 && rng.IntN(2) == 0 {
			i := rng.IntN(len(order))
			m.Leave(order[i])
			order = slices.Delete(order, i, i+1)
			continue
		}
		id := ID(rng.Uint64() | 1)
		m.Join(Member{ID: id, Upload: true, Zone: 1 + rng.Uint32N(3)})
		order = append(order, id)
	}
	near, links := 0, 0
	for _, n := range m.peers {
		near += n.near()
		links += len(n.links)
		if n.far() == 0 {
			t.Errorf("%d has no far neighbour", n.ID)
		}
	}
	if share := float64(near) / float64(links); share < 0.55 || share > 0.75 {
		t.Errorf("%.2f of the neighbours are near, want about two thirds", share)
	}
	v, _ := m.View(order[0])
	costs := map[uint32]int{}
	for _, o := range v.Members {
		costs[o.Cost]++
	}
	if costs[0] < 4 || costs[1] < 1 || len(costs) != 2 {
		t.Errorf("costs %v", costs)
	}
}

// hops is how many steps the last peer is from the entries.
func hops(m *Mesh) int {
	dist := map[*place]int{}
	var queue []*place
	for _, d := range m.doors {
		queue = append(queue, d[0])
		dist[d[0]] = 1
	}
	last := 0
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		last = dist[n]
		for _, o := range n.links {
			if dist[o] == 0 {
				dist[o] = dist[n] + 1
				queue = append(queue, o)
			}
		}
	}
	return last
}

func TestTenThousandAreFewStepsApartAndChurnIsCheap(t *testing.T) {
	m := NewMesh(rand.New(rand.NewPCG(9, 9)))
	rng := rand.New(rand.NewPCG(5, 5))
	var order []ID
	told := 0
	for step := range 20_000 {
		if step < 10_000 || rng.IntN(2) == 0 {
			id := ID(rng.Uint64() | 1)
			told += len(m.Join(Member{ID: id, Upload: true, Uplink: 500_000 + rng.Int64N(8_000_000), Zone: rng.Uint32N(4)}).Members)
			order = append(order, id)
			continue
		}
		i := rng.IntN(len(order))
		told += len(m.Leave(order[i]).Members)
		order[i] = order[len(order)-1]
		order = order[:len(order)-1]
	}
	checkMesh(t, m, "after churn")
	if n := float64(told) / 20_000; n > 24 {
		t.Errorf("a change was told to %.1f members on average", n)
	}
	if n := hops(m); n > 6 {
		t.Errorf("the last of %d is %d steps from an entry", len(order), n)
	}
	sum, count := map[bool]int{}, map[bool]int{}
	for _, n := range m.peers {
		strong := n.Uplink > 6_000_000
		if strong || n.Uplink < 3_000_000 {
			sum[strong] += len(n.links)
			count[strong]++
		}
	}
	if s, w := float64(sum[true])/float64(count[true]), float64(sum[false])/float64(count[false]); s < w+2 {
		t.Errorf("the strong have %.1f neighbours, the weak %.1f", s, w)
	}
}

func TestPiecesEnterAtTheStrongWhoTakeTurns(t *testing.T) {
	m := NewMesh(rand.New(rand.NewPCG(9, 9)))
	m.Join(Member{ID: 1, Seed: true})
	rng := rand.New(rand.NewPCG(5, 5))
	join := func() ID {
		id := ID(rng.Uint64() | 1)
		m.Join(Member{ID: id, Upload: rng.IntN(4) > 0, Uplink: 500_000 + rng.Int64N(8_000_000)})
		return id
	}
	for i := range 400 {
		join()
		want := 1
		if i >= meshSmall {
			want = 2
		}
		if i >= meshMiddle {
			want = meshCopies
		}
		fed := map[ID]bool{}
		var r Route
		for _, g := range m.Groups() {
			v, _ := m.Group(1, g)
			m.Route(&v, Piece{Seq: int64(i)}, 0, &r)
			for _, id := range r.Push {
				fed[id] = true
			}
		}
		if i > 32 && len(fed) != want {
			t.Fatalf("%d peers: a piece enters at %d, want %d", i+1, len(fed), want)
		}
	}
	were := map[ID]bool{}
	for range 20 * meshTurn {
		m.Leave(join())
		for _, d := range m.doors {
			for _, n := range d {
				were[n.ID] = true
			}
		}
	}
	weak := 0
	for _, d := range m.doors {
		for _, n := range d {
			if !n.Upload || n.Uplink < 3_000_000 {
				weak++
			}
		}
	}
	if weak > 16 || // half of the room are
		len(were) < 80 {
		t.Errorf("%d of 64 entries are weak; %d took turns", weak, len(were))
	}
}

func TestABadNeighbourIsSwappedForAnother(t *testing.T) {
	m := NewMesh(rand.New(rand.NewPCG(9, 9)))
	for id := ID(1); id <= 100; id++ {
		m.Join(Member{ID: id, Upload: true, Zone: 1 + uint32(id%2)})
	}
	n := m.places[50]
	bad, degree, near := n.links[0], len(n.links), n.near()
	c := m.Swap(50, bad.ID)
	if n.knows(bad) || len(n.links) != degree || n.near() != near || !slices.Contains(c.Members, 50) || !slices.Contains(c.Members, bad.ID) {
		t.Errorf("after the swap: %d neighbours, %d near; told %v", len(n.links), n.near(), c.Members)
	}
	checkMesh(t, m, "swapped")
	if c := m.Swap(50, bad.ID); len(c.Members) != 0 {
		t.Errorf("one who is no neighbour was swapped: %v", c.Members)
	}
}

func TestMeshTellsAndNeverPushes(t *testing.T) {
	m := NewMesh(rand.New(rand.NewPCG(1, 1)))
	m.Join(Member{ID: 100, Seed: true})
	for id := ID(1); id <= 6; id++ {
		m.Join(Member{ID: id, Upload: true})
	}
	v, _ := m.View(1)
	var r Route
	m.Route(&v, Piece{Seq: 1}, 4, &r)
	told := slices.Sorted(slices.Values(r.Tell))
	if len(r.Push) != 0 || !slices.Equal(told, []ID{2, 3, 5, 6}) {
		t.Errorf("route %+v, want all fellows but the sender told", r)
	}
	src := m.Sources(&v, Piece{Seq: 1}, nil)
	if len(src) != 6 || src[5] != 100 {
		t.Errorf("sources %v, want five fellows and the seed last", src)
	}
}

func BenchmarkMeshChurn(b *testing.B) {
	m := NewMesh(rand.New(rand.NewPCG(9, 9)))
	rng := rand.New(rand.NewPCG(1, 1))
	var order []ID
	for b.Loop() {
		if len(order) >= 10_000 {
			i := rng.IntN(len(order))
			m.Leave(order[i])
			order = slices.Delete(order, i, i+1)
			continue
		}
		id := ID(rng.Uint64() | 1)
		m.Join(Member{ID: id, Upload: true, Uplink: rng.Int64N(12_000_000)})
		order = append(order, id)
	}
}

package topology

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func both(t *testing.T, story func(t *testing.T, name string, top Topology)) {
	t.Helper()
	for _, name := range []string{BalancedName, MeshName} {
		t.Run(name, func(t *testing.T) {
			top, err := New(name, rand.New(rand.NewPCG(1, 2)))
			if err != nil {
				t.Fatal(err)
			}
			if top.Name() != name {
				t.Fatalf("%s calls itself %s", name, top.Name())
			}
			story(t, name, top)
		})
	}
}

// A storm is a thousand joins and leaves in random order. After each, what
// views there are must be true, and the change must have named all whose view
// is another now.
func storm(t *testing.T, top Topology, seed uint64, steps int, check bool) (trace string) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 7))
	present := map[ID]Member{}
	var order []ID // of those present
	known := map[ID]string{}
	knownGroup := map[uint64]string{}
	for step := range steps {
		var c Change
		var left ID
		if len(order) == 0 || rng.IntN(10) < 6 {
			m := Member{ID: ID(rng.Uint64() | 1), Upload: rng.IntN(10) > 0, Uplink: rng.Int64N(20_000_000), Seed: rng.IntN(100) == 0}
			present[m.ID] = m
			order = append(order, m.ID)
			c = top.Join(m)
		} else {
			i := rng.IntN(len(order))
			left = order[i]
			order = slices.Delete(order, i, i+1)
			delete(present, left)
			c = top.Leave(left)
		}
		trace += fmt.Sprint(c)
		if !slices.IsSorted(c.Members) || len(slices.Compact(slices.Clone(c.Members))) != len(c.Members) {
			t.Fatalf("step %d: change %v is not an ascending list", step, c)
		}
		if !check {
			continue
		}
		for _, id := range order {
			m := present[id]
			v, ok := top.View(id)
			if m.Seed {
				if ok {
					t.Fatalf("step %d: seed %d has a peer's view", step, id)
				}
				continue
			}
			if !ok {
				t.Fatalf("step %d: peer %d has no view", step, id)
			}
			now := fmt.Sprint(v)
			if now != known[id] && !slices.Contains(c.Members, id) {
				t.Fatalf("step %d: the view of %d changed and nobody tells it:\n%s\n%s", step, id, known[id], now)
			}
			known[id] = now
			seeds := 0
			for _, o := range v.Members {
				if present[o.ID] != o {
					t.Fatalf("step %d: %d is told of %+v, which is %+v", step, id, o, present[o.ID])
				}
				if o.Seed {
					seeds++
				}
			}
			want := 0
			for _, o := range present {
				if o.Seed {
					want++
				}
			}
			if seeds != want {
				t.Fatalf("step %d: %d knows %d seeds of %d", step, id, seeds, want)
			}
		}
		groups := top.Groups()
		for _, g := range groups {
			v, ok := top.Group(42, g)
			if !ok {
				t.Fatalf("step %d: group %d is listed and gone", step, g)
			}
			now := fmt.Sprint(v)
			if now != knownGroup[g] && !slices.Contains(c.Groups, g) {
				t.Fatalf("step %d: group %d changed and no seed hears of it", step, g)
			}
			knownGroup[g] = now
		}
		for g := range knownGroup {
			if !slices.Contains(groups, g) {
				if !slices.Contains(c.Groups, g) {
					t.Fatalf("step %d: group %d went and no seed hears of it", step, g)
				}
				delete(knownGroup, g)
			}
		}
	}
	return trace
}

func TestEverybodyWhoseViewChangedIsTold(t *testing.T) {
	both(t, func(t *testing.T, _ string, top Topology) { storm(t, top, 11, 600, true) })
}

func TestTheSameStormGivesTheSameRoom(t *testing.T) {
	both(t, func(t *testing.T, name string, top Topology) {
		again, _ := New(name, rand.New(rand.NewPCG(1, 2)))
		if storm(t, top, 3, 1000, false) != storm(t, again, 3, 1000, false) {
			t.Fatal("two runs of one storm differ")
		}
	})
}

func TestBalancedGroupsStayAboutTen(t *testing.T) {
	b := NewBalanced(nil)
	rng := rand.New(rand.NewPCG(5, 5))
	var ids []ID
	for i := range 1000 {
		id := ID(rng.Uint64() | 1)
		b.Join(Member{ID: id, Upload: true})
		ids = append(ids, id)
		if n := len(b.groups); n > i/groupMin+1 {
			t.Fatalf("%d peers in %d groups", i+1, n)
		}
	}
	// Filling the fullest keeps groups few: what a seed sends is one stream each.
	if n := len(b.groups); n > 112 {
		t.Errorf("1000 peers stand in %d groups, want about 100", n)
	}
	rng.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	for i, id := range ids {
		b.Leave(id)
		var small []int
		for _, g := range b.groups {
			if n := len(g.members); n > groupMax || n == 0 {
				t.Fatalf("a group of %d", n)
			} else if n < groupMin {
				small = append(small, n)
			}
		}
		// Two groups below half would fit together.
		if len(small) > 1 && small[0]+small[1] <= groupMax {
			t.Fatalf("after %d left, groups of %v did not merge", i+1, small)
		}
	}
	if len(b.groups) != 0 || len(b.where) != 0 {
		t.Errorf("an empty room keeps %d groups and %d members", len(b.groups), len(b.where))
	}
}

func TestMeshKeepsItsDegreesAndHolds(t *testing.T) {
	m := NewMesh(rand.New(rand.NewPCG(9, 9)))
	rng := rand.New(rand.NewPCG(5, 5))
	var ids []ID
	for range 1000 {
		id := ID(rng.Uint64() | 1)
		m.Join(Member{ID: id, Upload: true})
		ids = append(ids, id)
	}
	check := func(when string) {
		t.Helper()
		seen := map[ID]bool{}
		walk := []ID{m.peers[0].ID}
		for len(walk) > 0 {
			id := walk[len(walk)-1]
			walk = walk[:len(walk)-1]
			if seen[id] {
				continue
			}
			seen[id] = true
			n := len(m.links[id])
			if want := min(meshMin, len(m.peers)-1); n > meshMax || n < want-1 {
				t.Errorf("%s: %d has %d neighbours", when, id, n)
			}
			walk = append(walk, m.links[id]...)
		}
		if len(seen) != len(m.peers) {
			t.Errorf("%s: only %d of %d hang together", when, len(seen), len(m.peers))
		}
		if want := min(meshEntries, len(m.peers)); len(m.entries) != want {
			t.Errorf("%s: %d entries, want %d", when, len(m.entries), want)
		}
	}
	check("full")
	rng.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	for i, id := range ids[:995] {
		m.Leave(id)
		if i%99 == 0 {
			check(fmt.Sprintf("%d left", i+1))
		}
	}
	check("five stay")
}

// deliver plays a piece through a group by everybody's own view and returns
// how many copies each member sent and whether all have it.
func deliver(t *testing.T, top Topology, views map[ID]View, seed ID, p Piece) (sent map[ID]int) {
	t.Helper()
	sent = map[ID]int{}
	has := map[ID]int{}
	type hand struct{ from, to ID }
	var queue []hand
	var r Route
	for _, g := range top.Groups() {
		v, _ := top.Group(seed, g)
		top.Route(&v, p, 0, &r)
		for _, to := range r.Push {
			queue = append(queue, hand{seed, to})
		}
		sent[seed] += len(r.Push)
	}
	for len(queue) > 0 {
		h := queue[0]
		queue = queue[1:]
		has[h.to]++
		if has[h.to] > 1 {
			t.Fatalf("%v reached %d twice", p, h.to)
		}
		v := views[h.to]
		top.Route(&v, p, h.from, &r)
		for _, to := range r.Push {
			queue = append(queue, hand{h.to, to})
			sent[h.to]++
		}
	}
	if len(has) != len(views) {
		t.Fatalf("%v reached %d of %d", p, len(has), len(views))
	}
	return sent
}

func TestBalancedBringsEveryPieceToEverybodyOnceAndSharesTheWork(t *testing.T) {
	b := NewBalanced(nil)
	const seed = 1000
	b.Join(Member{ID: seed, Seed: true})
	// Ten members: nine with 2 Mbit/s, one with three times that, one who does not upload.
	for id := ID(1); id <= 10; id++ {
		m := Member{ID: id, Upload: id != 10, Uplink: 2_000_000}
		if id == 9 {
			m.Uplink = 6_000_000
		}
		b.Join(m)
	}
	views := map[ID]View{}
	for id := ID(1); id <= 10; id++ {
		views[id], _ = b.View(id)
	}
	total := map[ID]int{}
	const pieces = 11_000
	firsts := map[ID]int{}
	for i := range pieces {
		p := Piece{Epoch: 1_700_000_000_000, Seq: int64(i / 11), Index: i % 11}
		for id, n := range deliver(t, b, views, seed, p) {
			total[id] += n
			if p.Index == 0 && n == 9 && id != seed {
				firsts[id]++
			}
		}
	}
	if total[seed] != pieces {
		t.Errorf("the seed sent %d copies of %d pieces", total[seed], pieces)
	}
	if total[10] != 0 {
		t.Errorf("who does not upload sent %d", total[10])
	}
	for id := ID(1); id <= 9; id++ {
		owned, want := total[id]/9, pieces/11
		if id == 9 {
			want *= 3
		}
		if owned < want*85/100 || owned > want*115/100 {
			t.Errorf("member %d owned %d pieces, want about %d", id, owned, want)
		}
		if firsts[id] == 0 || id != 9 && firsts[id] > 200 {
			t.Errorf("member %d owned the first piece of %d segments of 1000", id, firsts[id])
		}
	}
}

func TestWhoLeavesGivesAwayHisOwnPiecesOnly(t *testing.T) {
	b := NewBalanced(nil)
	for id := ID(1); id <= 10; id++ {
		b.Join(Member{ID: id, Upload: true, Uplink: int64(id) * 1_000_000})
	}
	owner := func(p Piece) ID {
		v, _ := b.View(1)
		return first(v.Members, p.key(), true, isUploader)
	}
	var before []ID
	var pieces []Piece
	for i := range 2000 {
		p := Piece{Epoch: 5, Seq: int64(i / 16), Index: i % 16}
		pieces, before = append(pieces, p), append(before, owner(p))
	}
	b.Leave(7)
	heirs := map[ID]int{}
	for i, p := range pieces {
		now := owner(p)
		if before[i] != 7 && now != before[i] {
			t.Fatalf("7 left and %v went from %d to %d", p, before[i], now)
		}
		if before[i] == 7 {
			heirs[now]++
		}
	}
	if len(heirs) != 9 {
		t.Errorf("the pieces of 7 went to %d members, want all 9", len(heirs))
	}
}

func TestSeveralSeedsShareEveryGroup(t *testing.T) {
	both(t, func(t *testing.T, _ string, top Topology) {
		top.Join(Member{ID: 101, Seed: true})
		top.Join(Member{ID: 102, Seed: true})
		for id := ID(1); id <= 10; id++ {
			top.Join(Member{ID: id, Upload: true})
		}
		fed := map[ID]int{}
		var r Route
		for i := range 1000 {
			p := Piece{Epoch: 1, Seq: 9, Index: i}
			feeders := 0
			for _, seed := range []ID{101, 102} {
				v, _ := top.Group(seed, top.Groups()[0])
				top.Route(&v, p, 0, &r)
				feeders += len(r.Push)
				fed[seed] += len(r.Push)
			}
			if feeders != 1 {
				t.Fatalf("%v was fed %d times", p, feeders)
			}
		}
		if fed[101] < 400 || fed[102] < 400 {
			t.Errorf("the seeds fed %v of 1000", fed)
		}
	})
}

func TestSourcesNameTheOneWhoWillPushFirstAndEverybodyElseOnce(t *testing.T) {
	b := NewBalanced(nil)
	b.Join(Member{ID: 100, Seed: true})
	for id := ID(1); id <= 10; id++ {
		b.Join(Member{ID: id, Upload: id != 3})
	}
	var r Route
	for i := range 200 {
		p := Piece{Epoch: 1, Seq: 2, Index: i}
		feed, _ := b.Group(100, 1)
		b.Route(&feed, p, 0, &r)
		owner := r.Push[0]
		for id := ID(1); id <= 10; id++ {
			v, _ := b.View(id)
			src := b.Sources(&v, p, nil)
			want := owner
			if id == owner {
				want = 100
			}
			if src[0] != want {
				t.Fatalf("%d expects %v from %d, but %d sends it", id, p, src[0], want)
			}
			sorted := slices.Sorted(slices.Values(src))
			if slices.Contains(src, id) || slices.Contains(src, 3) || len(slices.Compact(sorted)) != len(src) || !slices.Contains(src, 100) {
				t.Fatalf("sources of %v for %d: %v", p, id, src)
			}
		}
	}
}

func TestWithoutUploadersTheSeedFeedsAll(t *testing.T) {
	both(t, func(t *testing.T, _ string, top Topology) {
		top.Join(Member{ID: 100, Seed: true})
		top.Join(Member{ID: 1})
		top.Join(Member{ID: 2})
		v, _ := top.Group(100, top.Groups()[0])
		var r Route
		top.Route(&v, Piece{}, 0, &r)
		slices.Sort(r.Push)
		if !slices.Equal(r.Push, []ID{1, 2}) {
			t.Errorf("pushed to %v, want 1 and 2", r.Push)
		}
	})
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

func TestAPeerMayComeBackAsASeed(t *testing.T) {
	both(t, func(t *testing.T, _ string, top Topology) {
		for id := ID(1); id <= 4; id++ {
			top.Join(Member{ID: id, Upload: true})
		}
		c := top.Join(Member{ID: 2, Seed: true})
		if !slices.Equal(c.Members, []ID{1, 3, 4}) {
			t.Errorf("told %v", c.Members)
		}
		c = top.Update(Member{ID: 2, Upload: true})
		if !slices.Equal(c.Members, []ID{1, 2, 3, 4}) {
			t.Errorf("told %v", c.Members)
		}
		if c := top.Leave(77); len(c.Members)+len(c.Groups) != 0 {
			t.Errorf("a stranger's leave told %+v", c)
		}
	})
}

func TestNewViewAgreesWithTheTracker(t *testing.T) {
	both(t, func(t *testing.T, _ string, top Topology) {
		for id := ID(1); id <= 9; id++ {
			top.Join(Member{ID: id * 37 % 11, Upload: true, Uplink: int64(id)})
		}
		want, _ := top.View(5)
		var others []Member
		var self Member
		for _, m := range want.Members {
			if m.ID == 5 {
				self = m
			} else {
				others = append(others, m)
			}
		}
		slices.SortFunc(others, func(a, b Member) int { return cmp.Compare(b.ID, a.ID) })
		if got := NewView(self, want.Group, others); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %v\nwant %v", got, want)
		}
	})
}

func BenchmarkBalancedRoute(b *testing.B) {
	top := NewBalanced(nil)
	for id := ID(1); id <= 10; id++ {
		top.Join(Member{ID: id, Upload: true})
	}
	top.Join(Member{ID: 100, Seed: true})
	v, _ := top.View(1)
	var r Route
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		top.Route(&v, Piece{Seq: int64(i)}, 100, &r)
	}
}

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
	for _, name := range []string{BalancedName, MeshName, TreeName} {
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

// bare is a member without its standing in a view.
func (m Member) bare() Member {
	m.Tier, m.Group, m.Cost = 0, 0, 0
	return m
}

// A storm is a thousand joins, updates and leaves in random order. After each, what
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
		m := Member{ID: ID(rng.Uint64() | 1), Upload: rng.IntN(10) > 0, Uplink: rng.Int64N(20_000_000), Seed: rng.IntN(100) == 0, Zone: rng.Uint32N(4)}
		tender, _ := top.(interface{ Tend() Change })
		switch dice := rng.IntN(12); {
		case dice == 0 && tender != nil:
			c = tender.Tend()
		case len(order) == 0 || dice < 6:
			present[m.ID] = m
			order = append(order, m.ID)
			c = top.Join(m)
		case dice < 8:
			m.ID = order[rng.IntN(len(order))]
			if rng.IntN(4) > 0 { // a new uplink only
				old := present[m.ID]
				old.Uplink = m.Uplink
				m = old
			}
			present[m.ID] = m
			c = top.Update(m)
		default:
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
			if was, in := known[id]; in && now == was && slices.Contains(c.Members, id) {
				t.Fatalf("step %d: %d is told, and its view is what it was:\n%s", step, id, now)
			}
			known[id] = now
			seeds, above := 0, false
			for _, o := range v.Members {
				if bare := o.bare(); present[o.ID] != bare {
					t.Fatalf("step %d: %d is told of %+v, which is %+v", step, id, o, present[o.ID])
				}
				if o.Seed {
					seeds++
				}
				above = above || o.Tier == Above
			}
			want := 0
			for _, o := range present {
				if o.Seed && (top.Name() != BalancedName || !above) {
					want++ // a seed cannot know everybody: in a balanced room the roots know it
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
		for _, g := range c.Groups {
			if _, fed := knownGroup[g]; top.Name() == BalancedName && !fed {
				t.Fatalf("step %d: seeds hear of group %d, which none feeds or fed", step, g)
			}
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
	both(t, func(t *testing.T, _ string, top Topology) { storm(t, top, 11, 400, true) })
}

func TestTheSameStormGivesTheSameRoom(t *testing.T) {
	both(t, func(t *testing.T, name string, top Topology) {
		again, _ := New(name, rand.New(rand.NewPCG(1, 2)))
		if storm(t, top, 3, 700, false) != storm(t, again, 3, 700, false) {
			t.Fatal("two runs of one storm differ")
		}
	})
}

// deliver plays a piece through a room by everybody's own view and returns how
// many copies each member sent. All must get it, and nobody twice.
func deliver(t *testing.T, top Topology, views map[ID]View, seed ID, p Piece, more ...ID) (sent map[ID]int) {
	t.Helper()
	sent = map[ID]int{}
	has := map[ID]int{}
	type hand struct{ from, to ID }
	var queue []hand
	var r Route
	for _, seed := range append(more, seed) {
		for _, g := range top.Groups() {
			v, _ := top.Group(seed, g)
			top.Route(&v, p, 0, &r)
			for _, to := range r.Push {
				queue = append(queue, hand{seed, to})
			}
			sent[seed] += len(r.Push)
		}
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

func TestWithoutUploadersTheSeedFeedsAll(t *testing.T) {
	both(t, func(t *testing.T, _ string, top Topology) {
		top.Join(Member{ID: 100, Seed: true})
		top.Join(Member{ID: 1})
		top.Join(Member{ID: 2})
		var fed []ID
		for _, g := range top.Groups() {
			v, _ := top.Group(100, g)
			var r Route
			top.Route(&v, Piece{}, 0, &r)
			fed = append(fed, r.Push...)
		}
		slices.Sort(fed)
		if !slices.Equal(fed, []ID{1, 2}) {
			t.Errorf("pushed to %v, want 1 and 2", fed)
		}
	})
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

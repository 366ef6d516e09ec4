package topology

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// checkTree holds a tree against what it promises: one parent for each, no
// circle, nobody below whom nobody feeds, fan-outs kept, books that agree.
func checkTree(t *testing.T, top *Tree, when string) (deepest int) {
	t.Helper()
	reached := 0
	var walk func(n *node, depth int) int
	walk = func(n *node, depth int) int {
		size := 1
		if n != top.root {
			reached++
			deepest = max(deepest, depth)
			if top.nodes[n.ID] != n || n.zone == nil || n.zone.id != n.Zone || n.depth != depth {
				t.Fatalf("%s: %d stands at depth %d and is filed at %d", when, n.ID, depth, n.depth)
			}
			if len(n.kids) > n.fan || n.fan != top.fanOf(n.Member) {
				t.Fatalf("%s: %d feeds %d and can feed %d of %d", when, n.ID, len(n.kids), n.fan, top.fanOf(n.Member))
			}
			if free := n.at[atFree] != 0; free != (len(n.kids) < n.fan) {
				t.Fatalf("%s: %d feeds %d of %d and is listed as free: %v", when, n.ID, len(n.kids), n.fan, free)
			}
			if gate := n.gate != 0; gate != top.crosses(n, n.parent) {
				t.Fatalf("%s: %d is a gate: %v", when, n.ID, gate)
			}
			if (n.heir == nil) != (len(n.kids) == 0) || n.heir != nil && n.heir.parent != n {
				t.Fatalf("%s: the heir of %d is %v", when, n.ID, n.heir)
			}
		}
		for _, k := range n.kids {
			if k.parent != n {
				t.Fatalf("%s: %d is a child of two", when, k.ID)
			}
			size += walk(k, depth+1)
		}
		if n.size != size {
			t.Fatalf("%s: the subtree of %d has %d members, %d in its books", when, n.ID, size, n.size)
		}
		return size
	}
	walk(top.root, 0)
	for _, s := range top.strays {
		if s.parent != nil || len(s.kids) > 0 || s.fan > 0 {
			t.Fatalf("%s: %d is no stray", when, s.ID)
		}
	}
	if reached+len(top.strays) != len(top.nodes) {
		t.Fatalf("%s: %d members hang below the seeds, %d stray, of %d", when, reached, len(top.strays), len(top.nodes))
	}
	if len(top.strays) > 0 {
		for _, z := range top.byZone {
			if s := z.slot(); s != nil {
				t.Fatalf("%s: %d strays while %d has room", when, len(top.strays), s.ID)
			}
		}
	}
	filed := 0
	for _, z := range top.byZone {
		filed += z.count
	}
	if filed != reached {
		t.Fatalf("%s: %d are filed, %d attached", when, filed, reached)
	}
	return deepest
}

// checkViews holds the views against each other: who is above somebody has it
// below, and fellows know each other.
func checkViews(t *testing.T, top *Tree, when string) {
	t.Helper()
	for _, id := range top.ids() {
		v, _ := top.View(id)
		if len(v.Members) > viewMax {
			t.Fatalf("%s: %d knows %d others", when, id, len(v.Members))
		}
		above := 0
		for _, m := range v.Members {
			if m.Seed || m.ID == id {
				continue
			}
			if m.Tier == Above {
				above++
			}
			o, _ := top.View(m.ID)
			me, ok := o.Member(id)
			if !ok || me.Tier != -m.Tier {
				t.Fatalf("%s: %d has %d at tier %d, which has it at %d (%v)", when, id, m.ID, m.Tier, me.Tier, ok)
			}
		}
		n := top.nodes[id]
		if want := 1; n.parent == nil || n.parent == top.root {
			want = 0
			if above != want {
				t.Fatalf("%s: %d has %d parents", when, id, above)
			}
		} else if above != want {
			t.Fatalf("%s: %d has %d parents", when, id, above)
		}
	}
}

func TestATreeStaysATreeInAnyWeather(t *testing.T) {
	for _, c := range []struct {
		name  string
		rate  int64
		zones int
	}{{"rate unknown", 0, 1}, {"plenty", 2_000_000, 3}, {"scarce", 9_000_000, 3}, {"all far apart", 3_000_000, 50}} {
		t.Run(c.name, func(t *testing.T) {
			top := NewTree(nil)
			top.SetRate(c.rate)
			rng := rand.New(rand.NewPCG(4, 4))
			var order []ID
			top.Join(Member{ID: 1, Seed: true, Zone: 1})
			for step := range 1500 {
				m := Member{ID: ID(rng.Uint64() | 1), Upload: rng.IntN(10) > 0, Uplink: rng.Int64N(20_000_000), Zone: rng.Uint32N(uint32(c.zones) + 1)}
				switch dice := rng.IntN(12); {
				case len(order) == 0 || dice < 6:
					order = append(order, m.ID)
					top.Join(m)
				case dice < 8:
					m.ID = order[rng.IntN(len(order))]
					top.Update(m)
				case dice < 9 && step%100 == 0:
					top.SetRate(c.rate * int64(8+rng.IntN(4)) / 8)
				default:
					i := rng.IntN(len(order))
					top.Leave(order[i])
					order = slices.Delete(order, i, i+1)
				}
				checkTree(t, top, fmt.Sprint("step ", step))
				if step%50 == 0 {
					checkViews(t, top, fmt.Sprint("step ", step))
				}
			}
			for _, id := range order {
				top.Leave(id)
			}
			if len(top.nodes)+len(top.zones)+len(top.byZone)+len(top.root.kids)+len(top.strays)+len(top.fed) != 0 || top.root.size != 1 {
				t.Errorf("an empty room keeps something: %+v", top)
			}
		})
	}
}

func TestTenThousandStandInFewLevelsAndChurnIsCheap(t *testing.T) {
	top := NewTree(nil)
	top.Join(Member{ID: 1, Seed: true})
	rng := rand.New(rand.NewPCG(6, 6))
	var order []ID
	told, moves := 0, 0
	join := func() {
		id := ID(rng.Uint64() | 1)
		order = append(order, id)
		told += len(top.Join(Member{ID: id, Upload: true, Uplink: 1_000_000 + rng.Int64N(8_000_000)}).Members)
	}
	leave := func() {
		i := rng.IntN(len(order))
		c := top.Leave(order[i])
		told += len(c.Members)
		moves++
		order[i] = order[len(order)-1]
		order = order[:len(order)-1]
	}
	depth := func(when string) {
		t.Helper()
		// Everybody feeds two, and the seeds four: the bound is log2.
		d, bound := checkTree(t, top, when), math.Log2(float64(len(order)))
		t.Logf("%s: %d members, depth %d", when, len(order), d)
		if float64(d) > 1.5*bound+1 {
			t.Errorf("%s: %d levels for %d members", when, d, len(order))
		}
	}
	for range 10_000 {
		join()
	}
	if perJoin := float64(told) / 10_000; perJoin > 8 {
		t.Errorf("a join was told to %.1f members on average", perJoin)
	}
	depth("full")
	told = 0
	for range 10_000 {
		if rng.IntN(2) == 0 {
			join()
		} else {
			leave()
		}
	}
	depth("after churn")
	told, moves = 0, 0
	for len(order) > 100 {
		leave()
		if len(order)%1500 == 0 {
			depth("shrinking")
		}
	}
	depth("nearly empty")
	if perLeave := float64(told) / float64(moves); perLeave > 16 {
		t.Errorf("a leave was told to %.1f members on average", perLeave)
	}
}

func TestTheStrongStandAboveTheWeak(t *testing.T) {
	top := NewTree(nil)
	top.SetRate(2_000_000)
	top.Join(Member{ID: 1, Seed: true})
	rng := rand.New(rand.NewPCG(8, 8))
	sum, count := map[int]int{}, map[int]int{}
	mix := []int64{1, 1, 1, 1, 1, 2, 2, 4, 7, 20} // Mbit/s, with a mean of twice the rate; seven feed nobody
	for range 2000 {
		top.Join(Member{ID: ID(rng.Uint64() | 1), Upload: true, Uplink: mix[rng.IntN(len(mix))] * 1_000_000})
	}
	depth := checkTree(t, top, "all are in")
	for _, n := range top.nodes {
		if n.parent != nil {
			sum[n.fan] += n.depth
			count[n.fan]++
		}
	}
	t.Logf("depth %d, strays %d, seeds feed %d", depth, len(top.strays), len(top.root.kids))
	if depth > 5 {
		t.Errorf("2000 members stand %d levels deep", depth)
	}
	if len(top.strays) > 0 || len(top.root.kids) > treeSeed {
		t.Errorf("with room for all %d stray and the seeds feed %d", len(top.strays), len(top.root.kids))
	}
	if strong, weak := float64(sum[9])/float64(count[9]), float64(sum[0])/float64(count[0]); strong > weak-0.5 {
		t.Errorf("who feeds nine stands at depth %.2f, who feeds nobody at %.2f", strong, weak)
	}
}

func TestWhereUplinksHardlySufficeThereAreNoLongChainsAndTheSeedsAreSpared(t *testing.T) {
	top := NewTree(nil)
	top.SetRate(2_000_000)
	top.Join(Member{ID: 1, Seed: true})
	rng := rand.New(rand.NewPCG(8, 8))
	var ids []ID
	for range 2000 {
		// Half, once, twice and four times the rate: they feed 0, 0, 1 and 3.
		id := ID(rng.Uint64() | 1)
		top.Join(Member{ID: id, Upload: true, Uplink: 1_000_000 << rng.IntN(4)})
		ids = append(ids, id)
	}
	check := func(when string) {
		t.Helper()
		depth := checkTree(t, top, when)
		t.Logf("%s: depth %d, strays %d, seeds feed %d", when, depth, len(top.strays), len(top.root.kids))
		if depth > 12 {
			t.Errorf("%s: %d levels", when, depth)
		}
		if len(top.strays) > len(top.nodes)/10 || len(top.root.kids) > treeSpare*treeSeed {
			t.Errorf("%s: %d of %d stray, and the seeds feed %d", when, len(top.strays), len(top.nodes), len(top.root.kids))
		}
	}
	check("all are in")
	for _, id := range ids[:1000] {
		top.Leave(id)
	}
	check("half have left")
}

func TestWhoTurnsOutStrongRisesAndWhoTurnsOutWeakGivesItsYoungestAway(t *testing.T) {
	top := NewTree(nil)
	top.SetRate(2_000_000)
	top.SetSeedFanout(1)
	top.Join(Member{ID: 100, Seed: true})
	for id := ID(1); id <= 4; id++ { // a chain
		top.Join(Member{ID: id, Upload: true, Uplink: 3_000_000})
	}
	if n := top.nodes[4]; n.depth != 4 {
		t.Fatalf("4 stands at depth %d", n.depth)
	}
	c := top.Update(Member{ID: 4, Upload: true, Uplink: 9_000_000})
	if n := top.nodes[4]; n.depth != 1 || len(n.kids) != 2 || n.fan != 4 {
		t.Errorf("who can feed four stands at depth %d with %d children", n.depth, len(n.kids))
	}
	if !slices.Equal(c.Members, []ID{1, 2, 3, 4}) || !slices.Equal(c.Groups, []uint64{1, 4}) {
		t.Errorf("told %+v", c)
	}
	top.Join(Member{ID: 5, Upload: true, Uplink: 3_000_000})
	top.Join(Member{ID: 6, Upload: true, Uplink: 3_000_000})
	youngest := top.nodes[4].kids[3]
	if top.Update(Member{ID: 4, Upload: true, Uplink: 7_000_000}); len(top.nodes[4].kids) != 3 || youngest.parent == top.nodes[4] || youngest.parent == nil {
		t.Errorf("%d feeds %d, and its youngest is below %v", 4, len(top.nodes[4].kids), youngest.parent)
	}
	checkTree(t, top, "at last")
}

func TestTheHeirTakesThePlaceAndKeepsItsOwn(t *testing.T) {
	top := NewTree(nil)
	top.SetRate(1_000_000)
	top.SetSeedFanout(1)
	top.Join(Member{ID: 100, Seed: true})
	top.Join(Member{ID: 1, Upload: true, Uplink: 3_500_000})
	for id := ID(2); id <= 10; id++ {
		top.Join(Member{ID: id, Upload: true, Uplink: 3_500_000})
	}
	n := top.nodes[1]
	heir := n.heir
	if len(n.kids) != 3 || len(heir.kids) != 3 {
		t.Fatalf("1 has %d children, and its heir %d", len(n.kids), len(heir.kids))
	}
	c := top.Leave(1)
	if heir.parent != top.root || len(heir.kids) != 3 {
		t.Errorf("the heir has %v and %d children", heir.parent, len(heir.kids))
	}
	if depth := checkTree(t, top, "later"); depth != 3 {
		t.Errorf("depth %d", depth)
	}
	if slices.Contains(c.Members, 1) || !slices.Equal(c.Groups, []uint64{1, uint64(heir.ID)}) && !slices.Equal(c.Groups, []uint64{uint64(heir.ID), 1}) {
		t.Errorf("told %+v", c)
	}
}

func TestAZoneGetsTheStreamOnce(t *testing.T) {
	top := NewTree(nil)
	top.SetRate(2_000_000)
	top.Join(Member{ID: 1, Seed: true, Zone: 1})
	rng := rand.New(rand.NewPCG(2, 9))
	var order []ID
	for range 3000 {
		if len(order) > 0 && rng.IntN(3) == 0 {
			i := rng.IntN(len(order))
			top.Leave(order[i])
			order = slices.Delete(order, i, i+1)
			continue
		}
		id := ID(rng.Uint64() | 1)
		order = append(order, id)
		top.Join(Member{ID: id, Upload: true, Uplink: 2_000_000 + rng.Int64N(8_000_000), Zone: 1 + rng.Uint32N(3)})
	}
	checkTree(t, top, "at last")
	for zone, most := range map[uint32]int{1: 0, 2: 1, 3: 1} {
		if n := len(top.zones[zone].gates); n > most {
			t.Errorf("zone %d gets the stream %d times from elsewhere, want %d", zone, n, most)
		}
	}
}

func TestNearIsBeforeCheapAndCheapBeforeHigh(t *testing.T) {
	top := NewTree(nil)
	top.SetSeedFanout(1)
	top.SetCost(func(a, b uint32) uint32 { return max(a, b) - min(a, b) })
	top.Join(Member{ID: 100, Seed: true, Zone: 1})
	top.Join(Member{ID: 1, Upload: true, Zone: 1})
	top.Join(Member{ID: 2, Upload: true, Zone: 5})
	top.Join(Member{ID: 3, Upload: true, Zone: 6})
	if p := top.nodes[3].parent.ID; p != 2 {
		t.Errorf("zone 6 gets the stream from %d, want 2 in zone 5", p)
	}
	top.Join(Member{ID: 4, Upload: true, Zone: 6})
	if p := top.nodes[4].parent.ID; p != 3 {
		t.Errorf("4 gets the stream from %d, want 3 of its zone", p)
	}
	v, _ := top.View(3)
	if m, _ := v.Member(2); m.Tier != Above || m.Cost != 1 {
		t.Errorf("3 sees its parent as %+v", m)
	}
	if m, _ := v.Member(100); m.Cost != 5 {
		t.Errorf("3 sees the seed as %+v", m)
	}
}

func TestWithoutUplinksTheSeedsCarryAFewAndTheRestStraysUntilThereIsRoom(t *testing.T) {
	top := NewTree(nil)
	top.SetRate(2_000_000)
	top.Join(Member{ID: 1000, Seed: true})
	for id := ID(1); id <= 30; id++ {
		top.Join(Member{ID: id, Upload: true, Uplink: 1_000_000})
	}
	if len(top.root.kids) != treeSpare*treeSeed || len(top.strays) != 30-treeSpare*treeSeed {
		t.Errorf("the seeds feed %d, and %d stray", len(top.root.kids), len(top.strays))
	}
	v, ok := top.View(30)
	if !ok || len(v.Members) != 2 || v.Group != 0 {
		t.Errorf("a stray's view is %+v", v)
	}
	if src := top.Sources(&v, Piece{Seq: 1}, nil); !slices.Equal(src, []ID{1000}) {
		t.Errorf("a stray asks %v", src)
	}
	for id := ID(31); id <= 40; id++ {
		top.Join(Member{ID: id, Upload: true, Uplink: 20_000_000})
	}
	checkTree(t, top, "ten strong came")
	for range 10 {
		top.Join(Member{ID: 41, Upload: true, Uplink: 1_000_000})
		top.Leave(41)
	}
	if len(top.strays) != 0 || len(top.root.kids) != max(1, len(top.nodes)/treeRoom) {
		t.Errorf("there is room, and %d stray, and the seeds feed %d", len(top.strays), len(top.root.kids))
	}
}

func TestATreeBringsEveryPieceToEverybodyOnce(t *testing.T) {
	top := NewTree(nil)
	top.SetRate(2_000_000)
	const seed = 1
	top.Join(Member{ID: seed, Seed: true})
	rng := rand.New(rand.NewPCG(3, 3))
	views := map[ID]View{}
	for range 300 {
		id := ID(rng.Uint64() | 1)
		top.Join(Member{ID: id, Upload: rng.IntN(5) > 0, Uplink: rng.Int64N(12_000_000), Zone: rng.Uint32N(3)})
		views[id] = View{}
	}
	for id := range views {
		views[id], _ = top.View(id)
	}
	sent := deliver(t, top, views, seed, Piece{Epoch: 1, Seq: 2})
	if sent[seed] != treeSeed {
		t.Errorf("the seed sent %d copies", sent[seed])
	}
	for id, n := range sent {
		if id != seed && n > top.nodes[id].fan {
			t.Errorf("%d sent %d copies and can send %d", id, n, top.nodes[id].fan)
		}
	}
}

// family is a seed, 100, that feeds 1; 1 feeds 2, 3 and 4; 2, the heir, feeds
// 5, 6 and 7, of whom 5 is the heir.
func family(t *testing.T) *Tree {
	t.Helper()
	top := NewTree(nil)
	top.SetRate(1_000_000)
	top.SetSeedFanout(1)
	top.Join(Member{ID: 100, Seed: true})
	for id := ID(1); id <= 7; id++ {
		top.Join(Member{ID: id, Upload: true, Uplink: 4_400_000 - 100_000*int64(id)})
	}
	for child, parent := range map[ID]ID{2: 1, 3: 1, 4: 1, 5: 2, 6: 2, 7: 2} {
		if top.nodes[child].parent != top.nodes[parent] {
			t.Fatalf("%d is below %d, want %d", child, top.nodes[child].parent.ID, parent)
		}
	}
	return top
}

func TestAParentPushesToItsChildrenAndFellowsStandBy(t *testing.T) {
	top := family(t)
	var r Route
	for _, c := range []struct {
		self, from ID
		push, tell []ID
	}{
		{1, 100, []ID{2, 3, 4}, nil},      // the seed's child
		{1, 0, []ID{2, 3, 4}, []ID{5}},    // it had to fetch it
		{2, 1, []ID{5, 6, 7}, nil},        // from its parent
		{2, 0, []ID{5, 6, 7}, []ID{3, 4}}, // its siblings lack it too
		{2, 3, []ID{5, 6, 7}, []ID{4}},    // from one of them
		{2, 6, []ID{5, 7}, []ID{3, 4}},    // from a child
		{2, 77, []ID{5, 6, 7}, nil},       // from one that its list does not have yet: a new parent
		{3, 1, nil, nil},                  // a leaf
		{3, 0, nil, []ID{2}},              //
		{5, 0, nil, []ID{1, 6, 7}},        // the grandparent may wait for it as well
	} {
		v, _ := top.View(c.self)
		top.Route(&v, Piece{Seq: 3}, c.from, &r)
		slices.Sort(r.Tell)
		if !slices.Equal(r.Push, c.push) || !slices.Equal(r.Tell, c.tell) {
			t.Errorf("%d got it from %d, pushes to %v and tells %v, want %v and %v", c.self, c.from, r.Push, r.Tell, c.push, c.tell)
		}
	}
	for self, want := range map[ID][]ID{1: {100}, 2: {1, 3, 4, 100}, 3: {1, 2, 100}, 5: {2, 1, 6, 7, 100}, 6: {2, 5, 100}} {
		v, _ := top.View(self)
		got := top.Sources(&v, Piece{Seq: 3}, nil)
		if len(got) == 5 {
			slices.Sort(got[2:4])
		} else if len(got) == 4 {
			slices.Sort(got[1:3])
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d asks %v, want %v", self, got, want)
		}
	}
}

func TestTheSeedFeedsTheChildrenOfAChildThatIsNotUpToIt(t *testing.T) {
	top := family(t)
	if got := top.Groups(); !slices.Equal(got, []uint64{1}) {
		t.Fatalf("groups %v", got)
	}
	v, _ := top.Group(100, 1)
	var r Route
	top.Route(&v, Piece{}, 0, &r)
	if !slices.Equal(r.Push, []ID{1}) {
		t.Errorf("pushed to %v", r.Push)
	}
	slow := View{Self: v.Self, Group: v.Group, Members: slices.Clone(v.Members)}
	slow.Members[0].Upload = false
	top.Route(&slow, Piece{}, 0, &r)
	if !slices.Equal(r.Push, []ID{2, 3, 4, 1}) {
		t.Errorf("with a slow child: pushed to %v", r.Push)
	}
	gone := View{Self: v.Self, Group: v.Group, Members: v.Members[1:]}
	top.Route(&gone, Piece{}, 0, &r)
	if !slices.Equal(r.Push, []ID{2, 3, 4}) {
		t.Errorf("without the child: pushed to %v", r.Push)
	}
	if top.Route(&v, Piece{}, 9, &r); len(r.Push) != 0 {
		t.Errorf("what a member gave the seed was pushed to %v", r.Push)
	}
}

func TestARateThatIsLearntLateMovesTheStrongUp(t *testing.T) {
	top := NewTree(nil)
	top.Join(Member{ID: 1, Seed: true})
	rng := rand.New(rand.NewPCG(3, 3))
	for i := range 500 {
		uplink := int64(3_000_000)
		if i >= 400 {
			uplink = 12_000_000
		}
		top.Join(Member{ID: ID(rng.Uint64() | 1), Upload: true, Uplink: uplink})
	}
	c := top.SetRate(2_000_000)
	depth := checkTree(t, top, "the rate is known")
	if depth > 16 || len(c.Members) < 250 {
		t.Errorf("depth %d, told %d", depth, len(c.Members))
	}
	// What is out of shape is mended little by little, with every word of the rate,
	// and then there is peace.
	told := 0
	for range 500 {
		c := top.SetRate(2_200_000)
		if told = len(c.Members) + len(c.Groups); told > 40 {
			t.Errorf("a little more told %d", told)
		}
	}
	if depth = checkTree(t, top, "it is mended"); depth > 12 || told > 0 {
		t.Errorf("depth %d, and %d are still told", depth, told)
	}
}

func BenchmarkTreeChurn(b *testing.B) {
	top := NewTree(nil)
	rng := rand.New(rand.NewPCG(1, 1))
	var order []ID
	for b.Loop() {
		if len(order) >= 10_000 {
			i := rng.IntN(len(order))
			top.Leave(order[i])
			order = slices.Delete(order, i, i+1)
			continue
		}
		id := ID(rng.Uint64() | 1)
		top.Join(Member{ID: id, Upload: true, Uplink: rng.Int64N(12_000_000)})
		order = append(order, id)
	}
}

func BenchmarkTreeRoute(b *testing.B) {
	top := NewTree(nil)
	top.Join(Member{ID: 100, Seed: true})
	for id := ID(1); id <= 30; id++ {
		top.Join(Member{ID: id, Upload: true})
	}
	v, _ := top.View(1)
	var r Route
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		top.Route(&v, Piece{Seq: int64(i)}, 100, &r)
	}
}

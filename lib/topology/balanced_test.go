package topology

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// checkGroups holds a balanced room against what it promises: groups of at most
// six, each in one place of its zone's tree, nothing below those who give
// nothing, and one root for a zone without a seed.
func checkGroups(t *testing.T, b *Balanced, when string) (deepest int) {
	t.Helper()
	members := 0
	roots, idle := map[uint32]int{}, map[uint32]int{}
	for i, g := range b.groups {
		if n := len(g.members); n == 0 || n > groupMax {
			t.Fatalf("%s: a group of %d", when, n)
		}
		if i > 0 && b.groups[i-1].id >= g.id {
			t.Fatalf("%s: groups are not in order", when)
		}
		members += len(g.members)
		for _, m := range g.members {
			if b.where[m.ID] != g || m.Zone != g.zone {
				t.Fatalf("%s: %d of zone %d is in a group of zone %d and filed in another", when, m.ID, m.Zone, g.zone)
			}
		}
		depth := 0
		for o := g; o.above != nil; o = o.above {
			if depth++; depth > len(b.groups) {
				t.Fatalf("%s: group %d is fed in a circle", when, g.id)
			}
			if !slices.Contains(o.above.below, o) || o.above.zone != o.zone || !slices.Contains(b.groups, o.above) {
				t.Fatalf("%s: group %d is above %d, and does not know it", when, o.above.id, o.id)
			}
		}
		deepest = max(deepest, depth)
		if depth == 0 {
			roots[g.zone]++
			if !g.gives() {
				idle[g.zone]++
			}
		}
		for _, o := range g.below {
			if o.above != g {
				t.Fatalf("%s: group %d is below two", when, o.id)
			}
		}
		if n := len(g.below); n > fanMax || n > 0 && !g.gives() {
			t.Fatalf("%s: group %d feeds %d others (somebody gives: %v)", when, g.id, n, g.gives())
		}
	}
	if members != len(b.where) {
		t.Fatalf("%s: %d members in groups, %d in the room", when, members, len(b.where))
	}
	for zone, n := range roots {
		seeded := slices.ContainsFunc(b.seeds, func(s Member) bool { return s.Zone == zone })
		if n > rootMax+idle[zone] || !seeded && n > 1+idle[zone] {
			t.Fatalf("%s: the seeds feed %d groups of zone %d, %d of which give nothing", when, n, zone, idle[zone])
		}
	}
	return deepest
}

func TestABalancedRoomReachesEverybodyOnceInAnyWeather(t *testing.T) {
	for _, rate := range []int64{0, 2_000_000} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			b := NewBalanced(nil)
			b.SetRate(rate)
			b.Join(Member{ID: 1, Seed: true, Zone: 1})
			b.Join(Member{ID: 2, Seed: true, Zone: 1})
			rng := rand.New(rand.NewPCG(uint64(rate), 3))
			draw := func() Member {
				return Member{ID: ID(rng.Uint64() | 3), Upload: rng.IntN(4) > 0, Uplink: rng.Int64N(12_000_000), Zone: rng.Uint32N(4)}
			}
			var there []ID
			deepest := 0
			for step := range 3000 {
				when := fmt.Sprintf("step %d", step)
				grow := 7 // of ten
				if step/500%2 == 1 {
					grow = 3
				}
				switch dice := rng.IntN(13); {
				case dice == 12:
					b.Tend()
				case len(there) == 0 || dice < grow:
					m := draw()
					b.Join(m)
					there = append(there, m.ID)
				case dice >= 10:
					m := draw()
					m.ID = there[rng.IntN(len(there))]
					if rng.IntN(2) == 0 {
						m.Zone = b.where[m.ID].zone
					}
					b.Update(m)
				default:
					i := rng.IntN(len(there))
					b.Leave(there[i])
					there = slices.Delete(there, i, i+1)
				}
				deepest = max(deepest, checkGroups(t, b, when))
				if step%100 != 0 {
					continue
				}
				views := map[ID]View{}
				for _, id := range there {
					v, ok := b.View(id)
					if !ok {
						t.Fatalf("%s: %d has no view", when, id)
					}
					views[id] = v
				}
				for i := range 3 {
					deliver(t, b, views, 1, Piece{Epoch: 1, Seq: int64(step), Index: i}, 2)
				}
			}
			if deepest < 2 {
				t.Errorf("never more than %d levels: this has shown little", deepest+1)
			}
		})
	}
}

func TestGroupsFillUpAndNeverSplit(t *testing.T) {
	b := NewBalanced(nil)
	rng := rand.New(rand.NewPCG(5, 5))
	var ids []ID
	home := map[ID]*group{}
	for i := range 1000 {
		id := ID(rng.Uint64() | 1)
		b.Join(Member{ID: id, Upload: true})
		ids = append(ids, id)
		home[id] = b.where[id]
		if n := len(b.groups); n != i/groupMax+1 {
			t.Fatalf("%d peers in %d groups", i+1, n)
		}
	}
	for id, g := range home {
		if b.where[id] != g {
			t.Fatalf("%d was moved, and nobody had left", id)
		}
	}
	rng.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	for i, id := range ids {
		b.Leave(id)
		var small []int
		for _, g := range b.groups {
			if n := len(g.members); n < groupMin {
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

func TestOnlyRootsKnowTheSeedsAndSeedsFeedOnlyRoots(t *testing.T) {
	b := NewBalanced(nil)
	b.Join(Member{ID: 1, Seed: true})
	for id := ID(2); id < 32; id++ {
		b.Join(Member{ID: id, Upload: true})
	}
	fed := map[ID]bool{}
	for _, g := range b.Groups() {
		v, _ := b.Group(1, g)
		for _, m := range v.Members {
			if !m.Seed {
				fed[m.ID] = true
				if m.Tier != Below || m.Group != g {
					t.Errorf("the seed sees %+v of group %d", m, g)
				}
			}
		}
	}
	if len(fed) != groupMax {
		t.Fatalf("30 peers, and the seed feeds %d of them", len(fed))
	}
	for id := ID(2); id < 32; id++ {
		v, _ := b.View(id)
		_, knows := v.Member(1)
		above := slices.ContainsFunc(v.Members, func(m Member) bool { return m.Tier == Above })
		if knows != fed[id] || above == fed[id] {
			t.Errorf("%d is fed by the seed: %v; it knows it: %v, and somebody above: %v", id, fed[id], knows, above)
		}
		for _, m := range v.Members {
			if !m.Seed && m.Tier == Fellow && m.Group != v.Group {
				t.Errorf("%d has a fellow %d of group %d", id, m.ID, m.Group)
			}
		}
	}
	c := b.Join(Member{ID: 100, Seed: true})
	if len(c.Members) != groupMax || len(c.Groups) != 1 {
		t.Errorf("another seed is news to %v and groups %v", c.Members, c.Groups)
	}
	if c := b.Update(Member{ID: 31, Upload: true, Uplink: 9}); len(c.Groups) != 0 {
		t.Errorf("what happens far below is news to the seeds of groups %v", c.Groups)
	}
}

func TestAGroupWhoseLastGiverLeavesGoesWhereItFeedsNobody(t *testing.T) {
	room := func() (*Balanced, *group) {
		b := NewBalanced(nil)
		b.Join(Member{ID: 100, Seed: true})
		for id := ID(1); id <= 3*groupMax; id++ { // of the first group only 1 gives
			b.Join(Member{ID: id, Upload: id == 1 || id > groupMax})
		}
		if g := b.where[1]; len(g.below) != 2 || g.above != nil {
			t.Fatalf("the first group feeds %d others", len(g.below))
		}
		return b, b.where[2]
	}
	for name, happen := range map[string]func(b *Balanced) Change{
		"leaves":       func(b *Balanced) Change { return b.Leave(1) },
		"stops giving": func(b *Balanced) Change { return b.Update(Member{ID: 1}) },
	} {
		b, g := room()
		c := happen(b)
		if len(g.below) != 0 || g.above == nil {
			t.Errorf("it %s: the group feeds %d others, and is below %v", name, len(g.below), g.above)
		}
		for id := ID(2); id <= 3*groupMax; id++ {
			if !slices.Contains(c.Members, id) {
				t.Errorf("it %s, and %d is not told", name, id)
			}
		}
		checkGroups(t, b, name)
	}
}

func TestBalancedBringsEveryPieceToEverybodyOnceAndSharesTheWork(t *testing.T) {
	b := NewBalanced(nil)
	const seed = 1000
	b.Join(Member{ID: seed, Seed: true})
	// Six members: four with 2 Mbit/s, one with three times that, one who does not upload.
	for id := ID(1); id <= 6; id++ {
		m := Member{ID: id, Upload: id != 6, Uplink: 2_000_000}
		if id == 5 {
			m.Uplink = 6_000_000
		}
		b.Join(m)
	}
	views := map[ID]View{}
	for id := ID(1); id <= 6; id++ {
		views[id], _ = b.View(id)
	}
	total := map[ID]int{}
	const segments = 5000
	const pieces = 11 * segments
	firsts := map[ID]int{}
	for i := range pieces {
		p := Piece{Epoch: 1_700_000_000_000, Seq: int64(i / 11), Index: i % 11}
		for id, n := range deliver(t, b, views, seed, p) {
			total[id] += n
			if p.Index == 0 && n == 5 && id != seed {
				firsts[id]++
			}
		}
	}
	if total[seed] != pieces {
		t.Errorf("the seed sent %d copies of %d pieces", total[seed], pieces)
	}
	if total[6] != 0 {
		t.Errorf("who does not upload sent %d", total[6])
	}
	more := math.Pow(3, dealPower) // for three times the uplink
	for id := ID(1); id <= 5; id++ {
		part := 1 / (4 + more)
		if id == 5 {
			part *= more
		}
		owned, want, keys := total[id]/5, int(part*pieces), int(part*segments)
		if owned < want*90/100 || owned > want*110/100 {
			t.Errorf("member %d owned %d pieces, want about %d", id, owned, want)
		}
		if firsts[id] < keys*3/4 || firsts[id] > keys*5/4 {
			t.Errorf("member %d owned the first piece of %d segments of %d, want about %d", id, firsts[id], segments, keys)
		}
	}
}

func TestThreeLevelsOfEqualsUploadAboutOneStreamEach(t *testing.T) {
	b := NewBalanced(nil)
	const seed, peers = 1000, 7 * groupMax // one group, two below, four below these
	for id := ID(1); id <= peers; id++ {
		b.Join(Member{ID: id, Upload: true, Uplink: 4_000_000})
	}
	b.Join(Member{ID: seed, Seed: true})
	if deepest := checkGroups(t, b, "35 peers"); deepest != 2 {
		t.Fatalf("%d levels", deepest+1)
	}
	views := map[ID]View{}
	for id := ID(1); id <= peers; id++ {
		views[id], _ = b.View(id)
	}
	total := map[ID]int{}
	const pieces = 2000
	for i := range pieces {
		for id, n := range deliver(t, b, views, seed, Piece{Epoch: 7, Seq: int64(i / 20), Index: i % 20}) {
			total[id] += n
		}
	}
	for id := ID(1); id <= peers; id++ {
		// A sixth of the pieces, to five fellows and to as many groups as are below.
		streams := float64(total[id]) / pieces
		want := float64(groupMax-1+len(b.where[id].below)) / groupMax
		if streams < 0.9*want || streams > 1.1*want {
			t.Errorf("%d uploads %.2f streams, want %.2f", id, streams, want)
		}
	}
}

func TestAZoneWithoutASeedIsEnteredOnce(t *testing.T) {
	b := NewBalanced(nil)
	const seed = 10_000
	b.Join(Member{ID: seed, Seed: true, Zone: 1})
	views := map[ID]View{}
	for id := ID(1); id <= 180; id++ {
		b.Join(Member{ID: id, Upload: true, Zone: uint32(id%3 + 1)})
		views[id] = View{}
	}
	for id := range views {
		v, _ := b.View(id)
		views[id] = v
		for _, m := range v.Members {
			if !m.Seed && m.Zone != b.where[id].zone {
				t.Fatalf("%d of zone %d knows %d of zone %d", id, b.where[id].zone, m.ID, m.Zone)
			}
		}
	}
	before := len(b.Groups())
	c := b.Tend()
	if n := len(b.Groups()); n <= before || n > before+tendMoves || len(c.Groups) != n-before {
		t.Fatalf("the seeds feed %d groups, and %d when the room was tended, which is news of %v", before, n, c.Groups)
	}
	for id := range views {
		views[id], _ = b.View(id)
	}
	crossed := map[uint32]int{}
	for _, g := range b.Groups() {
		v, _ := b.Group(seed, g)
		var r Route
		b.Route(&v, Piece{Seq: 4}, 0, &r)
		for _, id := range r.Push {
			crossed[b.where[id].zone]++
		}
	}
	if crossed[2] != 1 || crossed[3] != 1 || crossed[1] < 2 {
		t.Errorf("of one piece so many copies went into each zone: %v", crossed)
	}
	deliver(t, b, views, seed, Piece{Seq: 4})
}

func TestPiecesAreDealtEvenlyInTime(t *testing.T) {
	var equal []Member
	for id := ID(1); id <= groupMax; id++ {
		equal = append(equal, Member{ID: id * 77, Upload: true, Uplink: 3_000_000})
	}
	for seq := range int64(500) {
		var run []ID
		for i := range 40 {
			run = append(run, (&View{Members: equal}).deal(Piece{Epoch: 9, Seq: seq, Index: i}, 5, isUploader))
		}
		for i := 1; i < len(run); i++ {
			if run[i] == run[i-1] {
				t.Fatalf("segment %d: pieces %d and %d both go to %d", seq, i-1, i, run[i])
			}
		}
		for i := range len(run) - 5 {
			burst := slices.Clone(run[i : i+5])
			slices.Sort(burst)
			if n := len(slices.Compact(burst)); n < 3 {
				t.Fatalf("segment %d: a burst of five from %d on goes to %d members: %v", seq, i, n, run[i:i+5])
			}
		}
	}
	if got := (&View{Members: equal}).deal(Piece{}, 5, func(*Member) bool { return false }); got != 0 {
		t.Errorf("nobody may have it, and %d gets it", got)
	}

	rng := rand.New(rand.NewPCG(8, 8))
	for range 50 {
		members := slices.Clone(equal)
		var sum, uplinks float64
		for i := range members {
			members[i].Uplink = 1_000_000 + rng.Int64N(3_000_000)
			sum += members[i].part(false)
			uplinks += float64(members[i].Uplink)
		}
		got := map[ID]int{}
		const pieces = 20_000
		for i := range pieces {
			got[(&View{Members: members}).deal(Piece{Epoch: 3, Seq: int64(i / 25), Index: i % 25}, 6, isUploader)]++
		}
		for i := range members {
			want := members[i].part(false) / sum * pieces
			if n := float64(got[members[i].ID]); n < 0.9*want || n > 1.1*want {
				t.Errorf("a member with a part of %.3f gets %.0f pieces, want %.0f", members[i].part(false)/sum, n, want)
			}
		}
		// Where uplinks are short, each gets what its uplink is of all.
		clear(got)
		for i := range pieces {
			got[(&View{Members: members, Short: true}).deal(Piece{Epoch: 3, Seq: int64(i / 25), Index: i % 25}, 6, isUploader)]++
		}
		for i := range members {
			want := float64(members[i].Uplink) / uplinks * pieces
			if n := float64(got[members[i].ID]); n < 0.9*want || n > 1.1*want {
				t.Errorf("short of uplink, a member with %.3f of it gets %.0f pieces, want %.0f", float64(members[i].Uplink)/uplinks, n, want)
			}
		}
	}
}

func TestWhoLeavesARendezvousGivesAwayHisOwnPiecesOnly(t *testing.T) {
	var members []Member
	for id := ID(1); id <= 10; id++ {
		members = append(members, Member{ID: id, Upload: true, Uplink: int64(id) * 1_000_000})
	}
	var before []ID
	var pieces []Piece
	for i := range 2000 {
		p := Piece{Epoch: 5, Seq: int64(i / 16), Index: i % 16}
		pieces, before = append(pieces, p), append(before, first(members, p.key(), true, isUploader))
	}
	members = remove(members, 7)
	heirs := map[ID]int{}
	for i, p := range pieces {
		now := first(members, p.key(), true, isUploader)
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

func TestSourcesNameTheOneWhoWillPushFirstAndEverybodyElseOnce(t *testing.T) {
	b := NewBalanced(nil)
	const seed = 100
	b.Join(Member{ID: seed, Seed: true})
	views := map[ID]View{}
	for id := ID(1); id <= 4*groupMax; id++ {
		b.Join(Member{ID: id, Upload: id%5 != 3})
		views[id] = View{}
	}
	for id := range views {
		views[id], _ = b.View(id)
	}
	var r Route
	for i := range 200 {
		p := Piece{Epoch: 1, Seq: 2, Index: i}
		pusher := map[ID]ID{}
		feed, _ := b.Group(seed, 1)
		b.Route(&feed, p, 0, &r)
		queue := slices.Clone(r.Push)
		pusher[queue[0]] = seed
		for len(queue) > 0 {
			self := queue[0]
			queue = queue[1:]
			v := views[self]
			b.Route(&v, p, pusher[self], &r)
			for _, to := range r.Push {
				pusher[to] = self
				queue = append(queue, to)
			}
		}
		for id, v := range views {
			src := b.Sources(&v, p, nil)
			if src[0] != pusher[id] {
				t.Fatalf("%d expects %v from %d, but %d sends it", id, p, src[0], pusher[id])
			}
			_, root := v.Member(seed)
			sorted := slices.Sorted(slices.Values(src))
			if slices.Contains(src, id) || len(slices.Compact(sorted)) != len(src) || slices.Contains(src, seed) != root {
				t.Fatalf("sources of %v for %d: %v", p, id, src)
			}
			for _, s := range src {
				if m, ok := v.Member(s); !ok || !m.Seed && (!m.Upload || m.Tier == Below) {
					t.Fatalf("sources of %v for %d: %v, of whom %d gives nothing, or waits for us", p, id, src, s)
				}
			}
		}
	}
}

func TestOnlyTheOwnerHandsOnWhatItHadToFetch(t *testing.T) {
	b := NewBalanced(nil)
	for id := ID(1); id <= 4; id++ {
		b.Join(Member{ID: id, Upload: true})
	}
	v, _ := b.View(2)
	var r Route
	p := Piece{Seq: 3}
	owner := v.owner(p, v.Group)
	v, _ = b.View(owner)
	b.Route(&v, p, 0, &r) // fetched by the one for whom all others wait
	if len(r.Push) != 3 || len(r.Tell) != 0 {
		t.Errorf("the owner fetched it, pushes to %v and tells %v", r.Push, r.Tell)
	}
	v, _ = b.View(owner%4 + 1)
	b.Route(&v, p, 0, &r) // by another
	if len(r.Push) != 0 || len(r.Tell) != 3 {
		t.Errorf("another fetched it, pushes to %v and tells %v", r.Push, r.Tell)
	}
	b.Route(&v, p, owner, &r) // it came from the owner
	if len(r.Push)+len(r.Tell) != 0 {
		t.Errorf("a fellow pushes to %v and tells %v", r.Push, r.Tell)
	}
}

package topology

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// meets is a member's view as the tracker tells it: without those whom it cannot
// reach.
func meets(b *Balanced, m Member) View {
	v, _ := b.View(m.ID)
	v.Members = slices.DeleteFunc(v.Members, func(o Member) bool { return o.ID != m.ID && m.Hard && o.Hard })
	return v
}

func isHard(b *Balanced, id ID) bool {
	return b.where[id] != nil && slices.ContainsFunc(b.where[id].members, func(m Member) bool { return m.ID == id && m.Hard })
}

// spread follows a piece through a room from the seed, and returns how many
// copies each has sent.
func spread(t *testing.T, b *Balanced, views map[ID]View, seed ID, p Piece) map[ID]int {
	t.Helper()
	type hand struct {
		from, to ID
		on       bool
	}
	var queue []hand
	var r Route
	sent, has := map[ID]int{}, map[ID]bool{}
	send := func(from ID, v View, source ID) {
		b.Route(&v, p, source, &r)
		for _, to := range r.Push {
			queue = append(queue, hand{from, to, slices.Contains(r.Hand, to)})
			sent[from]++
		}
	}
	for _, g := range b.Groups() {
		v, _ := b.Group(seed, g)
		send(seed, v, 0)
	}
	for len(queue) > 0 {
		h := queue[0]
		queue = queue[1:]
		if has[h.to] || isHard(b, h.from) && isHard(b, h.to) {
			t.Fatalf("%v goes from %d to %d: both are hard to reach, or it is there", p, h.from, h.to)
		}
		has[h.to] = true
		if h.on {
			send(h.to, views[h.to], h.from)
		}
	}
	for id := range views {
		if !has[id] {
			t.Fatalf("%v does not reach %d of a group of %d, %d of which are hard to reach", p, id, len(b.where[id].members), b.where[id].hard())
		}
	}
	return sent
}

// At a share of 0.55 of all viewers, 0.3 of all pairs cannot connect.
func TestHardOnesAreReachedAndDoTheirPart(t *testing.T) {
	const seed, rate = 10_000, 2_000_000
	rng := rand.New(rand.NewPCG(7, 7))
	b := NewBalanced(nil)
	b.SetRate(rate)
	b.Join(Member{ID: seed, Seed: true})
	members := map[ID]Member{}
	for id := ID(1); id <= 500; id++ {
		m := Member{ID: id, Upload: true, Hard: rng.Float64() < 0.55, Uplink: rate + rng.Int64N(2*rate)}
		b.Join(m)
		members[id] = m
	}
	for range 60 {
		b.Tend()
	}
	checkGroups(t, b, "500 peers")
	for _, g := range b.groups {
		if s := g.strain(rate, 0, 0); g.hard() > hardMax || s > 1/relief {
			t.Errorf("of a group of %d %d are hard to reach, and take %.2f of what the others have", len(g.members), g.hard(), s)
		}
	}
	views := map[ID]View{}
	for id, m := range members {
		views[id] = meets(b, m)
	}
	gave := map[ID]int{}
	const pieces = 1000
	for i := range pieces {
		for id, n := range spread(t, b, views, seed, Piece{Epoch: 3, Seq: int64(i / 20), Index: i % 20}) {
			gave[id] += n
		}
	}
	over, sum := 0, map[bool]float64{}
	for id, m := range members {
		streams := float64(gave[id]) / pieces
		if streams*rate > float64(m.Uplink) {
			over++
		}
		sum[m.Hard] += streams
	}
	if over > 25 {
		t.Errorf("%d of 500 are to give more than their uplinks carry", over)
	}
	if sum[true] < sum[false]/2 {
		t.Errorf("who is hard to reach gives %.0f streams in all, the others %.0f", sum[true], sum[false])
	}
}

func TestWhoTurnsOutToBeHardToReachGoesWhereOthersAre(t *testing.T) {
	b := NewBalanced(nil)
	b.Join(Member{ID: 100, Seed: true})
	for id := ID(1); id <= 2*groupMax; id++ {
		b.Join(Member{ID: id, Upload: true, Hard: id <= hardMax})
	}
	if b.where[4] != b.where[1] || b.where[6] == b.where[1] {
		t.Fatal("they are not in two groups, in the order in which they came")
	}
	c := b.Update(Member{ID: 4, Upload: true, Hard: true})
	if b.where[4] == b.where[1] || !slices.Contains(c.Members, 1) || !slices.Contains(c.Members, 4) {
		t.Errorf("4 stays among three like it, or not all are told: %v", c.Members)
	}
	checkGroups(t, b, "4 is found out")
	b.Join(Member{ID: 11, Upload: true, Hard: true})
	if b.where[11] == b.where[1] {
		t.Error("a fourth was put among three who are hard to reach")
	}
	b.Join(Member{ID: 12, Upload: true})
	if b.where[12] != b.where[1] {
		t.Error("who reaches everybody was not put where that is needed")
	}
}

func TestAStrainedGroupIsRelieved(t *testing.T) {
	const rate = 1_000_000
	b := NewBalanced(nil)
	b.SetRate(rate)
	b.Join(Member{ID: 100, Seed: true})
	for id := ID(1); id <= 2*groupMax; id++ {
		b.Join(Member{ID: id, Upload: true, Hard: id <= 3}) // 4 and 5 carry three
	}
	if b.Tend(); b.where[1].hard() != 3 {
		t.Fatal("moved before anybody knew that it was needed")
	}
	for id := ID(4); id <= 2*groupMax; id++ {
		b.Update(Member{ID: id, Upload: true, Uplink: 1_500_000 + int64(id)})
	}
	g := b.where[1]
	c := b.Tend()
	if len(b.groups) != 2 || g.hard() != 2 || g.strain(rate, 0, 0) > 1 || len(c.Members) != 2*groupMax {
		t.Errorf("%d are hard to reach there yet, which strains the others by %.2f; told were %v", g.hard(), g.strain(rate, 0, 0), c.Members)
	}
	if c := b.Tend(); len(c.Members) != 0 {
		t.Errorf("and again %v", c.Members)
	}
}

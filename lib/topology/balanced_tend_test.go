package topology

import "testing"

// tended lets some seconds pass.
func tended(b *Balanced, seconds int) {
	for range seconds {
		b.Tend()
	}
}

func TestAGroupThatCannotFeedTwoKeepsOne(t *testing.T) {
	const rate = 2_000_000
	b := NewBalanced(nil)
	b.SetRate(rate)
	b.Join(Member{ID: 1, Seed: true})
	for id := ID(2); id < 2+6*groupMax; id++ {
		b.Join(Member{ID: id, Upload: true})
	}
	top := b.groups[0]
	if len(top.below) != fanMax {
		t.Fatalf("nobody knows what they carry, and the first group feeds %d", len(top.below))
	}
	// Its uplinks turn out to carry just what its members take, and one copy more.
	for _, m := range top.members {
		m.Uplink = rate * 5 / 4
		b.Update(m)
	}
	for _, g := range b.groups[1:] {
		for _, m := range g.members {
			m.Uplink = 3 * rate
			b.Update(m)
		}
	}
	tended(b, 3)
	checkGroups(t, b, "when uplinks are known")
	if len(top.below) != 1 {
		t.Errorf("a group with %d streams of uplink feeds %d others", groupMax*5/4, len(top.below))
	}
	for _, g := range b.groups[1:] {
		if g.above == nil || len(g.below) > fanMax {
			t.Errorf("group %d is fed by %v and feeds %d", g.id, g.above, len(g.below))
		}
	}
	before := b.groups[1].above
	if c := b.Tend(); len(c.Members) > 0 || b.groups[1].above != before {
		t.Errorf("all is well, and %v hear of changes", c.Members)
	}
}

func TestARoomShortOfUplinkIsFedByItsSeeds(t *testing.T) {
	const rate = 2_000_000
	room := func(seed, uplink int64) *Balanced {
		b := NewBalanced(nil)
		b.SetRate(rate)
		b.Join(Member{ID: 1, Seed: true, Uplink: seed})
		for id := ID(2); id < 2+20*groupMax; id++ {
			b.Join(Member{ID: id, Upload: true})
		}
		for id := ID(2); id < 2+20*groupMax; id++ {
			b.Update(Member{ID: id, Upload: true, Uplink: uplink})
		}
		tended(b, 20)
		return b
	}
	for _, c := range []struct {
		what         string
		seed, uplink int64
		roots        int
	}{
		{"enough", 0, 2 * rate, 20 * groupMax / rootPeers},
		{"half, and a seed that was never full", 0, rate / 2, 20},
		{"half, and a seed of ten streams", 10 * rate, rate / 2, 7},
	} {
		b := room(c.seed, c.uplink)
		if n := len(b.Groups()); n != c.roots {
			t.Errorf("%s: the seed feeds %d groups, want %d", c.what, n, c.roots)
		}
	}
}

// Half of a room leave at once. Groups whose members can no longer carry two others
// keep one, all of them at the next call: who is fed by them goes short until then.
func TestAfterManyHaveLeftAllWhoFeedTooManyAreRelievedAtOnce(t *testing.T) {
	const rate = 2_000_000
	b := NewBalanced(nil)
	b.SetRate(rate)
	b.Join(Member{ID: 1, Seed: true})
	for id := ID(2); id < 1002; id++ {
		b.Join(Member{ID: id, Upload: true, Uplink: rate * (4 + int64(id*7)%9) / 4})
	}
	tended(b, 60)
	over := func() (n int) {
		for _, g := range b.groups {
			if len(g.below) > b.fan(g) {
				n++
			}
		}
		return n
	}
	if n := over(); n > 0 {
		t.Fatalf("%d groups feed too many before anybody leaves", n)
	}
	for id := ID(2); id < 1002; id++ {
		if id*2654435761>>8%2 == 0 {
			b.Leave(id)
		}
	}
	before := over()
	if before <= 2*tendMoves || before > len(b.groups)/shedPart {
		t.Fatalf("%d of %d groups feed too many", before, len(b.groups))
	}
	b.Tend()
	checkGroups(t, b, "after the leave")
	if n := over(); n > 0 {
		t.Errorf("%d of %d groups still feed too many", n, before)
	}
}

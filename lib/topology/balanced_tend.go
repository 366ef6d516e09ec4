package topology

import (
	"cmp"
	"slices"
)

// Tend lets the seeds feed as many groups as the room should have by now, the
// ones that feed most first, and relieves those in which few carry much for
// members who are hard to reach. The tracker
// calls it now and then: each move costs some viewers their neighbours, so it
// makes few.
func (b *Balanced) Tend() Change {
	var c Change
	if was := b.short; b.weigh() != was {
		for _, g := range b.groups {
			b.touch(g, &c)
		}
	}
	for moves := 0; moves < tendMoves; moves++ {
		if !b.promote(&c) {
			break
		}
	}
	b.shed(&c)
	b.relieve(&c)
	return c.settle()
}

// tendMoves bounds what Tend moves at a time for the better; of groups that are fed
// by one that cannot, shedPart, for they go short until then.
const (
	tendMoves = 4
	shedPart  = 8
)

// knownLeast is of how many members the uplinks must be known before they speak
// for the others.
const knownLeast = 6

// shed finds other places for groups whose group above feeds more than it can: it
// has lost members, or its uplinks have turned out to be weak.
func (b *Balanced) shed(c *Change) {
	most := max(tendMoves, len(b.groups)/shedPart)
	for moves, i := 0, 0; i < len(b.groups) && moves < most; i++ {
		a := b.groups[i]
		if len(a.below) <= b.fan(a) {
			continue
		}
		g := slices.MinFunc(a.below, func(x, y *group) int { return cmp.Compare(x.size(), y.size()) })
		to := b.room(g)
		if to == nil {
			return
		}
		g.hooked(c)
		a.below = slices.DeleteFunc(a.below, func(x *group) bool { return x == g })
		g.above, to.below = to, append(to.below, g)
		g.hooked(c)
		moves++
	}
}

// size is how many groups stand below g, with itself.
func (g *group) size() int {
	n := 1
	for _, o := range g.below {
		n += o.size()
	}
	return n
}

// promote puts one group below the seeds, if its zone may have one more there.
func (b *Balanced) promote(c *Change) bool {
	var best *group
	for _, g := range b.groups {
		if g.above != nil && len(g.members) >= groupMin && (best == nil || len(g.below) > len(best.below)) && b.rootsOf(g.zone) < b.roots(g.zone) {
			best = g
		}
	}
	if best == nil {
		return false
	}
	best.hooked(c)
	a := best.above
	a.below = slices.DeleteFunc(a.below, func(x *group) bool { return x == best })
	best.above = nil
	best.hooked(c)
	return true
}

// rootsOf is how many groups of a zone the seeds feed.
func (b *Balanced) rootsOf(zone uint32) (n int) {
	for _, g := range b.groups {
		if g.zone == zone && g.above == nil {
			n++
		}
	}
	return n
}

// roots is how many groups of a zone the seeds should feed. Into a zone without a seed
// the stream comes once.
func (b *Balanced) roots(zone uint32) int {
	if len(b.seeds) > 0 && !slices.ContainsFunc(b.seeds, func(s Member) bool { return s.Zone == zone }) {
		return 1
	}
	n := min(max(1, len(b.where)/rootPeers), rootMax)
	if b.short {
		var sum float64
		for _, s := range b.seeds {
			sum += float64(s.Uplink)
		}
		if sum == 0 {
			return len(b.groups) // a seed tells when it was full
		}
		n = max(n, int(seedPart*sum/float64(b.rate)))
	}
	return n
}

// weigh finds out whether the room is short of uplink, as far as uplinks are
// known, and returns it.
func (b *Balanced) weigh() bool {
	var sum float64
	known, gives := 0, 0
	for _, g := range b.groups {
		for i := range g.members {
			m := &g.members[i]
			if m.Upload {
				gives++
			}
			if m.Upload && m.Uplink > 0 {
				known++
				sum += m.weight()
			}
		}
	}
	if b.rate == 0 || known < knownLeast || 4*known < gives || len(b.where) == 0 {
		b.short = false
		return false
	}
	// Of those who give and are not known, as of the others; who gives nothing
	// takes all the same.
	mean := sum / float64(max(1, known)) * float64(gives) / float64(len(b.where)) / float64(b.rate)
	b.short = mean < shortLow || b.short && mean < shortHigh
	return b.short
}

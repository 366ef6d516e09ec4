package topology

import (
	"cmp"
	"math"
	"slices"
)

// Our choices, by simulation.
const (
	// hardMax is how many of a group may be hard to reach, where there are enough
	// others.
	hardMax = 3
	// relief is what a move must make of a strain at least: each costs two viewers
	// their neighbours.
	relief = 0.9
	// relieved: of so many groups one may be relieved at a time, beside tendMoves.
	relieved = 16
)

// hard is how many of a group are hard to reach.
func (g *group) hard() (n int) {
	for i := range g.members {
		if g.members[i].Hard {
			n++
		}
	}
	return n
}

// hardMost is how many of a group may be hard to reach, when one more comes who
// is: as few as there can be.
func (b *Balanced) hardMost(m Member) int {
	if !m.Hard {
		return groupMax
	}
	hard, all := 1, 1
	for _, g := range b.groups {
		if g.zone == m.Zone {
			hard, all = hard+g.hard(), all+len(g.members)
		}
	}
	return max(hardMax, (hard*groupMax+all-1)/all)
}

// strain is what a group's hard ones take of the uplinks of the others, with so
// many more of both; 0 as long as these are not known. Who is alone has no fellows
// to depend on.
func (g *group) strain(rate int64, hard int, uplink float64) float64 {
	if len(g.members) == 1 {
		return 0
	}
	for i := range g.members {
		switch m := &g.members[i]; {
		case m.Hard:
			hard++
		case !m.Upload:
		case m.Uplink == 0:
			return 0
		default:
			uplink += m.weight() * (1 - spare)
		}
	}
	switch {
	case hard == 0:
		return 0
	case uplink <= 0:
		return math.Inf(1)
	}
	return float64(hard) * float64(rate) / uplink
}

// relieve exchanges hard ones of groups that are strained for others of groups
// that are not and stay so, where it is worst first. Uplinks are measured when
// viewers are in already, so they cannot be placed by them.
func (b *Balanced) relieve(c *Change) {
	if b.rate == 0 {
		return
	}
	type strained struct {
		g *group
		s float64
	}
	var list []strained
	for _, g := range b.groups {
		if s := g.strain(b.rate, 0, 0); s > 1 {
			list = append(list, strained{g, s})
		}
	}
	slices.SortStableFunc(list, func(x, y strained) int { return cmp.Compare(y.s, x.s) })
	for _, x := range list[:min(len(list), tendMoves+len(b.groups)/relieved)] {
		b.exchange(x.g, c)
	}
}

// exchange relieves one group, if there is one that can.
func (b *Balanced) exchange(g *group, c *Change) {
	var from *group
	var helper ID
	best := g.strain(b.rate, 0, 0) * relief
	for _, o := range b.groups {
		if o == g || o.zone != g.zone || o.hard() >= hardMax {
			continue
		}
		for _, m := range o.members {
			if m.Hard || !m.Upload || m.Uplink == 0 {
				continue
			}
			w := m.weight() * (1 - spare)
			if s := max(g.strain(b.rate, -1, w), o.strain(b.rate, 1, -w)); s < best {
				best, from, helper = s, o, m.ID
			}
		}
	}
	if from != nil {
		b.swap(g, from, helper, c)
	}
}

// swap exchanges a hard one of g for a member of another group.
func (b *Balanced) swap(g, o *group, id ID, c *Change) {
	i, _ := find(o.members, id)
	m := o.members[i]
	for _, h := range g.members {
		if h.Hard {
			g.members, o.members = insert(remove(g.members, h.ID), m), insert(remove(o.members, m.ID), h)
			b.where[m.ID], b.where[h.ID] = g, o
			break
		}
	}
	b.touch(g, c)
	b.touch(o, c)
}

package topology

import (
	"cmp"
	"slices"
)

// Route implements Topology. A seed hands a piece to its child, or to that
// one's children while it is not up to it. Whoever gets a piece, from wherever,
// hands it to its own children, the strongest first, for they have most below
// them. If it did not come from above, the fellows may wait for it too, and are
// told.
func (t *Tree) Route(v *View, p Piece, from ID, r *Route) {
	r.Push, r.Tell, r.Hand = r.Push[:0], r.Tell[:0], r.Hand[:0]
	self, _ := v.Member(v.Self)
	switch {
	case self.Seed:
		if from == 0 && v.feeder(p) == v.Self {
			r.Push = v.feed(r.Push)
		}
		return
	case !self.Upload:
		return
	}
	r.Push = v.strongest(r.Push, from, Below)
	if sender, _ := v.Member(from); from == 0 || sender.ID == from && !sender.Seed && sender.Tier != Above {
		r.Tell = v.strongest(r.Tell, from, Fellow)
	}
}

// feed appends whom a seed pushes to in a group.
func (v *View) feed(dst []ID) []ID {
	var child Member
	fellows := false
	for i := range v.Members {
		switch m := &v.Members[i]; {
		case m.Seed:
		case m.Tier == Below:
			child = *m
		default:
			fellows = true
		}
	}
	if fellows && !child.Upload {
		dst = v.strongest(dst, 0, Fellow)
	}
	if child.ID != 0 {
		dst = append(dst, child.ID)
	}
	return dst
}

// strongest appends the members of a tier, by their uplinks, without self,
// seeds and one other.
func (v *View) strongest(dst []ID, not ID, tier Tier) []ID {
	var array [viewMax]*Member
	some := array[:0]
	for i := range v.Members {
		if m := &v.Members[i]; !m.Seed && m.Tier == tier && m.ID != v.Self && m.ID != not {
			some = append(some, m)
		}
	}
	slices.SortFunc(some, func(a, b *Member) int {
		if a.Upload != b.Upload {
			if a.Upload {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.weight(), a.weight()), cmp.Compare(a.ID, b.ID))
	})
	for _, m := range some {
		dst = append(dst, m.ID)
	}
	return dst
}

// Sources implements Topology: the parent, or the seed whose turn it is; then
// the grandparent, whose group is not told; then the heir, or the heir's
// siblings; then the seeds. Who is below gets it from us.
func (t *Tree) Sources(v *View, p Piece, dst []ID) []ID {
	key := p.key()
	feeder := ID(0)
	if v.Group == uint64(v.Self) {
		if feeder = v.feeder(p); feeder != 0 {
			dst = append(dst, feeder)
		}
	}
	dst = v.strongest(dst, v.Self, Above)
	dst = rank(dst, v.Members, key, true, func(m *Member) bool {
		return isUploader(m) && m.Tier == Fellow && m.ID != v.Self && m.Group == 0
	})
	dst = rank(dst, v.Members, key, true, func(m *Member) bool {
		return isUploader(m) && m.Tier == Fellow && m.ID != v.Self && m.Group != 0 && m.Group == v.Group
	})
	return rank(dst, v.Members, mix(key^mix(v.Group)), false, func(m *Member) bool {
		return m.Seed && m.ID != v.Self && m.ID != feeder
	})
}

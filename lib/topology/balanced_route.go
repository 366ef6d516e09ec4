package topology

func isSeed(m *Member) bool     { return m.Seed }
func isUploader(m *Member) bool { return !m.Seed && m.Upload }

// feeder is the one among a view's seeds that brings p into the group; zero
// without seeds. Several seeds so share the work piece by piece.
func (v *View) feeder(p Piece) ID {
	return first(v.Members, mix(p.key()^mix(v.Group)), false, isSeed)
}

// owner is who brings p into a group, by the uploaders of it that the view
// holds; zero if there is none.
func (v *View) owner(p Piece, group uint64) ID {
	return deal(v.Members, p, mix(group), func(m *Member) bool { return isUploader(m) && m.Group == group })
}

// Owner returns who brings p into Self's group, by a view of those who are there;
// zero if nobody uploads.
func (b *Balanced) Owner(v *View, p Piece) ID { return v.owner(p, v.Group) }

// ownerAbove is who brings p into the group above; zero if there is none.
func (v *View) ownerAbove(p Piece) ID {
	for i := range v.Members {
		if m := &v.Members[i]; !m.Seed && m.Tier == Above {
			return v.owner(p, m.Group)
		}
	}
	return 0
}

// Route implements Topology. A seed that got p from the broadcaster hands it to
// the owner in each group below it. Who is handed a piece from above hands it on
// to an owner in each group below, and then to all fellows, by whatever list
// the one above chose it; who fetched it himself does so if he is the owner by
// his own list, for all others wait for him, and else says that he has it.
func (b *Balanced) Route(v *View, p Piece, from ID, r *Route) {
	r.Push, r.Tell = r.Push[:0], r.Tell[:0]
	self, _ := v.Member(v.Self)
	if self.Seed {
		if from == 0 && v.feeder(p) == v.Self {
			v.below(p, r)
		}
		return
	}
	if !self.Upload {
		return
	}
	sender, _ := v.Member(from)
	fellow := func(m *Member) bool { return !m.Seed && m.Tier == Fellow && m.ID != v.Self && m.ID != from }
	switch {
	case sender.Seed, sender.Tier == Above, from == 0 && v.owner(p, v.Group) == v.Self:
		v.below(p, r)
		r.Push = rank(r.Push, v.Members, p.key(), false, fellow)
	case from == 0:
		r.Tell = rank(r.Tell, v.Members, p.key(), false, fellow)
	}
}

// below adds the owners of p in the groups below. Where nobody uploads, a group
// has no owner, and everybody in it is sent a copy.
func (v *View) below(p Piece, r *Route) {
	var done [64]uint64
	groups := done[:0]
next:
	for i := range v.Members {
		m := &v.Members[i]
		if m.Seed || m.Tier != Below {
			continue
		}
		for _, g := range groups {
			if g == m.Group {
				continue next
			}
		}
		groups = append(groups, m.Group)
		if owner := v.owner(p, m.Group); owner != 0 {
			r.Push = append(r.Push, owner)
			continue
		}
		r.Push = rank(r.Push, v.Members, p.key(), false, func(o *Member) bool { return !o.Seed && o.Tier == Below && o.Group == m.Group })
	}
}

// Sources implements Topology: the owner, the fellows in the order in which
// they would be asked, those above, the seeds. The owner itself expects a push
// from the owner above.
func (b *Balanced) Sources(v *View, p Piece, dst []ID) []ID {
	key := p.key()
	owner := v.owner(p, v.Group)
	pusher := v.ownerAbove(p)
	above := func(m *Member) bool { return isUploader(m) && m.Tier == Above && m.ID != pusher }
	seeds := func(m *Member) bool { return m.Seed && m.ID != v.Self }
	upward := func(dst []ID) []ID {
		if pusher != 0 {
			dst = append(dst, pusher)
		}
		dst = rank(dst, v.Members, mix(key^uint64(v.Self)), true, above)
		return rank(dst, v.Members, mix(key^mix(v.Group)), false, seeds)
	}
	if owner == v.Self || owner == 0 {
		dst = upward(dst)
	} else {
		dst = append(dst, owner)
	}
	dst = rank(dst, v.Members, mix(key^uint64(v.Self)), true, func(m *Member) bool {
		return isUploader(m) && m.Tier == Fellow && m.ID != v.Self && m.ID != owner
	})
	if owner != v.Self && owner != 0 {
		dst = upward(dst)
	}
	return dst
}

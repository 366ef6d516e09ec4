package topology

func isSeed(m *Member) bool     { return m.Seed }
func isUploader(m *Member) bool { return !m.Seed && m.Upload }

// feeder is the one among a view's seeds that brings p into the group; zero
// without seeds. Several seeds so share the work piece by piece.
func (v *View) feeder(p Piece) ID {
	return first(v.Members, mix(p.key()^mix(v.Group)), false, isSeed)
}

// owner is who brings p into a group, by the uploaders of it that the view
// holds; zero if there is none. One who is reached by all, if there is one.
func (v *View) owner(p Piece, group uint64) ID {
	easy := v.easy(group)
	return v.deal(p, mix(group), func(m *Member) bool {
		return isUploader(m) && m.Group == group && !(easy && m.Hard)
	})
}

// easy reports whether somebody in a group gives who is reached by all.
func (v *View) easy(group uint64) bool {
	for i := range v.Members {
		if m := &v.Members[i]; isUploader(m) && m.Group == group && !m.Hard {
			return true
		}
	}
	return false
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
//
// Where some of a group are hard to reach, the owner is one of the others. It
// does what only these can do, and gives the rest to one of the hard ones (see
// relay).
func (b *Balanced) Route(v *View, p Piece, from ID, r *Route) {
	r.Push, r.Tell, r.Hand = r.Push[:0], r.Tell[:0], r.Hand[:0]
	self, _ := v.Member(v.Self)
	if self.Seed {
		if from == 0 && v.feeder(p) == v.Self {
			v.below(p, r, true, true)
		}
		return
	}
	if !self.Upload {
		return
	}
	sender, known := v.Member(from)
	fellow := func(m *Member) bool { return !m.Seed && m.Tier == Fellow && m.ID != v.Self && m.ID != from }
	switch {
	case sender.Seed, sender.Tier == Above, from == 0 && v.owner(p, v.Group) == v.Self:
		to := v.relay(p)
		if to != 0 {
			r.Push, r.Hand = append(r.Push, to), append(r.Hand, to)
		}
		v.below(p, r, to == 0, true)
		r.Push = rank(r.Push, v.Members, p.key(), false, func(m *Member) bool {
			return fellow(m) && m.ID != to && (to == 0 || m.Hard)
		})
	case from == 0:
		r.Tell = rank(r.Tell, v.Members, p.key(), false, fellow)
	case known && self.Hard && !sender.Hard: // a fellow has us do his part
		v.below(p, r, true, false)
		r.Push = rank(r.Push, v.Members, p.key(), false, func(m *Member) bool { return fellow(m) && !m.Hard })
	}
}

// relay is the hard one of Self's group to whom Self, who is not and owns p,
// gives the part that a hard one can do: those of the group who are not, and the
// groups below. Zero: Self does it himself. The hard ones are given so many
// pieces as make all uploads follow the uplinks: what goes to them is not theirs
// to send, so that is mostly all.
func (v *View) relay(p Piece) ID {
	var hard, all float64 // uplinks
	theirs, ours := 0, -1 // copies: for the hard ones, for those who are not; not for Self
	var done [64]uint64
	groups := done[:0]
	for i := range v.Members {
		m := &v.Members[i]
		switch {
		case m.Seed || m.Tier == Above:
			continue
		case m.Tier == Below:
			if !has(groups, m.Group) && v.easy(m.Group) {
				groups, ours = append(groups, m.Group), ours+1
			}
			continue
		case m.ID == v.Self && m.Hard:
			return 0
		case m.Hard:
			theirs++
		default:
			ours++
		}
		if m.Upload {
			all += m.weight()
			if m.Hard {
				hard += m.weight()
			}
		}
	}
	if hard == 0 || ours <= 0 {
		return 0
	}
	share := float64(theirs+ours) * hard / all / float64(ours)
	at := p.lot(mix(v.Group)^relaySalt) * hard / min(share, 1)
	for i := range v.Members {
		m := &v.Members[i]
		if !isUploader(m) || m.Tier != Fellow || !m.Hard {
			continue
		}
		if at -= m.weight(); at < 0 {
			return m.ID
		}
	}
	return 0
}

// relaySalt keeps the draw of a piece's relay apart from that of its owner.
const relaySalt = 0x72656c6179

func has(groups []uint64, g uint64) bool {
	for _, o := range groups {
		if o == g {
			return true
		}
	}
	return false
}

// below adds the owners of p in the groups below: those whom everybody reaches,
// those whom only some reach, or both. Where nobody uploads, or nobody reaches
// all the others, everybody is sent a copy.
func (v *View) below(p Piece, r *Route, easy, hard bool) {
	var done [64]uint64
	groups := done[:0]
	for i := range v.Members {
		m := &v.Members[i]
		if m.Seed || m.Tier != Below || has(groups, m.Group) {
			continue
		}
		groups = append(groups, m.Group)
		if reached := v.easy(m.Group); reached && !easy || !reached && !hard {
			continue
		} else if owner := v.owner(p, m.Group); owner != 0 {
			r.Push, r.Hand = append(r.Push, owner), append(r.Hand, owner)
			if reached {
				continue
			}
		}
		r.Push = rank(r.Push, v.Members, p.key(), false, func(o *Member) bool {
			return !o.Seed && o.Tier == Below && o.Group == m.Group && (len(r.Hand) == 0 || o.ID != r.Hand[len(r.Hand)-1])
		})
	}
}

// Sources implements Topology: the one who is going to push it, the owner, the
// fellows in the order in which they would be asked, those above, the seeds. The
// owner itself expects a push from the one above.
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

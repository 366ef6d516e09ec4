package topology

func isSeed(m *Member) bool     { return m.Seed }
func isUploader(m *Member) bool { return !m.Seed && m.Upload }

// feeder is the one among a view's seeds that brings p into the group; zero
// without seeds. Several seeds so share the work piece by piece.
func (v *View) feeder(p Piece) ID {
	return first(v.Members, mix(p.key()^mix(v.Group)), false, isSeed)
}

// Route implements Topology. A seed that got p from the broadcaster hands it
// to the owner. Who is handed a piece by a seed hands it on to all fellows, by
// whatever list the seed chose it; who fetched it himself does so if he is the
// owner by his own list, for all others wait for him, and else says that he has
// it.
func (b *Balanced) Route(v *View, p Piece, from ID, r *Route) {
	r.Push, r.Tell = r.Push[:0], r.Tell[:0]
	key := p.key()
	fellow := func(m *Member) bool { return !m.Seed && m.ID != v.Self && m.ID != from }
	self, _ := v.Member(v.Self)
	if self.Seed {
		if from != 0 || v.feeder(p) != v.Self {
			return
		}
		if owner := first(v.Members, key, true, isUploader); owner != 0 {
			r.Push = append(r.Push, owner)
		} else {
			r.Push = rank(r.Push, v.Members, key, false, fellow) // nobody uploads
		}
		return
	}
	if !self.Upload {
		return
	}
	sender, _ := v.Member(from)
	switch {
	case sender.Seed, from == 0 && first(v.Members, key, true, isUploader) == v.Self:
		r.Push = rank(r.Push, v.Members, key, false, fellow)
	case from == 0:
		r.Tell = rank(r.Tell, v.Members, key, false, fellow)
	}
}

// Sources implements Topology: the owner, the fellows in the order in which
// they would be owners, the seeds. The owner itself expects a seed's push.
func (b *Balanced) Sources(v *View, p Piece, dst []ID) []ID {
	key := p.key()
	feeder := v.feeder(p)
	owner := first(v.Members, key, true, isUploader)
	if owner == v.Self || owner == 0 {
		if feeder != 0 && feeder != v.Self {
			dst = append(dst, feeder)
		}
	}
	expectsSeed := len(dst) > 0 && dst[len(dst)-1] == feeder && feeder != 0
	dst = rank(dst, v.Members, key, true, func(m *Member) bool { return isUploader(m) && m.ID != v.Self })
	return rank(dst, v.Members, mix(key^mix(v.Group)), false, func(m *Member) bool {
		return m.Seed && m.ID != v.Self && (!expectsSeed || m.ID != feeder)
	})
}

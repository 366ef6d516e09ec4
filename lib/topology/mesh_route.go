package topology

// Route implements Topology. A seed hands a piece to one entry of each group;
// from there on it spreads by asking.
func (t *Mesh) Route(v *View, p Piece, from ID, r *Route) {
	r.Push, r.Tell, r.Hand = r.Push[:0], r.Tell[:0], r.Hand[:0]
	self, _ := v.Member(v.Self)
	fellow := func(m *Member) bool { return !m.Seed && m.ID != v.Self && m.ID != from }
	switch {
	case self.Seed && from != 0:
	case self.Seed:
		if v.feeder(p) != v.Self {
			return
		}
		entry := first(v.Members, p.key(), true, isUploader)
		if entry == 0 { // nobody uploads
			r.Push = rank(r.Push, v.Members, p.key(), false, fellow)
			return
		}
		r.Push, r.Hand = append(r.Push, entry), append(r.Hand, entry)
	case self.Upload:
		r.Tell = rank(r.Tell, v.Members, p.key(), false, func(m *Member) bool { return fellow(m) && m.Cost == 0 })
		r.Tell = rank(r.Tell, v.Members, p.key(), false, func(m *Member) bool { return fellow(m) && m.Cost > 0 })
	}
}

// Sources implements Topology. Nobody knows beforehand who will have a piece
// first: fellows come in an order that spreads requests, the near before the
// far, seeds last.
func (t *Mesh) Sources(v *View, p Piece, dst []ID) []ID {
	key := mix(p.key() ^ uint64(v.Self))
	other := func(m *Member) bool { return isUploader(m) && m.ID != v.Self }
	dst = rank(dst, v.Members, key, true, func(m *Member) bool { return other(m) && m.Cost == 0 })
	dst = rank(dst, v.Members, key, true, func(m *Member) bool { return other(m) && m.Cost > 0 })
	return rank(dst, v.Members, key, false, func(m *Member) bool { return m.Seed && m.ID != v.Self })
}

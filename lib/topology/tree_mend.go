package topology

// Bounds on what one change moves beside what it must: a room that is out of
// shape is mended with the next few changes.
const (
	mendMoves = 2
	// mendGain is how many levels a move must save: less is not worth a new
	// connection.
	mendGain = 2
	// mendBranch bounds the members whose depth one exchange changes.
	mendBranch = 256
)

// mend uses what a change has made free: for those without a parent, as far as
// it goes; then for whom the seeds carry beyond their number, for whom the zone
// gets from elsewhere although it has room, and for the deepest.
func (t *Tree) mend(zone uint32) {
	t.adopt()
	for range mendMoves {
		if !t.settleOne(t.zones[zone]) {
			break
		}
	}
	if z := t.zones[zone]; z != nil {
		t.lift(z)
	}
}

// adopt gives strays the slots that there are.
func (t *Tree) adopt() {
	for len(t.strays) > 0 {
		s := t.findSlot(t.strays[0])
		if s == nil {
			return
		}
		x := t.strays[0]
		t.strays = t.strays[1:]
		t.attach(x, s)
	}
}

// settleOne moves one member to a better place; false if there is none.
func (t *Tree) settleOne(z *zone) bool {
	if len(t.root.kids) > t.root.fan {
		x := t.root.kids[0]
		for _, k := range t.root.kids {
			if k.size < x.size || k.size == x.size && weaker(k, x) {
				x = k
			}
		}
		if t.move(x) {
			return true
		}
	}
	if z == nil || len(z.gates) < 2 {
		return false
	}
	x, y := z.gates[0], z.gates[len(z.gates)-1]
	if y.size < x.size || y.size == x.size && weaker(y, x) {
		x = y
	}
	return 2*x.size <= z.count && t.move(x)
}

// move puts x below another member near to it; false if there is no room.
func (t *Tree) move(x *node) bool {
	if s := t.findSlot(x); s == nil || t.crosses(x, s) {
		return false
	}
	p := x.parent
	t.detach(x)
	t.unfileAll(x) // its own subtree has no room for it
	s := t.findSlot(x)
	if s == nil || t.crosses(x, s) {
		t.attach(x, p)
		return false
	}
	t.attach(x, s)
	return true
}

// raise moves one of the deepest of a zone up to a slot that has come free; false
// if there is none.
func (t *Tree) raise(z *zone) bool {
	x := z.deepest()
	s := t.findSlot(x)
	if s == nil || s.depth+1+mendGain > x.depth || t.crosses(x, s) {
		return false
	}
	t.detach(x)
	t.attach(x, s)
	return true
}

// lift moves one of the deepest of a zone up to a slot that has come free. If
// there is none, and those who can feed only one have come to stand in a long
// chain, its lower half and a leaf that stands high change places.
func (t *Tree) lift(z *zone) {
	if t.raise(z) {
		return
	}
	x, w := z.deepest(), z.leaf()
	if w == nil || x.depth-w.depth < 2*mendGain+1 {
		return
	}
	for middle := (x.depth + w.depth + 1) / 2; x.depth > middle; {
		x = x.parent
	}
	if x.Zone != w.Zone || x.size > mendBranch || len(x.kids) == 0 {
		return
	}
	p, q := x.parent, w.parent
	t.detach(x)
	t.detach(w)
	t.attach(x, q)
	t.attach(w, p)
}

package topology

import "slices"

// Where pieces enter, our choices. Four copies in a large room save two of the
// log2 N times that a piece has to be passed on, for four streams of the seeds'
// uplink; in a small one that is not worth it. Of each copy's sixteen entries one
// gets the piece, and another at once if that one does not take it: all its
// neighbours ask the first who has a piece, about ten, and ten sixteenths of the
// stream is what an entry can give. One gives way to another after every 64
// changes in the room: slowly, for seeds hold connections to them.
const (
	meshCopies  = 4
	meshEntries = 16
	meshSmall   = 20  // peers, up to which one copy enters
	meshMiddle  = 100 // and up to which two
	meshTurn    = 64
	meshDraws   = 8 // of so many random peers the strongest becomes an entry
)

// SetSeedFanout sets how many copies of a piece seeds hand out, all together,
// in a room of more than a hundred. Call it before the first join.
func (t *Mesh) SetSeedFanout(n int) { t.fanout = max(1, n) }

// copies is how many groups of entries a room of so many peers has.
func (t *Mesh) copies(peers int) int {
	switch {
	case peers == 0:
		return 0
	case peers <= meshSmall, !t.anyFed():
		return 1
	case peers <= meshMiddle:
		return min(2, t.fanout)
	}
	return t.fanout
}

// turn sees to the entries after a change in the room.
func (t *Mesh) turn(c *Change) {
	// A room that shrinks keeps its groups for a while, lest they come and go.
	for n := len(t.doors); n > t.copies((len(t.peers)*4+2)/3); n-- {
		for _, e := range t.doors[n-1] {
			e.door = 0
		}
		t.doors = t.doors[:n-1]
		c.Groups = append(c.Groups, uint64(n))
	}
	for len(t.doors) < t.copies(len(t.peers)) {
		t.doors = append(t.doors, nil)
	}
	for i := range t.doors {
		for len(t.doors[i]) < meshEntries {
			if !t.open(i+1, c) {
				break
			}
		}
	}
	if t.turns++; t.turns%meshTurn == 0 && len(t.doors) > 0 {
		if d := t.doors[t.turns/meshTurn%len(t.doors)]; len(d) > 0 {
			t.replace(d[0], c)
		}
	}
}

// open makes a strong peer an entry of a group; false if all are entries.
func (t *Mesh) open(door int, c *Change) bool {
	n := t.draw()
	if n == nil {
		return false
	}
	n.door = door
	t.doors[door-1] = append(t.doors[door-1], n)
	c.Groups = append(c.Groups, uint64(door))
	return true
}

// draw picks the strongest of a few random peers that are no entries.
func (t *Mesh) draw() (best *place) {
	if len(t.peers) == 0 {
		return nil
	}
	anyone := !t.anyFed()
	better := func(n *place) {
		if n.door == 0 && (anyone || t.fed(n)) && (best == nil || n.before(best)) {
			best = n
		}
	}
	for range meshDraws {
		better(t.peers[t.rng.IntN(len(t.peers))])
	}
	for i := 0; best == nil && i < len(t.peers); i++ { // a room that is hardly more than entries
		better(t.peers[i])
	}
	return best
}

func (n *place) before(o *place) bool {
	if n.Upload != o.Upload {
		return n.Upload
	}
	if a, b := n.Member.weight(), o.Member.weight(); a != b {
		return a > b
	}
	return n.ID < o.ID
}

// shut takes n from the entries.
func (t *Mesh) shut(n *place, c *Change) {
	c.Groups = append(c.Groups, uint64(n.door))
	d := &t.doors[n.door-1]
	*d = slices.DeleteFunc(*d, func(x *place) bool { return x == n })
	n.door = 0
}

// replace puts another in the place of an entry, if there is one that is about
// as strong or, where the entry does not upload, does.
func (t *Mesh) replace(n *place, c *Change) {
	o := t.draw()
	if o == nil || !o.Upload || n.Upload && 2*o.Member.weight() < n.Member.weight() {
		return
	}
	door := n.door
	t.shut(n, c)
	o.door = door
	t.doors[door-1] = append(t.doors[door-1], o)
}

// Groups implements Topology. Into each one copy of every piece goes.
func (t *Mesh) Groups() []uint64 {
	groups := make([]uint64, len(t.doors))
	for i := range t.doors {
		groups[i] = uint64(i + 1)
	}
	return groups
}

// Group implements Topology.
func (t *Mesh) Group(seed ID, group uint64) (View, bool) {
	if group == 0 || group > uint64(len(t.doors)) {
		return View{}, false
	}
	from := uint32(0)
	if i, ok := find(t.seeds, seed); ok {
		from = t.seeds[i].Zone
	}
	return View{Self: seed, Group: group, Members: t.members(t.doors[group-1], nil, from)}, true
}

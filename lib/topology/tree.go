package topology

import (
	"math/rand/v2"
	"slices"
)

// Sizes of the tree, our choices. Nine tenths of an uplink carry copies; the
// rest is for what is asked for and for the headers. Two is the fan-out of an
// uploader while nobody knows the stream's rate or its uplink: less is a chain,
// and one that is not busy with a single child never learns what it carries. Who
// is overcharged finds out within a second, and sheds. Ten bounds what a member
// keeps alive: with the children's heirs and its own kin a view has room for all
// of them and a few seeds.
const (
	treeShare  = 0.9
	treeGuess  = 2
	treeFanMax = 10
	treeSeed   = 4 // children of the seeds, all together
	// treeRoom is for how many members the seeds have one child: each costs them a
	// stream, and in a small room that is much of all there is.
	treeRoom = 25
	viewMax  = 32
	// treeRate is how much the stream's rate has to change, as a part of it,
	// before fan-outs follow: an encoder's rate is never still.
	treeRate = 8
)

// Tree is one tree over the whole room, in which every member pushes what it
// gets to its children. Each has as many as its uplink carries; the strong and
// the near stand above the weak and the far. The seeds, all together, are the
// root.
//
// Of each brood one is the heir: it knows its grandparent, and its siblings
// know it. When their parent goes, the heir takes its place, and until the
// tracker says so it asks the grandparent, and the others ask the heir.
type Tree struct {
	seeds  []Member
	nodes  map[ID]*node
	root   *node
	most   int // children of the seeds, in a large room
	zones  map[uint32]*zone
	byZone []*zone // ascending by id
	strays []*node // have no parent, the oldest first
	rate   int64   // bit/s of the stream; 0: not known
	cost   func(from, to uint32) uint32

	touched []*node
	fed     map[ID]uint64 // what a seed was told last of each of the root's children
	kin     []kin         // scratch
}

// NewTree returns an empty room. It draws nothing at random.
func NewTree(*rand.Rand) *Tree {
	t := &Tree{nodes: map[ID]*node{}, zones: map[uint32]*zone{}, fed: map[ID]uint64{}}
	t.root, t.most = &node{fan: 1, size: 1}, treeSeed
	return t
}

// SetSeedFanout sets how many children the seeds have together, 1 or more, while
// others have room. Call it before the first join.
func (t *Tree) SetSeedFanout(n int) { t.most = max(1, n) }

// widen has the seeds feed as many as a room of this size is worth. It grows at
// once; what is too many is moved as others have room.
func (t *Tree) widen() { t.root.fan = min(max(1, len(t.nodes)/treeRoom), t.most) }

// SetCost sets what a byte costs between two zones; 0 is near. Without it all
// zones are equally far from each other. Call it before the first join.
func (t *Tree) SetCost(cost func(from, to uint32) uint32) { t.cost = cost }

// SetRate sets the rate of the stream, in bit/s, from which fan-outs follow; 0
// is not known. Changes of less than an eighth move nobody's fan-out; but whoever
// stands badly moves to a place that has come free since: while nobody comes or
// goes, this is the only occasion.
func (t *Tree) SetRate(bps int64) Change {
	if bps = max(0, bps); bps > 0 && t.rate > 0 && max(bps-t.rate, t.rate-bps) < t.rate/treeRate || bps == t.rate {
		t.adopt()
		for range mendMoves {
			if !t.settleOne(nil) {
				break
			}
		}
		for _, z := range t.byZone {
			t.raise(z)
		}
		return t.flush()
	}
	t.rate = bps
	all := t.ids()
	for _, id := range all {
		n := t.nodes[id]
		t.refan(n)
	}
	for _, id := range all {
		t.shed(t.nodes[id])
	}
	t.adopt()
	for range all {
		if !t.settleOne(nil) {
			break
		}
	}
	slices.SortStableFunc(all, func(a, b ID) int { return t.nodes[b].fan - t.nodes[a].fan })
	for _, id := range all {
		if n := t.nodes[id]; n.parent != nil {
			t.promote(n)
		}
	}
	return t.flush()
}

// Name implements Topology.
func (t *Tree) Name() string { return TreeName }

// Join implements Topology.
func (t *Tree) Join(m Member) Change {
	if m.Seed {
		if n := t.nodes[m.ID]; n != nil {
			t.depart(n)
		}
		t.seeds = insert(t.seeds, m)
		return t.everybody()
	}
	if t.nodes[m.ID] != nil {
		return t.Update(m)
	}
	n := &node{Member: m, size: 1}
	n.fan = t.fanOf(m)
	t.nodes[m.ID] = n
	t.widen()
	t.place(n)
	t.mend(m.Zone)
	if _, ok := find(t.seeds, m.ID); ok {
		t.seeds = remove(t.seeds, m.ID)
		return t.everybody()
	}
	return t.flush()
}

// Update implements Topology. A member whose uplink turns out smaller gives
// away its youngest children; one whose uplink turns out far larger changes
// places with a weaker one above.
func (t *Tree) Update(m Member) Change {
	if i, ok := find(t.seeds, m.ID); ok {
		if !m.Seed {
			return t.Join(m)
		}
		if t.seeds[i] == m {
			return Change{}
		}
		t.seeds[i] = m
		return t.everybody()
	}
	n := t.nodes[m.ID]
	switch {
	case n == nil:
		return Change{}
	case m.Seed:
		return t.Join(m)
	case n.Member == m:
		return Change{}
	}
	if n.Zone != m.Zone {
		t.depart(n)
		t.nodes[m.ID] = n
		n.Member, n.fan = m, t.fanOf(m)
		t.place(n)
		t.mend(m.Zone)
		return t.flush()
	}
	n.Member = m
	t.touchAround(n)
	was := n.fan
	t.refan(n)
	switch {
	case n.fan < was:
		t.shed(n)
	case n.fan > was && n.parent == nil:
		t.strays = slices.DeleteFunc(t.strays, func(s *node) bool { return s == n })
		t.place(n)
	case n.fan > was:
		t.promote(n)
	}
	t.mend(m.Zone)
	return t.flush()
}

// Leave implements Topology.
func (t *Tree) Leave(id ID) Change {
	if _, ok := find(t.seeds, id); ok {
		t.seeds = remove(t.seeds, id)
		return t.everybody()
	}
	n := t.nodes[id]
	if n == nil {
		return Change{}
	}
	t.depart(n)
	t.widen()
	t.mend(n.Zone)
	return t.flush()
}

// fanOf returns how many copies of the stream a member can send.
func (t *Tree) fanOf(m Member) int {
	switch {
	case !m.Upload:
		return 0
	case t.rate == 0, m.Uplink == 0:
		return treeGuess
	}
	return min(int(treeShare*m.weight()/float64(t.rate)), treeFanMax)
}

// ids returns all members, ascending.
func (t *Tree) ids() []ID {
	ids := make([]ID, 0, len(t.nodes))
	for id := range t.nodes {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// View implements Topology.
func (t *Tree) View(id ID) (View, bool) {
	n := t.nodes[id]
	if n == nil {
		return View{}, false
	}
	t.kin = t.relatives(t.kin[:0], n)
	return View{Self: id, Group: n.group(), Members: t.members(n, n.Zone)}, true
}

// Groups implements Topology. There is one for each child of the seeds, called
// as the child.
func (t *Tree) Groups() []uint64 {
	ids := make([]uint64, len(t.root.kids))
	for i, k := range t.root.kids {
		ids[i] = uint64(k.ID)
	}
	slices.Sort(ids)
	return ids
}

// Group implements Topology: a child of the seeds, and its children as fellows,
// whom a seed feeds itself while their parent is not up to it.
func (t *Tree) Group(seed ID, group uint64) (View, bool) {
	n := t.nodes[ID(group)]
	if n == nil || n.parent != t.root {
		return View{}, false
	}
	from := uint32(0)
	if i, ok := find(t.seeds, seed); ok {
		from = t.seeds[i].Zone
	}
	t.kin = n.brood(t.kin[:0])
	return View{Self: seed, Group: group, Members: t.members(nil, from)}, true
}

// members lists who is in t.kin, self and the seeds, as seen from a zone.
func (t *Tree) members(self *node, from uint32) []Member {
	out := make([]Member, 0, len(t.kin)+1+len(t.seeds))
	if self != nil {
		out = append(out, self.Member)
	}
	for _, k := range t.kin {
		m := k.node.Member
		m.Tier, m.Group, m.Cost = k.tier, k.group, price(t.cost, from, m.Zone)
		out = append(out, m)
	}
	for _, s := range t.seeds {
		s.Cost = price(t.cost, from, s.Zone)
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Member) int { return byID(a, b.ID) })
	return out
}

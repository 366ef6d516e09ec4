package topology

import "cmp"

// A zone keeps the attached nodes of one zone by their depth.
type zone struct {
	id     uint32
	levels []level // by depth; 0, the seeds', stays empty
	low    int     // no node above this level has a free slot
	count  int
	gates  []*node // those whose parent is elsewhere
}

// A level keeps the nodes of a zone at one depth: those with a free slot, the
// strongest first, and all, the weakest first.
type level struct{ free, all heap }

const (
	atFree = iota
	atAll
	heaps
)

func stronger(a, b *node) bool {
	return cmp.Or(cmp.Compare(b.weight(), a.weight()), cmp.Compare(a.ID, b.ID)) < 0
}

func weaker(a, b *node) bool {
	return cmp.Or(cmp.Compare(a.fan, b.fan), cmp.Compare(a.weight(), b.weight()), cmp.Compare(a.ID, b.ID)) < 0
}

// file puts n, alone, to a depth.
func (t *Tree) file(n *node, depth int) {
	t.unfile(n)
	z := t.zones[n.Zone]
	if z == nil {
		z = &zone{id: n.Zone}
		t.zones[n.Zone] = z
		t.byZone = insertZone(t.byZone, z)
	}
	for len(z.levels) <= depth {
		z.levels = append(z.levels, level{heap{slot: atFree, less: stronger}, heap{slot: atAll, less: weaker}})
	}
	n.zone, n.depth = z, depth
	z.count++
	t.refile(n)
	t.regate(n)
}

// refile sees to it that the zone knows of n's free slots and strength.
func (t *Tree) refile(n *node) {
	if n.zone == nil {
		return
	}
	l := &n.zone.levels[n.depth]
	l.all.add(n)
	if len(n.kids) >= n.fan {
		l.free.remove(n)
		return
	}
	l.free.add(n)
	n.zone.low = min(n.zone.low, n.depth)
}

// unfile takes n, alone, out of its zone: nobody is placed below it.
func (t *Tree) unfile(n *node) {
	z := n.zone
	if z == nil {
		return
	}
	l := &z.levels[n.depth]
	l.all.remove(n)
	l.free.remove(n)
	n.shut()
	n.zone = nil
	z.count--
	for i := len(z.levels) - 1; i >= 0 && len(z.levels[i].all.items) == 0; i-- {
		z.levels = z.levels[:i]
	}
	if z.count == 0 {
		delete(t.zones, z.id)
		t.byZone = removeZone(t.byZone, z)
	}
}

// slot returns the shallowest node with a free slot, of those the strongest;
// nil if all are full.
func (z *zone) slot() *node {
	if z == nil {
		return nil
	}
	for ; z.low < len(z.levels); z.low++ {
		if n := z.levels[z.low].free.first(); n != nil {
			return n
		}
	}
	return nil
}

// deepest returns one of the deepest nodes, with a fan-out if there is one.
func (z *zone) deepest() *node {
	l := &z.levels[len(z.levels)-1]
	if n := l.free.first(); n != nil {
		return n
	}
	return l.all.first()
}

// regate notes whether n's parent is elsewhere.
func (t *Tree) regate(n *node) {
	n.shut()
	if n.zone == nil || n.parent == nil || !t.crosses(n, n.parent) {
		return
	}
	n.zone.gates = append(n.zone.gates, n)
	n.gate = len(n.zone.gates)
}

func (n *node) shut() {
	if n.gate == 0 {
		return
	}
	g := n.zone.gates
	last := g[len(g)-1]
	g[n.gate-1], last.gate = last, n.gate
	n.zone.gates = g[:len(g)-1]
	n.gate = 0
}

func insertZone(zones []*zone, z *zone) []*zone {
	i := len(zones)
	for i > 0 && zones[i-1].id > z.id {
		i--
	}
	zones = append(zones, nil)
	copy(zones[i+1:], zones[i:])
	zones[i] = z
	return zones
}

func removeZone(zones []*zone, z *zone) []*zone {
	for i := range zones {
		if zones[i] == z {
			return append(zones[:i], zones[i+1:]...)
		}
	}
	return zones
}

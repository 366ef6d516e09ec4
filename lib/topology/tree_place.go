package topology

import (
	"cmp"
	"math"
	"slices"
)

// treeSpare is how many times their own number of children the seeds carry
// while the members' uplinks do not carry all. Who comes then is a stray: it
// asks for what it needs, and has the first slot that comes free.
const treeSpare = 4

// findSlot returns the best parent for x, which is not filed: a seed's slot if
// it is near; the shallowest of its zone; else the cheapest elsewhere. Nil if
// all are full.
func (t *Tree) findSlot(x *node) *node {
	open := len(t.root.kids) < t.root.fan
	if open && t.nearRoot(x.Zone) {
		return t.root
	}
	if s := t.zones[x.Zone].slot(); s != nil {
		return s
	}
	var best *node
	var bestCost uint32
	if open {
		best, bestCost = t.root, t.distance(t.root, x.Zone)
	}
	for _, z := range t.byZone {
		s := z.slot()
		if s == nil {
			continue
		}
		cost := price(t.cost, z.id, x.Zone)
		if best == nil || cmp.Or(cmp.Compare(cost, bestCost), cmp.Compare(s.depth, best.depth)) < 0 ||
			cost == bestCost && s.depth == best.depth && best != t.root && stronger(s, best) {
			best, bestCost = s, cost
		}
	}
	return best
}

// place finds a parent for x, the root of a subtree that is not filed: the best
// slot; or, where a weak member stands higher or nearer, that one's place.
func (t *Tree) place(x *node) {
	slot := t.findSlot(x)
	depth := math.MaxInt // that a place in the own zone has to beat
	if slot != nil && !t.crosses(x, slot) {
		depth = slot.depth + 1
	}
	if w := t.zones[x.Zone].lesser(x, depth, slot); w != nil {
		t.displace(x, w, slot)
		return
	}
	if slot != nil {
		t.attach(x, slot)
		return
	}
	var best, leaf *node
	for _, z := range t.byZone {
		if w := z.lesser(x, math.MaxInt, nil); w != nil && (best == nil || w.depth < best.depth) {
			best = w
		}
		if w := z.leaf(); w != nil && (leaf == nil || w.depth < leaf.depth) {
			leaf = w
		}
	}
	switch {
	case best != nil:
		t.displace(x, best, nil)
	case leaf != nil && len(x.kids) > 0:
		// Better one without a parent than one with its whole subtree.
		p := leaf.parent
		t.detach(leaf)
		t.unfile(leaf)
		t.attach(x, p)
		t.place(leaf)
	case len(x.kids) == 0 && len(t.root.kids) >= treeSpare*t.most:
		t.strays = append(t.strays, x)
		t.touch(x)
	default:
		t.attach(x, t.root)
	}
}

// lesser returns the highest node above a depth that x may displace: at most
// half as strong, and x has room for its children and itself, or it has none
// and finds room at slot.
func (z *zone) lesser(x *node, depth int, slot *node) *node {
	if z == nil || x.fan == 0 {
		return nil
	}
	for d := 1; d < min(depth, len(z.levels)); d++ {
		w := z.levels[d].all.first()
		if w == nil || w == x || w.fan >= x.fan || 2*w.fan > x.fan {
			continue
		}
		if len(x.kids)+len(w.kids) < x.fan || len(w.kids) == 0 && slot != nil && slot != w {
			return w
		}
	}
	return nil
}

// leaf returns the highest node that feeds nobody and cannot; nil if there is
// none.
func (z *zone) leaf() *node {
	for d := 1; d < len(z.levels); d++ {
		if w := z.levels[d].all.first(); w != nil && w.fan == 0 && len(w.kids) == 0 {
			return w
		}
	}
	return nil
}

// displace puts x into w's place, and w and its children below x if there is
// room; else w alone into slot.
func (t *Tree) displace(x, w, slot *node) {
	p := w.parent
	t.detach(w)
	if len(x.kids)+len(w.kids) >= x.fan {
		t.attach(x, p)
		t.attach(w, slot)
		return
	}
	t.attach(x, p)
	for _, k := range slices.Clone(w.kids) {
		t.detach(k)
		t.attach(k, x)
	}
	t.attach(w, x)
}

// promote puts x, whose uplink has turned out larger, higher up.
func (t *Tree) promote(x *node) {
	w := x.zone.lesser(x, x.depth, nil)
	if w == nil {
		return
	}
	t.detach(x)
	t.displace(x, w, nil)
}

// shed moves the youngest children of n elsewhere until it can carry the rest.
func (t *Tree) shed(n *node) {
	for len(n.kids) > n.fan {
		k := n.kids[len(n.kids)-1]
		t.detach(k)
		t.unfileAll(k)
		t.place(k)
	}
}

// depart takes n out of the room. Its heir takes its place and as many of the
// other children as it can carry; of these and its own the largest subtrees
// stay, and the others find places elsewhere.
func (t *Tree) depart(n *node) {
	delete(t.nodes, n.ID)
	t.touchAround(n)
	p, kids, heir := n.parent, n.kids, n.heir
	if p == nil {
		t.strays = slices.DeleteFunc(t.strays, func(s *node) bool { return s == n })
		return
	}
	t.detach(n)
	t.unfile(n)
	n.kids, n.heir, n.size = nil, nil, 1
	if heir == nil {
		return
	}
	for _, k := range kids {
		k.parent = nil
		k.shut()
	}
	t.attach(heir, p)
	bySize := func(a, b *node) int { return cmp.Or(cmp.Compare(b.size, a.size), cmp.Compare(a.ID, b.ID)) }
	slices.SortFunc(kids, bySize)
	var out []*node
	for _, k := range kids {
		if k == heir {
			continue
		}
		if len(heir.kids) < heir.fan {
			t.attach(k, heir)
			continue
		}
		if len(heir.kids) > 0 {
			// A move more is worth it only if it saves many.
			if least := slices.MaxFunc(heir.kids, bySize); 2*least.size < k.size {
				t.detach(least)
				t.attach(k, heir)
				k = least
			}
		}
		out = append(out, k)
	}
	for _, k := range out {
		t.unfileAll(k)
	}
	slices.SortFunc(out, bySize)
	for _, k := range out {
		t.place(k)
	}
}

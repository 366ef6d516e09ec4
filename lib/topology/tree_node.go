package topology

// A node is a member's place in the tree.
type node struct {
	Member
	fan    int // children that it can carry
	parent *node
	kids   []*node // the oldest first
	heir   *node   // of kids
	size   int     // of its subtree, itself included
	depth  int     // if zone is not nil

	zone *zone // that it is filed in; nil: nobody may be placed below it
	at   [heaps]int
	gate int // its place in zone.gates, from 1

	print   uint64 // of the view that it was told last
	touched bool
}

// A kin is a relative with its standing.
type kin struct {
	node  *node
	tier  Tier
	group uint64
}

// group is the group that n is of: the children of one parent. What the seeds
// feed are groups of one, and a stray is of none.
func (n *node) group() uint64 {
	switch {
	case n.parent == nil:
		return 0
	case n.parent.parent == nil: // the seeds
		return uint64(n.ID)
	}
	return uint64(n.parent.ID)
}

// relatives appends whom n knows beside the seeds. Of those above the group
// is not told: it would change for a whole brood with each move of the parent.
func (t *Tree) relatives(dst []kin, n *node) []kin {
	p := n.parent
	if p != nil && p != t.root {
		dst = append(dst, kin{p, Above, 0})
	}
	for _, k := range n.kids {
		dst = append(dst, kin{k, Below, uint64(n.ID)})
	}
	fellow := func(m *node, group uint64) {
		if m != nil && m != t.root && len(dst)+1+len(t.seeds) < viewMax {
			dst = append(dst, kin{m, Fellow, group})
		}
	}
	switch {
	case p == nil, p == t.root:
	case p.heir == n:
		fellow(p.parent, 0)
		for _, s := range p.kids {
			if s != n {
				fellow(s, uint64(p.ID))
			}
		}
	default:
		fellow(p.heir, uint64(p.ID))
	}
	for _, k := range n.kids {
		fellow(k.heir, uint64(k.ID))
	}
	return dst
}

// brood appends a child of the seeds and its own children.
func (n *node) brood(dst []kin) []kin {
	dst = append(dst, kin{n, Below, uint64(n.ID)})
	for _, k := range n.kids {
		dst = append(dst, kin{k, Fellow, uint64(n.ID)})
	}
	return dst
}

// attach makes c, and with it its subtree, a child of p, the youngest.
func (t *Tree) attach(c, p *node) {
	c.parent = p
	p.kids = append(p.kids, c)
	for a := p; a != nil; a = a.parent {
		a.size += c.size
	}
	t.refile(p)
	if p != t.root && p.better(c, p.heir) {
		p.heir = c
	}
	if c.zone == nil || c.depth != p.depth+1 {
		t.fileAll(c, p.depth+1)
	}
	t.regate(c)
	t.touchBrood(c, p)
}

// detach takes c, and with it its subtree, from its parent. It stays filed.
func (t *Tree) detach(c *node) {
	p := c.parent
	t.touchBrood(c, p)
	i := 0
	for p.kids[i] != c {
		i++
	}
	p.kids = append(p.kids[:i], p.kids[i+1:]...)
	for a := p; a != nil; a = a.parent {
		a.size -= c.size
	}
	c.parent = nil
	c.shut()
	if p.heir == c {
		p.heir = p.bestKid()
	}
	t.refile(p)
}

// fileAll files a subtree, unfileAll takes it out.
func (t *Tree) fileAll(n *node, depth int) {
	t.file(n, depth)
	for _, k := range n.kids {
		t.fileAll(k, depth+1)
	}
}

func (t *Tree) unfileAll(n *node) {
	t.unfile(n)
	for _, k := range n.kids {
		t.unfileAll(k)
	}
}

// better reports whether c should be heir of n instead of h: the near before
// the far, the much stronger before the weaker. An heir who is good enough
// stays, for its siblings hold connections to it.
func (n *node) better(c, h *node) bool {
	switch {
	case h == nil:
		return true
	case (c.Zone == n.Zone) != (h.Zone == n.Zone):
		return c.Zone == n.Zone
	}
	return c.fan > h.fan && c.fan >= 2*h.fan
}

func (n *node) bestKid() (best *node) {
	for _, k := range n.kids {
		if best == nil || (k.Zone == n.Zone) != (best.Zone == n.Zone) {
			if best == nil || k.Zone == n.Zone {
				best = k
			}
			continue
		}
		if k.fan > best.fan || k.fan == best.fan && stronger(k, best) {
			best = k
		}
	}
	return best
}

// refan takes in what n's uplink says now.
func (t *Tree) refan(n *node) {
	n.fan = t.fanOf(n.Member)
	t.refile(n)
	if p := n.parent; p != nil && p != t.root && p.better(n, p.heir) {
		p.heir = n
		t.touchBrood(n, p)
	}
}

// nearRoot reports whether a seed is near a zone, as far as anybody knows.
func (t *Tree) nearRoot(zone uint32) bool {
	for i := range t.seeds {
		if !apart(t.seeds[i].Zone, zone) {
			return true
		}
	}
	return len(t.seeds) == 0
}

// crosses reports whether what c gets from p comes from another zone.
func (t *Tree) crosses(c, p *node) bool {
	if p == t.root {
		return !t.nearRoot(c.Zone)
	}
	return apart(c.Zone, p.Zone)
}

// distance is what a byte costs from p, or the nearest seed, to a zone.
func (t *Tree) distance(p *node, to uint32) uint32 {
	if p != t.root {
		return price(t.cost, p.Zone, to)
	}
	least := uint32(0)
	for i := range t.seeds {
		if c := price(t.cost, t.seeds[i].Zone, to); i == 0 || c < least {
			least = c
		}
	}
	return least
}

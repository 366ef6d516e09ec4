package topology

// touch notes that n's view may be another.
func (t *Tree) touch(n *node) {
	if n != nil && n != t.root && !n.touched {
		n.touched = true
		t.touched = append(t.touched, n)
	}
}

// touchBrood notes whom it concerns that c is, or is not, p's child or heir.
func (t *Tree) touchBrood(c, p *node) {
	t.touch(c)
	t.touch(c.heir)
	t.touch(p)
	if p == t.root {
		return
	}
	t.touch(p.parent)
	for _, k := range p.kids {
		t.touch(k)
	}
}

// touchAround notes all who know n.
func (t *Tree) touchAround(n *node) {
	t.touch(n)
	if n.parent != nil {
		t.touchBrood(n, n.parent)
	}
	for _, k := range n.kids {
		t.touch(k)
		t.touch(k.heir)
	}
}

// flush returns who must hear of what was done: exactly those whose view is not
// what it was. Who left has no parent and is in t.nodes no more.
func (t *Tree) flush() (c Change) {
	for _, n := range t.touched {
		n.touched = false
		if t.nodes[n.ID] == n {
			t.kin = t.relatives(t.kin[:0], n)
			if p := printOf(n.Member, n.group(), t.kin); p != n.print {
				n.print = p
				c.Members = append(c.Members, n.ID)
			}
		}
		was, known := t.fed[n.ID]
		if n.parent != t.root {
			if known {
				delete(t.fed, n.ID)
				c.Groups = append(c.Groups, uint64(n.ID))
			}
			continue
		}
		t.kin = n.brood(t.kin[:0])
		if p := printOf(Member{}, 0, t.kin); p != was || !known {
			t.fed[n.ID] = p
			c.Groups = append(c.Groups, uint64(n.ID))
		}
	}
	t.touched = t.touched[:0]
	return c.settle()
}

// everybody tells all: a seed came or went.
func (t *Tree) everybody() Change {
	for _, k := range t.root.kids {
		t.regate(k)
	}
	c := t.flush()
	c.Members = c.Members[:0]
	for _, id := range t.ids() {
		n := t.nodes[id]
		t.kin = t.relatives(t.kin[:0], n) // more seeds leave less room
		n.print = printOf(n.Member, n.group(), t.kin)
		c.Members = append(c.Members, id)
	}
	c.Groups = append(c.Groups, t.Groups()...)
	return c.settle()
}

// printOf draws what a view says of others into one number, whatever their
// order. It is never 0.
func printOf(self Member, group uint64, others []kin) uint64 {
	sum := printMember(self, 2) ^ mix(group)
	for _, k := range others {
		m := k.node.Member
		m.Group = k.group
		sum += printMember(m, uint64(k.tier+1))
	}
	return sum | 1
}

func printMember(m Member, tier uint64) uint64 {
	if m.Upload {
		tier += 8
	}
	return mix(mix(mix(uint64(m.ID))^uint64(m.Uplink)) ^ mix(m.Group^uint64(m.Zone)<<32^tier<<24))
}

package topology

import "slices"

// gives reports whether somebody in a group hands pieces on.
func (g *group) gives() bool {
	return slices.ContainsFunc(g.members, func(m Member) bool { return m.Upload })
}

// mend sees to a group in which nobody gives any more: those below it would get
// nothing. One of them takes its place, and it goes where it feeds nobody.
func (b *Balanced) mend(g *group, c *Change) {
	if len(g.below) == 0 || g.gives() {
		return
	}
	b.touch(g, c)
	b.unhook(g, c)
	b.attach(g)
	g.hooked(c)
}

// unhook takes a group, whose view's holders have been named, out of its tree.
// The first of those below takes its place, the others find new ones.
func (b *Balanced) unhook(g *group, c *Change) {
	below := g.below
	g.below = nil
	if a := g.above; a != nil {
		a.below = slices.DeleteFunc(a.below, func(x *group) bool { return x == g })
	}
	for i, o := range below {
		if i > 0 {
			b.attach(o)
		} else if o.above = g.above; o.above != nil {
			o.above.below = append(o.above.below, o)
		}
		o.hooked(c)
	}
}

// hooked names those whose view changes when a group gets its place in the tree:
// its own members, and those above it, or the seeds.
func (g *group) hooked(c *Change) {
	c.Members = addIDs(c.Members, g.members)
	if g.above != nil {
		c.Members = addIDs(c.Members, g.above.members)
	} else {
		c.Groups = append(c.Groups, g.id)
	}
}

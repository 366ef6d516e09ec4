package topology

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// Sizes of a balanced group. Our choice: about ten, because the share that a
// seed must carry falls with the size, while the connections of a member and
// the time that a stripe's owner needs for its copies grow with it. A full
// group that must take one more splits into halves; a group below half looks
// for another to merge with.
const (
	groupMax = 10
	groupMin = groupMax / 2
)

// Balanced puts peers into groups of about ten. Of every piece one member of a
// group is the owner: it alone gets the piece from outside and hands it to its
// fellows, so each of them uploads about one stream. The owner is drawn for
// each piece by rendezvous, weighted by uplink.
type Balanced struct {
	seeds  []Member
	groups []*group // by ascending id
	where  map[ID]*group
	nextID uint64
}

type group struct {
	id      uint64
	members []Member
}

// NewBalanced returns an empty room. It draws nothing at random.
func NewBalanced(*rand.Rand) *Balanced {
	return &Balanced{where: map[ID]*group{}, nextID: 1}
}

// Name implements Topology.
func (b *Balanced) Name() string { return BalancedName }

// Join implements Topology.
func (b *Balanced) Join(m Member) Change {
	if m.Seed {
		// A peer that comes back as a seed leaves its group first.
		c := b.leavePeer(m.ID)
		b.seeds = insert(b.seeds, m)
		return b.everybody(c)
	}
	if _, ok := find(b.seeds, m.ID); ok {
		b.seeds = remove(b.seeds, m.ID)
		c := b.Join(m)
		return b.everybody(c)
	}
	if g := b.where[m.ID]; g != nil {
		return b.Update(m)
	}
	g := b.place()
	g.members = insert(g.members, m)
	b.where[m.ID] = g
	c := Change{Groups: []uint64{g.id}}
	if len(g.members) > groupMax {
		half := b.split(g)
		c.Groups = append(c.Groups, half.id)
		c.Members = addIDs(c.Members, half.members)
	}
	c.Members = addIDs(c.Members, g.members)
	return c.settle()
}

// Update implements Topology.
func (b *Balanced) Update(m Member) Change {
	if i, ok := find(b.seeds, m.ID); ok {
		if !m.Seed {
			return b.Join(m)
		}
		if b.seeds[i] == m {
			return Change{}
		}
		b.seeds[i] = m
		return b.everybody(Change{})
	}
	g := b.where[m.ID]
	if g == nil {
		return Change{}
	}
	if m.Seed {
		return b.Join(m)
	}
	i, _ := find(g.members, m.ID)
	if g.members[i] == m {
		return Change{}
	}
	g.members[i] = m
	return Change{Members: addIDs(nil, g.members), Groups: []uint64{g.id}}
}

// Leave implements Topology.
func (b *Balanced) Leave(id ID) Change {
	if _, ok := find(b.seeds, id); ok {
		b.seeds = remove(b.seeds, id)
		return b.everybody(Change{})
	}
	return b.leavePeer(id)
}

func (b *Balanced) leavePeer(id ID) Change {
	g := b.where[id]
	if g == nil {
		return Change{}
	}
	delete(b.where, id)
	g.members = remove(g.members, id)
	c := Change{Groups: []uint64{g.id}}
	if len(g.members) < groupMin {
		if into := b.partner(g); into != nil || len(g.members) == 0 {
			b.groups = slices.DeleteFunc(b.groups, func(x *group) bool { return x == g })
			if into != nil {
				for _, m := range g.members {
					into.members = insert(into.members, m)
					b.where[m.ID] = into
				}
				c.Groups = append(c.Groups, into.id)
				c.Members = addIDs(c.Members, into.members)
			}
			return c.settle()
		}
	}
	c.Members = addIDs(c.Members, g.members)
	return c.settle()
}

// place returns the group for a newcomer: one below half, the smallest first;
// else the fullest with room, so that groups stay few; else a full one, the
// longest unsplit, which the newcomer will split.
func (b *Balanced) place() *group {
	var low, fill *group
	for _, g := range b.groups {
		n := len(g.members)
		if n < groupMin && (low == nil || n < len(low.members)) {
			low = g
		}
		if n < groupMax && (fill == nil || n > len(fill.members)) {
			fill = g
		}
	}
	switch {
	case low != nil:
		return low
	case fill != nil:
		return fill
	case len(b.groups) > 0:
		return b.groups[0]
	}
	return b.newGroup(nil)
}

func (b *Balanced) newGroup(members []Member) *group {
	g := &group{id: b.nextID, members: members}
	b.nextID++
	b.groups = append(b.groups, g) // the ids only grow
	return g
}

// split moves half of g to a new group: the members are dealt by uplink, so
// that neither half is left without uploaders.
func (b *Balanced) split(g *group) *group {
	dealt := slices.Clone(g.members)
	slices.SortFunc(dealt, func(x, y Member) int {
		if x.Upload != y.Upload {
			if x.Upload {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(y.weight(), x.weight()), cmp.Compare(x.ID, y.ID))
	})
	var stay, leave []Member
	for i, m := range dealt {
		if i%2 == 0 {
			stay = insert(stay, m)
		} else {
			leave = insert(leave, m)
		}
	}
	g.members = stay
	half := b.newGroup(leave)
	for _, m := range leave {
		b.where[m.ID] = half
	}
	return half
}

// partner returns the smallest group that g fits into; nil if there is none.
func (b *Balanced) partner(g *group) *group {
	if len(g.members) == 0 {
		return nil
	}
	var best *group
	for _, o := range b.groups {
		if o != g && len(o.members)+len(g.members) <= groupMax && (best == nil || len(o.members) < len(best.members)) {
			best = o
		}
	}
	return best
}

// everybody widens c to all peers and all groups: a seed came or went.
func (b *Balanced) everybody(c Change) Change {
	for _, g := range b.groups {
		c.Groups = append(c.Groups, g.id)
		c.Members = addIDs(c.Members, g.members)
	}
	return c.settle()
}

// View implements Topology.
func (b *Balanced) View(id ID) (View, bool) {
	g := b.where[id]
	if g == nil {
		return View{}, false
	}
	return View{Self: id, Group: g.id, Members: union(g.members, b.seeds)}, true
}

// Groups implements Topology.
func (b *Balanced) Groups() []uint64 {
	ids := make([]uint64, len(b.groups))
	for i, g := range b.groups {
		ids[i] = g.id
	}
	return ids
}

// Group implements Topology.
func (b *Balanced) Group(seed ID, id uint64) (View, bool) {
	i, ok := slices.BinarySearchFunc(b.groups, id, func(g *group, id uint64) int { return cmp.Compare(g.id, id) })
	if !ok {
		return View{}, false
	}
	return View{Self: seed, Group: id, Members: union(b.groups[i].members, b.seeds)}, true
}

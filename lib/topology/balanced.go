package topology

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// Shape of a balanced room, our choices by simulation (xp2p-bench swarm).
//
// The owner of a piece sends it to the next groups and then to its fellows, one
// copy after another; so what a group adds to the lag grows with its size, while
// the number of levels falls with the logarithm of it. Of four, five and six, and
// of two and three groups below each, five and two were the best where uplinks
// are twice the stream. When all are full, the next newcomer begins a new one; a
// group below half looks for another to merge with.
const (
	groupMax = 5
	groupMin = groupMax / 2
	// A group feeds so many others, as its uplinks allow, once they are known.
	fanMin = 1
	fanMax = 2
	// spare is the part of its uplinks that a group does not plan with.
	spare = 0.15
	// rootPeers is for how many peers a seed feeds one more group directly: each
	// costs the seed one stream and makes the way shorter; rootMax bounds them.
	rootPeers = 33
	rootMax   = 14
	// A room is short of uplink when its members have less than shortLow streams
	// each, until they have shortHigh. Then no group can carry another's stream, and
	// what goes down from group to group comes late and is fetched from elsewhere
	// all the same: the seeds feed as many groups as seedPart of their uplink holds.
	shortLow  = 1.05
	shortHigh = 1.25
	seedPart  = 0.7
)

// Balanced puts peers into groups of up to five, and the groups of a zone into
// trees. Of every piece one member of a group is the owner: it alone gets the
// piece from outside, hands it to an owner in each group below and then to its
// fellows, so that each member uploads about one stream. The owner is dealt for
// each piece by uplink.
//
// Of those who are hard to reach (Member.Hard) no two can connect, so they live on
// the others. In a group there are at most three of them, as far as there are
// others, and not more than the uplinks of these carry. Pieces are dealt among the
// others only, and an owner leaves to one of the hard ones what that one can do:
// all but the copies for the hard ones themselves.
type Balanced struct {
	seeds  []Member
	groups []*group // by ascending id
	where  map[ID]*group
	nextID uint64
	rate   int64
	short  bool
}

type group struct {
	id      uint64
	zone    uint32
	members []Member
	above   *group // nil: fed by the seeds
	below   []*group
}

// NewBalanced returns an empty room. It draws nothing at random.
func NewBalanced(*rand.Rand) *Balanced {
	return &Balanced{where: map[ID]*group{}, nextID: 1}
}

// Name implements Topology.
func (b *Balanced) Name() string { return BalancedName }

// SetRate implements Topology. Groups stay where they are: those who come later
// are placed by it.
func (b *Balanced) SetRate(bps int64) Change {
	b.rate = max(0, bps)
	return Change{}
}

// Join implements Topology.
func (b *Balanced) Join(m Member) Change {
	var c Change
	if m.Seed {
		// A peer that comes back as a seed leaves its group first.
		b.leavePeer(m.ID, &c)
		b.seeds = insert(b.seeds, m)
		b.seeded(&c)
		return c.settle()
	}
	if _, ok := find(b.seeds, m.ID); ok {
		b.seeds = remove(b.seeds, m.ID)
		b.seeded(&c)
	}
	if b.where[m.ID] != nil {
		return b.Update(m)
	}
	b.join(m, &c)
	return c.settle()
}

func (b *Balanced) join(m Member, c *Change) {
	g := b.place(m)
	g.members = insert(g.members, m)
	b.where[m.ID] = g
	b.touch(g, c)
}

// Update implements Topology.
func (b *Balanced) Update(m Member) Change {
	var c Change
	if i, ok := find(b.seeds, m.ID); ok {
		if !m.Seed {
			return b.Join(m)
		}
		if b.seeds[i] != m {
			b.seeds[i] = m
			b.seeded(&c)
		}
		return c.settle()
	}
	g := b.where[m.ID]
	switch {
	case g == nil:
		return c
	case m.Seed:
		return b.Join(m)
	}
	i, _ := find(g.members, m.ID)
	switch {
	case g.members[i] == m:
		return c
	case g.members[i].Zone != m.Zone, m.Hard && !g.members[i].Hard && g.hard() >= b.hardMost(m):
		b.leavePeer(m.ID, &c)
		b.join(m, &c)
		return c.settle()
	}
	g.members[i] = m
	b.touch(g, &c)
	b.mend(g, &c)
	return c.settle()
}

// Leave implements Topology.
func (b *Balanced) Leave(id ID) Change {
	var c Change
	if _, ok := find(b.seeds, id); ok {
		b.seeds = remove(b.seeds, id)
		b.seeded(&c)
	}
	b.leavePeer(id, &c)
	return c.settle()
}

func (b *Balanced) leavePeer(id ID, c *Change) {
	g := b.where[id]
	if g == nil {
		return
	}
	delete(b.where, id)
	g.members = remove(g.members, id)
	b.touch(g, c)
	var into *group
	if len(g.members) < groupMin {
		into = b.partner(g)
	}
	if into == nil && len(g.members) > 0 {
		b.mend(g, c)
		return
	}
	b.dissolve(g, c)
	if into != nil {
		for _, m := range g.members {
			into.members = insert(into.members, m)
			b.where[m.ID] = into
		}
		b.touch(into, c)
	}
}

// place returns the group of its zone for a newcomer: one below half, the
// smallest first; else the fullest with room, so that groups stay few; else a
// new one. Groups never split: those who are in keep their neighbours, however
// many come. Who is hard to reach goes only where others are, or will come; and
// these go where they are needed.
func (b *Balanced) place(m Member) *group {
	var low, fill *group
	most, needs := b.hardMost(m), 0
	for _, g := range b.groups {
		if g.zone != m.Zone {
			continue
		}
		n, hard := len(g.members), g.hard()
		if m.Hard && hard >= most {
			continue
		}
		if n < groupMin && (low == nil || n < len(low.members)) {
			low = g
		}
		need := 0
		if !m.Hard && hard > hardMax-1 {
			need = hard
		}
		if n < groupMax && (fill == nil || need > needs || need == needs && n > len(fill.members)) {
			fill, needs = g, need
		}
	}
	if g := cmp.Or(low, fill); g != nil {
		return g
	}
	g := b.newGroup(m.Zone, nil)
	b.attach(g)
	return g
}

func (b *Balanced) newGroup(zone uint32, members []Member) *group {
	g := &group{id: b.nextID, zone: zone, members: members}
	b.nextID++
	b.groups = append(b.groups, g) // the ids only grow
	return g
}

// partner returns the smallest group of its zone that g fits into; nil if there
// is none.
func (b *Balanced) partner(g *group) *group {
	if len(g.members) == 0 {
		return nil
	}
	var best *group
	for _, o := range b.groups {
		if o != g && o.zone == g.zone && len(o.members)+len(g.members) <= groupMax && g.hard()+o.hard() <= hardMax && (best == nil || len(o.members) < len(best.members)) {
			best = o
		}
	}
	return best
}

// fan is how many groups g should feed: what its uplinks leave when each member
// has got the stream; the most, as long as that is not known. Where nobody gives,
// none.
func (b *Balanced) fan(g *group) int {
	switch {
	case !g.gives():
		return 0
	case b.rate == 0:
		return fanMax
	}
	var sum float64
	for _, m := range g.members {
		switch {
		case m.Upload && m.Uplink == 0:
			return fanMax // nobody knows yet
		case m.Upload:
			sum += m.weight()
		}
	}
	return min(max(fanMin, int(sum/float64(b.rate)*(1-spare))-len(g.members)+1), fanMax)
}

// attach finds a place for a new group in its zone: below the group nearest to
// the seeds that has room. Newcomers have nothing yet, and those above give them
// where to begin; in a crowd, many viewers can do that better than one seed. So
// a group comes below the seeds only where there is no other, and by Tend.
func (b *Balanced) attach(g *group) {
	g.above = nil
	if b.short && b.rootsOf(g.zone) < b.roots(g.zone) {
		return
	}
	if a := b.room(g); a != nil {
		g.above, a.below = a, append(a.below, g)
	}
}

// room returns the group nearest to the seeds that can feed g; nil if there is
// none.
func (b *Balanced) room(g *group) (best *group) {
	depth := 0
	for _, o := range b.groups {
		if o == g || o.zone != g.zone || len(o.below) >= b.fan(o) || o.within(g) {
			continue
		}
		if d := o.depth(); best == nil || d < depth || d == depth && len(o.below) < len(best.below) {
			best, depth = o, d
		}
	}
	return best
}

func (g *group) depth() (n int) {
	for o := g.above; o != nil; o = o.above {
		n++
	}
	return n
}

// within reports whether g is fed, at last, by o.
func (g *group) within(o *group) bool {
	for x := g; x != nil; x = x.above {
		if x == o {
			return true
		}
	}
	return false
}

// dissolve takes a group out of the room.
func (b *Balanced) dissolve(g *group, c *Change) {
	b.touch(g, c)
	b.groups = slices.DeleteFunc(b.groups, func(x *group) bool { return x == g })
	b.unhook(g, c)
}

// touch names all whose view holds a group: its own members, those above, or the
// seeds, and those below.
func (b *Balanced) touch(g *group, c *Change) {
	g.hooked(c)
	for _, o := range g.below {
		c.Members = addIDs(c.Members, o.members)
	}
}

// seeded names all who know the seeds: one came, went or changed.
func (b *Balanced) seeded(c *Change) {
	for _, g := range b.groups {
		if g.above == nil {
			c.Groups = append(c.Groups, g.id)
			c.Members = addIDs(c.Members, g.members)
		}
	}
}

// View implements Topology. Who is fed by seeds knows these; the others have the
// members of the group above.
func (b *Balanced) View(id ID) (View, bool) {
	g := b.where[id]
	if g == nil {
		return View{}, false
	}
	var all []Member
	all = g.seen(all, Fellow)
	if g.above != nil {
		all = g.above.seen(all, Above)
	} else {
		all = append(all, b.seeds...)
	}
	for _, o := range g.below {
		all = o.seen(all, Below)
	}
	return View{Self: id, Group: g.id, Members: union(all, nil), Short: b.short}, true
}

// seen appends a group's members as those see them to whom it stands in a tier.
func (g *group) seen(dst []Member, t Tier) []Member {
	for _, m := range g.members {
		m.Tier, m.Group = t, g.id
		dst = append(dst, m)
	}
	return dst
}

// Groups implements Topology: those that seeds feed.
func (b *Balanced) Groups() (ids []uint64) {
	for _, g := range b.groups {
		if g.above == nil {
			ids = append(ids, g.id)
		}
	}
	return ids
}

// Group implements Topology.
func (b *Balanced) Group(seed ID, id uint64) (View, bool) {
	i, ok := slices.BinarySearchFunc(b.groups, id, func(g *group, id uint64) int { return cmp.Compare(g.id, id) })
	if !ok || b.groups[i].above != nil {
		return View{}, false
	}
	return View{Self: seed, Group: id, Members: union(b.groups[i].seen(nil, Below), b.seeds), Short: b.short}, true
}

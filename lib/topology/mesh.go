package topology

import (
	"math/rand/v2"
	"slices"
)

// Degrees of the mesh. Eight neighbours keep a graph of any size that we meet
// in one piece and its diameter at the logarithm; twelve bound what a member
// has to keep alive. In between the uplink decides: of a member with more to
// give more ask.
const (
	meshMin = 8
	meshMax = 12
	// meshNear of meshMin are of the own zone, as far as there are so many. The
	// others are from anywhere: without them the zones would be islands, and the
	// way from one end of a large zone to the other long.
	meshNear = 5
	// meshFar is how many of those a member looks for again when they leave.
	meshFar = 2
)

// Mesh joins every peer to eight to twelve others, most of them near. A piece
// enters at a few strong peers; from there on all say what they have, and ask
// for what they lack.
type Mesh struct {
	rng    *rand.Rand
	seeds  []Member
	places map[ID]*place
	peers  []*place // in no order: who leaves, the last takes his place
	zones  map[uint32][]*place
	weight float64 // of all peers, in whole bits per second
	cost   func(from, to uint32) uint32
	bound  func(zone uint32) int // of what crosses
	border map[uint32]*border    // of zones from which links go

	fanout int
	doors  [][]*place // the entries of each group
	turns  int
}

// A place is a peer in the mesh.
type place struct {
	Member
	links  []*place
	at     int // in Mesh.peers
	inZone int // in Mesh.zones
	door   int // of which it is an entry, from 1; 0: none
}

// NewMesh returns an empty room. rng draws the neighbours; a member of the
// swarm, who draws none, may pass nil.
func NewMesh(rng *rand.Rand) *Mesh {
	return &Mesh{rng: rng, places: map[ID]*place{}, zones: map[uint32][]*place{}, border: map[uint32]*border{}, fanout: meshCopies}
}

// SetCost sets what a byte costs between two zones; 0 is near. Without it all
// zones are equally far from each other. Call it before the first join.
func (t *Mesh) SetCost(cost func(from, to uint32) uint32) { t.cost = cost }

// Name implements Topology.
func (t *Mesh) Name() string { return MeshName }

// Join implements Topology.
func (t *Mesh) Join(m Member) Change {
	if m.Seed {
		c := t.leavePeer(m.ID)
		t.seeds = insert(t.seeds, m)
		return t.everybody(c)
	}
	if _, ok := find(t.seeds, m.ID); ok {
		t.seeds = remove(t.seeds, m.ID)
		return t.everybody(t.Join(m))
	}
	if t.places[m.ID] != nil {
		return t.Update(m)
	}
	c := Change{Members: []ID{m.ID}}
	t.meet(t.enter(m), &c)
	t.turn(&c)
	return c.settle()
}

// Update implements Topology.
func (t *Mesh) Update(m Member) Change {
	if i, ok := find(t.seeds, m.ID); ok {
		if !m.Seed {
			return t.Join(m)
		}
		if t.seeds[i] == m {
			return Change{}
		}
		t.seeds[i] = m
		return t.everybody(Change{})
	}
	n := t.places[m.ID]
	switch {
	case n == nil:
		return Change{}
	case m.Seed:
		return t.Join(m)
	case n.Member == m:
		return Change{}
	case n.Zone != m.Zone: // it has moved, and its neighbours are elsewhere
		c := t.leavePeer(m.ID)
		joined := t.Join(m)
		c.Members, c.Groups = append(c.Members, joined.Members...), append(c.Groups, joined.Groups...)
		return c.settle()
	}
	t.weight += m.weight() - n.Member.weight()
	n.Member = m
	c := Change{Members: []ID{m.ID}}
	for _, o := range n.links {
		c.Members = append(c.Members, o.ID)
	}
	if n.door > 0 {
		c.Groups = append(c.Groups, uint64(n.door))
		if !m.Upload {
			t.replace(n, &c)
		}
	}
	return c.settle()
}

// Leave implements Topology.
func (t *Mesh) Leave(id ID) Change {
	if _, ok := find(t.seeds, id); ok {
		t.seeds = remove(t.seeds, id)
		return t.everybody(Change{})
	}
	return t.leavePeer(id)
}

func (t *Mesh) leavePeer(id ID) Change {
	n := t.places[id]
	if n == nil {
		return Change{}
	}
	var c Change
	lost := slices.Clone(n.links)
	for _, o := range lost {
		t.unlink(n, o)
		c.Members = append(c.Members, o.ID)
	}
	t.quit(n)
	t.heal(lost, &c)
	if n.door > 0 {
		t.shut(n, &c)
	}
	t.turn(&c)
	return c.settle()
}

// enter and quit keep the books of who is in the room.
func (t *Mesh) enter(m Member) *place {
	n := &place{Member: m, at: len(t.peers), inZone: len(t.zones[m.Zone])}
	t.places[m.ID] = n
	t.peers = append(t.peers, n)
	t.zones[m.Zone] = append(t.zones[m.Zone], n)
	t.weight += m.weight()
	return n
}

func (t *Mesh) quit(n *place) {
	t.weight -= n.Member.weight()
	delete(t.places, n.ID)
	last := t.peers[len(t.peers)-1]
	t.peers[n.at], last.at = last, n.at
	t.peers[len(t.peers)-1] = nil
	t.peers = t.peers[:len(t.peers)-1]
	zone := t.zones[n.Zone]
	last = zone[len(zone)-1]
	zone[n.inZone], last.inZone = last, n.inZone
	zone[len(zone)-1] = nil
	if t.zones[n.Zone] = zone[:len(zone)-1]; len(zone) == 1 {
		delete(t.zones, n.Zone)
	}
}

// everybody widens c to all peers: a seed came or went.
func (t *Mesh) everybody(c Change) Change {
	for _, n := range t.peers {
		c.Members = append(c.Members, n.ID)
	}
	c.Groups = append(c.Groups, t.Groups()...)
	return c.settle()
}

// members lists peers and the seeds as seen from a zone.
func (t *Mesh) members(peers []*place, self *place, from uint32) []Member {
	out := make([]Member, 0, len(peers)+1+len(t.seeds))
	if self != nil {
		out = append(out, self.Member)
	}
	for _, n := range peers {
		m := n.Member
		m.Cost = price(t.cost, from, m.Zone)
		out = append(out, m)
	}
	for _, m := range t.seeds {
		m.Cost = price(t.cost, from, m.Zone)
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b Member) int { return byID(a, b.ID) })
	return out
}

// View implements Topology.
func (t *Mesh) View(id ID) (View, bool) {
	n := t.places[id]
	if n == nil {
		return View{}, false
	}
	return View{Self: id, Members: t.members(n.links, n, n.Zone)}, true
}

package topology

import (
	"math/rand/v2"
	"slices"
)

// Degrees of the mesh. Eight random neighbours keep a graph of any size that
// we meet in one piece and its diameter at the logarithm; twelve bound what a
// member has to keep alive. Entries are the peers that seeds hand pieces to.
const (
	meshMin     = 8
	meshMax     = 12
	meshEntries = 16
	// meshGroup is the number of the one group that seeds feed.
	meshGroup = 1
	// meshTries bounds the search for a stranger with room by random picks.
	meshTries = 64
)

// Mesh joins every peer to eight to twelve random others. A piece enters at
// one peer; from there on all say what they have, and ask for what they lack.
type Mesh struct {
	rng     *rand.Rand
	seeds   []Member
	peers   []Member // ascending
	links   map[ID][]ID
	entries []ID
}

// NewMesh returns an empty room. rng draws the neighbours; a member of the
// swarm, who draws none, may pass nil.
func NewMesh(rng *rand.Rand) *Mesh {
	return &Mesh{rng: rng, links: map[ID][]ID{}}
}

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
	if _, ok := find(t.peers, m.ID); ok {
		return t.Update(m)
	}
	c := Change{Members: []ID{m.ID}}
	t.peers = insert(t.peers, m)
	t.meet(m.ID, meshMin, &c)
	if len(t.entries) < meshEntries {
		t.entries = append(t.entries, m.ID)
		c.Groups = append(c.Groups, meshGroup)
	}
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
	i, ok := find(t.peers, m.ID)
	switch {
	case !ok:
		return Change{}
	case m.Seed:
		return t.Join(m)
	case t.peers[i] == m:
		return Change{}
	}
	t.peers[i] = m
	c := Change{Members: append([]ID{m.ID}, t.links[m.ID]...)}
	if slices.Contains(t.entries, m.ID) {
		c.Groups = append(c.Groups, meshGroup)
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
	if _, ok := find(t.peers, id); !ok {
		return Change{}
	}
	var c Change
	lost := slices.Clone(t.links[id])
	for _, n := range lost {
		t.unlink(id, n)
		c.Members = append(c.Members, n)
	}
	t.peers = remove(t.peers, id)
	delete(t.links, id)
	for _, n := range lost {
		t.meet(n, meshMin, &c)
	}
	if i := slices.Index(t.entries, id); i >= 0 {
		t.entries = slices.Delete(t.entries, i, i+1)
		t.enter()
		c.Groups = append(c.Groups, meshGroup)
	}
	return c.settle()
}

// enter fills the place of an entry that left.
func (t *Mesh) enter() {
	if len(t.peers) <= len(t.entries) {
		return
	}
	start := t.rng.IntN(len(t.peers))
	for i := range t.peers {
		id := t.peers[(start+i)%len(t.peers)].ID
		if !slices.Contains(t.entries, id) {
			t.entries = append(t.entries, id)
			return
		}
	}
}

func (t *Mesh) link(a, b ID) {
	t.links[a] = append(t.links[a], b)
	t.links[b] = append(t.links[b], a)
}

func (t *Mesh) unlink(a, b ID) {
	t.links[a] = slices.DeleteFunc(t.links[a], func(x ID) bool { return x == b })
	t.links[b] = slices.DeleteFunc(t.links[b], func(x ID) bool { return x == a })
}

// meet gives id neighbours until it has want of them: first strangers with
// room, and where there are none, both ends of a link that it then replaces,
// which leaves their degrees as they were.
func (t *Mesh) meet(id ID, want int, c *Change) {
	want = min(want, len(t.peers)-1)
	for range meshTries {
		if len(t.links[id]) >= want {
			return
		}
		o := t.peers[t.rng.IntN(len(t.peers))].ID
		if o != id && len(t.links[o]) < meshMax && !slices.Contains(t.links[id], o) {
			t.link(id, o)
			c.Members = append(c.Members, id, o)
		}
	}
	// A small or a full room: look at everybody once, from a random place.
	start := t.rng.IntN(len(t.peers))
	for i := range t.peers {
		if len(t.links[id]) >= want {
			return
		}
		a := t.peers[(start+i)%len(t.peers)].ID
		if a == id || slices.Contains(t.links[id], a) {
			continue
		}
		if len(t.links[a]) < meshMax {
			t.link(id, a)
			c.Members = append(c.Members, id, a)
			continue
		}
		for _, b := range t.links[a] {
			if b != id && !slices.Contains(t.links[id], b) && len(t.links[id])+2 <= meshMax {
				t.unlink(a, b)
				t.link(id, a)
				t.link(id, b)
				c.Members = append(c.Members, id, a, b)
				break
			}
		}
	}
}

// everybody widens c to all peers: a seed came or went.
func (t *Mesh) everybody(c Change) Change {
	c.Members = addIDs(c.Members, t.peers)
	if len(t.entries) > 0 {
		c.Groups = append(c.Groups, meshGroup)
	}
	return c.settle()
}

func (t *Mesh) pick(ids []ID) []Member {
	out := make([]Member, 0, len(ids)+1)
	for _, id := range ids {
		if i, ok := find(t.peers, id); ok {
			out = append(out, t.peers[i])
		}
	}
	return out
}

// View implements Topology.
func (t *Mesh) View(id ID) (View, bool) {
	i, ok := find(t.peers, id)
	if !ok {
		return View{}, false
	}
	known := append(t.pick(t.links[id]), t.peers[i])
	return View{Self: id, Members: union(known, t.seeds)}, true
}

// Groups implements Topology.
func (t *Mesh) Groups() []uint64 {
	if len(t.entries) == 0 {
		return nil
	}
	return []uint64{meshGroup}
}

// Group implements Topology.
func (t *Mesh) Group(seed ID, group uint64) (View, bool) {
	if group != meshGroup || len(t.entries) == 0 {
		return View{}, false
	}
	return View{Self: seed, Group: meshGroup, Members: union(t.pick(t.entries), t.seeds)}, true
}

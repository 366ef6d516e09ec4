package topology

import (
	"math"
	"slices"
)

// meshTries bounds the search for somebody with room by random picks, and
// after that in a row.
const meshTries = 64

// want is how many neighbours a member takes when others look for one: in
// proportion to its uplink, ten at the mean of the room.
func (t *Mesh) want(n *place) int {
	if !n.Upload {
		return meshMin
	}
	mean := t.weight / float64(len(t.peers))
	return min(max(meshMin, int(math.Round((meshMin+meshMax)/2*n.Member.weight()/mean))), meshMax)
}

func (t *Mesh) link(a, b *place) {
	a.links = append(a.links, b)
	b.links = append(b.links, a)
	t.cross(a, b, 1)
}

func (t *Mesh) unlink(a, b *place) {
	a.links = slices.DeleteFunc(a.links, func(x *place) bool { return x == b })
	b.links = slices.DeleteFunc(b.links, func(x *place) bool { return x == a })
	t.cross(a, b, -1)
}

func (n *place) knows(o *place) bool { return slices.Contains(n.links, o) }

// near counts the neighbours of the own zone.
func (n *place) near() (count int) {
	for _, o := range n.links {
		if o.Zone == n.Zone {
			count++
		}
	}
	return count
}

func (n *place) far() int { return len(n.links) - n.near() }

// meet gives n the neighbours that it lacks: near ones, far ones, and if there
// are too few of either, any.
func (t *Mesh) meet(n *place, c *Change) {
	zone := t.zones[n.Zone]
	outside := len(t.peers) - len(zone)
	total := min(meshMin, len(t.peers)-1)
	if outside == 0 {
		t.seek(n, t.peers, total, (*place).degree, c)
		return
	}
	t.seek(n, zone, min(meshNear, len(zone)-1), (*place).near, c)
	if !t.mayLeave(n) {
		t.seek(n, zone, min(total, len(zone)-1), (*place).degree, c)
		return
	}
	t.seek(n, t.peers, min(meshMin-meshNear, outside), (*place).far, c)
	t.seek(n, t.peers, total, (*place).degree, c)
}

func (n *place) degree() int { return len(n.links) }

// seek looks in a list for neighbours of n until count says enough: first some
// with room, and where there are none, both ends of a link that it then
// replaces, which leaves their degrees as they were.
func (t *Mesh) seek(n *place, list []*place, enough int, count func(*place) int, c *Change) {
	if count(n) >= enough || len(list) == 0 {
		return
	}
	// A candidate counts if it brings n nearer to enough.
	fits := func(o *place) bool { return o != n && !n.knows(o) && n.gains(o, count) && t.may(n, o) }
	for range meshTries {
		if count(n) >= enough || len(n.links) >= meshMax {
			return
		}
		if o := list[t.rng.IntN(len(list))]; fits(o) && len(o.links) < t.want(o) {
			t.link(n, o)
			c.Members = append(c.Members, n.ID, o.ID)
		}
	}
	start := t.rng.IntN(len(list))
	for i := range min(len(list), meshTries*meshTries) {
		if count(n) >= enough || len(n.links) >= meshMax {
			return
		}
		a := list[(start+i)%len(list)]
		switch {
		case !fits(a):
		case len(a.links) < t.want(a):
			t.link(n, a)
			c.Members = append(c.Members, n.ID, a.ID)
		case len(n.links)+2 <= meshMax:
			for _, b := range a.links {
				if b != n && !n.knows(b) && t.may(n, b) {
					t.unlink(a, b)
					t.link(n, a)
					t.link(n, b)
					c.Members = append(c.Members, n.ID, a.ID, b.ID)
					break
				}
			}
		}
	}
}

// gains reports whether a link to o would raise the count.
func (n *place) gains(o *place, count func(*place) int) bool {
	before := count(n)
	n.links = append(n.links, o)
	after := count(n)
	n.links = n.links[:len(n.links)-1]
	return after > before
}

// heal gives those who have lost a neighbour another, if they need one: first
// each other, who all have room.
func (t *Mesh) heal(lost []*place, c *Change) {
	needy := lost[:0]
	for _, n := range lost {
		few := len(n.links) < min(meshMin, len(t.peers)-1)
		outside := len(t.peers) - len(t.zones[n.Zone])
		if few || n.far() < min(meshFar, outside) && len(n.links) < meshMax && t.mayLeave(n) {
			needy = append(needy, n)
		}
	}
	for i, a := range needy {
		for _, b := range needy[i+1:] {
			if len(a.links) < meshMin && len(b.links) < meshMin && !a.knows(b) && t.may(a, b) {
				t.link(a, b)
				c.Members = append(c.Members, a.ID, b.ID)
			}
		}
	}
	for _, n := range needy {
		t.meet(n, c)
	}
}

// Swap gives id another neighbour for one that turned out bad. Nothing changes
// if they are not neighbours, or there is nobody else.
func (t *Mesh) Swap(id, bad ID) Change {
	n, o := t.places[id], t.places[bad]
	if n == nil || o == nil || !n.knows(o) || len(t.peers) <= len(n.links)+1 {
		return Change{}
	}
	c := Change{Members: []ID{id, bad}}
	near := o.Zone == n.Zone
	for range meshTries {
		x := t.peers[t.rng.IntN(len(t.peers))]
		if near {
			x = t.zones[n.Zone][t.rng.IntN(len(t.zones[n.Zone]))]
		}
		if x != n && !n.knows(x) && len(x.links) < meshMax && t.may(n, x) {
			t.unlink(n, o)
			t.link(n, x)
			c.Members = append(c.Members, x.ID)
			t.heal([]*place{o}, &c)
			return c.settle()
		}
	}
	return Change{}
}

package topology

import (
	"cmp"
	"slices"
)

// A border is what a zone's links to other zones hang on. A member takes each piece
// once, however many bring it: so much of the stream comes in as there are gates, and
// so much goes out as there are guests.
type border struct {
	gates  map[*place]int // members of the zone with neighbours elsewhere: how many
	guests map[*place]int // neighbours elsewhere: how many of the zone they know
}

// SetBound sets how many copies of the stream may cross the border of a zone, each
// way; less than 0: any number. It may answer differently later: Tend sees to it.
func (t *Mesh) SetBound(bound func(zone uint32) int) { t.bound = bound }

// cross keeps the books of a link that comes (1) or goes (-1).
func (t *Mesh) cross(a, b *place, by int) {
	if a.Zone == b.Zone {
		return
	}
	for _, x := range [2][2]*place{{a, b}, {b, a}} {
		z := t.border[x[0].Zone]
		if z == nil {
			z = &border{map[*place]int{}, map[*place]int{}}
			t.border[x[0].Zone] = z
		}
		count(z.gates, x[0], by)
		count(z.guests, x[1], by)
		if len(z.gates) == 0 {
			delete(t.border, x[0].Zone)
		}
	}
}

func count(m map[*place]int, n *place, by int) {
	if m[n] += by; m[n] == 0 {
		delete(m, n)
	}
}

// most is how many copies may cross the border of a zone; false: any number.
func (t *Mesh) most(zone uint32) (n int, bounded bool) {
	if t.bound == nil {
		return 0, false
	}
	n = t.bound(zone)
	return n, n >= 0
}

// may reports whether a link between two would stay within the bounds of their
// zones.
func (t *Mesh) may(a, b *place) bool {
	return a.Zone == b.Zone || t.opens(a, b) && t.opens(b, a)
}

// mayLeave reports whether one could have a neighbour in another zone, as far as his
// own zone goes.
func (t *Mesh) mayLeave(a *place) bool {
	n, bounded := t.most(a.Zone)
	z := t.border[a.Zone]
	return !bounded || n > 0 && (z == nil || z.gates[a] > 0 || len(z.gates) < n)
}

// fed reports whether seeds may hand pieces to one: what they give him crosses no
// bounded border.
func (t *Mesh) fed(n *place) bool {
	_, bounded := t.most(n.Zone)
	return !bounded || slices.ContainsFunc(t.seeds, func(s Member) bool { return s.Zone == n.Zone })
}

// anyFed reports whether there is one whom seeds may hand pieces to. Else one must be
// all the same.
func (t *Mesh) anyFed() bool { return t.bound == nil || slices.ContainsFunc(t.peers, t.fed) }

// opens reports whether a's zone has room for a link from a to b.
func (t *Mesh) opens(a, b *place) bool {
	n, bounded := t.most(a.Zone)
	z := t.border[a.Zone]
	if !bounded || z == nil {
		return !bounded || n > 0
	}
	return (z.gates[a] > 0 || len(z.gates) < n) && (z.guests[b] > 0 || len(z.guests) < n)
}

// meshTrim bounds the links that Tend takes away at a time.
const meshTrim = 32

// Tend takes links that cross more of a border than may: the stream's rate has
// become known, or another room has come to share the bound.
func (t *Mesh) Tend() Change {
	var c Change
	if t.bound == nil {
		return c
	}
	fed := t.anyFed() // else the entries stay whom they are: seeds hold connections to them
	for i := range t.doors {
		for _, n := range slices.Clone(t.doors[i]) {
			if fed && !t.fed(n) {
				t.replace(n, &c)
			}
		}
	}
	var lost []*place
	for moves := 0; moves < meshTrim; moves++ {
		a, b := t.excess()
		if a == nil {
			break
		}
		t.unlink(a, b)
		c.Members = append(c.Members, a.ID, b.ID)
		lost = append(lost, a, b)
	}
	if len(lost) > 0 {
		t.heal(lost, &c)
	}
	return c.settle()
}

// excess returns the ends of a link that should go: of those with the fewest.
func (t *Mesh) excess() (a, b *place) {
	for _, n := range t.peers { // in an order that is the same each time
		z := t.border[n.Zone]
		if z == nil || z.gates[n] == 0 {
			continue
		}
		most, bounded := t.most(n.Zone)
		if !bounded || len(z.gates) <= most && len(z.guests) <= most {
			continue
		}
		for _, o := range n.links {
			if o.Zone == n.Zone || len(z.gates) <= most && z.guests[o] > 1 {
				continue
			}
			if a == nil || cmp.Or(cmp.Compare(z.gates[n], t.border[a.Zone].gates[a]), cmp.Compare(z.guests[o], t.border[a.Zone].guests[b])) < 0 {
				a, b = n, o
			}
		}
	}
	return a, b
}

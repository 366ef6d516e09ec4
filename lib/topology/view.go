package topology

import (
	"cmp"
	"slices"
)

func byID(m Member, id ID) int { return cmp.Compare(m.ID, id) }

// find returns where id stands in an ascending list, or would stand.
func find(members []Member, id ID) (int, bool) {
	return slices.BinarySearchFunc(members, id, byID)
}

// insert puts m into an ascending list, replacing who has its ID.
func insert(members []Member, m Member) []Member {
	i, ok := find(members, m.ID)
	if ok {
		members[i] = m
		return members
	}
	return slices.Insert(members, i, m)
}

func remove(members []Member, id ID) []Member {
	if i, ok := find(members, id); ok {
		return slices.Delete(members, i, i+1)
	}
	return members
}

// union merges two ascending lists without common members into a new one.
func union(a, b []Member) []Member {
	out := make([]Member, 0, len(a)+len(b))
	out = append(append(out, a...), b...)
	slices.SortFunc(out, func(x, y Member) int { return cmp.Compare(x.ID, y.ID) })
	return out
}

// NewView returns the view of self among the others that a tracker named (a
// SignalNeighbours or one SignalGroup holds the others, and tells a peer what to
// put into self).
func NewView(self Member, group uint64, others []Member) View {
	v := View{Self: self.ID, Group: group, Members: make([]Member, 0, len(others)+1)}
	v.Members = append(append(v.Members, others...), self)
	slices.SortFunc(v.Members, func(x, y Member) int { return cmp.Compare(x.ID, y.ID) })
	v.Members = slices.CompactFunc(v.Members, func(x, y Member) bool { return x.ID == y.ID })
	return v
}

// Member returns who is called id in this view.
func (v *View) Member(id ID) (Member, bool) {
	if i, ok := find(v.Members, id); ok {
		return v.Members[i], true
	}
	return Member{}, false
}

// addIDs appends the members' IDs to a change.
func addIDs(ids []ID, members []Member) []ID {
	for i := range members {
		ids = append(ids, members[i].ID)
	}
	return ids
}

// settle sorts a change and removes what is in it twice.
func (c Change) settle() Change {
	slices.Sort(c.Members)
	c.Members = slices.Compact(c.Members)
	slices.Sort(c.Groups)
	c.Groups = slices.Compact(c.Groups)
	return c
}

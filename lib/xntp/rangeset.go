package xntp

import "slices"

// A span is the numbers from start up to, not including, end.
type span struct{ start, end uint64 }

// A rangeset is a set of numbers as spans, in order, neither touching nor
// overlapping. Its array is kept when it is emptied.
type rangeset []span

// find returns the index of the first span that ends at or behind v.
func (s rangeset) find(v uint64) int {
	// Nearly every change is at an end; so look there first.
	if n := len(s); n == 0 || s[n-1].end < v {
		return n
	}
	lo, hi := 0, len(s)-1
	for lo < hi {
		mid := (lo + hi) / 2
		if s[mid].end < v {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// add puts [start, end) into the set.
func (s *rangeset) add(start, end uint64) {
	if start >= end {
		return
	}
	i := s.find(start)
	if i == len(*s) || (*s)[i].start > end {
		*s = slices.Insert(*s, i, span{start, end})
		return
	}
	(*s)[i].start = min((*s)[i].start, start)
	j := i
	for j+1 < len(*s) && (*s)[j+1].start <= end {
		j++
	}
	(*s)[i].end = max((*s)[j].end, end)
	*s = slices.Delete(*s, i+1, j+1)
}

// sub takes [start, end) out of the set.
func (s *rangeset) sub(start, end uint64) {
	if start >= end {
		return
	}
	for i := s.find(start); i < len(*s) && (*s)[i].start < end; {
		r := &(*s)[i]
		switch {
		case r.end <= start:
			i++
		case r.start < start && r.end > end:
			*s = slices.Insert(*s, i+1, span{end, r.end})
			(*s)[i].end = start
			return
		case r.start < start:
			r.end = start
			i++
		case r.end > end:
			r.start = end
			return
		default:
			*s = slices.Delete(*s, i, i+1)
		}
	}
}

func (s rangeset) contains(v uint64) bool {
	i := s.find(v + 1)
	return i < len(s) && s[i].start <= v
}

// covers reports whether all of [start, end) is in the set.
func (s rangeset) covers(start, end uint64) bool {
	if start >= end {
		return true
	}
	i := s.find(end)
	return i < len(s) && s[i].start <= start && s[i].end >= end
}

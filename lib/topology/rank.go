package topology

import (
	"cmp"
	"math"
	"slices"
)

// Weights of members whose uplink is not known, and the bounds that keep one
// claim from drawing the whole stream or none of it.
const (
	defaultUplink = 2_000_000
	minUplink     = 256_000
	maxUplink     = 100_000_000
	dealPower     = 1.4
)

func (m Member) weight() float64 {
	if m.Uplink == 0 {
		return defaultUplink
	}
	return float64(min(max(m.Uplink, minUplink), maxUplink))
}

// part is what a member is dealt, beside others: a little more than its uplink has
// of theirs, if that is fast, for all the copies of a piece leave one after
// another, and others wait. Where uplinks are short, all shall be full alike.
func (m Member) part(short bool) float64 {
	if short {
		return m.weight()
	}
	return math.Pow(m.weight(), dealPower)
}

// mix is the finalizer of SplitMix64: every bit of x moves every bit of it.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (p Piece) key() uint64 {
	return mix(mix(mix(uint64(p.Epoch))^uint64(p.Seq)) ^ uint64(p.Index))
}

// score is a member's draw in the weighted rendezvous for key; the least wins,
// each with probability weight / sum of weights (Efraimidis and Spirakis 2006).
// A draw depends on nobody else: who leaves gives away his own pieces only, and
// a joiner takes from each no more than its share.
func score(key uint64, id ID, weight float64) float64 {
	u := (float64(mix(key^mix(uint64(id)))>>11) + 0.5) / (1 << 53) // in (0, 1)
	return -math.Log(u) / weight
}

type ranked struct {
	id    ID
	score float64
}

// rank appends those of members that keep says yes to, best first.
func rank(dst []ID, members []Member, key uint64, weighted bool, keep func(*Member) bool) []ID {
	var array [32]ranked
	draws := array[:0]
	for i := range members {
		m := &members[i]
		if !keep(m) {
			continue
		}
		w := 1.0
		if weighted {
			w = m.weight()
		}
		draws = append(draws, ranked{m.ID, score(key, m.ID, w)})
	}
	slices.SortFunc(draws, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(a.score, b.score), cmp.Compare(a.id, b.id))
	})
	for _, d := range draws {
		dst = append(dst, d.id)
	}
	return dst
}

// first is rank's first, without sorting; zero if keep says yes to nobody.
func first(members []Member, key uint64, weighted bool, keep func(*Member) bool) ID {
	best := ranked{score: math.Inf(1)}
	for i := range members {
		m := &members[i]
		if !keep(m) {
			continue
		}
		w := 1.0
		if weighted {
			w = m.weight()
		}
		if s := score(key, m.ID, w); s < best.score || s == best.score && m.ID < best.id {
			best = ranked{m.ID, s}
		}
	}
	return best.id
}

// deal gives p to one of those that keep says yes to; zero if to nobody. Their
// weights lie side by side on a line, in the order of their names, and pieces
// fall on it at multiples of the golden ratio: so each gets its share evenly in
// time, two pieces in a row go to two members, and a burst goes to most, which
// independent draws do not achieve. Where a segment begins is drawn, so that no
// member gets every keyframe.
func (v *View) deal(p Piece, salt uint64, keep func(*Member) bool) ID {
	members := v.Members
	var array [32]float64
	parts := array[:0] // of those whom keep says yes to; 0 of others
	var sum float64
	for i := range members {
		part := 0.0
		if keep(&members[i]) {
			part = members[i].part(v.Short)
		}
		parts = append(parts, part)
		sum += part
	}
	if sum == 0 {
		return 0
	}
	at := p.lot(salt) * sum
	var last ID
	for i := range members {
		if parts[i] == 0 {
			continue
		}
		last = members[i].ID
		if at -= parts[i]; at < 0 {
			break
		}
	}
	return last
}

// lot is where a piece falls on a line from 0 to 1.
func (p Piece) lot(salt uint64) float64 {
	const golden = 0x9e3779b97f4a7c15 // 2^64 / golden ratio
	start := mix(mix(mix(uint64(p.Epoch))^uint64(p.Seq)) ^ salt)
	return float64((start+golden*uint64(p.Index))>>11) / (1 << 53)
}

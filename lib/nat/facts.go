package nat

import (
	"slices"
	"time"
)

// Facts are what somebody elsewhere must know of a network to find a way to a
// host in it.
type Facts struct {
	// Classes are those that are possible, ascending; none: nothing is known.
	Classes   []Class
	Mapping   Behaviors
	Filtering Behaviors
	PortUse   // how outside ports are chosen; Low and High are the range that was seen
	// Lifetime is how long a mapping lives without packets, as far as was seen; 0 if
	// nobody has looked.
	Lifetime time.Duration
}

// FactsOf reads what a probe reported.
func FactsOf(r Report) (f Facts) {
	for _, s := range r.Candidates {
		if c, ok := ParseClass(s); ok {
			f.Classes = append(f.Classes, c)
		}
	}
	if c, ok := ParseClass(r.Class); ok {
		f.Classes = []Class{c}
	}
	slices.Sort(f.Classes)
	if b, ok := ParseBehavior(r.Mapping); ok {
		f.Mapping = Only(b)
	}
	if b, ok := ParseBehavior(r.Filtering); ok {
		f.Filtering = Only(b)
	}
	f.Allocation, _ = ParseAllocation(r.Allocation)
	if r.AllocationDelta != nil {
		f.Delta = *r.AllocationDelta
	}
	if a := r.AllocationRange; len(a) == 2 && a[0] > 0 && a[0] <= a[1] && a[1] < 1<<16 {
		f.Low, f.High = uint16(a[0]), uint16(a[1])
	}
	f.BlockSize = r.AllocationBlock
	for _, l := range r.Lifetimes {
		if life := time.Duration(l.LivedS * float64(time.Second)); l.LivedS > 0 && l.LivedS < 1e5 && (f.Lifetime == 0 || life < f.Lifetime) {
			f.Lifetime = life
		}
	}
	return f
}

// Kind returns the network's row of the matrix: of those that are possible the one
// that asks for the most. A symmetric NAT, whose way in costs hundreds of packets,
// is assumed only where the facts leave nothing else. ok is false where nothing is
// known.
func (f *Facts) Kind() (k Kind, ok bool) {
	for _, c := range f.Classes {
		if c == Symmetric && len(f.Classes) > 1 && f.Mapping.Has(EndpointIndependent) {
			continue
		}
		if row, known := KindOf(c, f.Allocation); known && (!ok || row > k) {
			k, ok = row, true
		}
	}
	return k, ok
}

// Open reports whether strangers' packets may come in: a peer need not be told
// before one sends to it.
func (f *Facts) Open() bool {
	return slices.Contains(f.Classes, Public) || slices.Contains(f.Classes, FullCone)
}

// Hard reports whether the NAT gives each destination another port, as far as the
// facts tell, and one that nobody foretells: two such NATs find no way to each
// other without a relay.
func (f *Facts) Hard() bool {
	if k, ok := f.Kind(); ok {
		return k == KindRandom
	}
	return !f.Mapping.Has(EndpointIndependent)
}

package zone

import "net/netip"

// A Map is a Source that somebody wrote down. It does not change, so many may
// read it at once.
type Map struct {
	table   table
	names   []string // by ID; the first is nobody's
	byName  map[string]ID
	costs   map[pair]uint32
	budgets map[ID]int64
	other   uint32 // the cost of pairs without a word
}

type pair struct{ from, to ID }

// Lookup implements Source.
func (m *Map) Lookup(a netip.Addr) ID { return m.table.lookup(a) }

// Name implements Source.
func (m *Map) Name(z ID) string {
	if int64(z) < int64(len(m.names)) {
		return m.names[z]
	}
	return ""
}

// Cost implements Source. Zones that are not of this map cost the default.
func (m *Map) Cost(from, to ID) uint32 {
	if from == to {
		return 0
	}
	if c, ok := m.costs[pair{from, to}]; ok {
		return c
	}
	return m.other
}

// Budget implements Source.
func (m *Map) Budget(z ID) int64 { return m.budgets[z] }

// Find returns the zone of a name.
func (m *Map) Find(name string) (ID, bool) {
	z, ok := m.byName[name]
	return z, ok
}

// Len returns how many zones the map names: their IDs are 1 to Len.
func (m *Map) Len() int { return len(m.names) - 1 }

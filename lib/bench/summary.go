package bench

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"
)

// A Summary is what the runs of one topology came to, over their seeds.
type Summary struct {
	Topology string
	Link     string
	Seeds    int
	Values   []Value // in the order of Measures, without what no run knows
	Trace    string  // 16 hexadecimal digits: of one run its hash, of several the hash of all in the order of seeds
	Runs     []*Run  // in the order of seeds
}

// A Value is one measure over seeds. Its bound is the mean of the runs' bounds.
type Value struct {
	*Measure
	Interval
	Limit    float64 // the bound
	HasLimit bool
}

// OfBound returns the value over its bound; false where the bound is nothing.
func (v Value) OfBound() (float64, bool) {
	if !v.HasLimit || v.Limit <= 0 {
		return 0, false
	}
	return v.Mean / v.Limit, true
}

// Summarize gathers runs by topology, in the order in which topologies first
// come.
func Summarize(s *Scenario, runs []*Run) (all []Summary) {
	at := map[string]int{}
	for _, r := range runs {
		i, ok := at[r.Topology]
		if !ok {
			i = len(all)
			at[r.Topology] = i
			all = append(all, Summary{Topology: r.Topology, Link: r.Link})
		}
		all[i].Runs = append(all[i].Runs, r)
	}
	for i := range all {
		all[i].gather(s)
	}
	return all
}

func (y *Summary) gather(s *Scenario) {
	y.Seeds = len(y.Runs)
	y.Trace = traceOf(y.Runs)
	for _, m := range Measures {
		var values, bounds []float64
		for _, r := range y.Runs {
			if v, ok := m.Value(s, r); ok {
				values = append(values, v)
			}
			if b, ok := m.Bound(s, r); ok {
				bounds = append(bounds, b)
			}
		}
		if len(values) == 0 {
			continue
		}
		if m.Most {
			values = []float64{slices.Max(values)}
		}
		v := Value{Measure: m, Interval: Around(values), Limit: Around(bounds).Mean, HasLimit: len(bounds) > 0}
		v.within()
		y.Values = append(y.Values, v)
	}
}

// within keeps an interval to what the measure can be at all.
func (v *Value) within() {
	if v.Best == More && v.Unit == Ratio || v.Unit == Index {
		v.High = min(v.High, 1)
	}
	if v.Name != "offload_ratio" { // servers can send more than anybody gets
		v.Low = max(v.Low, 0)
	}
}

// Find returns the value of this name; nil if no run knows it.
func (y *Summary) Find(name string) *Value {
	for i := range y.Values {
		if y.Values[i].Name == name {
			return &y.Values[i]
		}
	}
	return nil
}

func traceOf(runs []*Run) string {
	if len(runs) == 1 {
		return hashText(runs[0].TraceHash)
	}
	h := fnv.New64a()
	for _, r := range runs {
		h.Write(binary.BigEndian.AppendUint64(nil, r.TraceHash))
	}
	return hashText(h.Sum64())
}

func hashText(v uint64) string { return fmt.Sprintf("%016x", v) }

package bench

import (
	"encoding/csv"
	"io"
	"strconv"
)

// WriteCSV writes the raw numbers, a row for each run: what was run, every
// measure with its bound, the counters behind them. A field that is not known is
// empty; the columns are always the same.
func WriteCSV(w io.Writer, s *Scenario, runs []*Run) error {
	head := []string{"scenario", "topology", "link", "peers", "viewers_max", "seed"}
	for _, m := range Measures {
		head = append(head, m.Name)
		if m.bound != nil {
			head = append(head, m.Name+"_bound")
		}
	}
	for _, c := range rawCounters {
		head = append(head, c.name)
	}
	head = append(head, "trace_hash")

	out := csv.NewWriter(w)
	out.Write(head)
	for _, r := range runs {
		row := []string{r.Scenario, r.Topology, r.Link, strconv.Itoa(s.Peers), strconv.Itoa(r.Peers), strconv.FormatUint(r.Seed, 10)}
		for _, m := range Measures {
			row = append(row, m.cell(m.Value(s, r)))
			if m.bound != nil {
				row = append(row, m.cell(m.Bound(s, r)))
			}
		}
		for _, c := range rawCounters {
			row = append(row, c.text(r))
		}
		out.Write(append(row, hashText(r.TraceHash)))
	}
	out.Flush()
	return out.Error()
}

func (m *Measure) cell(v float64, ok bool) string {
	if !ok {
		return ""
	}
	return m.text(v)
}

package bench

import (
	"encoding/json"
	"math"
	"strconv"
)

// AppendRun appends a run as a line of JSON: type "run", what was run, every
// measure with its bound, and the counters behind them.
func AppendRun(b []byte, s *Scenario, r *Run) []byte {
	l := jsonLine(b)
	l.text("type", "run")
	l.text("scenario", r.Scenario)
	l.text("topology", r.Topology)
	l.whole("peers", int64(s.Peers))
	l.whole("viewers_max", int64(r.Peers))
	l.number("seed", strconv.FormatUint(r.Seed, 10))
	l.text("link", r.Link)
	for _, m := range Measures {
		v, ok := m.Value(s, r)
		if !ok {
			continue
		}
		l.number(m.Name, m.text(v))
		if bound, ok := m.Bound(s, r); ok {
			l.number(m.Name+"_bound", m.text(bound))
		}
	}
	for _, c := range rawCounters {
		l.number(c.name, c.text(r))
	}
	l.text("trace_hash", hashText(r.TraceHash))
	return l.end()
}

// AppendSummary appends what a topology came to as a line of JSON: type "swarm"
// and every measure with its bound, its part of the bound, and where there was
// more than one seed the ends of the 95 % interval. What is not known is absent.
func AppendSummary(b []byte, s *Scenario, y *Summary) []byte {
	l := jsonLine(b)
	l.text("type", "swarm")
	l.text("topology", y.Topology)
	l.text("scenario", s.Name)
	l.whole("peers", int64(s.Peers))
	l.number("seed", strconv.FormatUint(y.Runs[0].Seed, 10))
	l.whole("seeds", int64(y.Seeds))
	l.text("link", y.Link)
	for _, v := range y.Values {
		l.number(v.Name, v.text(v.Mean))
		if v.HasLimit {
			l.number(v.Name+"_bound", v.text(v.Limit))
		}
		if of, ok := v.OfBound(); ok {
			l.number(v.Name+"_of_bound", rounded(of, 6))
		}
		if v.N > 1 {
			l.number(v.Name+"_low", v.text(v.Low))
			l.number(v.Name+"_high", v.text(v.High))
		}
	}
	l.text("trace_hash", y.Trace)
	return l.end()
}

// A rawCounter is a number of a run that is no measure but what measures are made
// of.
type rawCounter struct {
	name string
	text func(*Run) string
}

func counts(name string, of func(*Run) int64) rawCounter {
	return rawCounter{name, func(r *Run) string { return strconv.FormatInt(of(r), 10) }}
}

var rawCounters = []rawCounter{
	counts("peer_bytes", func(r *Run) int64 { return r.PeerBytes }),
	counts("seed_bytes", func(r *Run) int64 { return r.SeedBytes }),
	counts("origin_bytes", func(r *Run) int64 { return r.OriginBytes }),
	counts("uploaded_bytes", func(r *Run) int64 { return r.UploadedBytes }),
	counts("duplicate_bytes", func(r *Run) int64 { return r.DuplicateBytes }),
	counts("control_bytes", func(r *Run) int64 { return r.ControlBytes }),
	counts("wire_bytes", func(r *Run) int64 { return r.WireBytes }),
	counts("stream_bytes", func(r *Run) int64 { return r.StreamBytes }),
	counts("due_pieces", func(r *Run) int64 { return r.DuePieces }),
	counts("late_pieces", func(r *Run) int64 { return r.LatePieces }),
	counts("missing_pieces", func(r *Run) int64 { return r.MissingPieces }),
	counts("stalled_ms", func(r *Run) int64 { return r.StalledMS }),
	counts("played_ms", func(r *Run) int64 { return r.PlayedMS }),
	{"stream_seconds", func(r *Run) string { return rounded(r.Seconds, 3) }},
}

// text is the value for programs: as many digits as it is good for.
func (m *Measure) text(v float64) string {
	switch m.Unit {
	case Bytes, Memory:
		return rounded(v, 0)
	case Millis:
		return rounded(v, 1)
	case Seconds:
		return rounded(v, 3)
	}
	return rounded(v, 6)
}

// rounded writes v with at most so many digits behind the point.
func rounded(v float64, digits int) string {
	scale := math.Pow10(digits)
	if r := math.Round(v*scale) / scale; !math.IsInf(r, 0) {
		v = r
	}
	if v == 0 {
		return "0" // and not -0
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// A jsonLine is an object whose fields stand in the order in which they came.
type jsonLine []byte

func (l *jsonLine) key(name string) {
	if n := len(*l); n == 0 || (*l)[n-1] == '\n' {
		*l = append(*l, '{')
	} else {
		*l = append(*l, ',')
	}
	*l = strconv.AppendQuote(*l, name)
	*l = append(*l, ':')
}

func (l *jsonLine) text(name, v string) {
	l.key(name)
	b, _ := json.Marshal(v) // a string always has a JSON
	*l = append(*l, b...)
}

func (l *jsonLine) whole(name string, v int64) { l.number(name, strconv.FormatInt(v, 10)) }

func (l *jsonLine) number(name, v string) {
	l.key(name)
	*l = append(*l, v...)
}

func (l *jsonLine) end() []byte { return append(*l, "}\n"...) }

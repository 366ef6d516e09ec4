package bench

import (
	"math"

	"github.com/xp2p/xp2p/lib/measure"
)

// A Unit says in what a measure is counted, and so how people read it.
type Unit int

const (
	Ratio    Unit = iota // 0 to 1, shown in percent
	Index                // 0 to 1, shown as it is
	Millis               // milliseconds
	Bytes                // shown in kB, MB, GB: powers of 1000
	Memory               // shown in KiB, MiB, GiB
	Seconds              // of the wall clock
	Multiple             // so many times
)

// Best says which way a measure is better.
type Best int

const (
	None Best = iota // it is what it is
	More
	Less
)

// A Measure is one thing that a run is judged by: its name in JSON and CSV, its
// title for people, its definition, its bound. Table, JSON Lines, CSV, HTML and
// the manual all read this one list.
type Measure struct {
	Name       string // snake_case, with its unit
	Title      string // at most 20 letters
	Unit       Unit
	Digits     int // behind the point, for people
	Best       Best
	Definition string // one sentence
	BoundIs    string // what the bound is, in a clause; empty if there is none
	Most       bool   // over seeds it is no mean but the most of them

	value func(*Scenario, *Run) float64 // NaN: not known
	bound func(*Scenario, *Run) float64 // NaN: not known; nil: there is none
}

// Value is the measure of one run; false if the run does not know it.
func (m *Measure) Value(s *Scenario, r *Run) (float64, bool) { return finite(m.value(s, r)) }

// Bound is what no system can pass in that run.
func (m *Measure) Bound(s *Scenario, r *Run) (float64, bool) {
	if m.bound == nil {
		return 0, false
	}
	return finite(m.bound(s, r))
}

func finite(v float64) (float64, bool) { return v, !math.IsNaN(v) && !math.IsInf(v, 0) }

// Payload is what viewers got, each byte once for each viewer.
func (r *Run) Payload() int64 { return r.PeerBytes + r.SeedBytes + r.OriginBytes }

// part is a/b; NaN of nothing.
func part[T int64 | float64](a, b T) float64 {
	if b <= 0 {
		return math.NaN()
	}
	return float64(a) / float64(b)
}

func quantileOf(h *measure.Histogram, q float64) float64 {
	if h.Count() == 0 {
		return math.NaN()
	}
	return float64(h.Quantile(q))
}

func constant(v float64) func(*Scenario, *Run) float64 {
	return func(*Scenario, *Run) float64 { return v }
}

func shareBound(_ *Scenario, r *Run) float64 {
	if r.ShareBound <= 0 {
		return math.NaN()
	}
	return r.ShareBound
}

// Measures is the list, in the order of every report.
var Measures = []*Measure{
	{Name: "peer_share_ratio", Title: "peer share", Unit: Ratio, Digits: 2, Best: More,
		Definition: "Payload that viewers got from other viewers, of all payload that they got, start-up included.",
		BoundIs:    "the lesser of 1 - 1/N and what the viewers' uplinks carry over what all viewers need (Kumar, Liu and Ross)",
		value:      func(_ *Scenario, r *Run) float64 { return part(r.PeerBytes, r.Payload()) },
		bound:      shareBound},
	{Name: "offload_ratio", Title: "offload", Unit: Ratio, Digits: 2, Best: More,
		Definition: "One minus the payload that origin and seed sent over the payload that viewers got; what was sent in vain counts.",
		BoundIs:    "that of the peer share: what peers cannot give, servers must",
		value: func(_ *Scenario, r *Run) float64 {
			if r.Payload() <= 0 {
				return math.NaN()
			}
			return measure.Offload(r.ServerEgress, r.Payload())
		},
		bound: shareBound},
	{Name: "continuity_ratio", Title: "continuity", Unit: Ratio, Digits: 3, Best: More,
		Definition: "Pieces that were there when the model player, which starts 1 s after its first whole keyframe, needed them, of all that it needed.",
		BoundIs:    "all of them",
		value:      func(_ *Scenario, r *Run) float64 { return part(r.DuePieces-r.LatePieces-r.MissingPieces, r.DuePieces) },
		bound:      constant(1)},
	{Name: "continuity_400ms_ratio", Title: "continuity, 0.4 s", Unit: Ratio, Digits: 3, Best: More,
		Definition: "Pieces that were there when a model player that starts 0.4 s after its first whole keyframe needed them, of all that it needed.",
		BoundIs:    "all of them",
		value: func(_ *Scenario, r *Run) float64 {
			if r.DuePieces <= 0 {
				return math.NaN()
			}
			return r.Continuity400
		},
		bound: constant(1)},
	{Name: "stall_ratio", Title: "stalled", Unit: Ratio, Digits: 3, Best: Less,
		Definition: "Time for which pictures stood still in the model player, of all the time that it played or stood.",
		BoundIs:    "none of it",
		value:      func(_ *Scenario, r *Run) float64 { return part(r.StalledMS, r.StalledMS+r.PlayedMS) },
		bound:      constant(0)},
	{Name: "worst_stall_ms", Title: "worst stall", Unit: Millis, Best: Less,
		Definition: "The longest time for which any one viewer's picture stood still at a stretch.",
		BoundIs:    "none",
		value:      func(_ *Scenario, r *Run) float64 { return float64(r.WorstStallMS) },
		bound:      constant(0)},
	{Name: "worst_stall_after_event_ms", Title: "worst after event", Unit: Millis, Best: Less,
		Definition: "The longest time for which the picture of any one viewer, of those who were in when something happened and stay, stood still at a stretch from then on.",
		BoundIs:    "none",
		value: func(_ *Scenario, r *Run) float64 {
			if r.WorstAfterMS < 0 {
				return math.NaN() // nothing happened, or nobody looked
			}
			return float64(r.WorstAfterMS)
		},
		bound: constant(0)},
	{Name: "startup_p95_ms", Title: "start-up p95", Unit: Millis, Best: Less,
		Definition: "The time from joining to the first byte of the first keyframe, which 95 % of the viewers do not exceed, to within 1/32.",
		value:      func(_ *Scenario, r *Run) float64 { return quantileOf(&r.Startup, 0.95) }},
	{Name: "added_lag_p50_ms", Title: "added lag p50", Unit: Millis, Best: Less,
		Definition: "How much later than from the origin alone a piece came, in half of all cases of a viewer and a piece, to within 1/32.",
		value:      func(_ *Scenario, r *Run) float64 { return quantileOf(&r.AddedLag, 0.5) }},
	{Name: "added_lag_p95_ms", Title: "added lag p95", Unit: Millis, Best: Less,
		Definition: "How much later than from the origin alone a piece came, in 95 % of all cases of a viewer and a piece, to within 1/32.",
		BoundIs:    "the lag law d·log2(1/p)/m, with pieces of d seconds, uplinks of m bitrates and the share p of copies that servers gave; hop times come on top",
		value:      func(_ *Scenario, r *Run) float64 { return quantileOf(&r.AddedLag, 0.95) },
		bound: func(_ *Scenario, r *Run) float64 {
			if r.LagBoundMS <= 0 {
				return math.NaN()
			}
			return r.LagBoundMS
		}},
	{Name: "overhead_ratio", Title: "overhead", Unit: Ratio, Digits: 2, Best: Less,
		Definition: "Bytes of messages, descriptors and handshakes between members, over the payload that viewers got.",
		BoundIs:    "none of it",
		value: func(_ *Scenario, r *Run) float64 {
			if r.ControlBytes <= 0 {
				return math.NaN() // over packets nobody sees what is in them
			}
			return part(r.ControlBytes, r.Payload())
		},
		bound: constant(0)},
	{Name: "wire_overhead_ratio", Title: "overhead on wires", Unit: Ratio, Digits: 2, Best: Less,
		Definition: "Bytes in datagrams that were no payload of use (headers, acknowledgements, messages, what came twice), over the payload that came in datagrams, both counted once, where they were sent.",
		BoundIs:    "none of it",
		value: func(_ *Scenario, r *Run) float64 {
			if r.WireBytes <= 0 {
				return math.NaN()
			}
			carried := r.PeerBytes + r.SeedBytes // the origin answers over HTTP
			return part(r.WireBytes-carried, carried)
		},
		bound: constant(0)},
	{Name: "redundancy_ratio", Title: "redundancy", Unit: Ratio, Digits: 2, Best: Less,
		Definition: "Payload that came although it was there already, over the payload that viewers got.",
		BoundIs:    "none of it",
		value:      func(_ *Scenario, r *Run) float64 { return part(r.DuplicateBytes, r.Payload()) },
		bound:      constant(0)},
	{Name: "upload_jain", Title: "fairness of uploads", Unit: Index, Digits: 3, Best: More,
		Definition: "Jain's index of what viewers gave over what their uplinks carry: 1 if all gave alike, 1/N if one gave all.",
		BoundIs:    "all alike",
		value: func(_ *Scenario, r *Run) float64 {
			if r.Jain <= 0 {
				return math.NaN()
			}
			return r.Jain
		},
		bound: constant(1)},
	{Name: "inter_zone_bytes", Title: "between zones", Unit: Bytes, Digits: 1, Best: Less,
		Definition: "Payload that crossed from one zone to another.",
		BoundIs:    "one copy of the stream for each zone but the seed's",
		value:      func(_ *Scenario, r *Run) float64 { return float64(r.InterZoneBytes) },
		bound:      func(s *Scenario, r *Run) float64 { return float64(max(0, s.Zones-1)) * float64(r.StreamBytes) }},
	{Name: "server_egress_bytes", Title: "sent by servers", Unit: Bytes, Digits: 1, Best: Less,
		Definition: "Payload that origin and seed sent.",
		BoundIs:    "what peers cannot give, by the bound of the peer share",
		value:      func(_ *Scenario, r *Run) float64 { return float64(r.ServerEgress) },
		bound:      func(s *Scenario, r *Run) float64 { return float64(r.Payload()) * (1 - shareBound(s, r)) }},
	{Name: "polluted_bytes", Title: "refused", Unit: Bytes, Digits: 1,
		Definition: "Payload that did not pass its check and was thrown away.",
		value:      func(_ *Scenario, r *Run) float64 { return float64(r.PollutedBytes) }},
	{Name: "played_bad_bytes", Title: "bad bytes played", Unit: Bytes, Digits: 1, Best: Less,
		Definition: "Bytes that a viewer put out and that were not the broadcaster's.",
		BoundIs:    "none",
		value:      func(_ *Scenario, r *Run) float64 { return float64(r.PlayedBad) },
		bound:      constant(0)},
	{Name: "wall_seconds", Title: "time of a run", Unit: Seconds, Digits: 1,
		Definition: "Time that a run took by the clock on the wall.",
		value:      func(_ *Scenario, r *Run) float64 { return ifSet(r.WallSeconds) }},
	{Name: "realtime_ratio", Title: "speed", Unit: Multiple, Digits: 2,
		Definition: "Seconds of the stream over seconds by the clock on the wall.",
		value:      func(_ *Scenario, r *Run) float64 { return ifSet(part(r.Seconds, r.WallSeconds)) }},
	{Name: "peak_rss_bytes", Title: "memory", Unit: Memory, Digits: 1, Most: true,
		Definition: "The most memory that the process held, together with the runs beside it; of several seeds the most.",
		value:      func(_ *Scenario, r *Run) float64 { return ifSet(float64(r.PeakRSS)) }},
}

// ifSet is NaN of what was never set.
func ifSet(v float64) float64 {
	if v <= 0 {
		return math.NaN()
	}
	return v
}

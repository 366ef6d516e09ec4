package bench

import (
	"math"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func summarized(t *testing.T, seeds int) (*Scenario, []*Run, []Summary) {
	t.Helper()
	w := sweep(t, seeds)
	runs, err := w.Do(t.Context(), func(*Run) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return w.Scenario, runs, Summarize(w.Scenario, runs)
}

func TestIntervalsAreStudents(t *testing.T) {
	// Of 1…10: mean 5.5, standard deviation 3.02765, t of 9 degrees 2.2622.
	got := Around([]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
	if math.Abs(got.Mean-5.5) > 1e-12 || math.Abs(got.Half()-2.16585) > 1e-4 || got.N != 10 {
		t.Errorf("%+v, half %v", got, got.Half())
	}
	if one := Around([]float64{7}); one.Mean != 7 || one.Half() != 0 {
		t.Errorf("%+v", one)
	}
	for df, want := range map[int]float64{1: 12.7062, 20: 2.0860, 30: 2.0423, 31: 2.0395, 100: 1.9840} {
		if got := student95(df); math.Abs(got-want) > 2e-4 {
			t.Errorf("%d degrees: %v, want %v", df, got, want)
		}
	}
	for df := 1; df < 100; df++ {
		if student95(df) <= student95(df+1) {
			t.Errorf("more seeds than %d make the interval wider", df)
		}
	}
}

func TestAnIntervalStaysWithinWhatCanBe(t *testing.T) {
	s := &Scenario{Zones: 1}
	run := func(late, control int64) *Run {
		return &Run{Topology: "mesh", DuePieces: 1000, LatePieces: late, PeerBytes: 1000, ControlBytes: control, ServerEgress: 3000}
	}
	y := &Summarize(s, []*Run{run(0, 1), run(10, 100)})[0]
	if v := y.Find("continuity_ratio"); v.High != 1 || v.Low >= 0.99 {
		t.Errorf("%+v", v.Interval)
	}
	if v := y.Find("overhead_ratio"); v.Low != 0 || v.High <= 0.1 {
		t.Errorf("%+v", v.Interval)
	}
	if v := y.Find("offload_ratio"); v.Mean != -2 || v.Low != -2 {
		t.Errorf("servers that sent three times what was wanted: %+v", v.Interval)
	}
}

func TestMeasuresOfARunAreWhatTheirDefinitionsSay(t *testing.T) {
	s := &Scenario{Zones: 3, Peers: 10}
	r := &Run{
		Topology: "tree", PeerBytes: 800, SeedBytes: 150, OriginBytes: 50, ServerEgress: 250, DuplicateBytes: 10, ControlBytes: 30,
		WireBytes: 1045, InterZoneBytes: 700, StreamBytes: 100, DuePieces: 100, LatePieces: 3, MissingPieces: 2, StalledMS: 1000, PlayedMS: 9000,
		Continuity400: 0.9, ShareBound: 0.9, LagBoundMS: 100, Jain: 0.5, Seconds: 60, WallSeconds: 20, PeakRSS: 1 << 30, PlayedBad: 1,
	}
	for range 100 {
		r.AddedLag.Add(20)
	}
	y := &Summarize(s, []*Run{r})[0]
	for name, want := range map[string][2]float64{ // value, bound
		"peer_share_ratio": {0.8, 0.9}, "offload_ratio": {0.75, 0.9}, "continuity_ratio": {0.95, 1}, "continuity_400ms_ratio": {0.9, 1},
		"stall_ratio": {0.1, 0}, "added_lag_p50_ms": {20, -1}, "added_lag_p95_ms": {20, 100}, "overhead_ratio": {0.03, 0},
		"wire_overhead_ratio": {0.1, 0}, "redundancy_ratio": {0.01, 0}, "upload_jain": {0.5, 1}, "inter_zone_bytes": {700, 200},
		"server_egress_bytes": {250, 100}, "played_bad_bytes": {1, 0}, "wall_seconds": {20, -1}, "realtime_ratio": {3, -1}, "peak_rss_bytes": {1 << 30, -1},
	} {
		v := y.Find(name)
		if v == nil {
			t.Errorf("%s is missing", name)
			continue
		}
		bound := -1.0
		if v.HasLimit {
			bound = v.Limit
		}
		if math.Abs(v.Mean-want[0]) > 1e-9 || math.Abs(bound-want[1]) > 1e-9 {
			t.Errorf("%s: %v of %v, want %v", name, v.Mean, bound, want)
		}
	}
	if v := y.Find("startup_p95_ms"); v != nil {
		t.Errorf("nobody started, and yet %+v", v)
	}
}

func TestARunOfNothingKnowsNothingAndDividesByNothing(t *testing.T) {
	y := &Summarize(&Scenario{Zones: 1}, []*Run{{Topology: "mesh", LagBoundMS: math.Inf(1)}})[0]
	for _, v := range y.Values {
		if v.Mean != 0 || v.HasLimit && v.Limit != 0 {
			t.Errorf("%s: %+v", v.Name, v)
		}
	}
	if v := y.Find("peer_share_ratio"); v != nil {
		t.Errorf("a share of nothing: %+v", v)
	}
}

func TestEveryMeasureHasANameATitleAndADefinition(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range Measures {
		if seen[m.Name] || seen[m.Title] || !regexp.MustCompile(`^[a-z0-9_]+$`).MatchString(m.Name) {
			t.Errorf("%s, %s", m.Name, m.Title)
		}
		seen[m.Name], seen[m.Title] = true, true
		if utf8.RuneCountInString(m.Title) > 20 {
			t.Errorf("%s: the title does not fit a column", m.Title)
		}
		if strings.Count(m.Definition, ". ") > 0 || !strings.HasSuffix(m.Definition, ".") {
			t.Errorf("%s: not one sentence: %s", m.Name, m.Definition)
		}
		if (m.bound != nil) != (m.BoundIs != "") || strings.HasSuffix(m.BoundIs, ".") {
			t.Errorf("%s: bound %q", m.Name, m.BoundIs)
		}
	}
}

func TestTheTraceOfSeveralSeedsDependsOnEachAndTheirOrder(t *testing.T) {
	_, runs, all := summarized(t, 2)
	if len(all) != 3 || all[2].Topology != "balanced" || all[2].Seeds != 2 || all[2].Runs[1].Seed != 4 {
		t.Fatalf("%+v", all)
	}
	one := Summarize(&Scenario{}, runs[:1])[0]
	if one.Trace != hashText(runs[0].TraceHash) {
		t.Errorf("of one run %s, want its own %x", one.Trace, runs[0].TraceHash)
	}
	turned := traceOf([]*Run{all[0].Runs[1], all[0].Runs[0]})
	if turned == all[0].Trace || all[0].Trace == all[1].Trace || len(turned) != 16 {
		t.Errorf("%s and %s", all[0].Trace, turned)
	}
}

func TestNumbersAreShownAsPeopleReadThem(t *testing.T) {
	find := func(name string) *Measure {
		for _, m := range Measures {
			if m.Name == name {
				return m
			}
		}
		t.Fatal(name)
		return nil
	}
	value := func(name string, mean, half, limit float64, n int) Value {
		return Value{Measure: find(name), Interval: Interval{mean, mean - half, mean + half, n}, Limit: limit, HasLimit: limit >= 0}
	}
	for _, tc := range []struct {
		v           Value
		shown, part string
	}{
		{value("peer_share_ratio", 0.97312, 0.0012, 0.999, 10), "97.31 ± 0.12 %", "97.41 % of 99.9 %"},
		{value("peer_share_ratio", 0.97312, 0, 0.999, 1), "97.31 %", "97.41 % of 99.9 %"},
		{value("stall_ratio", 0.0001, 0, 0, 1), "0.010 %", "bound 0 %"},
		{value("added_lag_p95_ms", 641.3, 12, 250, 3), "641 ± 12 ms", "256.52 % of 250 ms"},
		{value("inter_zone_bytes", 3.1e9, 2e8, 30e6, 3), "3.1 ± 0.2 GB", "103 times 30 MB"},
		{value("inter_zone_bytes", 0, 0, 0, 3), "0 ± 0 B", "bound 0 B"},
		{value("upload_jain", 0.934, 0.01, 1, 2), "0.934 ± 0.010", "93.40 % of 1"},
		{value("peak_rss_bytes", 3<<29, 0, -1, 1), "1.5 GiB", ""},
		{value("realtime_ratio", 3.5, 0, -1, 1), "3.50×", ""},
	} {
		if tc.v.Show() != tc.shown || tc.v.ShowBound() != tc.part {
			t.Errorf("%s: %q, %q, want %q, %q", tc.v.Name, tc.v.Show(), tc.v.ShowBound(), tc.shown, tc.part)
		}
	}
}

func TestTheBestIsClearOfTheOthers(t *testing.T) {
	share := Measures[0]
	of := func(intervals ...Interval) (all []Summary) {
		for _, i := range intervals {
			all = append(all, Summary{Values: []Value{{Measure: share, Interval: i}}})
		}
		return all
	}
	a, b, c := Interval{0.9, 0.89, 0.91, 3}, Interval{0.95, 0.94, 0.96, 3}, Interval{0.955, 0.945, 0.965, 3}
	one := Interval{0.99, 0.99, 0.99, 1} // of a single seed
	for _, tc := range []struct {
		all  []Summary
		want int
	}{{of(a, one), -1}, {of(one, one), -1}, {of(a, b), 1}, {of(b, a), 0}, {of(a, b, c), -1}, {of(b), -1}, {of(a, a), -1}, {append(of(a, b), Summary{}), 1}} {
		if got := BestOf(tc.all, share); got != tc.want {
			t.Errorf("%v: %d, want %d", tc.all, got, tc.want)
		}
	}
}

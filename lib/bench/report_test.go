package bench

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"
)

func TestTheLastLinesHoldWhatScriptsRelyOn(t *testing.T) {
	s, _, all := summarized(t, 3)
	for i := range all {
		line := AppendSummary(nil, s, &all[i])
		if !bytes.HasPrefix(line, []byte(`{"type":"swarm","topology":"`+all[i].Topology+`",`)) || bytes.Count(line, []byte("\n")) != 1 {
			t.Errorf("%s", line)
		}
		var got map[string]any
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		for _, name := range []string{
			"peers", "seeds", "link", "scenario", "peer_share_ratio", "offload_ratio", "continuity_ratio", "added_lag_p50_ms", "added_lag_p95_ms",
			"startup_p95_ms", "stall_ratio", "worst_stall_ms", "overhead_ratio", "wire_overhead_ratio", "redundancy_ratio", "upload_jain",
			"inter_zone_bytes", "played_bad_bytes", "trace_hash", "wall_seconds", "realtime_ratio", "peak_rss_bytes",
			"peer_share_ratio_bound", "peer_share_ratio_of_bound", "peer_share_ratio_low", "peer_share_ratio_high", "offload_ratio_bound",
			"continuity_ratio_bound", "added_lag_p95_ms_bound", "upload_jain_bound", "inter_zone_bytes_bound",
		} {
			if _, ok := got[name]; !ok {
				t.Errorf("%s: no %s", all[i].Topology, name)
			}
		}
		v := all[i].Find("peer_share_ratio")
		if got["peer_share_ratio"] != math.Round(v.Mean*1e6)/1e6 || got["peers"] != 20.0 || got["seeds"] != 3.0 || got["seed"] != 3.0 {
			t.Errorf("%s", line)
		}
	}
}

func TestALineLeavesOutWhatIsNotKnown(t *testing.T) {
	s := &Scenario{Name: "odd \"name\"", Zones: 1}
	runs := []*Run{{Topology: "mesh", Scenario: s.Name, Seed: 1<<64 - 1, LagBoundMS: math.Inf(1)}}
	y := Summarize(s, runs)
	for _, line := range [][]byte{AppendRun(nil, s, runs[0]), AppendSummary(nil, s, &y[0])} {
		var got map[string]any
		if err := json.Unmarshal(line, &got); err != nil || got["scenario"] != s.Name {
			t.Errorf("%v: %s", err, line)
		}
		for name := range got {
			for _, unknown := range []string{"share", "p95", "p50", "_low", "_high", "jain", "realtime", "rss"} {
				if strings.Contains(name, unknown) {
					t.Errorf("%s: who knows? %s", name, line)
				}
			}
		}
		if !bytes.Contains(line, []byte(`"seed":18446744073709551615,`)) {
			t.Errorf("the seed lost digits: %s", line)
		}
	}
}

func TestLinesAreAppendedOneBehindTheOther(t *testing.T) {
	s, runs, _ := summarized(t, 1)
	var b []byte
	for _, r := range runs {
		b = AppendRun(b, s, r)
	}
	d, n := json.NewDecoder(bytes.NewReader(b)), 0
	for ; d.More(); n++ {
		var line struct {
			Type, Topology string
			Peer           int64 `json:"peer_bytes"`
			Share          float64
		}
		if err := d.Decode(&line); err != nil || line.Type != "run" || line.Topology != Topologies[n] || line.Peer != runs[n].PeerBytes {
			t.Fatalf("%+v, %v", line, err)
		}
	}
	if n != 3 {
		t.Errorf("%d lines", n)
	}
}

func TestTheCSVHasARowForEachRunAndOneShape(t *testing.T) {
	s, runs, _ := summarized(t, 2)
	runs = append(runs, &Run{Topology: "mesh"}) // knows nothing
	var b bytes.Buffer
	if err := WriteCSV(&b, s, runs); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll() // refuses rows of different lengths
	if err != nil || len(rows) != 1+7 {
		t.Fatalf("%v, %d rows", err, len(rows))
	}
	at := map[string]int{}
	for i, name := range rows[0] {
		if _, twice := at[name]; twice {
			t.Errorf("%s stands twice", name)
		}
		at[name] = i
	}
	if rows[2][at["topology"]] != "tree" || rows[2][at["seed"]] != "3" || rows[2][at["peer_bytes"]] != fmt.Sprint(runs[1].PeerBytes) {
		t.Errorf("%v", rows[2])
	}
	if rows[7][at["peer_share_ratio"]] != "" || rows[7][at["trace_hash"]] != "0000000000000000" {
		t.Errorf("%v", rows[7])
	}
}

func pageOf(t *testing.T, s *Scenario, all []Summary) string {
	t.Helper()
	var b strings.Builder
	if err := WriteHTML(&b, s, all); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// pictures reads every SVG of a page as XML, which a browser does not insist on.
func pictures(t *testing.T, page string) (n int) {
	t.Helper()
	for _, svg := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(page, -1) {
		n++
		d := xml.NewDecoder(strings.NewReader(svg))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%v: %.300s", err, svg)
			}
		}
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("no number: %.300s", svg)
		}
	}
	return n
}

func TestThePageNeedsNothingFromAnywhere(t *testing.T) {
	s, _, all := summarized(t, 2)
	s.Events = []Event{{AtS: 10, Kind: "leave", Ratio: 0.5}, {AtS: 20, Kind: "origin_slow", ForS: 5, Factor: 10}}
	page := pageOf(t, s, all)
	for _, bad := range []string{"http:", "https:", "src=", "href=", "@import", "url(", "<script"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %s", bad)
		}
	}
	const legend, charts, trees = 6, 6, 3
	if n := pictures(t, page); n != legend+charts+trees {
		t.Errorf("%d pictures", n)
	}
	for _, m := range Measures {
		if !strings.Contains(page, html.EscapeString(m.Definition)) {
			t.Errorf("%s is not defined", m.Name)
		}
	}
	for _, want := range []string{
		"steady: 20 viewers, 2 Mbit/s, 30 s of stream, flow links", "2 seeds from 3 on; mean ± 95 % interval", "50 % leave", "origin 10× slower",
		"seconds of the broadcast", "added lag in seconds", all[0].Trace, all[2].Find("peer_share_ratio").Show(), "prefers-color-scheme: dark",
	} {
		if !strings.Contains(page, html.EscapeString(want)) {
			t.Errorf("no %q", want)
		}
	}
}

func TestThePageIsTheSameForTheSameRuns(t *testing.T) {
	s, _, all := summarized(t, 2)
	if first := pageOf(t, s, all); first != pageOf(t, s, all) {
		t.Error("two pages")
	}
}

func TestAScenarioCannotWriteIntoThePage(t *testing.T) {
	s, _, all := summarized(t, 1)
	s.Name, s.About = "<script>x</script>", `"><img src=x>`
	page := pageOf(t, s, all)
	if strings.Contains(page, "<script") || strings.Contains(page, "<img") {
		t.Error("it did")
	}
}

func TestThePageStandsWhatRunsDoNotKnow(t *testing.T) {
	s, err := Load("churn")
	if err != nil {
		t.Fatal(err)
	}
	page := pageOf(t, s, Summarize(s, []*Run{
		{Topology: "mesh"},
		{Topology: "tree", ShareBySecond: []float64{math.NaN(), 0.5, math.Inf(1), 1, 1}, LagP95BySecond: []float64{math.NaN()}, UploadOverUplink: []float64{math.NaN()}},
		{Topology: "tree", DuePieces: 5, ShareBySecond: []float64{0.25}, ViewersBySecond: []int{0, 0}, UploadOverUplink: []float64{7}},
	}))
	pictures(t, page)
	if !strings.Contains(page, "not known") {
		t.Error("what nobody knows is shown as if")
	}
	pictures(t, pageOf(t, s, nil))
}

func TestATreeIsDrawnFromTheServersOut(t *testing.T) {
	tree := leaf([]Edge{
		{From: 1, To: 3, LagMS: 90}, {From: fromSeed, To: 1, LagMS: 20}, {From: fromOrigin, To: 2, LagMS: 10}, {From: 3, To: 4, LagMS: 150},
		{From: 2, To: 3, LagMS: 400},                           // it came again
		{From: 8, To: 9, LagMS: 1}, {From: 9, To: 8, LagMS: 2}, // a circle
		{From: 77, To: 78, LagMS: 5}, {From: 5, To: 5, LagMS: 5}, // from nobody, from oneself
	})
	var got []string
	for _, n := range tree.nodes {
		got = append(got, fmt.Sprintf("%d: %d hops from %d", n.id, n.hops, n.parent))
	}
	if want := "[1: 1 hops from -1 2: 1 hops from -1 3: 2 hops from 0 4: 3 hops from 2]"; fmt.Sprint(got) != want {
		t.Errorf("%v", got)
	}
	if want := "4 viewers; 1 fed by the seed, 1 by the origin; 2 passed it on, to 1 at the most; 3 hops at the most. Of 4 more it is not known through whom."; tree.words() != want {
		t.Error(tree.words())
	}
	if a, b := tree.nodes[0].angle, tree.nodes[2].angle; a != b {
		t.Errorf("the only one it feeds stands at %v, itself at %v", b, a)
	}
	if len(leaf(nil).nodes) != 0 {
		t.Error("a tree of nothing")
	}
}

func TestAPictureOfTenThousandStaysSmall(t *testing.T) {
	s, err := Load("steady")
	if err != nil {
		t.Fatal(err)
	}
	s, _ = s.Resized(10_000)
	s.Seconds = 1
	r, _ := canned(t.Context(), s, "balanced", 1, "flow", nil)
	if n := len(pageOf(t, s, Summarize(s, []*Run{r}))); n > 2<<20 {
		t.Errorf("%d bytes", n)
	}
}

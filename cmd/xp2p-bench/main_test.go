package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/xp2p/xp2p/lib/bench"
	"github.com/xp2p/xp2p/lib/bench/rival"
	"github.com/xp2p/xp2p/lib/bench/transport"
	"github.com/xp2p/xp2p/lib/tool"
)

// canned stands for the simulator: a run that depends on its arguments alone. A
// scenario with the name of a failure has it.
func canned(ctx context.Context, s *bench.Scenario, topology string, seed uint64, link string, progress func(float64, int)) (*bench.Run, error) {
	progress(s.Seconds/2, s.Peers)
	if s.Name == "breaks" && topology == "balanced" {
		return nil, errors.New("the canned run broke")
	}
	k := int64(slices.Index(bench.Topologies, topology))
	peer := 95_000 + 1000*k + int64(seed%3)
	r := &bench.Run{
		Scenario: s.Name, Topology: topology, Peers: s.Peers, Seed: seed, Link: link, Seconds: s.Seconds, WallSeconds: 1,
		PeerBytes: peer, SeedBytes: 100_000 - peer, ServerEgress: 100_000 - peer, StreamBytes: 1000, WireBytes: 105_000, ControlBytes: 2000,
		DuePieces: 1000, PlayedMS: 1000, Continuity400: 1, Jain: 0.9, ShareBound: 1 - 1/float64(s.Peers), LagBoundMS: 100,
		TraceHash: seed<<8 | uint64(k), Tree: []bench.Edge{{From: -1, To: 0, LagMS: 20}, {From: 0, To: 1, LagMS: 50}},
		ShareBySecond: []float64{0, 0.5, 0.9}, ViewersBySecond: []int{1, 2, 3}, LagP95BySecond: []float64{1, 2, 3}, UploadOverUplink: []float64{0.1, 0.2},
	}
	r.AddedLag.Add(300 - 50*k)
	r.Startup.Add(200)
	return r, ctx.Err()
}

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"xp2p-bench": func() { tool.Main(command(canned)) }})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata"})
}

func TestManualAndFlagsAgree(t *testing.T) {
	if err := tool.CheckManual(command(canned)); err != nil {
		t.Error(err)
	}
}

// words is a text without its line breaks.
func words(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestTheManualDefinesEveryMeasureAndEveryField(t *testing.T) {
	text := words(manual)
	for _, m := range bench.Measures {
		want := fmt.Sprintf("- %s (%s): %s", m.Title, m.Name, m.Definition)
		if m.BoundIs != "" {
			want += " Bound: " + m.BoundIs + "."
		}
		if !strings.Contains(text, want) {
			t.Errorf("the manual does not say: %s", want)
		}
	}
	for _, d := range transport.Definitions {
		if want := fmt.Sprintf("- %s (%s): %s", d.Title, d.Name, d.Words); !strings.Contains(text, want) {
			t.Errorf("the manual does not say: %s", want)
		}
	}
	for _, name := range rival.Names() {
		if !strings.Contains(text, name) {
			t.Errorf("the manual does not mention the transport %s", name)
		}
	}
	s, err := bench.Load("steady")
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(s.JSON(), &fields); err != nil {
		t.Fatal(err)
	}
	for name := range fields {
		if !strings.Contains(text, fmt.Sprintf("%q:", name)) {
			t.Errorf("the manual does not mention the scenario's %s", name)
		}
	}
}

// run runs the command in this process.
func run(ctx context.Context, simulate bench.Runner, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = tool.Run(ctx, command(simulate), args, tool.Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	return code, out.String(), errs.String()
}

func TestWhatIsWrongIsSaidOnStderrAndInTheCode(t *testing.T) {
	t.Chdir(t.TempDir())
	os.WriteFile("bad.json", []byte(`{"join": {"kind": "flash", "frist": 5}}`), 0o600)
	os.WriteFile("breaks.json", []byte(`{"name": "breaks", "peers": 5}`), 0o600)
	for _, tc := range []struct {
		args string
		code int
		want string
	}{
		{"", 2, "one of: swarm, scenarios, natlab, transport, serve, suite"},
		{"swarm --scenario staedy", 2, `no such scenario: "staedy"` + "\nxp2p-bench: hint: there are calibrate, churn, flash, "},
		{"swarm --topology ring", 2, "want all, mesh, tree, balanced"},
		{"swarm --link wire", 2, "want flow, packet"},
		{"swarm --peers -1", 2, "--peers -1: want 1 or more"},
		{"swarm --peers 2000000", 2, "--peers 2000000: scenario: peers: want 1 to 1000000"},
		{"swarm --seeds -1", 2, "--seeds -1: want at most 10000"},
		{"swarm --seed 18446744073709551615", 2, "too near to the last"},
		{"swarm --jobs -1", 2, "--jobs -1: want 0 or more"},
		{"swarm --csv nowhere/x.csv", 2, "--csv nowhere/x.csv: there is no directory nowhere"},
		{"swarm --html .", 2, "--html .: it is a directory"},
		{"swarm steady", 2, `unexpected argument "steady"`},
		{"scenarios a b", 2, "one scenario at most, got 2"},
		{"transport --only quik", 2, `no such transport: "quik"; there are xntp, `},
		{"transport --workload warm", 2, "want cold, bulk, live, fair, cpu, loopback"},
		{"transport --queue 0bdp", 2, "--queue 0bdp: want bytes"},
		{"transport --loss 100%", 2, "want a share such as 1% or 0.01"},
		{"transport --burst-loss 1%", 2, "want a share and a length"},
		{"transport --step 50M@5", 2, "--step 50M@5: want rates and times"},
		{"transport --step 50M@9s,10M@5s", 2, "in the order of time"},
		{"transport --fair x", 2, "--fair x: want 1:1, 1:4 or 2"},
		{"transport --runs 0", 2, "runs 0: want 1 to 1000"},
		{"transport --workload live --latency 1ms", 2, "latency: want 20ms to 1m"},
		{"transport --workload live --to 127.0.0.1:1", 2, "live between two machines"},
		{"transport --to 127.0.0.1:1 --only xntp", 5, "no measurement with this server"},
		{"transport --html nowhere/x.html", 2, "there is no directory nowhere"},
		{"serve --listen nowhere", 1, "serve: listen tcp4"},
		{"suite --rows 20", 2, "want numbers from 1 to 19"},
		{"swarm --scenario bad.json", 4, "xp2p-bench: bad.json: scenario: join.frist: no such field; there are kind, first, at_s, over_s\n"},
		{"swarm --scenario -", 4, "stdin: scenario: it is empty"},
		{"scenarios bad.json", 4, "join.frist: no such field"},
		{"swarm --scenario other.json", 1, "other.json: no such file"},
		{"swarm --scenario breaks.json --topology balanced", 1, "breaks, balanced, seed 1: the canned run broke"},
	} {
		code, out, errs := run(t.Context(), canned, strings.Fields(tc.args)...)
		if code != tc.code || out != "" || !strings.Contains(errs, tc.want) {
			t.Errorf("%s: code %d, %q, %s", tc.args, code, out, errs)
		}
	}
}

func TestRunsBeforeOneThatFailsAreReported(t *testing.T) {
	name := filepath.Join(t.TempDir(), "breaks.json")
	os.WriteFile(name, []byte(`{"name": "breaks", "peers": 5}`), 0o600)
	code, out, errs := run(t.Context(), canned, "swarm", "--scenario", name, "--jobs", "1", "--json")
	if code != 3 || strings.Count(out, `"type":"swarm"`) != 2 || !strings.Contains(errs, "2 of 3 runs are done: breaks, balanced, seed 1: the canned run broke") {
		t.Errorf("code %d\n%s%s", code, out, errs)
	}
}

func TestScenariosArePrintedToBeChanged(t *testing.T) {
	_, list, _ := run(t.Context(), canned, "scenarios")
	if strings.Count(list, "\n") != len(bench.Names()) || !strings.Contains(list, "\nflash          A flash crowd: 10 viewers watch, ") {
		t.Error(list)
	}
	_, text, _ := run(t.Context(), canned, "scenarios", "flash")
	if s, err := bench.ParseScenario([]byte(text)); err != nil || s.Name != "flash" {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestAnInterruptReportsTheRunsThatWereDone(t *testing.T) {
	for _, tc := range []struct {
		signal os.Signal
		code   int
	}{{os.Interrupt, 130}, {syscall.SIGTERM, 143}} {
		ctx, cancel := context.WithCancelCause(t.Context())
		stopped := func(ctx context.Context, s *bench.Scenario, topology string, seed uint64, link string, progress func(float64, int)) (*bench.Run, error) {
			if seed == 2 && topology == "tree" {
				cancel(&tool.Interrupt{Signal: tc.signal})
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return canned(context.WithoutCancel(ctx), s, topology, seed, link, progress)
		}
		page := filepath.Join(t.TempDir(), "page.html")
		code, out, errs := run(ctx, stopped, "swarm", "--seeds", "3", "--jobs", "1", "--json", "--html", page)
		if code != tc.code || strings.Count(out, `"type":"run"`) != 4 || strings.Count(out, `"type":"swarm"`) != 3 {
			t.Errorf("code %d\n%s%s", code, out, errs)
		}
		if !strings.Contains(errs, "done=4") || !strings.Contains(errs, "of=9") {
			t.Errorf("who looks at it does not know that runs are missing: %s", errs)
		}
		if _, err := os.Stat(page); err != nil {
			t.Error(err)
		}
	}
}

func TestAnInterruptBeforeTheFirstRunLeavesNothing(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(&tool.Interrupt{Signal: os.Interrupt})
	if code, out, errs := run(ctx, canned, "swarm"); code != 130 || out != "" || errs != "" {
		t.Errorf("code %d, %q, %q", code, out, errs)
	}
}

func TestTheReportDoesNotDependOnJobs(t *testing.T) {
	_, one, _ := run(t.Context(), canned, "swarm", "--seeds", "4", "--json", "--jobs", "1")
	_, many, _ := run(t.Context(), canned, "swarm", "--seeds", "4", "--json", "--jobs", "7")
	if one == "" || one != many {
		t.Errorf("%s\n%s", one, many)
	}
}

func TestTheTableFitsATerminalAndMarksTheBest(t *testing.T) {
	_, out, _ := run(t.Context(), canned, "swarm", "--seeds", "3", "--color", "never")
	for line := range strings.Lines(out) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 96 {
			t.Errorf("%d wide: %s", n, line)
		}
	}
	if !strings.Contains(out, "* 97.00 ± 0.00 %") || !strings.Contains(out, "97.10 % of 99.9 %") {
		t.Error(out)
	}
	_, colored, _ := run(t.Context(), canned, "swarm", "--seeds", "3", "--color", "always")
	if !strings.Contains(colored, "\x1b[") || stripped(colored) != out {
		t.Errorf("colour changes the text:\n%s", colored)
	}
}

// stripped takes colours away.
func stripped(s string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "\x1b[")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		_, s, _ = strings.Cut(rest, "m")
	}
}

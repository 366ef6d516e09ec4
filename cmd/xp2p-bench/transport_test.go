package main

import (
	"context"
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/bench/transport"
	"github.com/xp2p/xp2p/lib/tool"
)

func TestLinksAreReadFromTheirFlags(t *testing.T) {
	o := linkOptions{
		kind: "udp", rate: 20e6, rtt: 40 * time.Millisecond, queue: "4bdp", loss: "1%", burst: "0.02,8", jitter: time.Millisecond,
		at: "50M@0,10M@5s,50M@10s", seed: 7,
	}
	got, err := o.link()
	want := transport.Link{
		Kind: "udp", Rate: 50e6, RTT: 40 * time.Millisecond, Queue: 1_000_000, Loss: 0.01, BurstLoss: 0.02, BurstLength: 8, Jitter: time.Millisecond,
		Steps: []transport.Step{{At: 5 * time.Second, Rate: 10e6}, {At: 10 * time.Second, Rate: 50e6}}, Seed: 7,
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, got, want)
	}
	for text, queue := range map[string]int{"64k": 64 << 10, "0.001bdp": transport.MinQueue, "1BDP": 100_000} {
		if n, err := parseQueue(text, &transport.Link{Rate: 20e6, RTT: 40 * time.Millisecond}); n != queue || err != nil {
			t.Errorf("--queue %s: %d, %v", text, n, err)
		}
	}
}

// The whole way, over loopback, where no emulator can be late.
func TestAMeasurementIsATableOrLines(t *testing.T) {
	args := strings.Fields("transport --workload loopback --only xntp,srt -t 500ms --runs 2 --color never")
	code, out, errs := run(t.Context(), canned, args...)
	if code != 0 || errs != "" || !strings.Contains(out, "loopback: what this machine can do in 500 ms") || !strings.Contains(out, " s/GB\n") ||
		!strings.Contains(out, "srt: skipped: it has live messages only\n") {
		t.Errorf("code %d, %s\n%s", code, errs, out)
	}
	code, out, errs = run(t.Context(), canned, append(args, "--json")...)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || errs != "" || len(lines) != 2 {
		t.Fatalf("code %d, %s\n%s", code, errs, out)
	}
	var r struct {
		Type, Transport, Workload string
		Goodput                   float64 `json:"goodput_bps"`
		CPU                       float64 `json:"cpu_s_per_gb"`
		Runs                      int
	}
	if err := json.Unmarshal([]byte(lines[0]), &r); err != nil || r.Type != "result" || r.Transport != "xntp" || r.Workload != "loopback" || r.Goodput == 0 || r.CPU == 0 || r.Runs != 2 {
		t.Errorf("%v: %s", err, lines[0])
	}
}

// heard is a stream that tells when its first line is there.
type heard struct {
	mu    sync.Mutex
	text  strings.Builder
	first chan string
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := strings.Contains(h.text.String(), "\n")
	h.text.Write(p)
	if line, _, whole := strings.Cut(h.text.String(), "\n"); whole && !before {
		h.first <- line
	}
	return len(p), nil
}

func TestOneMachineServesAndAnotherMeasures(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	log := &heard{first: make(chan string, 1)}
	done := make(chan int, 1)
	go func() {
		done <- tool.Run(ctx, command(canned), []string{"serve", "--listen", "127.0.0.1:0"}, tool.Streams{In: strings.NewReader(""), Out: io.Discard, Err: log})
	}()
	line := <-log.first
	_, addr, found := strings.Cut(line, "addr=")
	if !found || !strings.Contains(line, "serving") {
		t.Fatalf("the server says %s", line)
	}
	args := []string{"transport", "--to", strings.Fields(addr)[0], "--only", "xntp,quic", "--size", "64k", "--runs", "1", "--json"}
	code, out, errs := run(t.Context(), canned, args...)
	if code != 0 || errs != "" || strings.Count(out, `"workload":"cold","link":"remote","size_bytes":65536,"median_ms":`) != 2 || strings.Count(out, `"failed_runs":0`) != 2 {
		t.Errorf("code %d, %s\n%s", code, errs, out)
	}
	stop()
	if code := <-done; code != 130 {
		t.Errorf("the server ended with %d", code)
	}
}

func TestABusyMachineIsSaidToBe(t *testing.T) {
	if s := busy(0.9, 2); s != "" {
		t.Error(s)
	}
	p := &transport.Plan{Link: transport.Link{Kind: transport.None}, Workload: transport.Loopback, Runs: 1}
	plain := func(s ...string) string { return strings.Join(s, " ") }
	if s := transportTable(tool.Styles{Title: plain, Dim: plain}, p, nil, busy(7, 2)); !strings.Contains(s, "a load of 7.0 on 2 CPUs") {
		t.Error(s)
	}
}

func TestASuiteThatWasNotMeasuredHoldsNothing(t *testing.T) {
	s := transport.NewSuite(true)
	table := suiteTable(s, "2 CPUs", []int{5, 11}, true, 90*time.Second)
	for _, want := range []string{"2 CPUs; one run each, TUN links, 2 min. 0 runs count, 0 were rejected", "\n| # ", "\n| 5 ", "\n| 11 ", "| not measured |", "Hard minimum: 0 of 2 rows."} {
		if !strings.Contains(table, want) {
			t.Errorf("no %q in\n%s", want, table)
		}
	}
	if lines := string(rowLines(s, nil)); strings.Count(lines, `{"type":"row","row":`) != 19 || !strings.Contains(lines, `"minimum_holds":"not measured"`) {
		t.Error(lines)
	}
}

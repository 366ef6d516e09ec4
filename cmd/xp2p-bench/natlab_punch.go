package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xp2p/xp2p/lib/netlab"
	"github.com/xp2p/xp2p/lib/tool"
)

// A punchCase is a pair that is hard, and what must come of it.
type punchCase struct {
	name    string
	nets    [2]netlab.Network
	foreign int     // allocations per second by others behind each box
	share   float64 // of tries
	p50     time.Duration
	p90     time.Duration // or the worst, where it is of all
}

// punchCases are those of the project's targets.
func punchCases() []punchCase {
	zoo := netlab.Zoo()
	n := func(name string) netlab.Network {
		return zoo[slices.IndexFunc(zoo, func(n netlab.Network) bool { return n.Name == name })]
	}
	prc, clash := n("port-restricted-cone"), netlab.Clashing()
	return []punchCase{
		{"prc/rand", [2]netlab.Network{prc, n("symmetric-random")}, 0, 0.99, 250 * time.Millisecond, 800 * time.Millisecond},
		{"seq/seq", [2]netlab.Network{n("symmetric-sequential"), n("symmetric-sequential")}, 20, 0.98, 0, 800 * time.Millisecond},
		{"clash/prc", [2]netlab.Network{clash, prc}, 0, 1, 0, 0},
		{"clash/clash", [2]netlab.Network{clash, clash}, 0, 1, 0, 0},
	}
}

// A punchResult is what came of many tries.
type punchResult struct {
	Type    string         `json:"type"` // "natlab-punch"
	Case    string         `json:"case"`
	Foreign int            `json:"foreign_per_s,omitempty"`
	Tries   int            `json:"tries"`
	Met     int            `json:"met"`
	Paths   map[string]int `json:"paths"`
	P50MS   float64        `json:"p50_ms"` // since the candidates were exchanged
	P90MS   float64        `json:"p90_ms"`
	WorstMS float64        `json:"worst_ms"`
	Packets uint64         `json:"packets_p50"` // from both to the other until a second after they had met
	Good    bool           `json:"good"`
	Late    string         `json:"untrusted,omitempty"`
	took    []float64
	packets []uint64
}

const (
	// punchPatience is how long a try may take.
	punchPatience = 8 * time.Second
	// punchBatch is how many tries one lab sees: the tables of its boxes fill.
	punchBatch = 25
	punchClip  = 300 // seconds
)

// punch counts how often, and how soon, two viewers who are hard to connect meet.
func (o *natlabOptions) punch(ctx context.Context, t *tool.IO) error {
	all := punchCases()
	cases := all
	if len(o.pairs) > 0 {
		cases = slices.DeleteFunc(cases, func(c punchCase) bool { return !slices.Contains(o.pairs, c.name) })
		if len(cases) == 0 {
			return tool.Usage("--pairs: want prc/rand, seq/seq, clash/prc or clash/clash")
		}
	}
	results := make([]punchResult, len(cases))
	for i, c := range cases {
		r := &results[i]
		*r = punchResult{Type: "natlab-punch", Case: c.name, Foreign: c.foreign, Paths: map[string]int{}}
		if err := o.tries(ctx, t, c, r); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		r.judge(c)
	}
	if o.json {
		return writeLines(t, results)
	}
	w := tabwriter.NewWriter(t.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "pair\tmet\tp50\tp90\tworst\tpackets\tpaths\t")
	bad := 0
	for i := range results {
		r := &results[i]
		word := "good"
		if !r.Good {
			word, bad = "NOT GOOD", bad+1
		}
		fmt.Fprintf(w, "%s\t%d/%d\t%.0f ms\t%.0f ms\t%.0f ms\t%d\t%v\t%s\n", r.Case, r.Met, r.Tries, r.P50MS, r.P90MS, r.WorstMS, r.Packets, pathsOf(r.Paths), word)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for i := range results {
		if r := &results[i]; r.Late != "" {
			fmt.Fprintf(t.Out, "%s: times are not to be believed: %s\n", r.Case, r.Late)
		}
	}
	if bad > 0 {
		return tool.Incomplete("%d of %d cases are not good", bad, len(results))
	}
	return nil
}

func (r *punchResult) judge(c punchCase) {
	slices.Sort(r.took)
	slices.Sort(r.packets)
	if n := len(r.took); n > 0 {
		r.P50MS, r.P90MS, r.WorstMS = r.took[n/2], r.took[min(n-1, n*9/10)], r.took[n-1]
		r.Packets = r.packets[n/2]
	}
	within := func(got float64, want time.Duration) bool {
		return want == 0 || got <= float64(want.Microseconds())/1000
	}
	r.Good = float64(r.Met) >= c.share*float64(r.Tries) && within(r.P50MS, c.p50) && within(r.P90MS, c.p90)
}

// tries runs all tries of a case, some labs at a time.
func (o *natlabOptions) tries(ctx context.Context, t *tool.IO, c punchCase, sum *punchResult) error {
	batches := (o.runs + punchBatch - 1) / punchBatch
	parts := make([]punchResult, batches)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(o.jobs)
	for i := range parts {
		n := min(punchBatch, o.runs-i*punchBatch)
		g.Go(func() error { return o.batch(ctx, t, c, uint64(i), n, &parts[i]) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i := range parts {
		p := &parts[i]
		sum.Tries += p.Tries
		sum.Met += p.Met
		sum.took = append(sum.took, p.took...)
		sum.packets = append(sum.packets, p.packets...)
		for k, v := range p.Paths {
			sum.Paths[k] += v
		}
		if p.Late != "" {
			sum.Late = p.Late
		}
	}
	return nil
}

// batch runs tries in one lab.
func (o *natlabOptions) batch(ctx context.Context, t *tool.IO, c punchCase, seed uint64, n int, r *punchResult) error {
	m, err := o.meet(ctx, c.nets, seed)
	if err != nil {
		return err
	}
	defer m.close()
	r.Paths = map[string]int{}
	media, slicerIn := io.Pipe()
	defer media.Close()
	slices, slicerOut, err := os.Pipe()
	if err != nil {
		return err
	}
	defer slices.Close()
	_, err = m.start("server", media, slicerOut, "xp2p-slice", "-q")
	slicerOut.Close()
	if err != nil {
		return err
	}
	if _, err := m.start("server", slices, nil, "xp2p-seed", m.serverArgs("--room", "match")...); err != nil {
		return err
	}
	go func() {
		defer slicerIn.Close()
		for play(m.ctx, labClip(punchClip, 100_000, seed), slicerIn) == nil {
			return
		}
	}()
	if _, err := m.file("ready"); err != nil {
		return err
	}
	if c.foreign > 0 {
		for i := range c.nets {
			m.procs.Go(func() { m.allocate(netlab.Sites[i].Client, c.foreign) })
		}
	}
	for try := range n {
		path, ms, packets, err := m.try(c, try)
		if err != nil {
			return err
		}
		r.Tries++
		r.Paths[or(path)]++
		if isDirect(path) {
			r.Met++
			r.took = append(r.took, ms)
			r.packets = append(r.packets, packets)
		}
		t.Log.Info("try", "case", c.name, "n", try, "path", or(path), "ms", ms, "packets", packets)
	}
	if err := m.lab.Report().Trusted(); err != nil {
		r.Late = err.Error()
	}
	return nil
}

// try lets two viewers meet once.
func (m *meeting) try(c punchCase, n int) (path string, ms float64, packets uint64, err error) {
	before := m.packets(c.nets)
	var viewers [2]*running
	names := [2]string{fmt.Sprintf("stats%d-a", n), fmt.Sprintf("stats%d-b", n)}
	for i := range viewers {
		viewers[i], err = m.start(netlab.Sites[i].Client, nil, io.Discard, "xp2p-peer",
			append(append([]string{"-q", "--stats", filepath.Join(m.dir, names[i])}, m.o.peerArgs...), "http://"+labServers[0].String()+":8080/match")...)
		if err != nil {
			return "", 0, 0, err
		}
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(punchPatience); time.Now().Before(end); {
		var others [2]acquaintance
		for i := range names {
			_, others[i] = m.readStats(names[i])
		}
		path, ms = others[0].path, max(others[0].punchMS, others[1].punchMS)
		if isDirect(path) && isDirect(others[1].path) {
			if ms == 0 { // it was just dialed
				ms = max(others[0].connectMS, others[1].connectMS)
			}
			packets = m.packets(c.nets) - before
			break
		}
		path = ""
		select {
		case <-tick.C:
		case <-m.ctx.Done():
			return "", 0, 0, context.Cause(m.ctx)
		}
	}
	for _, v := range viewers {
		v.Process.Signal(syscall.SIGTERM)
	}
	for _, v := range viewers {
		select {
		case <-v.ended:
		case <-time.After(5 * time.Second):
			v.Process.Kill()
			<-v.ended
		}
	}
	return path, ms, packets, nil
}

// packets is how many reached either network from the other.
func (m *meeting) packets(nets [2]netlab.Network) (n uint64) {
	r := m.lab.Report()
	for _, f := range r.Flows {
		x, y := r.Hosts[f.From].Name, r.Hosts[f.To].Name
		if x != "server" && y != "server" {
			n += f.Packets
		}
	}
	return n
}

// allocate makes a box give out ports as if others behind it began to talk, so many
// a second.
func (m *meeting) allocate(host string, perSecond int) {
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(labServers[1], 9))
	for {
		select {
		case <-tick.C:
		case <-m.ctx.Done():
			return
		}
		m.lab.Do(host, func() error {
			c, err := net.DialUDP("udp4", nil, to)
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.Write([]byte("others"))
			return err
		})
	}
}

// pathsOf writes how often each path was taken.
func pathsOf(n map[string]int) string {
	var list []string
	for _, path := range slices.Sorted(maps.Keys(n)) {
		list = append(list, fmt.Sprintf("%d %s", n[path], path))
	}
	return strings.Join(list, ", ")
}

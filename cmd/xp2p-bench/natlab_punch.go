package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/xp2p/xp2p/lib/netlab"
	"github.com/xp2p/xp2p/lib/punch"
	"github.com/xp2p/xp2p/lib/tool"
)

// A punchCase is a pair that is hard, and what must come of it.
type punchCase struct {
	name    string
	nets    [2]netlab.Network
	foreign int     // allocations per second by others behind each box
	share   float64 // of tries
	p50     time.Duration
	p90     time.Duration
	cold    time.Duration // since the two were to meet: who takes longer has not met
	rounds  int           // at most; 0: whatever it takes
}

// punchCases are those of the project's targets.
func punchCases() []punchCase {
	zoo := netlab.Zoo()
	n := func(name string) netlab.Network {
		return zoo[slices.IndexFunc(zoo, func(n netlab.Network) bool { return n.Name == name })]
	}
	prc, clash := n("port-restricted-cone"), netlab.Clashing()
	return []punchCase{
		{"prc/rand", [2]netlab.Network{prc, n("symmetric-random")}, 0, 0.99, 250 * time.Millisecond, 800 * time.Millisecond, 0, 0},
		{"seq/seq", [2]netlab.Network{n("symmetric-sequential"), n("symmetric-sequential")}, 20, 0.98, 0, 0, 800 * time.Millisecond, 0},
		{"clash/prc", [2]netlab.Network{clash, prc}, 0, 1, 0, 0, 0, 2},
		{"clash/clash", [2]netlab.Network{clash, clash}, 0, 1, 0, 0, 0, 2},
	}
}

// A punchResult is what came of many tries.
type punchResult struct {
	Type    string         `json:"type"` // "natlab-punch"
	Case    string         `json:"case"`
	Foreign int            `json:"foreign_per_s,omitempty"`
	Asked   int            `json:"asked"` // tries
	Tries   int            `json:"tries"` // fewer, if it was interrupted
	Met     int            `json:"met"`
	Paths   map[string]int `json:"paths"`
	P50MS   float64        `json:"p50_ms"` // since the candidates were exchanged
	P90MS   float64        `json:"p90_ms"`
	WorstMS float64        `json:"worst_ms"`
	ColdMS  manner         `json:"connect_ms"` // since the two were to meet
	Rounds  manner         `json:"rounds"`
	Sockets manner         `json:"sockets"`     // that a side opened for it, the one that opened more
	Probes  manner         `json:"probes"`      // that a side sent, the one that sent more
	Packets uint64         `json:"packets_p50"` // from both to the other until both said that they had met
	Good    bool           `json:"good"`
	Why     string         `json:"why,omitempty"` // it is not
	Late    string         `json:"untrusted,omitempty"`
	met     []tryResult
}

// A manner is what tries took of something.
type manner struct {
	P50   int `json:"p50"`
	Worst int `json:"worst"`
}

// A tryResult is what came of one try.
type tryResult struct {
	path                    string
	ms                      float64
	coldMS                  int
	rounds, sockets, probes int
	packets                 uint64
	late                    string
}

// A punchBatch is tries of one case in one lab.
type punchBatch struct {
	of   int
	seed uint64
	n    int
}

const (
	// punchPatience is how long a try may take.
	punchPatience = 8 * time.Second
	// batchTries is how many tries one lab sees: the tables of its boxes fill.
	batchTries = 25
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
	const row = "%-12s %8s %8s %8s %8s %10s %8s %10s %10s %8s  %s"
	if err := o.head(t, fmt.Sprintf(row, "pair", "met", "p50, ms", "p90, ms", "worst", "cold, ms", "rounds", "sockets", "probes", "packets", "paths")); err != nil {
		return err
	}
	sum := newSummary("punch", len(cases))
	results := make([]punchResult, len(cases))
	left := make([]int, len(cases)) // batches
	var batches []punchBatch
	for i, c := range cases {
		results[i] = punchResult{Type: "natlab-punch", Case: c.name, Foreign: c.foreign, Asked: o.runs, Paths: map[string]int{}}
		for n := 0; n < o.runs; n += batchTries {
			batches = append(batches, punchBatch{i, uint64(left[i]), min(batchTries, o.runs-n)})
			left[i]++
		}
	}
	report := func(i int) error {
		r := &results[i]
		r.judge(cases[i])
		tries := fmt.Sprintf("%d/%d", r.Met, r.Tries)
		if r.Tries == r.Asked {
			sum.count(r.Good, r.Met == r.Tries)
		} else {
			tries += fmt.Sprint(" of ", r.Asked)
		}
		two := func(m manner) string { return fmt.Sprintf("%d, %d", m.P50, m.Worst) }
		ms := func(f float64) string { return fmt.Sprintf("%.0f", f) }
		return o.say(t, r, fmt.Sprintf(row, r.Case, tries, ms(r.P50MS), ms(r.P90MS), ms(r.WorstMS), two(r.ColdMS), two(r.Rounds), two(r.Sockets), two(r.Probes),
			fmt.Sprint(r.Packets), pathsOf(r.Paths)+": "+wordOf(r.Good, r.Why, r.Late)))
	}
	var one sync.Mutex
	err := eachLab(ctx, o.jobs, len(batches), func(ctx context.Context, k int) (int, error) {
		b := batches[k]
		err := o.batch(ctx, cases[b.of], b, func(y tryResult) {
			t.Log.Info("try", "case", cases[b.of].name, "path", or(y.path), "ms", y.ms, "rounds", y.rounds, "sockets", y.sockets, "probes", y.probes, "packets", y.packets)
			one.Lock()
			defer one.Unlock()
			results[b.of].add(y)
		})
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("%s: %w", cases[b.of].name, err)
		}
		return b.of, err
	}, func(_ int, of int) error {
		if left[of]--; left[of] > 0 {
			return nil
		}
		return report(of)
	})
	for i := range results { // those that were cut short
		if left[i] > 0 && results[i].Tries > 0 {
			err = errors.Join(err, report(i))
		}
	}
	return sum.end(o, t, err, fmt.Sprintf("%d of %d done in %.0f s, %d good; of cold starts, rounds, and sockets and probes of one side the median and the most", sum.Done, sum.Runs, time.Since(sum.began).Seconds(), sum.Good))
}

// add counts a try.
func (r *punchResult) add(y tryResult) {
	r.Tries++
	r.Paths[or(y.path)]++
	if y.late != "" {
		r.Late = y.late
	}
	if isDirect(y.path) {
		r.Met++
		r.met = append(r.met, y)
	}
}

func (r *punchResult) judge(c punchCase) {
	if n := len(r.met); n > 0 {
		took := sorted(r.met, func(y tryResult) float64 { return y.ms })
		r.P50MS, r.P90MS, r.WorstMS = took[n/2], took[min(n-1, n*9/10)], took[n-1]
		r.Packets = sorted(r.met, func(y tryResult) uint64 { return y.packets })[n/2]
		of := func(f func(y tryResult) int) manner {
			list := sorted(r.met, f)
			return manner{list[n/2], list[n-1]}
		}
		r.ColdMS = of(func(y tryResult) int { return y.coldMS })
		r.Rounds, r.Sockets, r.Probes = of(func(y tryResult) int { return y.rounds }), of(func(y tryResult) int { return y.sockets }), of(func(y tryResult) int { return y.probes })
	}
	within := func(got float64, want time.Duration) bool {
		return want == 0 || got <= float64(want.Microseconds())/1000
	}
	late := 0
	for _, y := range r.met {
		if !within(float64(y.coldMS), c.cold) {
			late++
		}
	}
	var why []string
	fault := func(bad bool, format string, args ...any) {
		if bad {
			why = append(why, fmt.Sprintf(format, args...))
		}
	}
	fault(float64(r.Met-late) < c.share*float64(r.Tries), "%d of %d did not meet, %d took longer than %v from cold", r.Tries-r.Met, r.Tries, late, c.cold)
	fault(!within(r.P50MS, c.p50), "half took longer than %v", c.p50)
	fault(!within(r.P90MS, c.p90), "a tenth took longer than %v", c.p90)
	fault(c.rounds > 0 && r.Rounds.Worst > c.rounds, "more than %d rounds", c.rounds)
	fault(r.Sockets.Worst > punch.BirthdaySockets || r.Probes.Worst > punch.BirthdayProbes, "more than %d sockets or %d probes", punch.BirthdaySockets, punch.BirthdayProbes)
	r.Good, r.Why = len(why) == 0, strings.Join(why, "; ")
}

func sorted[T cmp.Ordered](list []tryResult, f func(tryResult) T) (all []T) {
	for _, y := range list {
		all = append(all, f(y))
	}
	slices.Sort(all)
	return all
}

// batch runs tries in one lab.
func (o *natlabOptions) batch(ctx context.Context, c punchCase, b punchBatch, tried func(tryResult)) error {
	m, err := o.meet(ctx, c.nets, b.seed)
	if err != nil {
		return err
	}
	defer m.close()
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
		for play(m.ctx, labClip(punchClip, 100_000, b.seed), slicerIn) == nil {
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
	for n := range b.n {
		y, err := m.try(c, n)
		if err != nil {
			return err
		}
		if err := m.lab.Report().Trusted(); err != nil {
			y.late = err.Error()
		}
		tried(y)
	}
	return nil
}

// try lets two viewers meet once.
func (m *meeting) try(c punchCase, n int) (y tryResult, err error) {
	before := m.packets(c.nets)
	var viewers [2]*running
	names := [2]string{fmt.Sprintf("stats%d-a", n), fmt.Sprintf("stats%d-b", n)}
	for i := range viewers {
		viewers[i], err = m.start(netlab.Sites[i].Client, nil, io.Discard, "xp2p-peer",
			append(append([]string{"-q", "--stats", filepath.Join(m.dir, names[i])}, m.o.peerArgs...), "http://"+labServers[0].String()+":8080/match")...)
		if err != nil {
			return y, err
		}
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(punchPatience); time.Now().Before(end); {
		var others [2]acquaintance
		for i := range names {
			_, others[i] = m.readStats(names[i])
		}
		if a, b := &others[0], &others[1]; isDirect(a.path) && isDirect(b.path) {
			y = tryResult{a.path, max(a.punchMS, b.punchMS), int(max(a.connectMS, b.connectMS)), max(a.rounds, b.rounds), max(a.sockets, b.sockets), max(a.probes, b.probes), m.packets(c.nets) - before, ""}
			if y.ms == 0 { // it was just dialed
				y.ms = max(a.connectMS, b.connectMS)
			}
			break
		}
		select {
		case <-tick.C:
		case <-m.ctx.Done():
			return y, context.Cause(m.ctx)
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
	return y, nil
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

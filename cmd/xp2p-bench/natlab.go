package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/netlab"
	"github.com/xp2p/xp2p/lib/tool"
)

func natlabCommand() *tool.Command {
	o := &natlabOptions{rtt: 50 * time.Millisecond, jobs: min(4, runtime.NumCPU()), size: 200 << 20}
	return &tool.Command{
		Name:    "natlab",
		Summary: "real NATs: name them (classify), let viewers meet through them (matrix), pass a file (home), count tries (punch); root, Linux",
		Args:    "classify [NETWORK…] | matrix | home | punch",
		Flags: []tool.Flag{
			tool.Int(&o.runs, "runs", "probes of each network (20), or runs of each pair (1), or tries (100)"),
			tool.Strings(&o.pairs, "pairs", "only these pairs, such as `prc/rand`, of pub, sfw, fc, rc, prc, seq, rand and blk"),
			tool.Size(&o.size, "size", "of the file that home passes"),
			tool.Bool(&o.told, "told", "viewers of matrix are told of their NATs: xp2p-natprobe --json … | xp2p-peer --nat - …"),
			tool.Duration(&o.rtt, "rtt", "round trip to the servers"),
			tool.Float(&o.loss, "loss", "share of packets lost each way, such as 0.05"),
			tool.Bool(&o.rivals, "rivals", "ask turnutils_natdiscovery and pion's stun-nat-behaviour as well, where they are installed"),
			tool.Choice(&o.server, "server", "whom to ask: our seed, coturn, a seed with one address and port, or one that ignores CHANGE-REQUEST", "seed", "coturn", "plain", "deaf"),
			tool.String(&o.bin, "bin", "`DIR` with xp2p-natprobe, xp2p-slice, xp2p-seed and xp2p-peer; else where this program is, or PATH"),
			tool.Int(&o.jobs, "jobs", "networks, or pairs, at the same time"),
			tool.Bool(&o.json, "json", "JSON Lines instead of the table, each as soon as it is there"),
		},
		Run: o.run,
	}
}

type natlabOptions struct {
	runs, jobs   int
	size         int64
	told         bool
	pairs        []string
	seedArgs     []string // of the seed in the open, beside what it always has
	homeArgs     []string
	peerArgs     []string
	rtt          time.Duration
	loss         float64
	rivals, json bool
	bin, server  string
}

// Addresses of the lab's servers: the seed's two, coturn's two.
var labServers = [...]netip.Addr{
	netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"),
	netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("198.51.100.2"),
}

// A natResult is what came of one network.
type natResult struct {
	Type      string      `json:"type"` // "natlab"
	Network   string      `json:"network"`
	By        string      `json:"by"` // kernel, tables
	Class     string      `json:"class"`
	Mapping   string      `json:"mapping,omitempty"`
	Filtering string      `json:"filtering,omitempty"`
	Runs      int         `json:"runs"`
	Right     int         `json:"right"` // class and pair
	Wrong     int         `json:"wrong"` // another class, or the truth is no candidate
	MedianMS  float64     `json:"median_ms"`
	WorstMS   float64     `json:"worst_ms"`
	Rivals    []otherTool `json:"rivals,omitempty"`
	Said      []string    `json:"said,omitempty"` // what was not right
	Lateness  string      `json:"untrusted,omitempty"`
}

// An otherTool is another tool's word on a network.
type otherTool struct {
	Tool  string  `json:"tool"`
	Right bool    `json:"right"`
	Said  string  `json:"said"`
	MS    float64 `json:"ms"`
}

func (o *natlabOptions) run(ctx context.Context, t *tool.IO, args []string) error {
	usual, ok := map[string]int{"classify": 20, "matrix": 1, "home": 1, "punch": 100}[append(args, "")[0]]
	switch {
	case !ok:
		return tool.Usage("natlab: what shall it do?").Hint("natlab classify, matrix, home or punch")
	case o.runs == 0:
		o.runs = usual
	}
	if o.runs < 1 || o.jobs < 1 || o.loss >= 1 || o.size < 1 {
		return tool.Usage("--runs, --jobs and --size are at least 1, --loss is below 1")
	}
	if args[0] != "classify" && len(args) > 1 {
		return tool.Usage("natlab %s %s: --pairs says which", args[0], args[1])
	}
	if err := netlab.Available(); err != nil {
		return tool.Failed("%w", err)
	}
	if err := o.programs("xp2p-natprobe", "xp2p-slice", "xp2p-seed", "xp2p-peer"); err != nil {
		return err
	}
	switch args[0] {
	case "matrix":
		return o.matrix(ctx, t)
	case "home":
		return o.home(ctx, t)
	case "punch":
		return o.punch(ctx, t)
	}
	return o.classifyAll(ctx, t, args)
}

// classifyAll names every network, or those that are given.
func (o *natlabOptions) classifyAll(ctx context.Context, t *tool.IO, args []string) error {
	zoo := netlab.Zoo()
	for _, name := range args[1:] {
		if !slices.ContainsFunc(zoo, func(n netlab.Network) bool { return n.Name == name }) {
			return tool.Usage("there is no network %q in the zoo", name)
		}
	}
	if len(args) > 1 {
		zoo = slices.DeleteFunc(zoo, func(n netlab.Network) bool { return !slices.Contains(args[1:], n.Name) })
	}
	results := make([]*natResult, len(zoo))
	err := eachLab(ctx, o.jobs, len(zoo), func(ctx context.Context, i int) (*natResult, error) {
		r, err := o.classify(ctx, zoo[i])
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("%s: %w", zoo[i].Name, err)
		}
		return r, err
	}, func(i int, r *natResult) error {
		t.Log.Info("done", "network", r.Network)
		results[i] = r
		if o.json {
			return o.say(t, r, "")
		}
		return nil
	})
	results = slices.DeleteFunc(results, func(r *natResult) bool { return r == nil })
	if !o.json {
		err = errors.Join(err, o.write(t, results))
	}
	if err != nil {
		return err
	}
	for _, r := range results {
		if r.Wrong > 0 || o.server != "plain" && o.server != "deaf" && r.Right*1000 < r.Runs*995 {
			return tool.Incomplete("%s: %d of %d runs right, %d wrong", r.Network, r.Right, r.Runs, r.Wrong)
		}
	}
	return nil
}

// labRuns is how many probes one lab sees: a carrier's box that gives a customer
// 512 ports is full after some fifteen, until its mappings end.
const labRuns = 10

// classify probes one network, in as many labs as it takes.
func (o *natlabOptions) classify(ctx context.Context, n netlab.Network) (*natResult, error) {
	r := &natResult{Type: "natlab", Network: n.Name, By: "tables", Class: n.Class.String(), Runs: o.runs}
	if n.Kernel {
		r.By = "kernel"
	}
	if n.Class != nat.UDPBlocked {
		r.Mapping, r.Filtering = n.Mapping.String(), n.Filtering.String()
	}
	var took []float64
	for len(took) < o.runs {
		more, err := o.session(ctx, n, r, min(labRuns, o.runs-len(took)), uint64(len(took)))
		if err != nil {
			return nil, err
		}
		took = append(took, more...)
	}
	slices.Sort(took)
	r.MedianMS, r.WorstMS = took[len(took)/2], took[len(took)-1]
	return r, nil
}

// session builds a lab, makes sure once that it is what it claims to be, and probes
// it; it returns the times.
func (o *natlabOptions) session(ctx context.Context, n netlab.Network, r *natResult, runs int, seed uint64) (took []float64, err error) {
	hosts := append(n.Hosts(netlab.Link{}, netlab.Link{}, false),
		netlab.Host{Name: "server", Addr: labServers[0], More: labServers[1:2]},
		netlab.Host{Name: "coturn", Addr: labServers[2], More: labServers[3:4]})
	edge := hosts[0].Name
	l, err := netlab.New(netlab.Config{Hosts: hosts, Delay: o.rtt / 2, Seed: seed, Realtime: true})
	if err != nil {
		return nil, err
	}
	defer l.Close()
	first := seed == 0
	if first {
		if err := o.verify(l, n); err != nil {
			return nil, err
		}
	}
	stop, err := o.serve(ctx, l)
	if err != nil {
		return nil, err
	}
	defer stop()
	l.SetLinks(edge, netlab.Link{Loss: o.loss}, netlab.Link{Loss: o.loss})
	for range runs {
		report, err := o.probe(ctx, l)
		if err != nil {
			return nil, err
		}
		took = append(took, report.TookMS)
		r.judge(report)
	}
	if o.rivals && first {
		r.Rivals = o.askRivals(ctx, l, n)
	}
	if err := l.Report().Trusted(); err != nil {
		r.Lateness = err.Error()
	}
	return took, nil
}

// verify makes sure that a box is what it claims to be. On a busy machine an answer may
// be late, which says nothing of the box: then it is asked again, with more patience.
func (o *natlabOptions) verify(l *netlab.Lab, n netlab.Network) error {
	const tries = 3
	var v nat.Verdict
	for try := range tries {
		var err error
		if v, err = l.Truth(netlab.Client, "server", [2]netip.Addr(labServers[:2]), (2*o.rtt+200*time.Millisecond)<<try); err != nil {
			return err
		}
		if v.Class() == n.Class && (v.UDP != nat.Yes || v.Mapping.One() == n.Mapping && v.Filtering.One() == n.Filtering) {
			return nil
		}
	}
	return fmt.Errorf("the box is not what it claims: %v, %v, %v", v.Class(), v.Mapping.List(), v.Filtering.List())
}

// judge counts a report.
func (r *natResult) judge(got nat.Report) {
	if got.Class == r.Class && got.Mapping == r.Mapping && got.Filtering == r.Filtering {
		r.Right++
		return
	}
	if got.Class != "" && got.Class != r.Class || !slices.Contains(got.Candidates, r.Class) {
		r.Wrong++
	}
	said := strings.TrimSpace(fmt.Sprintf("%s %s %s", strings.Join(got.Candidates, "|"), got.Mapping, got.Filtering))
	if !slices.Contains(r.Said, said) && len(r.Said) < 5 {
		r.Said = append(r.Said, said)
	}
}

// program finds one of ours.
func (o *natlabOptions) program(name string) string {
	dirs := []string{o.bin}
	if self, err := os.Executable(); err == nil && o.bin == "" {
		dirs = []string{filepath.Dir(self)}
	}
	if p := filepath.Join(dirs[0], name); isFile(p) || o.bin != "" {
		return p
	}
	return name
}

func isFile(p string) bool {
	info, err := os.Stat(p)
	return err == nil && info.Mode().IsRegular()
}

// serve starts the servers and waits until they answer.
func (o *natlabOptions) serve(ctx context.Context, l *netlab.Lab) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var running []*exec.Cmd
	stop = func() {
		cancel()
		for _, c := range running {
			c.Wait()
		}
	}
	a, b := labServers[0].String(), labServers[1].String()
	args := []string{"-q", "--only", "stun", "--listen", a + ":8080", "--stun-listen", a + ":3478", "--stun-listen", b + ":3479"}
	if o.server == "plain" {
		args = []string{"-q", "--only", "stun", "--listen", a + ":8080"}
	}
	if o.server == "deaf" {
		end, err := serveDeaf(ctx, l, "server", [2]netip.Addr(labServers[:2]))
		if err != nil {
			cancel()
			return nil, err
		}
		if err := o.await(ctx, l, "server", o.address()); err != nil {
			end()
			cancel()
			return nil, err
		}
		return func() { cancel(); end() }, nil
	}
	start := func(host, name string, args ...string) error {
		c := l.CommandContext(ctx, host, name, args...)
		if name == o.program("xp2p-seed") {
			c.Stderr = os.Stderr
		}
		if err := c.Start(); err != nil {
			return err
		}
		running = append(running, c)
		return nil
	}
	if err = start("server", o.program("xp2p-seed"), args...); err != nil {
		stop()
		return nil, err
	}
	if o.rivals || o.server == "coturn" {
		if coturn, lookErr := exec.LookPath("turnserver"); lookErr == nil {
			dir, tempErr := os.MkdirTemp("", "natlab")
			if tempErr != nil {
				stop()
				return nil, tempErr
			}
			end := stop
			stop = func() { end(); os.RemoveAll(dir) }
			if err = start("coturn", coturn, "-n", "--stun-only", "-L", labServers[2].String(), "-L", labServers[3].String(), "--no-tls", "--no-dtls",
				"--no-cli", "--log-file", filepath.Join(dir, "log"), "--pidfile", filepath.Join(dir, "pid"), "--db", filepath.Join(dir, "db")); err != nil {
				stop()
				return nil, err
			}
		} else if o.server == "coturn" {
			stop()
			return nil, tool.Failed("turnserver is not installed").Hint("apt-get install coturn")
		}
	}
	addrs := map[string]string{"server": o.address()}
	if len(running) > 1 {
		addrs["coturn"] = labServers[2].String() + ":3478"
		if o.server == "coturn" {
			delete(addrs, "server")
		}
	}
	for host, addr := range addrs {
		if err := o.await(ctx, l, host, addr); err != nil {
			stop()
			return nil, err
		}
	}
	return stop, nil
}

// await asks a server from its own host until it answers.
func (o *natlabOptions) await(ctx context.Context, l *netlab.Lab, host, addr string) error {
	for range 30 {
		c := l.CommandContext(ctx, host, o.program("xp2p-natprobe"), "-q", addr)
		if _, err := c.Output(); err == nil || c.ProcessState != nil && c.ProcessState.ExitCode() == tool.ExitIncomplete {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return fmt.Errorf("the server at %s does not answer its own host", addr)
}

func (o *natlabOptions) address() string {
	switch o.server {
	case "coturn":
		return labServers[2].String() + ":3478"
	case "plain":
		return labServers[0].String() + ":8080"
	}
	return labServers[0].String() + ":3478"
}

// probe runs xp2p-natprobe once, as a user would.
func (o *natlabOptions) probe(ctx context.Context, l *netlab.Lab) (r nat.Report, err error) {
	c := l.CommandContext(ctx, netlab.Client, o.program("xp2p-natprobe"), "--json", o.address())
	out, err := c.Output()
	if ctx.Err() != nil {
		return r, context.Cause(ctx)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if json.Unmarshal([]byte(lines[len(lines)-1]), &r) != nil || r.Type != "nat" {
		return r, fmt.Errorf("xp2p-natprobe: %w: %q", cmp.Or(err, errNoReport), out)
	}
	return r, nil
}

var errNoReport = fmt.Errorf("no report")

func (o *natlabOptions) write(t *tool.IO, results []*natResult) error {
	w := tabwriter.NewWriter(t.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "network\tby\tclass and pair right\twrong\tmedian\tworst")
	names := []string{}
	for _, r := range results {
		for _, x := range r.Rivals {
			if !slices.Contains(names, x.Tool) {
				names = append(names, x.Tool)
				fmt.Fprintf(w, "\t%s", x.Tool)
			}
		}
	}
	fmt.Fprintln(w)
	for _, r := range results {
		fmt.Fprintf(w, "%s\t%s\t%d/%d\t%d\t%.0f ms\t%.0f ms", r.Network, r.By, r.Right, r.Runs, r.Wrong, r.MedianMS, r.WorstMS)
		for _, x := range r.Rivals {
			word := "wrong"
			if x.Right {
				word = "right"
			}
			fmt.Fprintf(w, "\t%s, %.1f s: %s", word, x.MS/1000, x.Said)
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range results {
		if len(r.Said) > 0 {
			fmt.Fprintf(t.Out, "%s: not right: %s\n", r.Network, strings.Join(r.Said, "; "))
		}
		if r.Lateness != "" {
			fmt.Fprintf(t.Out, "%s: times are not to be believed: %s\n", r.Network, r.Lateness)
		}
	}
	return nil
}

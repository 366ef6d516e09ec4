package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/xp2p/xp2p/lib/bench"
	"github.com/xp2p/xp2p/lib/tool"
)

// maxSeeds is far more than an interval gets narrower by.
const maxSeeds = 10_000

// calibrateSeeds is over how many rooms simulator and reality are compared: in one of
// thirty a few viewers decide, and which neighbours they have is another draw each
// time.
const calibrateSeeds = 3

type swarmOptions struct {
	topology    string
	peers       int // 0: as many as the scenario says
	scenario    string
	seed        uint64
	seeds, jobs int // seeds 0: one, or calibrateSeeds; jobs 0: as many as there are CPUs
	link        string
	json        bool
	csv, html   string
	real        bool   // real processes on loopback instead
	calibrate   bool   // simulation and real processes beside each other
	bin         string // where these are; empty: beside this program, or in PATH
	simulate    bench.Runner
}

func swarmCommand(simulate bench.Runner) *tool.Command {
	o := &swarmOptions{topology: "all", scenario: "steady", seed: 1, link: "flow", simulate: simulate}
	return &tool.Command{
		Name:    "swarm",
		Summary: "play a scenario with thousands of viewers in one process",
		Flags: []tool.Flag{
			tool.Choice(&o.topology, "topology", "who feeds whom", append([]string{"all"}, bench.Topologies...)...),
			tool.Int(&o.peers, "peers", "how many viewers; 0 is as many as the scenario says"),
			tool.String(&o.scenario, "scenario", "`NAME|FILE` of what happens"),
			tool.Uint64(&o.seed, "seed", "the first seed of all that is random"),
			tool.Int(&o.seeds, "seeds", "how many seeds, one after another; 0 is 1, or 3 with --calibrate"),
			tool.Choice(&o.link, "link", "model of the links", "flow", "packet"),
			tool.Bool(&o.json, "json", "JSON Lines instead of a table"),
			tool.String(&o.csv, "csv", "write a row for each run to `FILE`"),
			tool.String(&o.html, "html", "write a page with table and pictures to `FILE`"),
			tool.Bool(&o.real, "real", "real processes on loopback instead, and plain HTTP viewers beside them"),
			tool.Bool(&o.calibrate, "calibrate", "30 real processes behind emulated links beside the simulation of the same (root)"),
			tool.String(&o.bin, "bin", "`DIR` of xp2p-slice, xp2p-seed and xp2p-peer; if not given, this program's own, or PATH"),
			tool.Int(&o.jobs, "jobs", "runs at the same time; 0 is one for each CPU"),
		},
		Run: func(ctx context.Context, t *tool.IO, _ []string) error { return o.run(ctx, t) },
	}
}

func (o *swarmOptions) run(ctx context.Context, t *tool.IO) error {
	if err := o.check(); err != nil {
		return err
	}
	switch {
	case o.seeds > 0:
	case o.calibrate:
		o.seeds = calibrateSeeds
	default:
		o.seeds = 1
	}
	if o.real || o.calibrate {
		return o.runReal(ctx, t)
	}
	s, err := loadScenario(t, o.scenario)
	if err != nil {
		return err
	}
	if o.peers > 0 {
		if s, err = s.Resized(o.peers); err != nil {
			return tool.Usage("--peers %d: %w", o.peers, err)
		}
	}
	w := &bench.Sweep{Scenario: s, Topologies: []string{o.topology}, Seed: o.seed, Seeds: o.seeds, Link: o.link, Jobs: o.jobs, Run: o.simulate}
	if o.topology == "all" {
		w.Topologies = bench.Topologies
	}
	if w.Jobs == 0 {
		w.Jobs = runtime.GOMAXPROCS(0)
	}
	if t.StatusShown() {
		w.Progress = func(p bench.Progress) {
			t.Status("%s: %d of %d runs done; %s, seed %d: %.0f of %.0f s, %d viewers", s.Name, p.Done, p.Of, p.Topology, p.Seed, p.AtSeconds, s.Seconds, p.Viewers)
		}
	}
	runs, err := w.Do(ctx, func(r *bench.Run) error {
		if !o.json {
			return nil
		}
		_, err := t.Out.Write(bench.AppendRun(nil, s, r))
		return err
	})
	t.Status("")
	if len(runs) == 0 || errors.Is(err, tool.ErrReaderLeft) {
		return err
	}
	if e := o.report(t, s, runs); e != nil {
		return e
	}
	if err != nil && !tool.Interrupted(err) {
		return tool.Incomplete("%d of %d runs are done: %w", len(runs), w.Count(), err)
	}
	if err != nil {
		t.Log.Warn("interrupted: the report is of the runs that were done", "done", len(runs), "of", w.Count())
	}
	return err
}

// check holds what single flags cannot, and whether the files will find their
// place: a sweep can take hours.
func (o *swarmOptions) check() error {
	switch {
	case o.peers < 0:
		return tool.Usage("--peers %d: want 1 or more", o.peers)
	case o.seeds < 0 || o.seeds > maxSeeds:
		return tool.Usage("--seeds %d: want at most %d", o.seeds, maxSeeds)
	case o.seed > math.MaxUint64-maxSeeds:
		return tool.Usage("--seed %d: too near to the last there is", o.seed)
	case o.real && o.calibrate:
		return tool.Usage("--real and --calibrate exclude each other")
	case o.jobs < 0:
		return tool.Usage("--jobs %d: want 0 or more", o.jobs)
	}
	return errors.Join(placeFor("csv", o.csv), placeFor("html", o.html))
}

func placeFor(flag, name string) error {
	if name == "" {
		return nil
	}
	if i, err := os.Stat(filepath.Dir(name)); err != nil || !i.IsDir() {
		return tool.Usage("--%s %s: there is no directory %s", flag, name, filepath.Dir(name))
	}
	if i, err := os.Stat(name); err == nil && i.IsDir() {
		return tool.Usage("--%s %s: it is a directory", flag, name).Hint("name a file")
	}
	return nil
}

// report writes what the runs came to: files first, so that what is read last on
// a terminal is the table.
func (o *swarmOptions) report(t *tool.IO, s *bench.Scenario, runs []*bench.Run) error {
	all := bench.Summarize(s, runs)
	write := func(name string, to func(io.Writer) error) error {
		if name == "" {
			return nil
		}
		var b bytes.Buffer
		if err := to(&b); err != nil {
			return err
		}
		return tool.WriteFile(name, b.Bytes(), 0o644)
	}
	err := errors.Join(
		write(o.csv, func(w io.Writer) error { return bench.WriteCSV(w, s, runs) }),
		write(o.html, func(w io.Writer) error { return bench.WriteHTML(w, s, all) }),
	)
	var out []byte
	if o.json {
		for i := range all {
			out = bench.AppendSummary(out, s, &all[i])
		}
	} else {
		out = []byte(table(t.OutStyle, s, all))
	}
	_, e := t.Out.Write(out)
	return errors.Join(err, e)
}

// loadScenario reads a scenario from stdin, by name or from a file.
func loadScenario(t *tool.IO, name string) (*bench.Scenario, error) {
	if name == "-" {
		b, err := io.ReadAll(io.LimitReader(t.In, bench.MaxScenario+1))
		if err != nil {
			return nil, err
		}
		s, err := bench.ParseScenario(b)
		if err != nil {
			return nil, tool.BadData("stdin: %w", err)
		}
		return s, nil
	}
	s, err := bench.Load(name)
	var missing *os.PathError
	switch {
	case err == nil:
		return s, nil
	case errors.Is(err, bench.ErrUnknownScenario):
		return nil, tool.Usage("%w", err).Hint("there are %s; or name a file", strings.Join(bench.Names(), ", "))
	case errors.As(err, &missing):
		return nil, err
	}
	return nil, tool.BadData("%w", err).Hint("xp2p-bench scenarios %s prints one that is right", bench.Names()[0])
}

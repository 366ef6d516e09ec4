package main

import (
	"bytes"
	"context"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/xp2p/xp2p/lib/bench/rival"
	"github.com/xp2p/xp2p/lib/bench/transport"
	"github.com/xp2p/xp2p/lib/netlab"
	"github.com/xp2p/xp2p/lib/tool"
)

type transportOptions struct {
	linkOptions
	only, workload    string
	size              int64
	duration, timeout time.Duration
	bitrate           int64
	latency           time.Duration
	hint              int64
	parallel, runs    int
	fair, against     string
	to                string
	reverse           bool
	json              bool
	html              string
	load              float64 // of the machine, when it began
}

func transportCommand() *tool.Command {
	o := &transportOptions{
		linkOptions: linkOptions{kind: transport.UDP, rate: 50e6, rtt: 40 * time.Millisecond, queue: "1bdp", loss: "0", seed: 1},
		only:        strings.Join(rival.Names(), ","), workload: transport.Cold, size: 1 << 20, duration: 10 * time.Second, timeout: time.Minute,
		bitrate: 6e6, latency: 120 * time.Millisecond, parallel: 1, runs: 5, fair: "1:1", against: "tcp-cubic",
	}
	flags := []tool.Flag{
		tool.String(&o.only, "only", "`NAMES` of the transports, with commas between them"),
		tool.Choice(&o.workload, "workload", "what they do", transport.Workloads...),
	}
	flags = append(flags, o.linkOptions.flags()...)
	flags = append(flags,
		tool.Size(&o.size, "size", "`BYTES` of a cold object"),
		tool.Duration(&o.duration, "duration", "for how long, of every other workload").Short("t"),
		tool.Rate(&o.bitrate, "bitrate", "`RATE` of live messages, and of cpu"),
		tool.Duration(&o.latency, "latency", "what live messages are given from write to read"),
		tool.Rate(&o.hint, "hint", "`RATE` that XNTP's ends know of their links, and a token for the address; 0 is nothing"),
		tool.Int(&o.parallel, "parallel", "flows at once, of bulk").Short("P"),
		tool.String(&o.fair, "fair", "`N:M` flows, of each transport and of the one that it is measured against; N alone is against its own kind"),
		tool.Choice(&o.against, "against", "whom the fair workload measures against", rival.Names()...),
		tool.Int(&o.runs, "runs", "runs of each transport that count"),
		tool.Duration(&o.timeout, "timeout", "when a run is given up"),
		tool.String(&o.to, "to", "measure against xp2p-bench serve at `HOST:PORT` instead of an emulated link"),
		tool.Bool(&o.reverse, "reverse", "with --to: the server sends").Short("R"),
		tool.Bool(&o.json, "json", "JSON Lines instead of a table"),
		tool.String(&o.html, "html", "write a page with table and pictures to `FILE`"),
	)
	return &tool.Command{
		Name:    "transport",
		Summary: "XNTP beside what people would use instead, on one link in one run",
		Flags:   flags,
		Run:     func(ctx context.Context, t *tool.IO, _ []string) error { return o.run(ctx, t) },
	}
}

func (o *transportOptions) run(ctx context.Context, t *tool.IO) error {
	p, err := o.plan()
	if err != nil {
		return err
	}
	if err := placeFor("html", o.html); err != nil {
		return err
	}
	if o.to != "" {
		return o.runRemote(ctx, t, p)
	}
	if err := p.Check(); err != nil {
		return tool.Usage("%w", err)
	}
	if p.Link.Kind == transport.TUN {
		if err := netlab.Available(); err != nil {
			return tool.Failed("--link tun: %w", err).Hint("run it as root, or with --link udp")
		}
	}
	o.load, _ = loadAverage()
	var progress func(transport.Progress)
	if t.StatusShown() {
		progress = func(g transport.Progress) {
			t.Status("%s over %s: %s, run %d of %d; %d rejected so far", p.Workload, &p.Link, g.Transport, g.Round, g.Rounds, g.Rejected)
		}
	}
	all, err := p.Do(ctx, progress)
	t.Status("")
	if err != nil && !tool.Interrupted(err) {
		return err
	}
	if e := o.report(t, p, all); e != nil {
		return e
	}
	if err != nil {
		t.Log.Warn("interrupted: the report is of the runs that were done")
		return err
	}
	for i := range all {
		if r := &all[i]; r.Skipped == nil && len(r.Samples) < p.Runs {
			return tool.Incomplete("%s: %d of %d runs count: the emulator was late too often", r.Transport, len(r.Samples), p.Runs).
				Hint("measure on a machine that does nothing else; --link tun (root) is late less often")
		}
	}
	return nil
}

// plan puts the flags together.
func (o *transportOptions) plan() (*transport.Plan, error) {
	l, err := o.link()
	if err != nil {
		return nil, err
	}
	p := &transport.Plan{
		Link: l, Workload: o.workload, Size: o.size, Duration: o.duration, Bitrate: o.bitrate, Latency: o.latency, Hint: o.hint, Parallel: o.parallel,
		Against: o.against, Runs: o.runs, Timeout: o.timeout,
	}
	for name := range strings.SplitSeq(o.only, ",") {
		if _, err := rival.Find(name); err != nil {
			return nil, tool.Usage("--only: %w", err)
		}
		p.Only = append(p.Only, name)
	}
	if p.Flows, p.Others, err = parseFair(o.fair); err != nil {
		return nil, err
	}
	switch {
	case o.workload == transport.Loopback, o.workload == transport.CPU && o.kind == transport.UDP:
		p.Link = transport.Link{Kind: transport.None, Seed: l.Seed}
	}
	return p, nil
}

// parseFair reads 1:4 or 2.
func parseFair(s string) (own, others int, err error) {
	a, b, found := strings.Cut(s, ":")
	if own, err = strconv.Atoi(a); err == nil && found {
		others, err = strconv.Atoi(b)
	}
	if err != nil || own < 1 || others < 0 {
		return 0, 0, tool.Usage("--fair %s: want 1:1, 1:4 or 2", s)
	}
	return own, others, nil
}

// report writes what the runs came to: the page first, so that what is read last
// on a terminal is the table.
func (o *transportOptions) report(t *tool.IO, p *transport.Plan, all []transport.Result) error {
	if o.html != "" {
		var b bytes.Buffer
		if err := transport.WriteHTML(&b, p, all); err != nil {
			return err
		}
		if err := tool.WriteFile(o.html, b.Bytes(), 0o644); err != nil {
			return err
		}
	}
	var out []byte
	if o.json {
		for i := range all {
			out = transport.AppendResult(out, &all[i])
		}
	} else {
		out = []byte(transportTable(t.OutStyle, p, all, busy(o.load, runtime.NumCPU())))
	}
	_, err := t.Out.Write(out)
	return err
}

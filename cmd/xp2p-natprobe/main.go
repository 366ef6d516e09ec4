package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/tool"
)

func main() { tool.Main(command()) }

//go:embed doc.go
var manual string

func command() *tool.Command {
	o := &options{every: 30 * time.Second}
	return &tool.Command{
		Name:    "xp2p-natprobe",
		Summary: "name the network: what kind of NAT or firewall, and whom one can reach",
		Args:    "[SERVER|URL…]",
		Manual:  manual,
		Flags: []tool.Flag{
			tool.Strings(&o.stun, "stun", "ask this STUN `SERVER`, HOST or HOST:PORT"),
			tool.Bool(&o.json, "json", "JSON Lines instead of text"),
			tool.Bool(&o.explain, "explain", "show every question, what became of it, and what it proves"),
			tool.Bool(&o.watch, "watch", "go on, and report again when the network changes"),
			tool.Duration(&o.every, "every", "with --watch, how often the network is looked at"),
			tool.Bool(&o.lifetime, "lifetime", "find out how long a mapping lives without traffic: takes five minutes"),
			tool.Bool(&o.mtu, "mtu", "find the largest packet that passes"),
			tool.Bool(&o.plain, "plain", "use nothing that only Linux has"),
		},
		Run: o.run,
	}
}

type options struct {
	stun                                       []string
	json, explain, watch, lifetime, mtu, plain bool
	every                                      time.Duration
}

func (o *options) run(ctx context.Context, t *tool.IO, args []string) error {
	names := slices.Concat(args, o.stun)
	if len(args) > 0 {
		names = args // what is said here and now wins over the environment
	}
	if len(names) == 0 {
		return tool.Usage("no server to ask").Hint("xp2p-natprobe stun.example.org, or the URL of a room, or XP2P_STUN")
	}
	if o.watch && o.lifetime {
		return tool.Usage("--watch and --lifetime: a lifetime takes five minutes").Hint("one of the two")
	}
	if o.watch && o.every < time.Second {
		return tool.Usage("--every %v: a second at least", o.every)
	}
	if o.watch {
		return o.keepWatching(ctx, t, names)
	}
	f, err := o.find(ctx, t, names)
	if err != nil {
		return err
	}
	if err := o.print(t, f); err != nil {
		return err
	}
	return f.verdict()
}

// verdict is the exit code of a report.
func (f *finding) verdict() error {
	c := classOf(f.report)
	switch {
	case c == nat.Offline:
		return tool.Unreachable("nobody answered: not over UDP, not over TCP").Hint("is this machine online, and are the servers right?")
	case f.report.UDP == nil || !*f.report.UDP && c != nat.UDPBlocked:
		if f.refused {
			return tool.Unreachable("nobody answered: the host is there, and refuses the port").Hint("is a STUN server running there?")
		}
		return tool.Unreachable("nobody answered")
	case c == nat.Unclassified:
		return tool.Incomplete("inconclusive: %s", words(f.report.Candidates, " or "))
	}
	return nil
}

func classOf(r nat.Report) nat.Class {
	c, _ := nat.ParseClass(r.Class)
	return c
}

// print writes a finding in the form that was asked for.
func (o *options) print(t *tool.IO, f *finding) error {
	switch {
	case o.json:
		if o.explain {
			for _, p := range f.probes {
				if err := writeJSON(t.Out, probeLine(p)); err != nil {
					return err
				}
			}
		}
		return writeJSON(t.Out, f.report)
	case t.Quiet:
		word := f.report.Class
		if word == "" {
			word = "inconclusive"
		}
		_, err := fmt.Fprintln(t.Out, word)
		return err
	}
	if o.explain {
		if err := explain(t.Out, t.OutStyle, f); err != nil {
			return err
		}
	}
	return show(t.Out, t.OutStyle, f.report)
}

func writeJSON(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// keepWatching reports whenever the network is another than before.
func (o *options) keepWatching(ctx context.Context, t *tool.IO, names []string) error {
	last := ""
	for {
		f, err := o.find(ctx, t, names)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			t.Log.Warn("cannot probe", "err", err)
		default:
			if now := identity(f.report); now != last {
				last = now
				if err := o.print(t, f); err != nil {
					return err
				}
			}
		}
		t.Status("watching; %s", last)
		if err := waitForChange(ctx, o.every); err != nil {
			return err
		}
	}
}

// identity is what makes a network another one. Ports change with every probe.
func identity(r nat.Report) string {
	hosts := []string{}
	for _, a := range r.PublicAddrs {
		if h := hostOf(a); !slices.Contains(hosts, h) {
			hosts = append(hosts, h)
		}
	}
	slices.Sort(hosts)
	return fmt.Sprintf("%s %s %s %s", words(r.Candidates, "/"), r.Mapping, r.Filtering, words(hosts, " "))
}

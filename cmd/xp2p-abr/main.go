package main

import (
	_ "embed"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/xp2p/xp2p/lib/abr"
	"github.com/xp2p/xp2p/lib/tool"
)

func main() { tool.Main(command()) }

//go:embed doc.go
var manual string

func command() *tool.Command {
	o := &options{mode: "keyframe", stall: 5 * time.Second, ffmpeg: "ffmpeg", buffer: 10 * time.Second}
	i := &inspectOptions{span: 10 * time.Minute}
	return &tool.Command{
		Name:           "xp2p-abr",
		Summary:        "write one stream of several renditions, switching between them without a trace",
		Args:           "[NAME=]SOURCE [NAME=]SOURCE…",
		Manual:         manual,
		ReaderMayLeave: true,
		Flags: []tool.Flag{
			tool.String(&o.plan, "plan", "when to switch: `at=TIME:NAME`,at=TIME:NAME"),
			tool.String(&o.control, "control", "read commands while running from `FILE` or fd:N"),
			tool.Choice(&o.mode, "switch", "at the new rendition's next keyframe, or at once", "keyframe", "now"),
			tool.Bool(&o.auto, "auto", "choose by the throughput of the inputs and the buffer of a player at stdout"),
			tool.Duration(&o.buffer, "buffer", "how much that player holds when all is well"),
			tool.Bool(&o.trust, "trust", "take the renditions' clocks as they are, instead of finding out where they meet"),
			tool.String(&o.events, "events", "write what happens to `FILE`, as JSON Lines"),
			tool.Duration(&o.stall, "stall", "go on without a rendition that gives nothing for so long"),
			tool.String(&o.ffmpeg, "ffmpeg", "the `PROGRAM` that encodes bridges; \"\" is none"),
			tool.String(&o.output, "output", "write `FILE` instead of stdout; \"-\" is stdout even if that is a terminal").Short("o"),
		},
		Run: o.run,
		Verbs: []*tool.Command{
			{Name: "inspect", Summary: "say whether renditions can be switched between, and what to tell the encoder if not", Args: "[NAME=]SOURCE [NAME=]SOURCE…", Run: i.inspect, Flags: []tool.Flag{
				tool.Bool(&i.json, "json", "JSON Lines instead of text"),
				tool.Duration(&i.span, "span", "how much of each to look at"),
			}},
		},
	}
}

type options struct {
	plan, control, mode, events, ffmpeg, output string
	stall, buffer                               time.Duration
	auto, trust                                 bool
}

// A source is a rendition as the command line names it.
type source struct{ name, from string }

// again reports whether a source can be read a second time.
func (s source) again() bool {
	if strings.Contains(s.from, "://") {
		return false
	}
	about, err := os.Stat(s.from)
	return err == nil && about.Mode().IsRegular()
}

// sources reads NAME=SOURCE, or SOURCE, which is named by its file's name
// without the ending.
func sources(args []string) (all []source, err error) {
	for _, a := range args {
		s := source{from: a}
		if name, from, ok := strings.Cut(a, "="); ok && name != "" && !strings.ContainsAny(name, "/:?&") {
			s = source{name, from}
		} else {
			base := filepath.Base(a)
			if strings.Contains(a, "://") {
				base, _, _ = strings.Cut(path.Base(a), "?")
			}
			if s.name = strings.TrimSuffix(base, path.Ext(base)); s.name == "" {
				s.name = base
			}
		}
		if strings.ContainsAny(s.name, " \t\n") {
			return nil, tool.Usage("a rendition's name has no blanks: %q", s.name).Hint("name it: NAME=%s", s.from)
		}
		if slices.ContainsFunc(all, func(o source) bool { return o.name == s.name }) {
			return nil, tool.Usage("two renditions are called %s", s.name).Hint("name them: NAME=SOURCE")
		}
		all = append(all, s)
	}
	if len(all) < 2 {
		return nil, tool.Usage("two renditions at least, got %d", len(all)).Hint("xp2p-abr low=240p.flv high=720p.flv --plan at=12s:high")
	}
	return all, nil
}

func names(all []source) (n []string) {
	for _, s := range all {
		n = append(n, s.name)
	}
	return n
}

func (o *options) config(all []source) (cfg abr.Config, err error) {
	cfg = abr.Config{Names: names(all), History: history, Trust: o.trust}
	if cfg.Mode, err = abr.ParseMode(o.mode); err != nil {
		return cfg, tool.Usage("--switch %w", err)
	}
	if cfg.Plan, err = abr.ParsePlan(o.plan, cfg.Names); err != nil {
		return cfg, tool.Usage("--plan: %w", err)
	}
	if o.auto && len(cfg.Plan) > 0 {
		return cfg, tool.Usage("--auto chooses by itself: it goes with --control, not with --plan")
	}
	if len(cfg.Plan) > 0 && cfg.Plan[0].At == 0 {
		cfg.First, cfg.Plan = cfg.Plan[0].To, cfg.Plan[1:]
	}
	return cfg, nil
}

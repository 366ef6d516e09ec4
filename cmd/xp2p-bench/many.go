package main

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/xp2p/xp2p/lib/bench/many"
	"github.com/xp2p/xp2p/lib/tool"
)

func manyCommand() *tool.Command {
	p := &many.Plan{Connections: 1000, Bitrate: 1e6, Interval: 100 * time.Millisecond, Duration: 10 * time.Second}
	runs, asJSON := 1, false
	return &tool.Command{
		Name:    "many",
		Summary: "one endpoint with a thousand connections over loopback",
		Flags: []tool.Flag{
			tool.Int(&p.Connections, "connections", "peers that are connected to it"),
			tool.Rate(&p.Bitrate, "bitrate", "`RATE` of each"),
			tool.Duration(&p.Interval, "interval", "between the objects of one connection"),
			tool.Duration(&p.Duration, "duration", "for how long, and under the flood once more").Short("t"),
			tool.Int(&p.Flood, "flood", "Initials of strangers, sent within the duration; 0 is none"),
			tool.Int(&runs, "runs", "runs that count"),
			tool.Bool(&asJSON, "json", "JSON Lines instead of words"),
		},
		Run: func(ctx context.Context, t *tool.IO, _ []string) error {
			if err := p.Check(); err != nil {
				return tool.Usage("%w", err)
			}
			if runs < 1 || runs > 100 {
				return tool.Usage("--runs %d: want 1 to 100", runs)
			}
			load, _ := loadAverage()
			good, rejected := 0, 0
			for try := 0; good < runs && try < 3*runs; try++ {
				r, err := many.Run(ctx, p, func(what string) { t.Status("run %d of %d: %s; %d rejected so far", good+1, runs, what, rejected) })
				t.Status("")
				if err != nil {
					return err
				}
				if r.Rejected != nil {
					rejected++
				} else {
					good++
				}
				out := manyText(p, &r)
				if asJSON {
					out = manyLine(p, &r)
				}
				if _, err := t.Out.Write([]byte(out)); err != nil {
					return err
				}
			}
			if s := busy(load, runtime.NumCPU()); s != "" && !asJSON {
				fmt.Fprintln(t.Out, t.OutStyle.Dim(s))
			}
			if good < runs {
				return tool.Incomplete("%d of %d runs count: the machine was late too often", good, runs).Hint("measure on a machine that does nothing else")
			}
			return nil
		},
	}
}

func manyText(p *many.Plan, r *many.Report) string {
	var b strings.Builder
	say := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "%-22s %s\n", what, fmt.Sprintf(format, args...))
	}
	ms := func(d time.Duration) float64 { return d.Seconds() * 1000 }
	say("connections", "%d, each with %.2f Mbit/s in objects %v apart", p.Connections, float64(p.Bitrate)/1e6, p.Interval)
	if r.Rejected != nil {
		say("rejected", "%v", r.Rejected)
	}
	say("idle connection", "%.1f KiB for each end", r.IdleBytes/1024)
	say("goodput", "%.1f Mbit/s", r.Goodput/1e6)
	say("late", "p50 %.1f ms, p99 %.1f ms, most %.1f ms; %d of %d objects by more than %v", ms(r.LateP50), ms(r.LateP99), ms(r.LateMost), r.TooLate, r.Objects, many.Late)
	say("wake-ups", "%.0f a second", r.Wakeups)
	say("machine", "%.1f ms late at p99", ms(r.MachineP99))
	if p.Flood > 0 {
		say("under a flood", "%.1f Mbit/s = %.1f %%; %d Initials, %d cookies, %d refused, %d accepted", r.FloodGoodput/1e6, 100*r.FloodGoodput/r.Goodput,
			r.FloodSent, r.Retried, r.Refused, r.FloodAccepted)
	}
	return b.String()
}

func manyLine(p *many.Plan, r *many.Report) string {
	m := map[string]any{
		"type": "many", "connections": p.Connections, "bitrate_bps": p.Bitrate, "duration_s": p.Duration.Seconds(),
		"idle_bytes": int(r.IdleBytes), "goodput_bps": int64(r.Goodput), "objects": r.Objects, "late_objects": r.TooLate,
		"late_p50_ms": r.LateP50.Seconds() * 1000, "late_p99_ms": r.LateP99.Seconds() * 1000, "late_most_ms": r.LateMost.Seconds() * 1000,
		"wakeups_per_s": int(r.Wakeups), "machine_late_p99_ms": r.MachineP99.Seconds() * 1000, "rejected": r.Rejected != nil,
	}
	if p.Flood > 0 {
		m["flood_goodput_bps"], m["flood_initials"], m["flood_accepted"] = int64(r.FloodGoodput), r.FloodSent, r.FloodAccepted
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic("BUG: a report without a JSON: " + err.Error())
	}
	return string(b) + "\n"
}

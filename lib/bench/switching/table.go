package switching

import (
	"fmt"
	"strings"
	"time"
)

// A Table is what people read.
type Table struct {
	Cells, Switches, Wrong int
	modes                  map[string]int
	dip, drift             float64
	players                map[string]int
}

// Add returns the lines of a cell.
func (t *Table) Add(c Cell, row []Result) string {
	if t.Cells == 0 {
		t.modes, t.players, t.dip = map[string]int{}, map[string]int{}, -99
	}
	t.Cells++
	var b strings.Builder
	dip, drift, bad := -99.0, 0.0, 0
	var moments, wrong []string
	for _, r := range row {
		t.Switches++
		t.modes[r.Mode]++
		dip, drift = max(dip, r.DipDB), max(drift, r.DriftMS)
		moments = append(moments, fmt.Sprintf("%.2f→%.2f%s", float64(r.AskedMS)/1000, float64(r.AtMS)/1000, map[string]string{"bridge": "b"}[r.Mode]))
		for _, p := range r.Players {
			t.players[p]++
		}
		if len(r.Wrong) > 0 {
			bad++
			wrong = append(wrong, fmt.Sprintf("      %s at %d ms: %s", r.Switch, r.AskedMS, strings.Join(r.Wrong, "; ")))
		}
	}
	t.Wrong += bad
	t.dip, t.drift = max(t.dip, dip), max(t.drift, drift)
	verdict := "ok  "
	if bad > 0 {
		verdict = "SEEN"
	}
	fmt.Fprintf(&b, "%3d %s %-72s dip %5.2f dB, drift %.1f ms   %s\n", t.Cells, verdict, c, dip, drift, strings.Join(moments, " "))
	for _, w := range wrong {
		fmt.Fprintln(&b, w)
	}
	return b.String()
}

// Summary is the last lines.
func (t *Table) Summary(took time.Duration) string {
	players := ""
	if t.players["vlc"] == 0 {
		players = ", no VLC"
	}
	for _, p := range []string{"vlc", "chromium-mse", "chromium-mpegts.js"} {
		if n := t.players[p]; n > 0 {
			players += fmt.Sprintf(", %s %d", p, n)
		}
	}
	return fmt.Sprintf("%d cells, %d switches (%d by keyframe, %d by bridge), %d seen; worst dip %.2f dB (1 is allowed), drift %.1f ms; played by ffmpeg %d%s; %v\n",
		t.Cells, t.Switches, t.modes["keyframe"], t.modes["bridge"], t.Wrong, t.dip, t.drift, t.Switches, players, took.Truncate(time.Second))
}

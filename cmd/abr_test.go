package cmd_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/bench/switching"
)

// A few cells of the matrix that "xp2p-bench abr" runs whole: real renditions,
// real switches, every picture held against the source.
func TestSwitchesCannotBeSeen(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("encodes six renditions")
	}
	encoders, err := exec.Command("ffmpeg", "-hide_banner", "-encoders").Output()
	if err != nil {
		t.Skip("ffmpeg is not installed")
	}
	b := &switching.Bench{Program: filepath.Join(programs, "xp2p-abr"), Dir: t.TempDir()}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	for _, c := range []struct {
		cell switching.Cell
		mode string
		at   int64
	}{
		{switching.Cell{Up: true, GOP: 4, BFrames: 3, FPS: "25", Scale: 1000}, "now", 2330},
		{switching.Cell{GOP: 1, BFrames: 2, Open: true, FPS: "24", MP4: true, Aligned: true, Scale: 1000}, "keyframe", 2500},
		{switching.Cell{Up: true, GOP: 2, BFrames: 2, FPS: "vfr", MP4: true, HEVC: true, Scale: 90000}, "keyframe", 1500},
	} {
		if c.cell.HEVC && !strings.Contains(string(encoders), "libx265") || !strings.Contains(string(encoders), "libx264") {
			t.Logf("%v: there is no encoder", c.cell)
			continue
		}
		r, err := b.Run(ctx, c.cell, c.at, c.mode)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%v: asked at %d ms, made at %d ms (%s), dip %.2f dB, drift %.1f ms", c.cell, r.AskedMS, r.AtMS, r.Mode, r.DipDB, r.DriftMS)
		for _, w := range r.Wrong {
			t.Errorf("%v: %s", c.cell, w)
		}
	}
}

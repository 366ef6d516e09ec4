package cmd_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// The demonstration that the README opens with: six viewers, half of them late.
func TestDemo(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes a minute for each topology")
	}
	// Both build the programs: here, so that neither writes over what the other runs.
	run(t, launch{dir: ".."}, "go", "build", "-trimpath", "-buildvcs=false", "-o", "bin/", "./cmd/...").wantExit(3*time.Minute, 0)
	for _, c := range []struct {
		topology string
		share    float64
	}{{"balanced", 0.70}, {"mesh", 0.60}} {
		t.Run(c.topology, func(t *testing.T) {
			t.Parallel()
			p := run(t, launch{dir: ".."}, "bash", "scripts/demo", "--json", "--topology", c.topology)
			p.wantExit(3*time.Minute, 0)
			viewers := 0
			share := -1.0
			for line := range strings.Lines(p.out.String()) {
				var l struct {
					Type   string  `json:"type"`
					Equal  bool    `json:"equal"`
					Viewer int     `json:"viewer"`
					Share  float64 `json:"share_ratio"`
				}
				if err := json.Unmarshal([]byte(line), &l); err != nil {
					t.Fatalf("%q: %v", line, err)
				}
				switch l.Type {
				case "viewer":
					viewers++
					if !l.Equal {
						t.Errorf("the output of viewer %d is wrong", l.Viewer)
					}
				case "demo":
					share = l.Share
				}
			}
			t.Logf("%s: %d viewers, share %.3f (at least %.2f)", c.topology, viewers, share, c.share)
			if viewers < 6 || share < c.share {
				t.Errorf("%d viewers, a share of %.3f, want 6 and %.2f", viewers, share, c.share)
			}
		})
	}
}

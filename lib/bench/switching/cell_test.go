package switching

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestCellsCoverAllPairsThatGoTogether(t *testing.T) {
	cells := Cells(40, 1)
	values := func(c Cell) []string {
		return []string{
			fmt.Sprint("up ", c.Up), fmt.Sprint("gop ", c.GOP), fmt.Sprint("bf ", c.BFrames), fmt.Sprint("other bf ", c.OldB != c.BFrames), fmt.Sprint("open ", c.Open),
			"fps " + c.FPS, fmt.Sprint("half ", c.Half), fmt.Sprint("mp4 ", c.MP4), fmt.Sprint("hevc ", c.HEVC), fmt.Sprint("aligned ", c.Aligned), fmt.Sprint("scale ", c.Scale),
		}
	}
	pairs := func(all []Cell) map[string]bool {
		m := map[string]bool{}
		for _, c := range all {
			if c.HEVC && !c.MP4 || c.Open && c.BFrames == 0 || c.Half && c.FPS == "vfr" || !c.MP4 && c.Scale != 1000 {
				t.Errorf("%v cannot be", c)
			}
			v := values(c)
			for i := range v {
				for j := range i {
					m[v[j]+", "+v[i]] = true
				}
			}
		}
		return m
	}
	// Thousands of cells have all that can go together.
	r := rand.New(rand.NewPCG(2, 2))
	var many []Cell
	for range 5000 {
		i := make([]int, len(counts))
		for f, n := range counts {
			i[f] = r.IntN(n)
		}
		if c, ok := cell(i); ok {
			many = append(many, c)
		}
	}
	covered := pairs(cells)
	for p := range pairs(many) {
		if !covered[p] {
			t.Errorf("no cell has %s", p)
		}
	}
}

func TestTimesAreHeldAgainstTheSource(t *testing.T) {
	source := []float64{0, 0.04, 0.08, 0.12, 0.16}
	for _, c := range []struct {
		is   []float64
		says string
	}{
		{[]float64{1, 1.04, 1.12, 1.08, 1.16}, ""}, // in the order of the file, moved as a whole
		{[]float64{0, 0.04, 0.12, 0.16}, "4 frames"},
		{[]float64{0, 0.04, 0.04, 0.12, 0.16}, "two frames at"},
		{[]float64{0, 0.04, 0.08, 0.15, 0.16}, "a gap of 70 ms"},
	} {
		var wrong []string
		holdTimes("pictures", c.is, source, &wrong)
		if said := strings.Join(wrong, "; "); (c.says == "") != (said == "") || !strings.Contains(said, c.says) {
			t.Errorf("%v: %q, want %q", c.is, said, c.says)
		}
	}
}

func TestATableSaysWhatWasSeen(t *testing.T) {
	var table Table
	c := Cell{Up: true, GOP: 2, BFrames: 2, FPS: "60", Half: true, MP4: true, Scale: 1000}
	line := table.Add(c, []Result{
		{Mode: "bridge", AskedMS: 1500, AtMS: 1520, DipDB: 0.2, Players: []string{"vlc"}},
		{Mode: "keyframe", Switch: "keyframe", AskedMS: 3000, AtMS: 4000, DipDB: 7, Wrong: []string{"picture 99 is broken"}},
	})
	for _, want := range []string{"SEEN up gop=2s bf=0→2 closed fps=60/half mp4", "dip  7.00 dB", "1.50→1.52b 3.00→4.00", "keyframe at 3000 ms: picture 99 is broken"} {
		if !strings.Contains(line, want) {
			t.Errorf("%q lacks %q", line, want)
		}
	}
	if s := table.Summary(0); !strings.Contains(s, "1 cells, 2 switches (1 by keyframe, 1 by bridge), 1 seen") || strings.Contains(s, "no VLC") {
		t.Error(s)
	}
}

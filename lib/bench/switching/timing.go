package switching

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// packets are the times of a track in seconds, in the order of the file.
type packets struct{ pts, dts []float64 }

// probe reads the times of pictures and of sound.
func probe(ctx context.Context, path string) (p [2]packets, err error) {
	out, err := run(ctx, "ffprobe", "-v", "error", "-show_entries", "packet=codec_type,pts_time,dts_time", "-of", "csv=p=0", path)
	if err != nil {
		return p, err
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), ",")
		if len(f) < 3 {
			continue
		}
		pts, err1 := strconv.ParseFloat(f[1], 64)
		dts, err2 := strconv.ParseFloat(f[2], 64)
		if err1 != nil || err2 != nil {
			return p, fmt.Errorf("%s: a packet without times: %q", path, line)
		}
		t := &p[0]
		if f[0] == "audio" {
			t = &p[1]
		}
		t.pts, t.dts = append(t.pts, pts), append(t.dts, dts)
	}
	return p, nil
}

// An offset is by how much times differ from the source's.
type offset struct{ least, most float64 }

// holdTimes compares a track with the source's: as many frames, all shifted by
// the same time. What is wrong comes back in words.
func holdTimes(what string, got, want []float64, wrong *[]string) (o offset) {
	said := 0
	say := func(format string, args ...any) {
		if said++; said <= 2 { // the first ones tell
			*wrong = append(*wrong, what+": "+fmt.Sprintf(format, args...))
		}
	}
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if len(got) != len(want) {
		say("%d frames, the source has %d", len(got), len(want))
		return o
	}
	o = offset{math.Inf(1), math.Inf(-1)}
	for i := range got {
		d := got[i] - want[i]
		o.least, o.most = min(o.least, d), max(o.most, d)
		if i > 0 && got[i] <= got[i-1] {
			say("two frames at %.3f s", got[i])
		}
		if i > 0 {
			gap, own := got[i]-got[i-1], want[i]-want[i-1]
			if gap > own+0.0021 {
				say("a gap of %.0f ms at %.3f s, the source's is %.0f ms", gap*1000, got[i], own*1000)
			}
		}
	}
	return o
}

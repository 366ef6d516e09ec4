package abr

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xp2p/xp2p/lib/fmp4"
	"github.com/xp2p/xp2p/lib/internal/testmedia"
	"github.com/xp2p/xp2p/lib/media"
)

// read returns the timeline of a file.
func read(tb testing.TB, name, path string) *Timeline {
	tb.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	c := media.FLV
	if fmp4.Detect(b) {
		c = media.FMP4
	}
	r := NewReader(name, c)
	for p := b; len(p) > 0; {
		n := min(len(p), 1<<20)
		r.Feed(p[:n])
		r.Discard()
		p = p[n:]
	}
	r.End()
	if notes := r.Notes(); len(notes) > 0 {
		tb.Errorf("%s: %v", path, notes)
	}
	return r.Timeline()
}

const fragments = "-movflags +frag_keyframe+empty_moov+default_base_moof"

// ffmpeg runs one command. A missing encoder skips.
func ffmpeg(tb testing.TB, args ...string) {
	tb.Helper()
	cmd := testmedia.Command(tb, append([]string{"-y"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		if strings.Contains(stderr.String(), "Unknown encoder") {
			tb.Skipf("this ffmpeg cannot make it: %s", stderr.String())
		}
		tb.Fatalf("ffmpeg %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
}

// makeLadder makes three renditions of 44 s as different as one can meet: other
// sizes, rates, presets, GOPs, B pictures, containers.
func makeLadder(tb testing.TB, dir string) (paths []string) {
	args := []string{"-filter_complex", testmedia.Film(44, "192x108", "160x90", "128x72")}
	add := func(i int, name, enc string) {
		path := filepath.Join(dir, name)
		args = append(args, "-map", fmt.Sprintf("[v%d]", i), "-map", fmt.Sprintf("[a%d]", i), "-c:a", "aac", "-b:a", "64k", "-fps_mode", "cfr", "-threads", "1")
		args = append(append(args, strings.Fields(enc)...), path)
		paths = append(paths, path)
	}
	add(0, "high.mp4", "-c:v libx264 -preset ultrafast -b:v 600k -g 50 "+fragments)
	add(1, "middle.mp4", "-c:v libx264 -preset veryfast -b:v 200k -bf 2 -g 100 "+fragments)
	add(2, "low.flv", "-c:v libx264 -preset veryfast -b:v 100k -maxrate 120k -bufsize 120k -bf 0 -g 50 -keyint_min 50 -sc_threshold 0")
	ffmpeg(tb, args...)
	return paths
}

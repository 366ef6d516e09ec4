package cmd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A viewer with --abr plays what there is of a room whose rendition ends, or
// cannot follow the others: to its end, without a picture twice, and says what
// happened.
func TestALadderGoesOnWithoutARendition(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 8 s of real time")
	}
	t.Parallel()
	for _, c := range []struct {
		name      string
		high, low func(testing.TB, []string) []string
		says      string
		until     int64 // ms of pictures that are there
		switches  int
		code      int
		long      bool
	}{
		{"it ends", clip{seconds: 8}.live, clip{seconds: 4, rate: "300k"}.live, "it ends", 7_900, 1, 3, false},
		{"another codec", otherCodec, clip{seconds: 30, rate: "300k"}.live, "cannot be switched to", 29_900, 0, 3, true},
		{"the higher ends", clip{seconds: 20, gop: 50}.live, clip{seconds: 30, gop: 50, rate: "300k"}.live, "it ends", 29_900, 2, 3, true},
		{"both go on", clip{seconds: 30, gop: 50}.live, clip{seconds: 30, gop: 50, rate: "300k"}.live, "", 29_900, 1, 0, true},
	} {
		if c.long && os.Getenv("XP2P_LADDER") == "" {
			continue
		}
		high, low := c.high(t, asFLV), c.low(t, asFLV) // made before they run side by side
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := renditions(t, launch{}, high, low)
			url, stats := base(l.seed)+"/"+room, filepath.Join(t.TempDir(), "stats")
			if c.long { // only who is far enough behind goes up
				l.low.await(t, 15*time.Second, "eight seconds of it", func(b []byte) bool { return len(b) > 8*300_000/8 })
			}
			v := run(t, launch{}, "peer", "--listen", "127.0.0.1:0", "--abr", "--stats", stats, url)
			v.wantExit(45*time.Second, c.code)
			if said := v.errs.String(); !strings.Contains(said, c.says) {
				t.Errorf("it says %q", said)
			}
			if n := len(turns(t, stats)); n != c.switches {
				t.Errorf("%d switches", n)
			}
			list := pictures(t, v.out.bytes())
			for i := 1; i < len(list); i++ {
				if d := list[i].dts - list[i-1].dts; d != 40 {
					t.Errorf("picture %d is decoded %d ms behind the one before", i, d)
				}
			}
			if n := len(list); n == 0 || list[n-1].dts < c.until {
				t.Errorf("%d pictures, up to %d ms", n, list[max(0, n-1)].dts)
			}
			file := filepath.Join(t.TempDir(), "out.flv")
			if err := os.WriteFile(file, v.out.bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			if said := decoderSays(t, file); said != "" {
				t.Errorf("ffmpeg says:\n%s", last(said, 600))
			}
		})
	}
}

// otherCodec is a rendition of a codec that cannot follow H.264.
func otherCodec(t testing.TB, muxer []string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "other.flv")
	args := []string{"-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-t", "30", "-c:v", "flv1", "-g", "25", "-b:v", "900k", "-f", "flv", file}
	if out, err := exec.Command("ffmpeg", args...).CombinedOutput(); err != nil {
		t.Skipf("ffmpeg: %v: %s", err, out)
	}
	return append([]string{"-re", "-i", file, "-c", "copy"}, muxer...)
}

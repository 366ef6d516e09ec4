package switching

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/xp2p/xp2p/lib/abr"
	"github.com/xp2p/xp2p/lib/fmp4"
	"github.com/xp2p/xp2p/lib/internal/testmedia"
	"github.com/xp2p/xp2p/lib/media"
)

// Fifty pairs of silent cuts of three renditions, each with a zero point of its own and
// begun where it likes, files and pipes: where the switch is made, the new one's
// pictures must have the times of the old one's.
func TestFiftyRandomCutsMeet(t *testing.T) {
	if os.Getenv("XP2P_ALIGN") == "" {
		t.Skip("takes minutes: set XP2P_ALIGN=1")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "xp2p-abr")
	if out, err := exec.Command("go", "build", "-o", program, "github.com/xp2p/xp2p/cmd/xp2p-abr").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	ffmpeg := func(args ...string) {
		t.Helper()
		if out, err := testmedia.Command(t, append([]string{"-v", "error", "-y"}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("ffmpeg %v: %v: %s", args, err, out)
		}
	}
	const total = 75.0
	args := []string{"-filter_complex", testmedia.Film(total, "240x136", "192x108", "128x72")}
	for i, enc := range []string{
		"-preset ultrafast -b:v 700k -g 50", "-preset veryfast -b:v 300k -bf 2 -g 75", "-preset superfast -b:v 120k -maxrate 140k -bufsize 140k -bf 0 -g 60 -sc_threshold 0",
	} {
		args = append(args, "-map", fmt.Sprintf("[v%d]", i), "-c:v", "libx264", "-threads", "1")
		args = append(append(args, strings.Fields(enc)...), "-f", "nut", filepath.Join(dir, strconv.Itoa(i)+".nut"))
	}
	for i := range 3 {
		args = append(args, "-map", fmt.Sprintf("[a%d]", i), "-f", "null", "-")
	}
	ffmpeg(args...)
	var whole [3]*abr.Line
	for i := range whole {
		path := filepath.Join(dir, strconv.Itoa(i)+".mp4")
		ffmpeg("-i", filepath.Join(dir, strconv.Itoa(i)+".nut"), "-c", "copy", "-movflags", "frag_keyframe+empty_moov+default_base_moof", path)
		whole[i] = picturesOf(t, path)
		least := int64(math.MaxInt64) // the source begins at 0
		for _, f := range whole[i].Frames[:20] {
			least = min(least, f.PTS)
		}
		for j := range whole[i].Frames {
			whole[i].Frames[j].PTS -= least
		}
	}
	r := rand.New(rand.NewPCG(1, 50))
	right, refused := 0, 0
	for n := range 50 {
		end := []string{"flv", "mp4"}[n%2]
		i := r.IntN(3)
		which := [2]int{i, (i + 1 + r.IntN(2)) % 3}
		var cut [2]string
		var zero [2]float64 // what to add to the source's times to have the cut's
		var line [2]*abr.Line
		for k, w := range which {
			cut[k] = filepath.Join(dir, fmt.Sprintf("cut%d.%s", k, end))
			args := []string{"-ss", fmt.Sprintf("%.2f", 22*r.Float64()), "-i", filepath.Join(dir, strconv.Itoa(w)+".nut"), "-c", "copy",
				"-output_ts_offset", fmt.Sprintf("%.3f", 3+400*r.Float64()*float64(r.IntN(2)))}
			if end == "mp4" {
				args = append(args, "-movflags", "frag_keyframe+empty_moov+default_base_moof")
			}
			ffmpeg(append(args, cut[k])...)
			line[k] = picturesOf(t, cut[k])
			zero[k] = shift(t, line[k], whole[w])
		}
		events, out := filepath.Join(dir, "events"), filepath.Join(dir, "out."+end)
		command := []string{program, "old=" + cut[0], "new=" + cut[1], "--plan", "at=" + strconv.Itoa(6+r.IntN(20)) + "s:new", "--events", events, "-o", out}
		how := "files"
		if n%4 > 1 {
			how = "pipes"
			command[1], command[2] = "old=<(cat "+cut[0]+")", "new=<(cat "+cut[1]+")"
		}
		said, err := exec.Command("bash", "-c", strings.Join(command, " ")).CombinedOutput()
		b, _ := os.ReadFile(events)
		var e abr.Switch
		b, _, _ = bytes.Cut(b, []byte("\n")) // behind it may stand what a bridge took
		if json.Unmarshal(b, &e) != nil {
			refused++
			t.Errorf("cut %d, %s of %d and %d: no switch: %v, %s", n, how, which[0], which[1], err, said)
			continue
		}
		// What was added to the new one's times, and what had to be.
		made := picturesOf(t, out)
		from := 0
		for made.Frames[from].PTS-made.Frames[0].PTS < e.AtMS*int64(made.Timescale)/1000+int64(made.Timescale)/10 {
			from++
		}
		made.Frames = made.Frames[from:]
		off := shift(t, made, line[1]) - (zero[0] - zero[1])
		if math.Abs(off) > 0.002 {
			t.Errorf("cut %d, %s of %d and %d: off by %.3f s: %s", n, how, which[0], which[1], off, said)
			continue
		}
		right++
		t.Logf("cut %d, %s of %d and %d, apart by %.2f s: asked %d ms, switched at %d ms", n, how, which[0], which[1], zero[0]-zero[1], e.AskedMS, e.AtMS)
	}
	t.Logf("right %d, refused %d of 50", right, refused)
}

func picturesOf(t *testing.T, path string) *abr.Line {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c := media.FLV
	if fmp4.Detect(b) {
		c = media.FMP4
	}
	r := abr.NewReader(path, c)
	r.Feed(b)
	r.End()
	return r.Timeline().Track(media.Video)
}

// shift finds 60 frames from the beginning of part in whole, by their sizes, and says how
// much later part has them.
func shift(t *testing.T, part, whole *abr.Line) float64 {
	t.Helper()
	const run = 60
	for i := range len(whole.Frames) - run {
		same := 0
		for j := range run {
			if whole.Frames[i+j].Size == part.Frames[j].Size {
				same++
			}
		}
		if same > run-4 { // keyframes have got parameter sets
			at := func(l *abr.Line, i int) float64 { return float64(l.Frames[i].PTS) / float64(l.Timescale) }
			return at(part, 5) - at(whole, i+5)
		}
	}
	t.Fatal("these pictures are not there")
	return 0
}

package abr

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/internal/testmedia"
	"github.com/xp2p/xp2p/lib/media"
)

// cut is what a viewer sees who joins t at from, in seconds of its own time,
// and leaves at to, from a server that gives times of its own: zero is added,
// and they are rounded to ticks of scale. One frame in drop is lost.
func cut(t *Timeline, r *rand.Rand, from, to, zero float64, scale uint32, drop int) *Timeline {
	out := &Timeline{Name: t.Name, Container: t.Container}
	for _, l := range t.Tracks {
		c := l
		c.Frames = nil
		if scale != 0 {
			c.Timescale = scale
		}
		ticks := func(x int64) int64 {
			return int64(math.Floor((float64(x)/float64(l.Timescale) + zero) * float64(c.Timescale)))
		}
		for _, f := range l.Frames {
			at := float64(f.PTS) / float64(l.Timescale)
			if at < from || at > to || drop > 0 && r.IntN(drop) == 0 {
				continue
			}
			f.PTS, f.DTS, f.Duration = ticks(f.PTS), ticks(f.DTS), 0
			c.Frames = append(c.Frames, f)
		}
		out.Tracks = append(out.Tracks, c)
	}
	return out
}

// silent is t without sound.
func silent(t *Timeline) *Timeline {
	out := *t
	out.Tracks = slices.DeleteFunc(slices.Clone(t.Tracks), func(l Line) bool { return l.Track == media.Audio })
	return &out
}

// truth is what the sound, encoded alike into all, says of whole files.
func truth(tb testing.TB, a, b *Timeline) float64 {
	tb.Helper()
	al, ok := alignAudio(a.Track(media.Audio), b.Track(media.Audio))
	if !ok || al.Matched < 1000 {
		tb.Fatalf("%s and %s: the sound is not the same: %+v", a.Name, b.Name, al)
	}
	return al.Offset.Seconds()
}

// fifty cuts pairs at random and aligns them.
func fifty(t *testing.T, renditions []*Timeline, seed uint64, common float64, sound bool) {
	r := rand.New(rand.NewPCG(seed, 50))
	right, longest, cuts := 0, 0.0, fewer(50)
	least := 1.0
	for n := range cuts {
		i := r.IntN(len(renditions))
		j := (i + 1 + r.IntN(len(renditions)-1)) % len(renditions)
		a, b := renditions[i], renditions[j]
		video := a.Track(media.Video)
		total := float64(video.Frames[len(video.Frames)-1].PTS) / float64(video.Timescale)
		// Both hold what lies between from and to; each begins and ends where it likes.
		from := r.Float64() * (total - common)
		to := from + common
		zeroA, zeroB := 2e5*(r.Float64()-0.5), 2e5*(r.Float64()-0.5)
		scales := []uint32{0, 1000, 90000}
		ca := cut(a, r, from*r.Float64(), to+(total-to)*r.Float64(), zeroA, scales[r.IntN(3)], 50)
		cb := cut(b, r, from*r.Float64(), to+(total-to)*r.Float64(), zeroB, scales[r.IntN(3)], 50)
		if !sound {
			ca, cb = silent(ca), silent(cb)
		}
		want := zeroA - zeroB + truth(t, a, b)
		began := time.Now()
		al, err := Align(ca, cb)
		longest = max(longest, time.Since(began).Seconds())
		if off := al.Offset.Seconds() - want; err != nil || math.Abs(off) > 0.0015 {
			t.Errorf("cut %d, %s and %s: off by %.4f s, error %v: %+v", n, a.Name, b.Name, off, err, al)
			continue
		}
		if al.Sync != 0 {
			t.Errorf("cut %d: sound and picture differ: %+v", n, al)
		}
		right++
		least = min(least, al.Confidence)
	}
	t.Logf("right in %d of %d, confidence at least %.4f, longest %.2f s", right, cuts, least, longest)
}

// fewer rounds where time is short, which is where the race detector runs.
func fewer(n int) int {
	if testing.Short() {
		return max(2, n/5)
	}
	return n
}

func TestRandomCutsOfRealRenditionsAreAligned(t *testing.T) {
	paths := makeLadder(t, t.TempDir())
	var all []*Timeline
	for _, p := range paths {
		all = append(all, read(t, filepath.Base(p), p))
	}
	t.Run("by sound", func(t *testing.T) { fifty(t, all, 1, 2, true) })
	t.Run("by pictures alone", func(t *testing.T) { fifty(t, all, 2, 32, false) })
	t.Run("one clock confirmed", func(t *testing.T) {
		r := rand.New(rand.NewPCG(8, 8))
		rounds, right, wrong := fewer(50), 0, 0
		for range rounds {
			i := r.IntN(3)
			j := (i + 1 + r.IntN(2)) % 3
			from := 30 * r.Float64()
			a, b := silent(cut(all[i], r, from, from+12, 0, 0, 50)), silent(cut(all[j], r, from, from+12, 0, 1000, 50))
			is := time.Duration(1e9 * truth(t, all[i], all[j]))
			if al := Confirm(a, b, is); al.Confidence >= minClock && (al.Offset-is).Abs() < 2*time.Millisecond {
				right++
			}
			if al := Confirm(a, b, is+time.Duration(4+r.IntN(40))*40*time.Millisecond); al.Confidence >= minClock {
				wrong++
			}
		}
		t.Logf("of %d pairs of 12 s %d were confirmed, and %d moved by some frames", rounds, right, wrong)
		if right < rounds*9/10 || wrong > rounds/10 {
			t.Errorf("confirmed: %d right and %d wrong of %d", right, wrong, rounds)
		}
	})
	t.Run("nothing in common", func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 3))
		for n := range fewer(50) {
			i, j := r.IntN(3), r.IntN(3)
			half := 21 + 2*r.Float64()
			a := silent(cut(all[i], r, 0, half, 1e4*r.Float64(), 0, 50))
			b := silent(cut(all[j], r, half, 50, 1e4*r.Float64(), 1000, 50))
			al, err := Align(a, b)
			var refused *AlignError
			if !errors.As(err, &refused) || al.Confidence >= MinConfidence {
				t.Errorf("cut %d: %s and %s have nothing in common: %+v", n, a.Name, b.Name, al)
			}
		}
	})
}

// The same with cuts that are encoded for themselves, each encoder with
// settings of its own, as servers do that start when somebody asks.
func TestFiftySeparateEncodingsAreAligned(t *testing.T) {
	if os.Getenv("XP2P_ALIGN") == "" {
		t.Skip("takes minutes: set XP2P_ALIGN=1")
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "film.mp4")
	ffmpeg(t, "-filter_complex", testmedia.Film(70, "240x136"), "-map", "[v0]", "-map", "[a0]", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "14", "-g", "25", "-c:a", "aac", source)
	r := rand.New(rand.NewPCG(9, 9))
	right, refused, wrong := map[string]int{}, map[string]int{}, map[string]int{}
	for n := range 50 {
		codec := []string{"h264", "h264", "h264", "hevc"}[n%4]
		var t2 [2]*Timeline
		var start [2]float64
		for k := range t2 {
			start[k] = float64(r.IntN(500)) / 25
			args := []string{"-i", source, "-ss", strconv.FormatFloat(start[k], 'f', 3, 64), "-t", "45",
				"-s", []string{"240x136", "160x90", "192x108", "320x180"}[r.IntN(4)]}
			gop := strconv.Itoa(25 + r.IntN(100))
			rate := strconv.Itoa(150+r.IntN(500)) + "k"
			switch codec {
			case "h264":
				args = append(args, "-c:v", "libx264", "-preset", []string{"ultrafast", "superfast", "veryfast", "faster", "medium"}[r.IntN(5)],
					"-b:v", rate, "-g", gop, "-bf", strconv.Itoa(r.IntN(4)))
			case "hevc":
				args = append(args, "-c:v", "libx265", "-preset", "superfast", "-b:v", rate, "-x265-params", "log-level=none:pools=none:keyint="+gop)
			}
			args = append(args, "-an")
			path := filepath.Join(dir, "cut"+strconv.Itoa(k)+".mp4")
			args = append(append(args, strings.Fields(fragments)...), path)
			ffmpeg(t, args...)
			t2[k] = read(t, strconv.Itoa(k), path)
		}
		// Both begin with the frame at their start; where that lies on their lines
		// differs by what B pictures take.
		first := func(tl *Timeline) float64 {
			l := tl.Track(media.Video)
			at := math.Inf(1)
			for _, f := range l.Frames[:20] {
				at = min(at, float64(f.PTS)/float64(l.Timescale))
			}
			return at
		}
		want := start[1] - start[0] + first(t2[0]) - first(t2[1])
		al, err := Align(t2[0], t2[1])
		off := al.Offset.Seconds() - want
		switch {
		case err != nil:
			refused[codec]++
			t.Logf("%s: refused, best guess off by %.3f: %+v", codec, off, al)
		case math.Abs(off) > 0.0015:
			wrong[codec]++
			t.Errorf("%s: off by %.3f: %+v", codec, off, al)
		default:
			right[codec]++
		}
	}
	t.Logf("right %v, refused %v, wrong %v", right, refused, wrong)
}

func TestWhatDoesNotMoveIsRefused(t *testing.T) {
	dir := t.TempDir()
	var all []*Timeline
	for i, bf := range []string{"0", "2"} {
		path := filepath.Join(dir, bf+".mp4")
		args := []string{"-f", "lavfi", "-i", "smptebars=s=160x90:r=25:d=20", "-c:v", "libx264", "-preset", "ultrafast", "-bf", bf, "-g", []string{"50", "100"}[i]}
		ffmpeg(t, append(append(args, strings.Fields(fragments)...), path)...)
		all = append(all, read(t, bf, path))
	}
	r := rand.New(rand.NewPCG(4, 4))
	for range 20 {
		from := 10 * r.Float64()
		a := cut(all[r.IntN(2)], r, from, from+8, 0, 0, 0)
		from = 10 * r.Float64()
		b := cut(all[r.IntN(2)], r, from, from+8, 0, 1000, 0)
		if al, err := Align(a, b); err == nil {
			t.Errorf("of a picture that stands still it knows %+v", al)
		}
	}
}

// rhythm is a line of frames that come irregularly, all alike.
func rhythm(r *rand.Rand, n int) *Timeline {
	l := Line{Track: media.Video, Timescale: 90000}
	at := int64(0)
	for range n {
		at += 1800 + int64(r.IntN(6000))
		l.Frames = append(l.Frames, Frame{DTS: at, PTS: at, Size: 1000, Type: TypeP})
	}
	return &Timeline{Name: "irregular", Tracks: []Line{l}}
}

func TestFramesThatComeIrregularlyAreKnownByTheirRhythm(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	whole := rhythm(r, 900)
	for range 20 {
		from := 15 * r.Float64()
		a := cut(whole, r, from, from+15, 0, 0, 30)
		b := cut(whole, r, from+5, from+22, 77.5, 1000, 30)
		al, err := Align(a, b)
		if err != nil || al.By != ByRhythm || math.Abs(al.Offset.Seconds()+77.5) > 0.0015 {
			t.Errorf("cut at %.1f s: %v, %+v", from, err, al)
		}
		if al, err := Align(a, cut(rhythm(r, 900), r, 0, 20, 0, 0, 0)); err == nil {
			t.Errorf("another rhythm was taken for it: %+v", al)
		}
	}
}

func TestSoundOutOfStepIsNoticed(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	a := rhythm(r, 600)
	line := Line{Track: media.Audio, Timescale: 48000}
	for i := range 900 {
		line.Frames = append(line.Frames, Frame{PTS: int64(i) * 1024, Size: 200 + r.IntN(50), Sum: r.Uint32()})
	}
	a.Tracks = append(a.Tracks, line)
	b := cut(a, r, 0, 100, 5, 0, 0)
	for i := range b.Tracks[1].Frames {
		b.Tracks[1].Frames[i].PTS += 480 // 10 ms late
	}
	al, err := Align(a, b)
	if err != nil || al.Sync.Round(time.Millisecond) != -10*time.Millisecond || al.Offset.Round(time.Millisecond) != -5*time.Second {
		t.Errorf("%v, %+v", err, al)
	}
}

func TestTooLittleIsRefused(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	short, none := rhythm(r, 10), &Timeline{Name: "none"}
	for _, pair := range [][2]*Timeline{{short, short}, {none, short}, {none, none}, {short, none}} {
		_, err := Align(pair[0], pair[1])
		var refused *AlignError
		if !errors.As(err, &refused) || refused.Best.By != ByTooFew && refused.Best.By != ByNoTracks {
			t.Errorf("%s and %s: %v", pair[0].Name, pair[1].Name, err)
		}
	}
}

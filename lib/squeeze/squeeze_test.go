package squeeze

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/flv"
	"github.com/xp2p/xp2p/lib/fmp4"
	"github.com/xp2p/xp2p/lib/internal/testmedia"
	"github.com/xp2p/xp2p/lib/media"
)

// A frame is a unit of the source as a live encoder gives it out.
type frame struct {
	at   int64 // ms, when the encoder has it
	key  bool
	body []byte
}

// frames cuts a file into its units.
func frames(t *testing.T, c media.Container, file []byte) (list []frame) {
	t.Helper()
	var walk interface {
		Next([]byte, bool) media.Span
	} = &flv.Walker{}
	if c == media.FMP4 {
		walk = &fmp4.Walker{}
	}
	from, n, at := 0, 0, int64(0)
	for n < len(file) {
		s := walk.Next(file[n:], true)
		n += s.N
		if s.End {
			if s.Unit.Timed {
				at = max(at, s.Unit.DTS.Milliseconds())
			}
			list = append(list, frame{at, s.Unit.Key && s.Unit.Track == media.Video, file[from:n]})
			from = n
		}
	}
	return list
}

// A viewing is a live stream as one player gets it, under a clock of its own.
type viewing struct {
	t    *testing.T
	c    media.Container
	q    *Squeezer
	now  time.Time
	zero time.Time // when the source's time 0 was made
	out  []byte
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// join begins to watch when the encoder has come to `join` ms.
func join(t *testing.T, c media.Container, l Latency, at int64) *viewing {
	return &viewing{t: t, c: c, q: New(c, l), now: epoch.Add(time.Duration(at) * time.Millisecond), zero: epoch}
}

func (v *viewing) edge() int64 { return v.now.Sub(v.zero).Milliseconds() }

// watch passes list on as it is made, in pieces of 100 ms; each is called
// behind every piece.
func (v *viewing) watch(list []frame, each func()) {
	var piece [][]byte
	begins := int64(-1)
	give := func(at int64) {
		if due := v.zero.Add(time.Duration(at) * time.Millisecond); due.After(v.now) {
			v.now = due
		}
		for _, b := range v.q.Add(v.now, v.edge(), piece) {
			v.out = append(v.out, b...)
		}
		v.q.Wrote(v.now)
		piece, begins = piece[:0], -1
		each()
	}
	for _, f := range list {
		if begins >= 0 && f.at >= begins+100 {
			give(f.at)
		}
		if begins < 0 {
			begins = f.at
		}
		piece = append(piece, f.body)
	}
	give(list[len(list)-1].at)
	for _, b := range v.q.Finish(v.now) {
		v.out = append(v.out, b...)
	}
}

func (v *viewing) distance() time.Duration {
	return time.Duration(float64(v.edge())-v.q.Playhead().Source(v.now)) * time.Millisecond
}

// file writes the output to a file for ffmpeg.
func (v *viewing) file() string {
	v.t.Helper()
	file := filepath.Join(v.t.TempDir(), "out."+v.c.String())
	if err := os.WriteFile(file, v.out, 0o644); err != nil {
		v.t.Fatal(err)
	}
	return file
}

// decode has ffmpeg decode the output, and wants no word of it.
func (v *viewing) decode() {
	v.t.Helper()
	cmd := testmedia.Command(v.t, "-v", "warning", "-i", v.file(), "-enc_time_base", "-1", "-f", "null", "-")
	if said, err := cmd.CombinedOutput(); err != nil || len(said) > 0 {
		v.t.Errorf("ffmpeg: %v\n%.2000s", err, said)
	}
}

// wantInStep holds the packets against each other as a demuxer gives them out:
// picture and sound each grow, without a hole, and neither is ahead of the
// other.
func (v *viewing) wantInStep() {
	v.t.Helper()
	if _, err := exec.LookPath("ffprobe"); err != nil {
		v.t.Skip("ffprobe is not installed")
	}
	text, err := exec.CommandContext(v.t.Context(), "ffprobe", "-v", "error", "-show_entries", "packet=codec_type,pts_time,dts_time", "-of", "csv=p=0", v.file()).Output()
	if err != nil {
		v.t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(text))).ReadAll()
	if err != nil {
		v.t.Fatal(err)
	}
	last := map[string]float64{}
	for _, row := range rows {
		kind := row[0]
		pts, _ := strconv.ParseFloat(row[1], 64)
		dts, _ := strconv.ParseFloat(row[2], 64)
		was, any := last[kind]
		switch step := dts - was; {
		case pts < dts:
			v.t.Errorf("%s: shown at %v, decoded at %v", kind, pts, dts)
		case any && step <= 0:
			v.t.Errorf("%s: %v behind %v", kind, dts, was)
		case any && step > 0.1:
			v.t.Errorf("%s: nothing from %v to %v", kind, was, dts)
		}
		last[kind] = dts
	}
	if d := last["video"] - last["audio"]; math.Abs(d) > 0.15 {
		v.t.Errorf("the picture ends %v s behind the sound", d)
	}
}

func made(t *testing.T, c media.Container, r testmedia.Recipe) []byte {
	if c == media.FMP4 {
		return testmedia.Bytes(t, testmedia.FMP4Frame(t, r))
	}
	return testmedia.Bytes(t, testmedia.FLV(t, r))
}

// each calls f for both containers, without and with B-frames.
func each(t *testing.T, f func(t *testing.T, c media.Container, in []frame)) {
	for _, c := range []media.Container{media.FLV, media.FMP4} {
		for _, b := range []int{0, 2} {
			t.Run(fmt.Sprintf("%s, %d B-frames", c, b), func(t *testing.T) {
				list := frames(t, c, made(t, c, testmedia.Recipe{Duration: 12 * time.Second, GOP: 100, BFrames: b}))
				n := len(list)
				for list[n-1].at > 11_500 { // at the end ffmpeg's own sound overlaps
					n--
				}
				f(t, c, list[:n])
			})
		}
	}
}

// Whoever joins at the end of a GOP of four seconds is a second from the edge
// within four seconds, without a decoder noticing.
func TestAViewerWhoComesLateInAGOPCatchesUp(t *testing.T) {
	each(t, func(t *testing.T, c media.Container, list []frame) {
		v := join(t, c, Edge, 3900)
		began := v.now
		var arrived time.Duration
		v.watch(list, func() {
			d, after := v.distance(), v.now.Sub(began)
			if after >= 4*time.Second && d > time.Second {
				t.Errorf("%v after the start the player is %v behind", after, d)
			}
			if arrived == 0 && d <= time.Second {
				arrived = after
			}
		})
		t.Logf("a second behind after %v, at the end %v", arrived, v.distance())
		v.decode()
		v.wantInStep()
	})
}

// Who comes with the keyframe is at the edge, and has the source's own bytes.
func TestWhoIsAtTheEdgeHasTheSourcesBytes(t *testing.T) {
	each(t, func(t *testing.T, c media.Container, list []frame) {
		v := join(t, c, Edge, 0)
		v.watch(list, func() {})
		var in []byte
		for _, x := range list {
			in = append(in, x.body...)
		}
		if !bytes.Equal(v.out, in) {
			t.Errorf("%d bytes became %d others", len(in), len(v.out))
		}
	})
}

func TestOffLeavesEverythingAsItIs(t *testing.T) {
	for _, c := range []media.Container{media.FLV, media.FMP4, media.Raw} {
		in := [][]byte{[]byte("any"), []byte("bytes")}
		q := New(c, Off)
		if out := q.Add(epoch, 99_000, in); len(out) != 2 || &out[0][0] != &in[0][0] || q.Finish(epoch) != nil {
			t.Errorf("%s: %q", c, out)
		}
	}
}

// A player that was paused for three seconds is back at the edge a few seconds
// after it goes on.
func TestAPausedPlayerIsBroughtBack(t *testing.T) {
	each(t, func(t *testing.T, c media.Container, list []frame) {
		v := join(t, c, Low, 0)
		var resumed time.Time
		v.watch(list, func() {
			switch {
			case resumed.IsZero() && v.edge() >= 2000:
				v.now = v.now.Add(3 * time.Second)
				v.q.Wrote(v.now)
				resumed = v.now
				if d := v.distance(); d < 3*time.Second {
					t.Errorf("after the pause the player is believed to be %v behind", d)
				}
			case !resumed.IsZero() && v.now.Sub(resumed) > 5*time.Second && v.distance() > time.Second:
				t.Errorf("%v after the pause the player is %v behind", v.now.Sub(resumed), v.distance())
			}
		})
		v.wantInStep()
	})
}

// Where bytes were left out, the output's times go on: picture without a gap,
// sound without an overlap.
func TestAJumpIsNoGap(t *testing.T) {
	each(t, func(t *testing.T, c media.Container, list []frame) {
		v := join(t, c, Edge, 0)
		from := 0
		for list[from].at < 2500 {
			from++
		}
		v.watch(list[:from], func() {})
		v.q.Jump()
		v.now = v.zero.Add(8 * time.Second)
		to := from
		for !list[to].key || list[to].at < 7900 {
			to++
		}
		v.watch(list[to:], func() {})
		v.decode()
		v.wantInStep()
	})
}

// A source whose clock goes back to 0 does not take the output with it.
func TestASourceThatBeginsAnewGoesOn(t *testing.T) {
	in := made(t, media.FLV, testmedia.Recipe{Duration: 12 * time.Second, GOP: 100})
	list := frames(t, media.FLV, in)
	v := join(t, media.FLV, Edge, 0)
	v.watch(list, func() {})
	v.zero = v.now
	for list[0].at == 0 && !list[0].key {
		list = list[1:]
	}
	v.watch(list, func() {})
	v.wantInStep()
}

// Times in one line never change their order, whatever is planned, and Source
// finds the way back.
func TestALineGrows(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var l Line
		l.jump(1000, 1000)
		kept, last := 1000.0, 0.0
		given := map[float64]float64{}
		for range 40 {
			switch rng.IntN(3) {
			case 0:
				l.hurry(kept, kept+rng.Float64()*3000, 1.5+2.5*rng.Float64())
			case 1:
				l.wait(kept, rng.Float64()*12)
			}
			at := kept + rng.Float64()*200
			out := l.At(at)
			if out < last {
				t.Fatalf("%v is shown at %v, before what was shown at %v: %+v", at, out, last, l.s)
			}
			kept, last = at, out
			given[at] = out
			if back := l.Source(out); math.Abs(l.At(back)-out) > 1e-6 && math.Abs(back-at) > 1e-6 {
				t.Fatalf("what is shown at %v comes from %v: %v", out, at, back)
			}
		}
		for at, out := range given {
			if again := l.At(at); math.Abs(again-out) > 1e-6 {
				t.Fatalf("%v was shown at %v, and is at %v: %+v", at, out, again, l.s)
			}
		}
	}
}

package abr

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xp2p/xp2p/lib/internal/testmedia"
	"github.com/xp2p/xp2p/lib/media"
)

// A misfit is a rendition made wrong.
type misfit struct {
	code Code
	how  []string // arguments behind those of a good one
	uses string   // of film or other, default film
	told bool     // the cure is told, but no encode of the same source alone
}

var misfits = []misfit{
	{code: CodeVideoCodec, how: []string{"-c:v", "libx265", "-x265-params", "log-level=none:pools=none"}},
	{code: CodeVideoFormat, how: []string{"-pix_fmt", "yuv422p"}},
	{code: CodeFrameRate, how: []string{"-r", "20"}},
	{code: CodeVariable, how: []string{"-vf", "select='lt(mod(n*7,10),7)'", "-fps_mode", "vfr"}},
	{code: CodeKeyframes, how: []string{"-g", "33", "-keyint_min", "33"}},
	{code: CodeGOP, how: []string{"-g", "50", "-keyint_min", "50"}},
	{code: CodeLongGOP, how: []string{"-g", "150", "-keyint_min", "150"}},
	{code: CodeOpenGOP, how: []string{"-bf", "2", "-x264-params", "open-gop=1"}},
	{code: CodeNoIDR, how: []string{"-x264-params", "intra-refresh=1"}},
	{code: CodeBFrames, how: []string{"-bf", "2"}},
	{code: CodeSampleAspect, how: []string{"-vf", "setsar=4/3"}},
	{code: CodePictureAspect, how: []string{"-vf", "scale=96:96,setsar=1"}},
	{code: CodeInterlaced, how: []string{"-flags", "+ilme+ildct"}},
	{code: CodeVideoTimescale, how: []string{"-video_track_timescale", "90000"}},
	{code: CodeZeroPoint, how: []string{"-output_ts_offset", "1.5", "-f", "flv"}},
	{code: CodeContainer, how: []string{"-f", "flv"}},
	{code: CodeInBand, how: []string{"-tag:v", "avc3"}},
	{code: CodeAudioCodec, how: []string{"-c:a", "libmp3lame"}},
	{code: CodeAudioRate, how: []string{"-c:a", "aac", "-ar", "32000"}},
	{code: CodeAudioChannels, how: []string{"-c:a", "aac", "-ac", "2"}},
	{code: CodeAudioFrames, how: []string{"-c:a", "aac", "-b:a", "40k"}},
	{code: CodeAVSync, how: []string{"-bsf:a", "setts=ts=TS+0.1/TB"}, told: true},
	{code: CodeNoAudio, how: []string{"-map", "0:v:0"}},
	{code: CodeNoVideo, how: []string{"-map", "0:a:0"}},
	{code: CodeNotAligned, uses: "other", told: true},
}

// TestMisfitsAreNamedAndCured makes one pair of each kind, holds the report to
// the code, encodes anew with the flags that it gave, and looks again.
func TestMisfitsAreNamedAndCured(t *testing.T) {
	dir := t.TempDir()
	source, other := filepath.Join(dir, "film.mp4"), filepath.Join(dir, "other.mp4")
	src := func(graph, path string) []string {
		return []string{"-filter_complex", graph, "-map", "[v0]", "-map", "[a0]", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "16", "-g", "25", "-c:a", "aac", path}
	}
	ffmpeg(t, src(testmedia.Film(7.2, "128x72"), source)...)
	ffmpeg(t, src("testsrc=s=128x72:r=25:d=7.2,format=yuv420p[v0];anoisesrc=d=7.2:seed=99[a0]", other)...)
	good := append([]string{"-c:v", "libx264", "-preset", "ultrafast", "-threads", "1", "-g", "25", "-keyint_min", "25", "-sc_threshold", "0", "-bf", "0", "-c:a", "copy", "-f", "mp4"},
		strings.Fields(fragments)...)
	// One command makes all of a round.
	encode := func(round string, list []misfit, more [][]string) (made []*Timeline) {
		args := []string{"-i", source, "-i", other}
		var paths []string
		for i, m := range list {
			if !slices.Contains(m.how, "-map") {
				in := "0"
				if m.uses == "other" {
					in = "1"
				}
				args = append(args, "-map", in+":v", "-map", in+":a")
			}
			paths = append(paths, filepath.Join(dir, round+string(m.code)))
			args = append(append(append(append(args, good...), m.how...), more[i]...), paths[i])
		}
		ffmpeg(t, args...)
		for i, m := range list {
			made = append(made, read(t, string(m.code), paths[i]))
			os.Remove(paths[i])
		}
		return made
	}
	reference := encode("good", []misfit{{code: "reference"}}, [][]string{nil})[0]
	asFLV := encode("good", []misfit{{code: "reference", how: []string{"-f", "flv"}}}, [][]string{nil})[0]
	beside := func(m misfit) *Timeline {
		if slices.Contains(m.how, "flv") && m.code != CodeContainer {
			return asFLV
		}
		return reference
	}
	if r := Inspect(reference, reference); len(r.Findings) != 0 || !r.Pairs[0].Aligned {
		t.Errorf("a rendition beside itself:\n%s", r.Text())
	}
	var cured []misfit
	var cures [][]string
	for i, bad := range encode("bad", misfits, make([][]string, len(misfits))) {
		m := misfits[i]
		r := Inspect(beside(m), bad)
		at := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Code == m.code })
		if at < 0 {
			t.Errorf("%s is not named:\n%s", m.code, r.Text())
			continue
		}
		f := r.Findings[at]
		t.Logf("%s: %s; cure: %s", f.Code, f.What, f.Shell())
		if !strings.Contains(r.Text(), string(m.code)) || !strings.Contains(r.Text(), f.What) || !strings.Contains(r.Text(), f.Shell()) {
			t.Errorf("%s: the text says something else:\n%s", m.code, r.Text())
		}
		if m.told {
			continue
		}
		cured, cures = append(cured, m), append(cures, f.Cure)
	}
	for i, better := range encode("cured", cured, cures) {
		if r := Inspect(beside(cured[i]), better); r.Has(cured[i].code) {
			t.Errorf("%s is not cured by %q:\n%s", cured[i].code, cures[i], r.Text())
		}
	}
	t.Logf("%d kinds named, %d cured by the flags that were told", len(misfits), len(cured))
}

// Decoded I P B B P B B P, shown 0 3 1 2 6 4 5 7: what stays has to be what was
// decoded first.
func TestCleanCutsAreThoseThatLeaveWhatWasDecodedFirst(t *testing.T) {
	l := &Line{Track: media.Video, Timescale: 25}
	for i, pts := range []int64{0, 3, 1, 2, 6, 4, 5, 7} {
		l.Frames = append(l.Frames, Frame{DTS: int64(i), PTS: pts})
	}
	if n := cleanCuts(l); n != 3 { // behind 0, 3 and 6
		t.Errorf("%d clean cuts, want 3", n)
	}
	for pts := int64(1); pts < 8; pts++ {
		want := 0
		if pts == 1 || pts == 4 || pts == 7 {
			want = 1
		}
		if got := clean(l, []int64{pts * 40_000}, 0, 1000); got != want {
			t.Errorf("a cut before %d: clean is %d, want %d", pts, got, want)
		}
	}
}

// Who joins a live source later has another zero point, unless the encoder keeps
// the source's clock.
func TestLateEncodersKeepTheSourcesClock(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "film.ts")
	ffmpeg(t, "-filter_complex", testmedia.Film(7.2, "128x72"), "-map", "[v0]", "-map", "[a0]", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "16", "-g", "25", "-c:a", "aac", source)
	encode := func(name string, seek string, more ...string) *Timeline {
		path := filepath.Join(dir, name+".flv")
		args := []string{"-ss", seek, "-i", source, "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "25", "-c:a", "copy"}
		ffmpeg(t, append(append(args, more...), path)...)
		return read(t, name, path)
	}
	r := Inspect(encode("early", "0"), encode("late", "2"))
	at := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Code == CodeZeroPoint })
	if at < 0 || !slices.Equal(r.Findings[at].Cure, []string{"-copyts"}) {
		t.Fatalf("the zero point is not named:\n%s", r.Text())
	}
	if off := r.Pairs[0].OffsetUS; off < 1_000_000 || off > 2_100_000 { // sound is copied from a packet before
		t.Errorf("it begins 2 s later, the offset is %d µs", off)
	}
	cure := r.Findings[at].Cure
	if r = Inspect(encode("early", "0", cure...), encode("late", "2", cure...)); r.Has(CodeZeroPoint) || !r.Pairs[0].Aligned {
		t.Errorf("with %q:\n%s", cure, r.Text())
	}
}

func TestReportsAreJSON(t *testing.T) {
	line := Line{Track: media.Video, Timescale: 1000, Codec: "vp09", Frames: []Frame{{PTS: 0, Key: true, IDR: true}, {PTS: 40, DTS: 40}, {PTS: 80, DTS: 80}}}
	r := Inspect(&Timeline{Name: "a", Container: media.FLV, Tracks: []Line{line}}, &Timeline{Name: "b", Container: media.FMP4})
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"code":"no_video"`, `"code":"container"`, `"severity":"broken"`, `"gop_usual_ms":0`, `"aligned":false`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s is not in %s", want, b)
		}
	}
	if Inspect().Text() == "" || Inspect(&Timeline{Name: "nothing"}).Broken() != true {
		t.Error("nothing was inspected otherwise than expected")
	}
}

func FuzzParameterSets(f *testing.F) {
	f.Add([]byte{0x67, 0x64, 0x00, 0x0a, 0xac, 0xd9, 0x49, 0xf8, 0xe7, 0xc0, 0x44, 0, 0, 3, 0, 4, 0, 0, 3, 0, 0xc8, 0x3c, 0x48, 0x96, 0x58})
	f.Add([]byte{0x12, 0x10})
	f.Add([]byte{0, 0, 0, 0, 3, 0x80, 0x80, 0x80, 0x22, 0, 1, 0, 4, 0x80, 0x80, 0x80, 0x14, 0x40, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0x80, 0x80, 0x80, 2, 0x12, 0x10})
	f.Fuzz(func(t *testing.T, p []byte) {
		if s, err := parseSPS(p); err == nil && (s.width <= 0 || s.height <= 0 || s.width > 1<<16 || s.height > 1<<17 || s.depth > 14) {
			t.Errorf("%+v", s)
		}
		_, _ = spsOf(p)
		if s, ok := parseSound(p); ok && (s.rate <= 0 || s.channels < 0) {
			t.Errorf("%+v", s)
		}
	})
}

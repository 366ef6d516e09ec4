package bridge

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/xp2p/xp2p/lib/abr"
	"github.com/xp2p/xp2p/lib/internal/testmedia"
	"github.com/xp2p/xp2p/lib/media"
)

// script is a program in place of ffmpeg.
func script(t *testing.T, text string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the encoders of this test are shell scripts")
	}
	path := filepath.Join(t.TempDir(), "encoder")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// encode gives an encoder two parts and returns what it made, and why it ended.
func encode(t *testing.T, program string) (made, why string) {
	t.Helper()
	out := make(chan Piece)
	e, err := Start(t.Context(), program, abr.Job{ID: 7}, out)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Stop()
	e.Write([][]byte{[]byte("one ")}, false)
	e.Write([][]byte{[]byte("two")}, true)
	for p := range out {
		if p.Job != 7 {
			t.Errorf("a piece of job %d", p.Job)
		}
		made += string(p.Bytes)
		if p.Over {
			return made, p.Why
		}
	}
	return made, "never"
}

func TestAnEncoderIsGivenAllAndItsWordIsPassedOn(t *testing.T) {
	if made, why := encode(t, script(t, "exec cat")); made != "one two" || why != "" {
		t.Errorf("%q, ended because of %q", made, why)
	}
	if _, err := Find(""); err == nil {
		t.Error("no program was found")
	}
	if _, err := Find(filepath.Join(t.TempDir(), "nothing")); err == nil {
		t.Error("a program that is not there was found")
	}
}

func TestAnEncoderThatFailsSaysWhy(t *testing.T) {
	if _, why := encode(t, script(t, "cat >/dev/null; echo no such codec >&2; exit 1")); !strings.Contains(why, "no such codec") {
		t.Errorf("ended because of %q", why)
	}
}

// The first pictures can be begun with, as many as were asked for; the others refer to
// those before, for they would be many times as large by themselves. And the bridge is
// not much larger than what it is made of.
func TestABridgeHasAsManyKeyFramesAsItWasAskedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "film.flv")
	film := testmedia.Command(t, "-v", "error", "-filter_complex", testmedia.Film(4, "320x180"), "-map", "[v0]", "-map", "[a0]",
		"-c:v", "libx264", "-preset", "veryfast", "-b:v", "200k", "-g", "250", "-an", path)
	if out, err := film.CombinedOutput(); err != nil {
		t.Skipf("this ffmpeg makes no film: %v: %s", err, out)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[int]int{}
	for _, qp := range []int{0, 32} {
		out := make(chan Piece)
		e, err := Start(t.Context(), "ffmpeg", abr.Job{ID: 1, Codec: "avc1.64001f", Container: media.FLV, Start: 1000, Timescale: 1000, Keys: 5, QP: qp}, out)
		if err != nil {
			t.Fatal(err)
		}
		e.Write([][]byte{whole}, true)
		r := abr.NewReader("bridge", media.FLV)
		for p := range out {
			r.Feed(p.Bytes)
			sizes[qp] += len(p.Bytes)
			if p.Over {
				if p.Why != "" {
					t.Fatal(p.Why)
				}
				break
			}
		}
		e.Stop()
		r.End()
		keys, all := 0, r.Timeline().Track(media.Video).Frames
		for _, f := range all {
			if f.Key {
				keys++
			}
		}
		if keys != 5 || len(all) < 70 {
			t.Errorf("%d of %d pictures are key frames", keys, len(all))
		}
	}
	if 3*sizes[32] > 2*sizes[0] {
		t.Errorf("%d bytes for what was coarse, and %d where that is not known", sizes[32], sizes[0])
	}
}

// HEVC is quick where x265 looks at no block smaller than 32 and smooths none: the
// stream says so.
func TestABridgeOfHEVCIsSparedWhatTakesLongest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "film.mp4")
	film := testmedia.Command(t, "-v", "error", "-filter_complex", testmedia.Film(2, "320x180"), "-map", "[v0]", "-map", "[a0]",
		"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:pools=none:qp=30", "-tag:v", "hvc1", "-an",
		"-movflags", "frag_keyframe+empty_moov+default_base_moof", path)
	if out, err := film.CombinedOutput(); err != nil {
		t.Skipf("this ffmpeg makes no film: %v: %s", err, out)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out := make(chan Piece)
	e, err := Start(t.Context(), "ffmpeg", abr.Job{ID: 1, Codec: "hvc1.1.6.L60.90", Container: media.FMP4, Start: 0, Timescale: 90000, Keys: 3, QP: 30}, out)
	if err != nil {
		t.Fatal(err)
	}
	e.Write([][]byte{whole}, true)
	var made []byte
	for p := range out {
		made = append(made, p.Bytes...)
		if p.Over {
			if p.Why != "" {
				t.Fatal(p.Why)
			}
			break
		}
	}
	e.Stop()
	r := abr.NewReader("bridge", media.FMP4)
	r.Feed(made)
	r.End()
	keys, all := 0, r.Timeline().Track(media.Video).Frames
	for _, f := range all {
		if f.Key {
			keys++
		}
	}
	if keys != 3 || len(all) != 50 {
		t.Errorf("%d of %d pictures are key frames", keys, len(all))
	}
	if err := os.WriteFile(path, made, 0o644); err != nil {
		t.Fatal(err)
	}
	says, err := testmedia.Command(t, "-v", "trace", "-i", path, "-c", "copy", "-bsf:v", "trace_headers", "-f", "null", "-").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, says)
	}
	for name, want := range map[string]string{"log2_min_luma_coding_block_size_minus3": "2", "pps_deblocking_filter_disabled_flag": "1"} {
		i := strings.Index(string(says), name)
		if i < 0 {
			t.Errorf("nothing says %s", name)
			continue
		}
		line, _, _ := strings.Cut(string(says)[i:], "\n")
		if !strings.HasSuffix(strings.TrimSpace(line), "= "+want) {
			t.Errorf("%s, want %s", line, want)
		}
	}
}

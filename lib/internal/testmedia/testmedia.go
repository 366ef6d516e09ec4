// Package testmedia makes small streams with ffmpeg for tests: the same recipe
// gives the same bytes, made once and kept in the temporary directory. A test
// skips, and says why, where ffmpeg or an encoder is missing.
package testmedia

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Recipe says what a stream is made of. The zero value is four seconds of
// 320×180 H.264 at 25 frames a second with a keyframe each second, and AAC.
type Recipe struct {
	Duration time.Duration
	FPS      int
	GOP      int    // frames from keyframe to keyframe
	Size     string // "320x180"
	Rate     string // of the video, "300k"; a constant rate, padded if need be
	BFrames  int
	Codec    string // h264, hevc, av1
	NoVideo  bool
	NoAudio  bool
}

func (r Recipe) filled() Recipe {
	set := func(p *int, n int) {
		if *p == 0 {
			*p = n
		}
	}
	if r.Duration == 0 {
		r.Duration = 4 * time.Second
	}
	set(&r.FPS, 25)
	set(&r.GOP, r.FPS)
	if r.Size == "" {
		r.Size = "320x180"
	}
	if r.Rate == "" {
		r.Rate = "300k"
	}
	if r.Codec == "" {
		r.Codec = "h264"
	}
	return r
}

// FLV makes an FLV file and returns its path; HEVC and AV1 are enhanced FLV.
// The file is shared by all tests: read it only.
func FLV(tb testing.TB, r Recipe) string {
	tb.Helper()
	return file(tb, r, "flv", "-f", "flv", "-flvflags", "no_duration_filesize")
}

// FMP4GOP makes a fragmented MP4 with one fragment for each GOP.
func FMP4GOP(tb testing.TB, r Recipe) string {
	tb.Helper()
	return file(tb, r, "mp4", "-f", "mp4", "-movflags", "+frag_keyframe+empty_moov+default_base_moof")
}

// FMP4Frame makes a fragmented MP4 with a fragment for each frame, as low
// latency packagers do.
func FMP4Frame(tb testing.TB, r Recipe) string {
	tb.Helper()
	return file(tb, r, "mp4", "-f", "mp4", "-movflags", "+frag_every_frame+empty_moov+default_base_moof")
}

// Bytes reads a file that one of the makers returned.
func Bytes(tb testing.TB, path string) []byte {
	tb.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// Command is ffmpeg with args, quiet but for errors, reading no terminal. It
// skips the test where ffmpeg is missing.
func Command(tb testing.TB, args ...string) *exec.Cmd {
	tb.Helper()
	if version() == "" {
		tb.Skip("ffmpeg is not installed: no stream to test with")
	}
	return exec.CommandContext(tb.Context(), "ffmpeg", append([]string{"-nostdin", "-hide_banner", "-v", "error"}, args...)...)
}

// Source is the part of an ffmpeg command line that names the recipe's test
// picture, its sound and their encoders, for tests that run ffmpeg themselves,
// say with "-re" and a pipe.
func (r Recipe) Source() []string {
	r = r.filled()
	var in, enc []string
	seconds := strconv.FormatFloat(r.Duration.Seconds(), 'f', -1, 64)
	if !r.NoVideo {
		in = append(in, "-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=%s:rate=%d:duration=%s", r.Size, r.FPS, seconds))
		enc = append(enc, "-pix_fmt", "yuv420p", "-g", strconv.Itoa(r.GOP), "-threads", "1")
		gop := strconv.Itoa(r.GOP)
		switch r.Codec {
		case "h264":
			enc = append(enc, "-c:v", "libx264", "-preset", "ultrafast", "-bf", strconv.Itoa(r.BFrames), "-keyint_min", gop, "-sc_threshold", "0",
				"-b:v", r.Rate, "-minrate", r.Rate, "-maxrate", r.Rate, "-bufsize", r.Rate, "-x264-params", "nal-hrd=cbr")
		case "hevc":
			enc = append(enc, "-c:v", "libx265", "-preset", "ultrafast", "-b:v", r.Rate,
				"-x265-params", fmt.Sprintf("log-level=none:keyint=%s:min-keyint=%s:scenecut=0:bframes=%d:pools=none:frame-threads=1", gop, gop, r.BFrames))
		case "av1":
			enc = append(enc, "-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime", "-b:v", r.Rate, "-keyint_min", gop)
		}
	}
	if !r.NoAudio {
		in = append(in, "-f", "lavfi", "-i", fmt.Sprintf("sine=frequency=440:sample_rate=44100:duration=%s", seconds))
		enc = append(enc, "-c:a", "aac", "-b:a", "64k", "-ac", "2")
	}
	return append(append(in, enc...), "-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact", "-map_metadata", "-1")
}

// version is the first line of "ffmpeg -version", or nothing.
var version = sync.OnceValue(func() string {
	out, err := exec.Command("ffmpeg", "-version").Output()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
})

// file makes the recipe's file unless it is there already.
func file(tb testing.TB, r Recipe, ext string, muxer ...string) string {
	tb.Helper()
	args := append(append([]string{"-y"}, r.Source()...), muxer...)
	cmd := Command(tb, args...)
	name := sha256.Sum256([]byte(version() + "\n" + strings.Join(args, "\n")))
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("xp2p-testmedia-%d", os.Getuid()))
	path := filepath.Join(dir, hex.EncodeToString(name[:12])+"."+ext)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		tb.Fatal(err)
	}
	// Packages are tested side by side: whoever comes second puts the same
	// bytes into the same place.
	tmp, err := os.CreateTemp(dir, "making-*."+ext)
	if err != nil {
		tb.Fatal(err)
	}
	tmp.Close()
	defer os.Remove(tmp.Name())
	ctx, cancel := context.WithTimeout(tb.Context(), 2*time.Minute)
	defer cancel()
	var stderr bytes.Buffer
	cmd = exec.CommandContext(ctx, cmd.Path, append(cmd.Args[1:], tmp.Name())...)
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		if s := stderr.String(); strings.Contains(s, "Unknown encoder") || strings.Contains(s, "not compatible with flv") || strings.Contains(s, "not supported in") {
			tb.Skipf("this ffmpeg cannot make it: %s", strings.TrimSpace(s))
		}
		tb.Fatalf("ffmpeg: %v\n%s", err, stderr.String())
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		tb.Fatal(err)
	}
	return path
}

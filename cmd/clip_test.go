package cmd_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A clip says what a test watches: moving picture and sound, coded beforehand
// so that playing it costs next to nothing.
type clip struct {
	seconds int
	gop     int    // frames from keyframe to keyframe; 0 is 25, a second
	rate    string // of the video; "" is 1000k
	bframes int
	rest    string // a word that makes two clips differ
}

// The muxers that the clips are kept in and played with.
var (
	asFLV   = []string{"-f", "flv", "-flvflags", "no_duration_filesize"}
	asFrame = []string{"-f", "mp4", "-movflags", "+frag_every_frame+empty_moov+default_base_moof"}
	asGOP   = []string{"-f", "mp4", "-movflags", "+frag_keyframe+empty_moov+default_base_moof"}
)

// file makes the clip, unless it is there already, as an FLV file.
func (c clip) file(t testing.TB) string {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed: there is nothing to watch")
	}
	if c.gop == 0 {
		c.gop = 25
	}
	if c.rate == "" {
		c.rate = "1000k"
	}
	name := sha256.Sum256(fmt.Append(nil, c))
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("xp2p-clips-%d", os.Getuid()))
	path := filepath.Join(dir, hex.EncodeToString(name[:8])+".flv")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	tone := "440"
	if c.rest != "" {
		tone = "880"
	}
	making := path + fmt.Sprintf(".%d.part", os.Getpid())
	defer os.Remove(making)
	args := []string{
		"-nostdin", "-v", "error", "-y",
		"-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-f", "lavfi", "-i", "sine=sample_rate=44100:frequency=" + tone, "-t", number(c.seconds),
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", number(c.gop), "-keyint_min", number(c.gop), "-sc_threshold", "0", "-bf", number(c.bframes),
		"-b:v", c.rate, "-minrate", c.rate, "-maxrate", c.rate, "-bufsize", c.rate, "-x264-params", "nal-hrd=cbr",
		"-c:a", "aac", "-b:a", "64k", "-ac", "2", "-map_metadata", "-1",
	}
	cmd := exec.CommandContext(t.Context(), "ffmpeg", append(append(args, asFLV...), making)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		if strings.Contains(string(out), "Unknown encoder") {
			t.Skipf("this ffmpeg cannot make it: %s", out)
		}
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	if err := os.Rename(making, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// live is how ffmpeg plays the clip at its own speed.
func (c clip) live(t testing.TB, muxer []string) []string {
	t.Helper()
	return append([]string{"-re", "-i", c.file(t), "-c", "copy"}, muxer...)
}

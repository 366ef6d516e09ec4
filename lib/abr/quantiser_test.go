package abr

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xp2p/xp2p/lib/internal/testmedia"
	"github.com/xp2p/xp2p/lib/media"
)

// What an encoder was told is what is read, whatever it made of key frames and of a few
// others.
func TestTheQuantiserIsReadThatTheEncoderWasTold(t *testing.T) {
	for name, enc := range map[string]string{
		"avc.flv":         "-c:v libx264 -preset veryfast -bf 2 -qp 31",
		"avc.mp4":         "-c:v libx264 -preset ultrafast -qp 24 " + fragments,
		"avc fields.mp4":  "-c:v libx264 -preset medium -bf 3 -refs 5 -x264-params tff=1:b-pyramid=2:weightp=2:weightb=1:slices=3:cabac=0 -flags +ildct+ilme -qp 24 " + fragments,
		"avc slower.flv":  "-c:v libx264 -preset slower -bf 4 -refs 6 -qp 31",
		"avc few.flv":     "-c:v libx264 -preset veryfast -bf 0 -qp 31 -x264-params zones=10,14,q=18",
		"hevc few.mp4":    "-c:v libx265 -preset ultrafast -x265-params log-level=none:pools=none:bframes=0:qp=31:zones=10,14,q=18 -tag:v hvc1 " + fragments,
		"hevc.mp4":        "-c:v libx265 -preset ultrafast -x265-params log-level=none:pools=none:bframes=3:qp=31 -tag:v hvc1 " + fragments,
		"hevc within.mp4": "-c:v libx265 -preset ultrafast -x265-params log-level=none:pools=none:bframes=0:qp=24 -tag:v hev1 " + fragments,
		"hevc slow.mp4":   "-c:v libx265 -preset slow -x265-params log-level=none:pools=none:bframes=5:ref=5:weightb=1:scaling-list=default:temporal-layers=1:qp=31 -tag:v hvc1 " + fragments,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			args := []string{"-filter_complex", testmedia.Film(3, "192x108"), "-map", "[v0]", "-map", "[a0]", "-c:a", "aac", "-g", "50"}
			ffmpeg(t, append(append(args, strings.Fields(enc)...), path)...)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			c, want := media.FMP4, 24
			if strings.HasSuffix(name, "flv") {
				c = media.FLV
			}
			if strings.Contains(enc, "31") {
				want = 31
			}
			r := NewReader(name, c)
			r.Feed(b)
			if got := quantiser(r.samples); got != want {
				t.Errorf("%d, want %d", got, want)
			}
			// Of what comes in two parts, and of what is not video, as much is known.
			half := len(r.samples) / 2
			if got := quantiser(r.samples[:half], r.samples[half:]); got != want {
				t.Errorf("%d of two parts, want %d", got, want)
			}
			if got := quantiser(nil); got != 0 {
				t.Errorf("%d of nothing", got)
			}
		})
	}
}

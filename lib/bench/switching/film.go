package switching

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Seconds is how long a film is.
const Seconds = 12

const (
	width, height = 480, 270
	phase         = 0.37 // of a GOP, between keyframes that are apart
)

// run runs ffmpeg or ffprobe and returns what it says on stdout.
func run(ctx context.Context, program string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, tail(errs.String()))
	}
	return out, nil
}

func tail(s string) string {
	s = strings.TrimSpace(s)
	return s[max(0, len(s)-400):]
}

// original makes the source of all renditions at a frame rate, without loss,
// once in dir.
func original(ctx context.Context, dir, fps string) (string, error) {
	path := filepath.Join(dir, "source-"+fps+".nut")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	rate, filter, base := fps, "null", "-1"
	if fps == "29.97" {
		rate = "30000/1001"
	}
	if fps == "vfr" { // pictures are missing, and none comes when it should
		rate, base = "30", "1:90000"
		filter = "select='not(eq(mod(n,5),2)+eq(mod(n,11),7))',settb=1/90000,setpts='floor(PTS+900*sin(N*1.7)+900)'"
	}
	tmp := fmt.Sprintf("%s.%x.tmp", path, rand.Uint64()) // another Bench may make the same
	_, err := run(ctx, "ffmpeg", "-v", "error", "-nostdin", "-y",
		"-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=%dx%d:rate=%s:duration=%d", width, height, rate, Seconds),
		"-f", "lavfi", "-i", fmt.Sprintf("sine=frequency=440:beep_factor=4:sample_rate=48000:duration=%d", Seconds),
		"-vf", filter+",format=yuv420p", "-fps_mode", "passthrough", "-enc_time_base", base,
		"-c:v", "ffv1", "-c:a", "pcm_s16le", "-f", "nut", tmp)
	if err != nil {
		return "", err
	}
	return path, os.Rename(tmp, path)
}

// rendition encodes one, once in dir. fresh is the one that is switched to.
func rendition(ctx context.Context, dir string, c Cell, good, fresh bool) (string, error) {
	apart := fresh && !c.Aligned
	scale := 90000
	if fresh {
		scale = c.Scale
	}
	end := "mp4"
	if !c.MP4 {
		end, scale = "flv", 1000
	}
	bf := c.OldB
	if fresh {
		bf = c.BFrames
	}
	opens, half := c.Open && bf > 0, c.halved(good)
	name := fmt.Sprintf("g%d-b%d-o%t-f%s-n%t-h%t-p%t-s%d-q%t.%s", c.GOP, bf, opens, c.FPS, half, c.HEVC, apart, scale, good, end)
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	source, err := original(ctx, dir, c.FPS)
	if err != nil {
		return "", err
	}
	size, rate := "240:136", "120k"
	if good {
		size, rate = "480:270", "600k"
	}
	every := float64(c.GOP) // between IDRs
	if opens {
		every *= 2
	}
	shift := 0.0
	if apart {
		shift = phase * float64(c.GOP)
	}
	frames := 9999
	if opens {
		n, err := strconv.ParseFloat(c.FPS, 64)
		if err != nil {
			n = 22 // of 30, less those that are missing
		}
		if half {
			n /= 2
		}
		frames = c.GOP * int(n+0.5)
	}
	pick := ""
	if half {
		pick = "select='not(mod(n,2))',"
	}
	args := []string{
		"-v", "error", "-nostdin", "-y", "-i", source, "-map", "0", "-vf", pick + "scale=" + size, "-fps_mode", "passthrough", "-enc_time_base", "-1",
		"-b:v", rate, "-bf", strconv.Itoa(bf), "-g", strconv.Itoa(frames), "-sc_threshold", "0", "-forced-idr", "1",
		"-force_key_frames", fmt.Sprintf("expr:gte(t,n_forced*%g-%g)", every, shift), "-c:a", "aac", "-b:a", "64k",
	}
	open := "0"
	if opens {
		open = "1"
	}
	if c.HEVC {
		args = append(args, "-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1",
			"-x265-params", fmt.Sprintf("log-level=error:open-gop=%s:bframes=%d:keyint=%d:min-keyint=1:scenecut=0:b-adapt=0:pools=1:frame-threads=1", open, bf, frames))
	} else {
		args = append(args, "-c:v", "libx264", "-preset", "veryfast", "-threads", "1", "-x264-params", "open-gop="+open)
	}
	if c.MP4 {
		args = append(args, "-movflags", "frag_keyframe+delay_moov+default_base_moof", "-video_track_timescale", strconv.Itoa(scale))
	}
	tmp := fmt.Sprintf("%s.%x.tmp", path, rand.Uint64()) // another Bench may make the same
	if _, err := run(ctx, "ffmpeg", append(args, "-f", end, tmp)...); err != nil {
		return "", err
	}
	return path, os.Rename(tmp, path)
}

// Package bridge runs the ffmpeg process that encodes the way from one rendition
// to the next IDR of another (see package abr).
package bridge

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/xp2p/xp2p/lib/abr"
	"github.com/xp2p/xp2p/lib/media"
)

// Find returns the path of the encoder, or an error that says what is missing.
func Find(program string) (string, error) {
	if program == "" {
		return "", fmt.Errorf("no encoder is named")
	}
	return exec.LookPath(program)
}

// A Piece is what an encoder made of a job. With Over nothing follows; Why is
// empty then if it ended well.
type Piece struct {
	Job   int
	Bytes []byte
	Over  bool
	Why   string
}

// An Encoder is one process on one job.
type Encoder struct {
	ID     int
	cancel context.CancelFunc
	begun  time.Time
	ended  chan struct{} // closed behind ready and used are set
	ready  time.Duration // until the first bytes came; 0 if none did
	used   time.Duration // CPU time
	mu     sync.Mutex
	queue  [][]byte
	over   bool
	news   chan struct{}
}

// Start starts an encoder. What it makes comes on out, until Over.
func Start(ctx context.Context, program string, job abr.Job, out chan<- Piece) (*Encoder, error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, program, arguments(job)...)
	cmd.WaitDelay = time.Second
	errors := &tail{}
	cmd.Stderr = errors
	in, err := cmd.StdinPipe()
	if err != nil {
		cancel()
		return nil, err
	}
	made, err := cmd.StdoutPipe()
	if err != nil {
		cancel()
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	e := &Encoder{ID: job.ID, cancel: cancel, begun: time.Now(), ended: make(chan struct{}), news: make(chan struct{}, 1)}
	go e.write(ctx, in)
	go func() {
		defer cancel()
		for {
			p := make([]byte, 64<<10)
			n, err := made.Read(p)
			if n > 0 && e.ready == 0 {
				e.ready = time.Since(e.begun)
			}
			if n > 0 && !send(ctx, out, Piece{Job: job.ID, Bytes: p[:n]}) {
				break
			}
			if err != nil {
				break
			}
		}
		last := Piece{Job: job.ID, Over: true}
		err := cmd.Wait()
		if err != nil {
			last.Why = strings.TrimSpace(fmt.Sprintf("%s: %v %s", program, err, errors))
		}
		if cmd.ProcessState != nil {
			e.used = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		}
		close(e.ended)
		send(ctx, out, last)
	}()
	return e, nil
}

func send(ctx context.Context, out chan<- Piece, p Piece) bool {
	select {
	case out <- p:
		return true
	case <-ctx.Done():
		return false
	}
}

// Write hands over the next bytes; over says that they are the last. It never
// waits.
func (e *Encoder) Write(b [][]byte, over bool) {
	e.mu.Lock()
	e.queue = append(e.queue, b...)
	e.over = e.over || over
	e.mu.Unlock()
	select {
	case e.news <- struct{}{}:
	default:
	}
}

// Stop ends the process: what it makes is not wanted any more. It returns how long the
// first bytes were in coming, 0 if none came, and how much CPU time all of it took.
func (e *Encoder) Stop() (ready, used time.Duration) {
	e.cancel()
	<-e.ended
	return e.ready, e.used
}

func (e *Encoder) write(ctx context.Context, in io.WriteCloser) {
	defer in.Close()
	for {
		e.mu.Lock()
		b, over := e.queue, e.over
		e.queue = nil
		e.mu.Unlock()
		for _, p := range b {
			if _, err := in.Write(p); err != nil {
				return // it has ended, and its end says why
			}
		}
		if over && len(b) == 0 {
			return
		}
		if len(b) > 0 {
			continue
		}
		select {
		case <-e.news:
		case <-ctx.Done():
			return
		}
	}
}

// finer is by how much a bridge's quantiser is below the rendition's: a step of it is
// 2.5 times as small, and the bridge at most 0.6 dB farther from the source, or 1.2 where
// a picture is much finer than most. finest is where nobody could see more.
const finer, finest = 8, 8

// quick is what x265 leaves out beyond its quickest preset. All of it together
// saves a quarter to a third of the time, most by blocks smaller than 32 not being
// looked at, for 5 to 20 % more bits. As finely as this is quantised, edges to smooth
// are hardly there.
const quick = ":min-cu-size=32:max-merge=1:limit-refs=3:psy-rd=0" +
	":no-temporal-mvp=1:no-strong-intra-smoothing=1:no-deblock=1"

// arguments is ffmpeg's command line.
func arguments(j abr.Job) []string {
	// With these presets 1080p30 is encoded in less than real time by one core; as HEVC
	// by two or three, of 20 Mbit/s by four to six.
	format, encoder := "flv", "libx264"
	if j.Container == media.FMP4 {
		format = "mp4"
	}
	if !strings.HasPrefix(j.Codec, "avc") {
		encoder = "libx265"
	}
	args := []string{
		"-hide_banner", "-nostdin", "-loglevel", "error",
		// One thread decodes: several hold back a picture each.
		"-threads", "1", "-probesize", "32k", "-analyzeduration", "0", "-fpsprobesize", "0",
		"-copyts", "-f", format, "-i", "pipe:0", "-map", "0:v:0",
		"-vf", fmt.Sprintf("select=gte(pts\\,%d)", j.Start), "-fps_mode", "passthrough", "-enc_time_base", "-1",
		"-c:v", encoder, "-preset", "ultrafast", "-bf", "0", "-forced-idr", "1",
		// Counted, for what its t counts from is another in each version.
		"-force_key_frames", fmt.Sprintf("expr:lt(n,%d)", j.Keys),
	}
	// As fine as must be not to be seen, and no finer: what a rendition has lost already
	// would cost ten times its bits to keep.
	if j.QP > 0 {
		args = append(args, "-qp", strconv.Itoa(max(j.QP-finer, finest)))
	} else {
		args = append(args, "-crf", "14")
	}
	if encoder == "libx264" {
		args = append(args, "-tune", "zerolatency", "-x264-params", "keyint=infinite:scenecut=0:sliced-threads=1:threads=2")
	} else {
		args = append(args, "-tag:v", "hvc1", "-x265-params", "log-level=error:bframes=0:keyint=-1:scenecut=0:rc-lookahead=0:frame-threads=2:open-gop=0:repeat-headers=0"+quick)
	}
	if format == "mp4" {
		args = append(args, "-video_track_timescale", strconv.Itoa(int(j.Timescale)), "-movflags", "frag_every_frame+empty_moov+default_base_moof+frag_discont", "-use_editlist", "0")
	} else {
		args = append(args, "-flvflags", "no_duration_filesize")
	}
	return append(args, "-flush_packets", "1", "-f", format, "pipe:1")
}

// A tail keeps the last line of what is written to it.
type tail struct {
	mu   sync.Mutex
	line []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := bytes.TrimSpace(p)
	if i := bytes.LastIndexByte(q, '\n'); i >= 0 {
		q = q[i+1:]
	}
	if len(q) > 0 {
		t.line = append(t.line[:0], q[:min(len(q), 300)]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.line) == 0 {
		return ""
	}
	return "(" + string(t.line) + ")"
}

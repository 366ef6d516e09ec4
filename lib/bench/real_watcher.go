package bench

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A watcher is one viewer's process, whose output is read here.
type watcher struct {
	Viewer
	show       *show
	name, host string
	originOnly bool

	mu    sync.Mutex
	proc  *process // nil before it comes
	leave chan struct{}
	gone  bool // an event made him leave

	check *check
	came  time.Duration // on the show's clock
	err   error
}

// attend comes, watches and leaves when the viewer does.
func (w *watcher) attend(ctx context.Context) {
	if !w.show.sleepUntil(ctx, w.JoinS) {
		return
	}
	if w.err = w.start(); w.err != nil {
		return
	}
	leave := make(chan struct{})
	if end := w.JoinS + w.StayS; end < w.show.reel.length.Seconds() {
		t := time.AfterFunc(time.Until(w.show.began.Add(time.Duration(end*float64(time.Second)))), func() { close(leave) })
		defer t.Stop()
	}
	select {
	case <-w.proc.ended:
		return
	case <-leave:
	case <-w.leave:
	case <-ctx.Done():
	}
	w.proc.interrupt()
	select {
	case <-w.proc.ended:
	case <-time.After(endWithin):
		w.proc.cmd.Process.Kill()
		<-w.proc.ended
	}
}

// depart has the viewer leave now, if he is there.
func (w *watcher) depart() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.proc != nil && !w.gone {
		w.gone = true
		close(w.leave)
	}
}

// process is the viewer's process; nil before he comes.
func (w *watcher) process() *process {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.proc
}

func (w *watcher) statsFile() string { return filepath.Join(w.show.dir, "stats-"+w.host) }

// command is what the viewer runs.
func (w *watcher) command() *process {
	s := w.show
	if s.opt.Plain {
		return &process{name: w.name, cmd: s.place.command(s.ctx, w.host, s.tools.curl, "-sN", s.url+"/live/"+realRoom+".flv")}
	}
	args := []string{"-q", "--listen", netip.AddrPortFrom(s.place.addr(w.host), 0).String(), "--stats", w.statsFile()}
	switch {
	case w.originOnly:
		args = append(args, "--origin-only")
	case w.NoUpload:
		args = append(args, "--no-upload")
	default:
		args = append(args, s.place.viewerLimits(w.Viewer)...)
	}
	return &process{name: w.name, cmd: s.place.command(s.ctx, w.host, s.tools.peer, append(args, s.url+"/"+realRoom)...)}
}

// start starts the process and begins to read what it puts out.
func (w *watcher) start() error {
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	p := w.command()
	p.cmd.Stdout = in
	w.check = newCheck(w.show.reel)
	err = p.start(func() {
		defer out.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := out.Read(buf)
			w.check.feed(buf[:n], time.Since(w.show.began))
			if err != nil {
				break
			}
		}
		w.check.close()
	})
	in.Close()
	if err != nil {
		out.Close()
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.proc, w.leave, w.came = p, make(chan struct{}), p.began.Sub(w.show.began)
	return nil
}

// watched is how long the viewer was there.
func (w *watcher) watched() time.Duration { return w.proc.over.Sub(w.proc.began) }

// trouble says what went wrong with a viewer; empty is nothing.
func (w *watcher) trouble() string {
	switch {
	case w.err != nil:
		return w.name + ": " + w.err.Error()
	case w.proc == nil:
		return ""
	case w.check.bad > 0:
		return w.name + ": put out " + strconv.FormatInt(w.check.bad, 10) + " bytes that are not the broadcaster's"
	case w.check.from < 0 && !w.proc.told:
		return strings.TrimSpace(w.name + ": put out no keyframe: " + w.proc.said.String())
	case w.proc.told && w.stays():
		return w.name + ": was not done " + grace.String() + " after the end of the broadcast"
	case w.proc.told:
		return w.proc.trouble(130, 0, 3, -1)
	}
	return w.proc.trouble(0, 3)
}

// stays reports whether the viewer was to watch to the end.
func (w *watcher) stays() bool {
	return !w.gone && w.JoinS+w.StayS >= w.show.reel.length.Seconds()
}

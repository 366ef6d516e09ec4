package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// A process is one that this program has started, and ends.
type process struct {
	name  string
	cmd   *exec.Cmd
	said  tail
	began time.Time
	over  time.Time     // valid once ended is closed
	ended chan struct{} // closed when it has ended and all it wrote was read
	told  bool          // we asked it to end
	rss   int64         // bytes, at the end of the broadcast
}

// endWithin is how long a process may take to end when it is killed; what it
// left open is then closed on it.
const endWithin = 2 * time.Second

// start starts a process. Whatever reads its output has until its end to do so.
func (p *process) start(read func()) error {
	p.ended = make(chan struct{})
	p.cmd.Stderr = &p.said
	p.cmd.WaitDelay = endWithin
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		close(p.ended)
		return fmt.Errorf("%s: %w", p.name, err)
	}
	go func() {
		defer close(p.ended)
		if read != nil {
			read()
		}
		p.cmd.Wait()
		p.over = time.Now()
	}()
	return nil
}

// running reports whether the process has not ended yet.
func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// interrupt asks the process to leave.
func (p *process) interrupt() {
	p.told = true
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.cmd.Process.Kill()
	}
}

// code is the exit code of a process that has ended; -1 if a signal ended it or
// it never began.
func (p *process) code() int {
	if p.cmd.ProcessState == nil {
		return -1
	}
	return p.cmd.ProcessState.ExitCode()
}

// cpu is the CPU time of a process that has ended.
func (p *process) cpu() time.Duration {
	if st := p.cmd.ProcessState; st != nil {
		return st.UserTime() + st.SystemTime()
	}
	return 0
}

// trouble says what is wrong with how a process ended; empty is nothing.
func (p *process) trouble(good ...int) string {
	code := p.code()
	for _, g := range good {
		if code == g {
			return ""
		}
	}
	return strings.TrimSpace(fmt.Sprintf("%s: exit code %d: %s", p.name, code, p.said.String()))
}

// A tail keeps the last of what a process said.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const maxTail = 2 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if n := len(t.b) - maxTail; n > 0 {
		t.b = append(t.b[:0], t.b[n:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.b))
}

// await asks every few milliseconds whether f holds.
func await(ctx context.Context, within time.Duration, f func() bool) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(within); ; {
		if f() {
			return true
		}
		select {
		case <-tick.C:
		case <-late:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

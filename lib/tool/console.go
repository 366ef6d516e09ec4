package tool

import (
	"io"
	"os"
	"sync"
	"time"

	"github.com/charmbracelet/lipgloss"
	"golang.org/x/term"
)

// statusEvery is the least time between two status lines.
const statusEvery = 200 * time.Millisecond

// A console is stderr: log lines scroll, one status line stays below them.
type console struct {
	mu     sync.Mutex
	w      io.Writer
	on     bool // a status line may be shown
	closed bool
	status string
	stale  bool // what is shown is not the status, or nothing is shown
	shown  bool
	drawn  time.Time
	timer  *time.Timer
}

const eraseLine = "\r\x1b[K"

func newConsole(w io.Writer) *console { return &console{w: w} }

func (c *console) enable(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on = on
}

func (c *console) enabled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.on && !c.closed
}

// Write writes lines; the status line makes room for them and comes back.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.erase()
	n, err := c.w.Write(p)
	c.stale = true
	c.schedule()
	return n, err
}

func (c *console) setStatus(s string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status, c.stale = s, true
	if s == "" {
		c.erase()
		return
	}
	c.schedule()
}

// schedule draws the status line now if it is due, else when it is.
func (c *console) schedule() {
	if !c.on || c.closed || c.status == "" || !c.stale {
		return
	}
	wait := statusEvery - time.Since(c.drawn)
	if wait <= 0 {
		c.draw()
		return
	}
	if c.timer == nil {
		c.timer = time.AfterFunc(wait, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.timer = nil
			c.schedule()
		})
	}
}

func (c *console) draw() {
	line := c.status
	if w := c.width(); w > 1 {
		line = lipgloss.NewStyle().Inline(true).MaxWidth(w - 1).Render(line)
	}
	io.WriteString(c.w, eraseLine+line)
	c.shown, c.stale, c.drawn = true, false, time.Now()
}

func (c *console) erase() {
	if c.shown {
		io.WriteString(c.w, eraseLine)
		c.shown = false
	}
}

func (c *console) width() int {
	f, ok := c.w.(*os.File)
	if !ok {
		return 80
	}
	w, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 80
	}
	return w
}

func (c *console) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.erase()
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
	}
}

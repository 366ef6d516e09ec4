package tunnel

import (
	"io"
	"net"
	"os"
	"time"

	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/wire"
)

// A Conn is one tunnel. The Tunnel's mutex guards it; what touches the node runs on
// the loop.
type Conn struct {
	t    *Tunnel
	name string
	out  node.Stream // ours

	from   node.Stream // the other's, once bound
	bound  bool
	reader wire.TunnelReader // the loop's

	got    []byte // not yet read by our reader
	eof    bool   // there is no more behind got
	owed   int    // read, and not yet granted again
	credit int    // what we may send
	unsent []byte // frames that XNTP had no room for
	ending bool   // close the stream behind unsent
	ended  bool   // our stream is closed
	closed bool   // by our owner
	err    error  // why there is nothing more

	wake             chan struct{} // closed at every change that somebody may wait for
	readBy, writeBy  deadline
	writing, reading chan struct{} // one at a time
}

func newConn(t *Tunnel, out node.Stream, name string) *Conn {
	return &Conn{
		t: t, name: name, out: out, credit: wire.TunnelCredit, wake: make(chan struct{}),
		writing: make(chan struct{}, 1), reading: make(chan struct{}, 1),
	}
}

// changed wakes all who wait. The caller holds mu, here and below.
func (c *Conn) changed() {
	close(c.wake)
	c.wake = make(chan struct{})
}

func (c *Conn) bind(from node.Stream, r wire.TunnelReader) {
	c.from, c.bound, c.reader = from, true, r
}

// take takes what came; false if the other end broke the rules.
func (c *Conn) take(data []byte, credit int) bool {
	c.credit += credit
	if c.credit > 1<<31 {
		return false
	}
	if !c.closed {
		c.got = append(c.got, data...)
	}
	if len(c.got)+c.owed > wire.TunnelCredit {
		return false
	}
	c.changed()
	return true
}

// finished notes that the other end has closed, with all that it had to say said:
// nobody reads what we write. On the loop.
func (c *Conn) finished(now time.Time) {
	c.eof, c.unsent = true, nil
	if !c.ended {
		c.end(now)
	}
	c.t.forget(c)
	c.changed()
}

// fail ends the connection both ways.
func (c *Conn) fail(err error) {
	if c.err == nil {
		c.err = err
	}
	c.unsent, c.ended = nil, true
	c.changed()
}

// flush gives XNTP what waits. On the loop.
func (c *Conn) flush(now time.Time) {
	if c.ended {
		return
	}
	if len(c.unsent) > 0 {
		n, _ := c.t.n.WriteStream(now, c.out, c.unsent) // what it refuses, EventWritable or EventConnGone brings up again
		c.unsent = c.unsent[n:]
		if len(c.unsent) == 0 {
			c.unsent = nil
		}
		c.changed()
	}
	if c.ending && len(c.unsent) == 0 {
		c.end(now) // the other end closes too when it sees this
	}
}

// end closes our stream. On the loop.
func (c *Conn) end(now time.Time) {
	c.t.n.CloseStream(now, c.out)
	c.ended = true
}

// push hands frames to the loop.
func (c *Conn) push(frames []byte) error {
	return c.t.do(func(now time.Time) {
		c.t.mu.Lock()
		defer c.t.mu.Unlock()
		if !c.ended && !c.ending {
			c.unsent = append(c.unsent, frames...)
			c.flush(now)
		}
	})
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	c.reading <- struct{}{}
	defer func() { <-c.reading }()
	for {
		c.t.mu.Lock()
		n := copy(p, c.got)
		var grant int
		switch {
		case c.closed:
			c.t.mu.Unlock()
			return 0, net.ErrClosed
		case n > 0:
			c.got = c.got[n:]
			if c.owed += n; c.owed >= creditAt {
				grant, c.owed = c.owed, 0
			}
		case c.eof:
			c.t.mu.Unlock()
			return 0, io.EOF
		case c.err != nil:
			err := c.err
			c.t.mu.Unlock()
			return 0, err
		}
		wake, due := c.wake, c.readBy.done()
		c.t.mu.Unlock()
		if n > 0 || len(p) == 0 {
			if grant > 0 {
				_ = c.push(wire.AppendTunnelCredit(nil, grant)) // a loop that has ended says so by and by
			}
			return n, nil
		}
		select {
		case <-wake:
		case <-due:
			return 0, os.ErrDeadlineExceeded
		}
	}
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (n int, err error) {
	c.writing <- struct{}{}
	defer func() { <-c.writing }()
	for len(p) > 0 {
		k, err := c.allowed(len(p))
		if err != nil {
			return n, err
		}
		frame := append(wire.AppendTunnelData(make([]byte, 0, k+9), k), p[:k]...)
		if err := c.push(frame); err != nil {
			return n, err
		}
		n, p = n+k, p[k:]
	}
	return n, nil
}

// allowed waits until something may be sent, and takes it off the credit.
func (c *Conn) allowed(want int) (int, error) {
	for {
		c.t.mu.Lock()
		wake, due := c.wake, c.writeBy.done()
		k := min(want, c.credit, wire.MaxTunnelData)
		ready := k > 0 && len(c.unsent) < maxUnsent
		closed, err := c.closed, c.err
		if c.eof && err == nil {
			err = io.ErrClosedPipe
		}
		var wait time.Duration
		if ready && !closed && err == nil {
			c.credit -= k
			wait = c.t.turn(k)
		}
		c.t.mu.Unlock()
		switch {
		case closed:
			return 0, net.ErrClosed
		case err != nil:
			return 0, err
		}
		select {
		case <-due:
			return 0, os.ErrDeadlineExceeded
		default:
		}
		if wait > 0 {
			select {
			case <-time.After(wait):
			case <-due:
				return 0, os.ErrDeadlineExceeded
			}
		}
		if ready {
			return k, nil
		}
		select {
		case <-wake:
		case <-due:
		}
	}
}

// Close implements net.Conn: what was written is still sent. There is no closing
// of one direction.
func (c *Conn) Close() error {
	c.t.mu.Lock()
	was := c.closed
	c.closed = true
	c.got = nil
	c.readBy.set(time.Time{})
	c.writeBy.set(time.Time{})
	c.changed()
	c.t.mu.Unlock()
	if was {
		return net.ErrClosed
	}
	return c.t.do(func(now time.Time) {
		c.t.mu.Lock()
		defer c.t.mu.Unlock()
		c.ending = true
		c.flush(now)
	})
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return addr("xntp") }

// RemoteAddr implements net.Conn: it is where the peer's datagrams come from.
func (c *Conn) RemoteAddr() net.Addr { return addr(c.name) }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(at time.Time) error {
	c.SetReadDeadline(at)
	return c.SetWriteDeadline(at)
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(at time.Time) error { return c.setDeadline(&c.readBy, at) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(at time.Time) error { return c.setDeadline(&c.writeBy, at) }

func (c *Conn) setDeadline(d *deadline, at time.Time) error {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	d.set(at)
	c.changed() // whoever waits looks anew for how long
	return nil
}

// A deadline is a channel that is closed when it is due.
type deadline struct {
	timer *time.Timer
	due   chan struct{}
}

func (d *deadline) done() <-chan struct{} { return d.due }

func (d *deadline) set(at time.Time) {
	if d.timer != nil {
		d.timer.Stop()
	}
	d.timer, d.due = nil, nil
	if at.IsZero() {
		return
	}
	due := make(chan struct{})
	d.due = due
	if wait := time.Until(at); wait > 0 {
		d.timer = time.AfterFunc(wait, func() { close(due) })
	} else {
		close(due)
	}
}

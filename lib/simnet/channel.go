package simnet

import "time"

// A Channel carries typed messages from one place to another, in order, each
// with its own delay: a signalling connection, or an origin's answers.
type Channel[T any] struct {
	world   *World
	deliver func(now time.Time, msg T)
	last    int64
	closed  bool
}

// NewChannel makes a channel whose messages end in deliver. To give one to a
// machine, deliver calls Process.Do.
func NewChannel[T any](w *World, deliver func(now time.Time, msg T)) *Channel[T] {
	return &Channel[T]{world: w, deliver: deliver}
}

// Send sends a message. It arrives after delay, but not before those that
// were sent before it.
func (c *Channel[T]) Send(delay time.Duration, msg T) {
	w := c.world
	c.last = max(c.last, w.now+int64(max(0, delay)))
	w.postAt(c.last, func() {
		if !c.closed {
			c.deliver(w.Now(), msg)
		}
	})
}

// Close breaks the channel: what is on its way does not arrive.
func (c *Channel[T]) Close() { c.closed = true }

package main

import (
	"context"
	"sync"
	"time"
)

// An entrance is the moment in which the first keyframe is written as it comes,
// because a player is quicker with its first bytes than with all of them. The
// output ends on a border of the container all the same: whoever interrupts the
// program then waits until the keyframe is whole.
type entrance struct {
	mu   sync.Mutex
	left bool
	half chan struct{} // while the keyframe is written in part
}

// begin says that the keyframe will be written in part. It fails if the program
// was told to end before.
func (e *entrance) begin() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.left {
		return context.Canceled
	}
	if e.half == nil {
		e.half = make(chan struct{})
	}
	return nil
}

// end says that the keyframe is written.
func (e *entrance) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.half != nil {
		close(e.half)
		e.half = nil
	}
}

// leave waits for the end of what has begun, for a bounded time.
func (e *entrance) leave(within time.Duration) {
	e.mu.Lock()
	e.left = true
	half := e.half
	e.mu.Unlock()
	if half == nil {
		return
	}
	select {
	case <-half:
	case <-time.After(within):
	}
}

package main

import (
	"context"
	"sync"
	"time"
)

// What the output keeps for a reader that is slower than what comes. Others are
// served from what the node holds; they do not notice.
const (
	localWindow      = 2 * time.Minute
	localWindowBytes = 64 << 20
)

// How much may wait for the reader of the output before the origin's stream is
// read no further: a stream that is over comes as fast as the network goes, and
// the player takes it as fast as it plays. What neighbours push comes anyway.
const (
	backlogPieces = 100
	backlogBytes  = 16 << 20
)

// A backlog counts what was put out and not yet written.
type backlog struct {
	mu     sync.Mutex
	pieces int
	bytes  int
	wake   chan struct{} // closed when something was written; nil while nobody waits
}

func (b *backlog) add(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pieces++
	b.bytes += n
}

// wrote tells that a piece was written; all, that none waits any more.
func (b *backlog) wrote(n int, all bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pieces, b.bytes = max(0, b.pieces-1), max(0, b.bytes-n)
	if all {
		b.pieces, b.bytes = 0, 0
	}
	if b.wake != nil {
		close(b.wake)
		b.wake = nil
	}
}

// wait waits until there is little.
func (b *backlog) wait(ctx context.Context) error {
	for {
		b.mu.Lock()
		if b.pieces < backlogPieces && b.bytes < backlogBytes {
			b.mu.Unlock()
			return nil
		}
		if b.wake == nil {
			b.wake = make(chan struct{})
		}
		wake := b.wake
		b.mu.Unlock()
		select {
		case <-wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

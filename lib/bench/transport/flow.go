package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/xp2p/xp2p/lib/bench/rival"
)

var errCorrupt = errors.New("the bytes that came are not those that were sent")

// A flow is one connection as the end sees it that dialed.
type flow struct {
	conn  rival.Conn
	tally *tally
}

// dial opens a flow with a request. ctx bounds the dial only; the flow ends by
// its close.
func dial(ctx context.Context, t rival.Transport, at rival.Place, to rival.Peer, r request, start time.Time) (*flow, error) {
	c, err := t.Dial(ctx, at, to, r.append(nil))
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	return &flow{c, newTally(start)}, nil
}

// take reads until size bytes have come; 0 is until the connection ends.
func (f *flow) take(size int64) error {
	for at := int64(0); size == 0 || at < size; {
		p, err := f.conn.Next()
		if err != nil {
			return err
		}
		if !matches(at, p) || size > 0 && at+int64(len(p)) > size {
			f.tally.corrupt()
			return errCorrupt
		}
		at += int64(len(p))
		f.tally.add(len(p))
	}
	return nil
}

// messages are the live messages that came.
type messages struct {
	mu   sync.Mutex
	seen map[uint64]bool
	late []time.Duration // from write to read, in the order in which they came
}

// takeLive reads messages of a size until the connection ends.
func (f *flow) takeLive(m *messages, size int) error {
	var rest []byte // of a message, where borders are not kept
	for {
		p, err := f.conn.Next()
		if err != nil {
			return err
		}
		now := time.Since(f.tally.start)
		f.tally.add(len(p))
		if len(rest) > 0 {
			rest = append(rest, p...)
			p = rest
		}
		for len(p) >= size {
			if !m.add(p[:size], now) {
				f.tally.corrupt()
				return errCorrupt
			}
			p = p[size:]
		}
		rest = append(rest[:0:0], p...)
	}
}

// add counts a message, once.
func (m *messages) add(p []byte, now time.Duration) (ok bool) {
	i := binary.BigEndian.Uint64(p)
	sent := time.Duration(binary.BigEndian.Uint64(p[8:]))
	if i > 1<<40 || !matches(int64(i), p[minMessage:]) {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seen == nil {
		m.seen = map[uint64]bool{}
	}
	if !m.seen[i] {
		m.seen[i] = true
		m.late = append(m.late, now-sent)
	}
	return true
}

// quantile is one of the latencies.
func (m *messages) quantile(q float64) (d time.Duration, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.late) == 0 {
		return 0, false
	}
	s := slices.Sorted(slices.Values(m.late))
	return s[min(len(s)-1, int(q*float64(len(s))))], true
}

func (m *messages) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.late)
}

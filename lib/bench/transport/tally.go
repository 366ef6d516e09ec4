package transport

import (
	"sync"
	"time"
)

// A tally counts bytes as they come, in tenths of a second.
type tally struct {
	start time.Time

	mu     sync.Mutex
	bytes  int64
	tenths []int64
	first  time.Duration // when the first byte came; 0 if none did
	last   time.Duration
	wrong  bool // some were not what was sent
}

const tenth = 100 * time.Millisecond

// maxTenths is ten minutes; what comes later is counted, but has no place in
// time.
const maxTenths = 6000

func newTally(start time.Time) *tally { return &tally{start: start} }

func (t *tally) add(n int) {
	now := time.Since(t.start)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bytes == 0 {
		t.first = now
	}
	t.last = now
	t.bytes += int64(n)
	i := int(now / tenth)
	if i >= maxTenths {
		return
	}
	for len(t.tenths) <= i {
		t.tenths = append(t.tenths, 0)
	}
	t.tenths[i] += int64(n)
}

func (t *tally) corrupt() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wrong = true
}

// count is what came so far.
func (t *tally) count() (c counted) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return counted{t.bytes, append([]int64(nil), t.tenths...), t.first, t.last, t.wrong}
}

// counted is what a tally counted.
type counted struct {
	bytes       int64
	tenths      []int64
	first, last time.Duration
	wrong       bool
}

package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/xp2p/xp2p/lib/origin"
	"github.com/xp2p/xp2p/lib/tool"
	"github.com/xp2p/xp2p/lib/wire"
)

// lonely is how long a viewer for whom the origin has no room waits for somebody
// else to begin with. The origin is asked again each second meanwhile.
const lonely = 10 * time.Second

// A waiting is the time from a refused start to the first output. It ends the
// session if for too long there is nobody to get anything from. The zero waiting
// is over.
type waiting struct {
	mu      sync.Mutex
	most    time.Duration
	timer   *time.Timer // nil: it is over
	company map[wire.PeerID]bool
}

// begin starts to wait; alone is called when it has been for nothing.
func (w *waiting) begin(most time.Duration, alone func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.most, w.timer, w.company = most, time.AfterFunc(most, alone), map[wire.PeerID]bool{}
}

// end says that there is output, or that the session is over.
func (w *waiting) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
}

// met says that a neighbour has come, or is gone.
func (w *waiting) met(id wire.PeerID, here bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer == nil {
		return
	}
	was := len(w.company)
	if here {
		w.company[id] = true
	} else {
		delete(w.company, id)
	}
	switch n := len(w.company); {
	case was == 0 && n > 0:
		w.timer.Stop()
	case was > 0 && n == 0:
		w.timer.Reset(w.most)
	}
}

// errNobody is what a session ends with that found neither room at the origin nor
// anybody else.
func errNobody(o *options) error {
	return tool.Unreachable("%s/%s: the origin has no room, and for %v there was nobody else", o.room.Base, o.room.Room, o.lonely).
		Hint("come again in a while")
}

// busyWait is what Retry-After says.
const busyWait = time.Second

// patiently asks again for as long as the origin says that it has no room just
// now: whoever saves a recording has time. An origin that does not answer is asked
// again for that long.
func patiently[T any](ctx context.Context, long time.Duration, ask func() (T, error)) (T, error) {
	for end := time.Now().Add(long); ; {
		got, err := ask()
		if !errors.Is(err, origin.ErrBusy) && (!errors.Is(err, origin.ErrUnreachable) || !time.Now().Before(end)) {
			return got, err
		}
		select {
		case <-time.After(busyWait):
		case <-ctx.Done():
			return got, context.Cause(ctx)
		}
	}
}

package signal

import (
	"sync"

	"github.com/xp2p/xp2p/lib/wire"
)

// An outbox holds what one peer is to hear. A list of neighbours replaces one
// that still waits: it is whole, and the older one has become wrong.
type outbox struct {
	mu       sync.Mutex
	queue    []wire.Signal
	finished bool
	ready    chan struct{} // holds one token while there is something to take
	done     chan struct{} // closed by end
	once     sync.Once
}

func newOutbox() *outbox {
	return &outbox{ready: make(chan struct{}, 1), done: make(chan struct{})}
}

// put adds a message; false when there are too many.
func (o *outbox) put(m wire.Signal) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.finished {
		return true
	}
	if _, ok := m.(*wire.SignalNeighbours); ok {
		for i, old := range o.queue {
			if _, ok := old.(*wire.SignalNeighbours); ok {
				o.queue[i] = m
				return true
			}
		}
	}
	if len(o.queue) >= maxOutbox {
		return false
	}
	o.queue = append(o.queue, m)
	o.wake()
	return true
}

// finish lets what is in the outbox go out, and nothing behind it.
func (o *outbox) finish() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.finished = true
	o.wake()
}

func (o *outbox) wake() {
	select {
	case o.ready <- struct{}{}:
	default:
	}
}

// take returns all that waits, and whether that was the end.
func (o *outbox) take() ([]wire.Signal, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	q := o.queue
	o.queue = nil
	return q, o.finished
}

// end closes the outbox at once.
func (o *outbox) end() { o.once.Do(func() { close(o.done) }) }

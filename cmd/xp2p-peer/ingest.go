package main

import (
	"sync"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
)

// maxIngest bounds the pieces on their way from the node to the player.
const maxIngest = 1024

// ingestTimes remembers when the seed took pieces in until they are written.
type ingestTimes struct {
	mu    sync.Mutex
	at    map[segment.ID]time.Time
	order []segment.ID
}

func (t *ingestTimes) put(id segment.ID, at time.Time) {
	if at.IsZero() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.at == nil {
		t.at = map[segment.ID]time.Time{}
	}
	if len(t.order) == maxIngest { // nobody writes: forget the oldest
		delete(t.at, t.order[0])
		t.order = t.order[1:]
	}
	t.at[id] = at
	t.order = append(t.order, id)
}

func (t *ingestTimes) take(id segment.ID) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.at[id]
	if !ok {
		return time.Time{}
	}
	delete(t.at, id)
	for len(t.order) > 0 {
		if _, waiting := t.at[t.order[0]]; waiting {
			break
		}
		t.order = t.order[1:]
	}
	return at
}

package main

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/xp2p/xp2p/lib/segment"
)

// A hasher hashes batches of pieces beside the cutting: hashing is most of
// the work.
type hasher struct {
	jobs chan *job
}

// A job is a batch whose records go one by one to whoever has time.
type job struct {
	batch []segment.Record
	next  atomic.Int32
	left  sync.WaitGroup
}

func (j *job) work() {
	for {
		i := int(j.next.Add(1)) - 1
		if i >= len(j.batch) {
			return
		}
		j.batch[i].HashPiece()
		j.left.Done()
	}
}

// newHasher starts workers, four at most: the input is read no faster.
func newHasher() *hasher {
	h := &hasher{jobs: make(chan *job, 4)}
	for range min(4, runtime.GOMAXPROCS(0)) {
		go func() {
			for j := range h.jobs {
				j.work()
			}
		}()
	}
	return h
}

// hash begins to hash a batch. What it returns takes part in the work and
// waits for the rest.
func (h *hasher) hash(batch []segment.Record) (wait func()) {
	j := &job{batch: batch}
	j.left.Add(len(batch))
	if len(batch) > 2 { // else it is not worth waking anybody
		select {
		case h.jobs <- j:
		default: // all are busy
		}
	}
	return func() {
		j.work()
		j.left.Wait()
	}
}

func (h *hasher) close() { close(h.jobs) }

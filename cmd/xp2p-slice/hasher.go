package main

import (
	"crypto/sha256"
	"sync"

	"github.com/xp2p/xp2p/lib/segment"
)

// A hasher hashes pieces beside the cutting: hashing is most of the work.
type hasher struct {
	jobs    chan job
	pending sync.WaitGroup
}

type job struct {
	body []byte
	sum  *segment.Hash
}

// The queue holds a batch at most; a full one makes the cutter hash by itself.
func newHasher(workers int) *hasher {
	h := &hasher{jobs: make(chan job, 512)}
	for range workers {
		go h.work()
	}
	return h
}

func (h *hasher) work() {
	for j := range h.jobs {
		*j.sum = sha256.Sum256(j.body)
		h.pending.Done()
	}
}

func (h *hasher) hash(body []byte, sum *segment.Hash) {
	h.pending.Add(1)
	select {
	case h.jobs <- job{body, sum}:
	default:
		*sum = sha256.Sum256(body)
		h.pending.Done()
	}
}

// wait takes part in the work until none is left.
func (h *hasher) wait() {
	for {
		select {
		case j := <-h.jobs:
			*j.sum = sha256.Sum256(j.body)
			h.pending.Done()
			continue
		default:
		}
		break
	}
	h.pending.Wait()
}

func (h *hasher) close() { close(h.jobs) }

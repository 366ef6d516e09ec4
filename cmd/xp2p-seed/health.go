package main

import (
	"errors"
	"fmt"
	"sync"
)

// Health is what /healthz tells: who is unwell, and why.
type health struct {
	mu   sync.Mutex
	ills map[string]error // by what it is about
}

// set says how what is; nil is well.
func (h *health) set(what string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ills == nil {
		h.ills = map[string]error{}
	}
	if h.ills[what] = err; err == nil {
		delete(h.ills, what)
	}
}

// check returns all that is wrong now, in no order that means anything.
func (s *seed) check() error {
	var errs []error
	s.health.mu.Lock()
	for what, err := range s.health.ills {
		errs = append(errs, fmt.Errorf("%s: %w", what, err))
	}
	s.health.mu.Unlock()
	for name, c := range s.clients {
		if room, err := s.rooms.Room(name); err == nil && room.Ended() {
			continue // it has all of it
		}
		if err := c.Err(); err != nil {
			errs = append(errs, fmt.Errorf("upstream of %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

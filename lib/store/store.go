package store

import (
	"errors"
	"fmt"
	"slices"
	"sync"
)

// What callers branch on.
var (
	ErrBadName    = errors.New("bad room name")
	ErrNoRoom     = errors.New("no such room")
	ErrRoomExists = errors.New("room exists")
	// ErrDuplicate: the room has this piece, or a later one.
	ErrDuplicate = errors.New("already there")
	// ErrGap: a record does not follow on the last one.
	ErrGap = errors.New("does not follow on the last piece")
	// ErrFellBehind: the window has left the cursor behind.
	ErrFellBehind = errors.New("fell behind the live window")
	// ErrEnded: the room is over and everything has been read.
	ErrEnded = errors.New("the room has ended")
	// ErrGone: the piece that a cursor was to start at has left the window.
	ErrGone = errors.New("no longer in the window")
	// ErrNotYet: the piece that a cursor was to start at is not known.
	ErrNotYet = errors.New("not in the room yet")
)

// A Store is a set of rooms by name. Its methods may be called from any
// goroutine.
type Store struct {
	mu    sync.RWMutex
	rooms map[string]*Room
}

// New returns a store without rooms.
func New() *Store { return &Store{rooms: map[string]*Room{}} }

// Add puts a room into the store.
func (s *Store) Add(r *Room) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rooms[r.cfg.Name] != nil {
		return fmt.Errorf("%w: %s", ErrRoomExists, r.cfg.Name)
	}
	s.rooms[r.cfg.Name] = r
	return nil
}

// Room returns the room called name.
func (s *Store) Room(name string) (*Room, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	r := s.rooms[name]
	if r == nil {
		return nil, fmt.Errorf("%w: %s", ErrNoRoom, name)
	}
	return r, nil
}

// Remove ends the room called name and takes it out.
func (s *Store) Remove(name string) error {
	s.mu.Lock()
	r := s.rooms[name]
	delete(s.rooms, name)
	s.mu.Unlock()
	if r == nil {
		return nil
	}
	return r.Close()
}

// Rooms returns all rooms, sorted by name.
func (s *Store) Rooms() []*Room {
	s.mu.RLock()
	defer s.mu.RUnlock()
	list := make([]*Room, 0, len(s.rooms))
	for _, r := range s.rooms {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b *Room) int {
		if a.cfg.Name < b.cfg.Name {
			return -1
		}
		return 1
	})
	return list
}

// Close ends every room.
func (s *Store) Close() error {
	var errs []error
	for _, r := range s.Rooms() {
		errs = append(errs, r.Close())
	}
	return errors.Join(errs...)
}

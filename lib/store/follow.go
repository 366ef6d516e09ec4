package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
)

// followEvery is how often a directory is looked at. Segments close once a
// second, so it adds little.
const followEvery = 100 * time.Millisecond

// A Follower brings into a room what a slicer goes on writing into a directory.
// It belongs to one goroutine.
type Follower struct {
	room *Room
	dir  *DirReader
	key  *segment.Verifier
}

// FollowRoom opens a live directory that a slicer is writing: what is there can
// be watched at once, what comes is in the room as soon as its segment has
// closed. The room never writes. Run it, then Close it.
func FollowRoom(name, dir string, window time.Duration) (*Room, *Follower, error) {
	r, err := openRoom(name, dir, window)
	if err != nil {
		return nil, nil, err
	}
	if r.cfg.VOD {
		return nil, nil, fmt.Errorf("room %s: %s: %w", name, dir, ErrUnfinished)
	}
	r.shelf.follow = true
	d, err := OpenDir(dir)
	if err != nil {
		return nil, nil, err
	}
	if _, err := d.list.Seek(r.shelf.size, io.SeekStart); err != nil {
		return nil, nil, errors.Join(err, d.Close())
	}
	return r, &Follower{room: r, dir: d, key: segment.NewVerifier(r.cfg.Key)}, nil
}

// Run appends what comes until the directory has an end record, which closes
// the room, or ctx is done. Records that the room's key has not signed are an
// error.
func (f *Follower) Run(ctx context.Context) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		rec, err := f.dir.Next()
		switch {
		case errors.Is(err, io.EOF):
			select {
			case <-tick.C:
				continue
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		case errors.Is(err, os.ErrNotExist):
			return fmt.Errorf("room %s: %w", f.room.cfg.Name, err)
		case err != nil:
			return err
		}
		if err := f.key.Verify(&rec); err != nil {
			return fmt.Errorf("room %s: %w", f.room.cfg.Name, err)
		}
		if err := f.room.Append(rec); err != nil {
			return err
		}
		if rec.Kind == segment.KindEnd {
			return f.room.Close()
		}
	}
}

// Close closes the directory, not the room.
func (f *Follower) Close() error { return f.dir.Close() }

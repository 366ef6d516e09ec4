package store

import (
	"context"
	"fmt"

	"github.com/xp2p/xp2p/lib/segment"
)

// A Cursor reads a room's records in order from where it was started. It
// belongs to one goroutine; any number of cursors may read one room.
//
// A cursor that starts at a keyframe gives the init which that keyframe needs
// first, then the piece that holds it, from the piece's beginning on. Where
// several keyframes stand in that piece, decoding starts at the first whose
// Init is the init that was given (package origin's Playable does this).
type Cursor struct {
	r      *Room
	before []segment.Record // given before the log's own: the init
	pos    int64            // the next record in the window
	await  bool             // no start point was there yet: wait for one
	disk   *diskCursor      // non-nil while it reads from disk
	last   segment.ID       // the newest piece that was given, if have
	have   bool
}

// Start returns a cursor at from. The errors are ErrGone and ErrNotYet, for
// starts at a piece that the room does not hold.
func (r *Room) Start(from Start) (*Cursor, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := &Cursor{r: r, pos: r.log.end()}
	if r.past && from.kind == startLive {
		from = Oldest()
	}
	switch from.kind {
	case startAt, startAfter:
		return c, c.seek(from)
	}
	if r.shelf != nil {
		if d := r.shelf.start(from, &r.log, r.cfg.VOD); d != nil {
			c.disk = d
			return c, nil
		}
	}
	if p, ok := r.log.start(from); ok {
		c.begin(p)
	} else {
		c.await = !r.closed
	}
	return c, nil
}

// start chooses among the start points of the window.
func (w *window) start(from Start) (startPoint, bool) {
	if len(w.starts) == 0 {
		return startPoint{}, false
	}
	switch from.kind {
	case startOldest:
		return w.starts[0], true
	case startBack:
		edge := w.clock - from.back.Milliseconds()
		for i := len(w.starts) - 1; i >= 0; i-- {
			if w.starts[i].clock <= edge {
				return w.starts[i], true
			}
		}
		return w.starts[0], true
	}
	for i := len(w.starts) - 1; i >= 0; i-- {
		if w.starts[i].key {
			return w.starts[i], true
		}
	}
	return w.starts[0], true
}

// begin puts the cursor at a start point.
func (c *Cursor) begin(p startPoint) {
	w := &c.r.log
	c.pos = w.lead(p.pos)
	c.await = false
	ref := w.inits[p.init]
	if ref == nil {
		return
	}
	for i := c.pos; i < p.pos; i++ {
		if rec := &w.at(i).rec; rec.Kind == segment.KindInit && rec.Init.Hash == p.init {
			return // it comes by itself
		}
	}
	c.before = []segment.Record{ref.rec}
}

// lead returns the position of the first of the inits that directly precede
// pos: whoever begins at pos needs them for what follows.
func (w *window) lead(pos int64) int64 {
	for pos > w.first && w.at(pos-1).rec.Kind == segment.KindInit {
		pos--
	}
	return pos
}

// seek puts the cursor at or behind a piece.
func (c *Cursor) seek(from Start) error {
	w, id := &c.r.log, from.id
	if pos, ok := w.pieces[id]; ok {
		if from.kind == startAfter {
			c.pos = pos + 1
		} else {
			c.pos = w.lead(pos)
		}
		return nil
	}
	if c.r.shelf != nil {
		if d := c.r.shelf.seek(from); d != nil {
			c.disk = d
			return nil
		}
	}
	if c.r.begun && id.Compare(c.r.last) < 0 {
		return fmt.Errorf("piece %s: %w", FormatID(id), ErrGone)
	}
	return fmt.Errorf("piece %s: %w", FormatID(id), ErrNotYet)
}

// Next returns the next record. It waits for one to be appended if need be,
// until ctx is done. Behind the last record of a closed room it returns
// ErrEnded; if the window has moved past the cursor, ErrFellBehind.
func (c *Cursor) Next(ctx context.Context) (segment.Record, error) {
	for {
		rec, wait, err := c.poll()
		if wait == nil {
			if rec.Piece != nil {
				c.last, c.have = rec.Piece.ID, true
			}
			return rec, err
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return segment.Record{}, context.Cause(ctx)
		}
	}
}

// Ready reports whether Next would return at once: while it does, a writer
// need not flush.
func (c *Cursor) Ready() bool {
	if len(c.before) > 0 || c.disk != nil && (len(c.disk.queue) > 0 || c.disk.n < c.disk.s.count()) {
		return true
	}
	r := c.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.disk != nil {
		if more, err := c.leaveDisk(); more || err != nil {
			return true
		}
		if c.disk != nil {
			return r.closed
		}
	}
	if c.await {
		return len(r.log.starts) > 0 || r.log.gone >= c.pos || r.closed
	}
	return c.pos < r.log.end() || r.closed
}

// poll returns a record, an error, or something to wait for.
func (c *Cursor) poll() (rec segment.Record, wait <-chan struct{}, err error) {
	if len(c.before) > 0 {
		rec, c.before = c.before[0], c.before[1:]
		return rec, nil, nil
	}
	if c.disk != nil {
		rec, more, err := c.disk.next()
		if more || err != nil {
			return rec, nil, err
		}
	}
	r := c.r
	r.mu.Lock()
	defer r.mu.Unlock()
	w := &r.log
	if c.disk != nil {
		// What was on disk has been read: go on in the window, or with what has
		// been put on disk since.
		if more, err := c.leaveDisk(); err != nil {
			return segment.Record{}, nil, err
		} else if more {
			return segment.Record{}, ready, nil
		}
	}
	if c.disk != nil {
		return segment.Record{}, r.waker(), nil
	}
	if c.await {
		if w.gone >= c.pos {
			return rec, nil, ErrFellBehind // what it waited for came and went
		}
		if p := w.starts; len(p) > 0 {
			c.begin(p[0])
			return segment.Record{}, ready, nil
		}
	} else if c.pos < w.first {
		// A slow reader goes on from disk, where there is one.
		if c.have && r.shelf != nil {
			if c.disk = r.shelf.seek(After(c.last)); c.disk != nil {
				return rec, ready, nil
			}
		}
		return rec, nil, ErrFellBehind
	} else if c.pos < w.end() {
		rec = w.at(c.pos).rec
		c.pos++
		return rec, nil, nil
	}
	if r.closed {
		return rec, nil, ErrEnded
	}
	return rec, r.waker(), nil
}

// waker returns a channel that is closed when the log grows. The room's lock is
// held.
func (r *Room) waker() <-chan struct{} {
	if r.wake == nil {
		r.wake = make(chan struct{})
	}
	return r.wake
}

// ready is a channel that nobody has to wait for.
var ready = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

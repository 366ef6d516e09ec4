package store

import (
	"errors"

	"github.com/xp2p/xp2p/lib/segment"
)

// A diskCursor reads the segments of a shelf in order.
type diskCursor struct {
	s     *shelf
	n     int // the next segment
	queue []segment.Record
	begun bool         // a place to begin at was found
	last  segment.Link // the segment that was queued last, if have
	have  bool
}

// start returns a cursor on disk, or nil if the window is the better answer.
func (s *shelf) start(from Start, w *window, vod bool) *diskCursor {
	if s.count() == 0 {
		return nil
	}
	d := &diskCursor{s: s}
	switch {
	case vod && from.kind == startBack:
		// A recording has no live edge: the time counts from its beginning.
		d.n = s.position(from.back.Milliseconds())
	case vod, from.kind == startOldest:
		first, seg := w.firstPiece(), s.at(0)
		if first != nil && first.Index == 0 && first.Epoch == seg.Epoch && first.Seq == seg.Seq {
			return nil // nothing on disk is older
		}
	case from.kind == startBack:
		if len(w.starts) > 0 && w.clock-w.starts[0].clock >= from.back.Milliseconds() {
			return nil
		}
		d.n = s.reach(from.back.Milliseconds())
	case len(w.starts) > 0:
		return nil
	default:
		d.n = s.reach(0)
	}
	return d
}

// firstPiece returns the oldest piece of the window.
func (w *window) firstPiece() *segment.Piece {
	for i := range w.recs {
		if p := w.recs[i].rec.Piece; p != nil {
			return p
		}
	}
	return nil
}

// reach returns the newest segment that has a keyframe and begins at least ms
// before the end of what is on disk, else the oldest.
func (s *shelf) reach(ms int64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	back := int64(0)
	for i := len(s.segs) - 1; i >= 0; i-- {
		seg := s.segs[i].seg
		step := seg.EndDTS - seg.DTS
		if i+1 < len(s.segs) && s.segs[i+1].seg.Epoch == seg.Epoch {
			step = s.segs[i+1].seg.DTS - seg.DTS
		}
		if 0 < step && step <= maxStep.Milliseconds() {
			back += step
		}
		if len(seg.Keyframes) > 0 && back >= ms {
			return i
		}
	}
	return 0
}

// position returns the newest segment with a keyframe at or before ms from the
// recording's first, else the first segment.
func (s *shelf) position(ms int64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	best, origin, timed := 0, int64(0), false
	for i := range s.segs {
		for _, k := range s.segs[i].seg.Keyframes {
			if !timed {
				origin, timed = k.DTS, true
			}
			if k.DTS-origin <= ms && !k.Init.IsZero() {
				best = i
			}
		}
	}
	return best
}

// seek returns a cursor at or behind a piece that is on disk, else nil.
func (s *shelf) seek(from Start) *diskCursor {
	n, ok := s.find(from.id.Epoch, from.id.Seq)
	if !ok {
		return nil
	}
	d := &diskCursor{s: s, n: n, begun: true}
	if d.fill() != nil {
		return nil
	}
	for i, rec := range d.queue {
		if rec.Piece != nil && rec.Piece.ID == from.id {
			d.queue = d.queue[i:]
			if from.kind == startAfter {
				d.queue = d.queue[1:]
			}
			return d
		}
	}
	return nil
}

// next returns the next record; more is false when there is none on disk.
func (d *diskCursor) next() (rec segment.Record, more bool, err error) {
	for len(d.queue) == 0 {
		if d.n >= d.s.count() {
			return rec, false, nil
		}
		if err := d.fill(); err != nil {
			return rec, false, err
		}
	}
	rec, d.queue = d.queue[0], d.queue[1:]
	return rec, true, nil
}

// errHole says that a segment is missing on disk.
var errHole = errors.New("a segment is missing on disk")

// fill queues the next segment, from the first place to begin at on.
func (d *diskCursor) fill() error {
	recs, err := d.s.records(d.n)
	if err != nil {
		return err
	}
	entry, first := d.s.entry(d.n), recs[0].Piece
	if first == nil {
		return errHole
	}
	if d.have && !(first.Prev != nil && *first.Prev == d.last) && !(first.Prev == nil && first.Epoch > d.last.Epoch) {
		return errors.Join(ErrFellBehind, errHole)
	}
	d.n++
	d.queue = d.queue[:0]
	inits := entry.inits
	if !d.begun {
		i, init := d.s.entrance(recs, entry.opening)
		if i < 0 {
			return nil
		}
		d.begun = true
		recs = recs[i:]
		if inits = nil; !init.IsZero() {
			inits = []segment.Hash{init}
		}
	}
	for _, h := range inits {
		rec, ok := d.s.init(h)
		if !ok {
			return errors.Join(ErrFellBehind, errHole)
		}
		d.queue = append(d.queue, rec)
	}
	d.queue = append(d.queue, recs...)
	d.last, d.have = entry.seg.Link(), true
	return nil
}

// entrance returns the first record of a segment that a reader can begin with,
// and the init that it needs; -1 if there is none.
func (s *shelf) entrance(recs []segment.Record, opening segment.Hash) (int, segment.Hash) {
	for i := range recs {
		p := recs[i].Piece
		if p == nil {
			break
		}
		if beginsStream(p) {
			return i, opening
		}
		if len(p.Keyframes) > 0 && !p.Keyframes[0].Init.IsZero() {
			return i, p.Keyframes[0].Init
		}
	}
	return -1, segment.Hash{}
}

// leaveDisk goes on in the window behind what was read from disk. It reports
// whether there is more on disk after all. The room's lock is held.
func (c *Cursor) leaveDisk() (more bool, err error) {
	d, w := c.disk, &c.r.log
	if d.n < d.s.count() {
		return true, nil
	}
	if !d.begun {
		c.disk, c.await = nil, !c.r.closed
		return false, nil
	}
	if pos, ok := w.segments[segmentKey{d.last.Epoch, d.last.Seq}]; ok {
		c.disk, c.pos = nil, pos+1
		return false, nil
	}
	if first := w.firstPiece(); first != nil {
		follows := first.Index == 0 && (first.Prev != nil && *first.Prev == d.last || first.Prev == nil && first.Epoch > d.last.Epoch)
		if !follows {
			return false, ErrFellBehind
		}
		c.disk, c.pos = nil, w.lead(w.pieces[first.ID])
		return false, nil
	}
	if c.r.closed {
		c.disk, c.pos = nil, w.end()
		c.before = append(c.before, c.r.shelf.tail()...)
		return len(c.before) > 0, nil
	}
	return false, nil // the stream will go on in the window
}

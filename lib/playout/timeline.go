package playout

import (
	"cmp"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/segment"
)

// Bounds of a timeline. What exceeds them is refused: it is not of a stream
// that anybody can play.
const (
	maxSegments = 4096    // an hour of one-second segments
	maxPieces   = 1 << 16 // 16 KiB each: a second of 8 Gbit/s
)

// A timeline is the part of the stream around the player: the segments that it
// has heard of, in stream order, each with the pieces that have come.
//
// Stream order is the order of IDs: within an epoch sequence numbers grow, and
// whatever would make them shrink begins a new epoch (package segment).
type timeline struct {
	segs  []*run
	bytes int
}

// A run is one segment as far as it is known.
type run struct {
	epoch, seq int64
	pieces     []*entry // by index; nil where one is missing
	count      int      // how many pieces it has; 0 while nobody said so
	known      int      // pieces with an index below this are known to exist
	record     *segment.Record
}

// An entry is a piece that came and is not played yet.
type entry struct {
	rec    segment.Record
	source measure.Source
	ingest time.Time
	start  bool // it came with the origin's answer to the question where to start
}

func (t *timeline) search(epoch, seq int64) (int, bool) {
	return slices.BinarySearchFunc(t.segs, 0, func(r *run, _ int) int {
		return cmp.Or(cmp.Compare(r.epoch, epoch), cmp.Compare(r.seq, seq))
	})
}

func (t *timeline) find(epoch, seq int64) *run {
	if i, ok := t.search(epoch, seq); ok {
		return t.segs[i]
	}
	return nil
}

// open returns the segment, which it makes if it is new; nil if there are too
// many.
func (t *timeline) open(epoch, seq int64) *run {
	i, ok := t.search(epoch, seq)
	if !ok {
		if len(t.segs) >= maxSegments {
			return nil
		}
		t.segs = slices.Insert(t.segs, i, &run{epoch: epoch, seq: seq})
	}
	return t.segs[i]
}

// next returns the first segment behind the one named.
func (t *timeline) next(epoch, seq int64) *run {
	i, ok := t.search(epoch, seq)
	if ok {
		i++
	}
	if i < len(t.segs) {
		return t.segs[i]
	}
	return nil
}

func (t *timeline) get(id segment.ID) *entry {
	r := t.find(id.Epoch, id.Seq)
	if r == nil || id.Index >= len(r.pieces) {
		return nil
	}
	return r.pieces[id.Index]
}

// put takes a piece in; false if it is there already or does not fit.
func (t *timeline) put(e *entry) bool {
	p := e.rec.Piece
	if p.Index < 0 || p.Index >= maxPieces {
		return false
	}
	r := t.open(p.Epoch, p.Seq)
	if r == nil {
		return false
	}
	if p.Index < len(r.pieces) && r.pieces[p.Index] != nil {
		return false
	}
	for len(r.pieces) <= p.Index {
		r.pieces = append(r.pieces, nil)
	}
	r.pieces[p.Index] = e
	r.known = max(r.known, p.Index+1)
	t.bytes += len(e.rec.Body)
	return true
}

// closed learns how many pieces a segment has.
func (t *timeline) closed(epoch, seq int64, pieces int) {
	if pieces <= 0 || pieces > maxPieces {
		return
	}
	if r := t.open(epoch, seq); r != nil {
		r.count, r.known = pieces, pieces // whoever announced more was wrong
	}
}

// drop forgets everything before the position id.
func (t *timeline) drop(id segment.ID) {
	n := 0
	for _, r := range t.segs {
		if cmp.Or(cmp.Compare(r.epoch, id.Epoch), cmp.Compare(r.seq, id.Seq)) >= 0 {
			break
		}
		t.release(r, len(r.pieces))
		n++
	}
	t.segs = slices.Delete(t.segs, 0, n)
	if len(t.segs) > 0 && t.segs[0].epoch == id.Epoch && t.segs[0].seq == id.Seq {
		t.release(t.segs[0], id.Index)
	}
}

// release lets go of the bodies of the first n pieces of r.
func (t *timeline) release(r *run, n int) {
	for i := range r.pieces[:min(n, len(r.pieces))] {
		if e := r.pieces[i]; e != nil {
			t.bytes -= len(e.rec.Body)
			r.pieces[i] = nil
		}
	}
}

// newest returns the ID of the newest piece that is known to exist.
func (t *timeline) newest() (segment.ID, bool) {
	for i := len(t.segs) - 1; i >= 0; i-- {
		if r := t.segs[i]; r.known > 0 {
			return segment.ID{Epoch: r.epoch, Seq: r.seq, Index: r.known - 1}, true
		}
	}
	return segment.ID{}, false
}

package store

import (
	"time"

	"github.com/xp2p/xp2p/lib/segment"
)

// maxStep is the longest step from piece to piece that the window's measure
// believes; DESIGN's pieces close every 100 ms, and a jump of more than 5 s is
// a discontinuity (lib/segment).
const maxStep = 5 * time.Second

// recordCost is what a record is counted at beside its body.
const recordCost = 512

// A window is the part of the log that is in memory: records at the positions
// first … first+len(recs)-1, with what is needed to find them.
type window struct {
	maxTime  int64 // ms
	maxBytes int64

	recs  []entry // a queue: recs[0] is the oldest
	first int64   // its position
	bytes int64

	pieces   map[segment.ID]int64
	hashes   map[segment.Hash]int64
	segments map[segmentKey]int64 // positions of segment records
	names    map[string]int64
	inits    map[segment.Hash]*initRef
	starts   []startPoint // where decoding may begin, oldest first
	gone     int64        // the newest position of an evicted start point
	opening  segment.Hash // the init that the stream began with
	current  segment.Hash // the newest init
	clock    int64        // ms of media time since the log began
	dts      int64
	timed    bool
	epoch    int64
}

type entry struct {
	rec   segment.Record
	clock int64
}

type segmentKey struct{ epoch, seq int64 }

// initRef is an init that some start point in the window, or the next one,
// needs.
type initRef struct {
	rec  segment.Record
	refs int
}

// A startPoint is a piece where a reader may begin.
type startPoint struct {
	pos   int64
	clock int64
	init  segment.Hash
	key   bool // a keyframe, not just the stream's beginning
}

func newWindow(d time.Duration, bytes int64) window {
	w := window{maxTime: d.Milliseconds(), maxBytes: bytes, gone: -1}
	w.clear()
	return w
}

// clear forgets every record. Positions go on growing, so that no cursor takes
// a new record for an old one.
func (w *window) clear() {
	w.first = w.end() + 1
	w.recs, w.starts, w.bytes, w.timed = nil, nil, 0, false
	w.pieces = map[segment.ID]int64{}
	w.hashes = map[segment.Hash]int64{}
	w.segments = map[segmentKey]int64{}
	w.names = map[string]int64{}
	w.inits = map[segment.Hash]*initRef{}
	w.opening, w.current = segment.Hash{}, segment.Hash{}
}

// end is the position behind the newest record.
func (w *window) end() int64 { return w.first + int64(len(w.recs)) }

func (w *window) at(pos int64) *entry { return &w.recs[pos-w.first] }

func (w *window) append(rec segment.Record) {
	pos := w.end()
	switch rec.Kind {
	case segment.KindInit:
		w.addInit(rec)
	case segment.KindPiece:
		w.addPiece(pos, rec.Piece)
	case segment.KindSegment:
		w.segments[segmentKey{rec.Segment.Epoch, rec.Segment.Seq}] = pos
		w.names[rec.Segment.Name()] = pos
	}
	w.recs = append(w.recs, entry{rec, w.clock})
	w.bytes += int64(len(rec.Body)) + recordCost
	for len(w.recs) > 1 && (w.bytes > w.maxBytes || w.clock-w.recs[0].clock > w.maxTime) {
		w.evict()
	}
}

func (w *window) addInit(rec segment.Record) {
	h := rec.Init.Hash
	ref := w.inits[h]
	if ref == nil {
		ref = &initRef{rec: rec}
		w.inits[h] = ref
	}
	w.hold(h)
	w.release(w.current)
	w.current = h
	if !rec.Init.Copy {
		w.hold(h)
		w.release(w.opening)
		w.opening = h
	}
}

func (w *window) addPiece(pos int64, p *segment.Piece) {
	w.pieces[p.ID] = pos
	w.hashes[p.SHA256] = pos
	if step := p.DTS - w.dts; w.timed && p.Epoch == w.epoch && 0 < step && step <= maxStep.Milliseconds() {
		w.clock += step
	}
	w.dts, w.epoch, w.timed = p.DTS, p.Epoch, true

	switch {
	case beginsStream(p):
		w.hold(w.opening)
		w.starts = append(w.starts, startPoint{pos, w.clock, w.opening, len(p.Keyframes) > 0})
	case len(p.Keyframes) > 0:
		h := p.Keyframes[0].Init
		if w.inits[h] == nil {
			return // cannot be decoded from here
		}
		w.hold(h)
		w.starts = append(w.starts, startPoint{pos, w.clock, h, true})
	}
}

// beginsStream reports whether p is the first piece of a stream that was
// sliced from its first byte.
func beginsStream(p *segment.Piece) bool { return p.Index == 0 && p.Prev == nil && !p.Partial }

func (w *window) hold(h segment.Hash) {
	if ref := w.inits[h]; ref != nil {
		ref.refs++
	}
}

func (w *window) release(h segment.Hash) {
	if ref := w.inits[h]; ref != nil {
		if ref.refs--; ref.refs <= 0 {
			delete(w.inits, h)
		}
	}
}

// evict drops the oldest record.
func (w *window) evict() {
	pos, e := w.first, w.recs[0]
	switch rec := &e.rec; rec.Kind {
	case segment.KindPiece:
		delete(w.pieces, rec.Piece.ID)
		if w.hashes[rec.Piece.SHA256] == pos { // equal bytes may stand at a later place
			delete(w.hashes, rec.Piece.SHA256)
		}
		if len(w.starts) > 0 && w.starts[0].pos == pos {
			w.release(w.starts[0].init)
			w.starts = w.starts[1:]
			w.gone = pos
		}
	case segment.KindSegment:
		if k := (segmentKey{rec.Segment.Epoch, rec.Segment.Seq}); w.segments[k] == pos {
			delete(w.segments, k)
			delete(w.names, rec.Segment.Name())
		}
	}
	w.bytes -= int64(len(e.rec.Body)) + recordCost
	w.recs[0] = entry{} // let go of the body
	w.recs = w.recs[1:]
	w.first++
}

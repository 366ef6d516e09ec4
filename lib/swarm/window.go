package swarm

import (
	"cmp"
	"math/bits"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/wire"
)

// A window holds the pieces that can be served: the newest part of the stream,
// bounded in time and bytes, in the order of IDs, which is stream order.
type window struct {
	segs  []*part
	bytes int
	floor segment.ID // pieces before this were let go, or never wanted
}

// A part is one segment of the window.
type part struct {
	epoch, seq int64
	pieces     []*held // by index; nil where one is missing
	known      int     // pieces with a lower index exist, if neighbours tell the truth
	sure       int     // the same, by what the room's key signed; 0: all of it is words
	count      int     // how many it has, by the same; 0 while nothing said so
	guessed    int     // the same as known, where only the times of others say so; 0: no guess
	touched    time.Time
}

// at returns a piece by its index; nil where it is missing.
func (p *part) at(i int) *held {
	if i < 0 || i >= len(p.pieces) {
		return nil
	}
	return p.pieces[i]
}

// A held piece is verified. Its descriptor is kept as bytes, for it goes out as
// it came.
type held struct {
	piece    *segment.Piece
	desc     []byte
	body     []byte
	ingest   uint64 // Unix milliseconds; 0: not known
	hops     uint64
	came     time.Time
	spread   bool      // at a member: it was handed to the fellows
	shared   bool      // a fellow pushed it, as to all others
	fetched  bool      // it had to be asked for
	missed   time.Time // since when it was missing, if it came because it was asked for
	answered []answer  // at a seed: when one who asked was last sent it
}

// An answer is when a seed sent a piece to one of a group who had asked for it.
type answer struct {
	group uint64
	at    time.Time
}

func (h *held) lastAnswer(group uint64) time.Time {
	for i := range h.answered {
		if a := &h.answered[i]; a.group == group {
			return a.at
		}
	}
	return time.Time{}
}

func (h *held) answeredTo(group uint64, now time.Time) {
	for i := range h.answered {
		if a := &h.answered[i]; a.group == group {
			a.at = now
			return
		}
	}
	h.answered = append(h.answered, answer{group, now})
}

// maxKnown bounds the pieces of one segment, and maxParts the segments: a
// neighbour's word alone opens one.
const (
	maxKnown = 1 << 14
	maxParts = 1024
	maxWords = 64  // segments that are known by words alone; the nearest stay
	maxAhead = 512 // pieces of a segment that words may add to what is proved
)

// search returns where a segment stands, or would stand. Like that of a set it is
// written out, for it is what a member does most.
func (w *window) search(epoch, seq int64) (int, bool) {
	lo, hi := 0, len(w.segs)
	for lo < hi {
		i := (lo + hi) / 2
		switch p := w.segs[i]; {
		case p.epoch == epoch && p.seq == seq:
			return i, true
		case p.epoch < epoch || p.epoch == epoch && p.seq < seq:
			lo = i + 1
		default:
			hi = i
		}
	}
	return lo, false
}

func (w *window) find(epoch, seq int64) *part {
	if i, ok := w.search(epoch, seq); ok {
		return w.segs[i]
	}
	return nil
}

// open returns the segment, made if it is new; nil if there is no room for it.
func (w *window) open(now time.Time, epoch, seq int64) *part {
	i, ok := w.search(epoch, seq)
	if !ok {
		if len(w.segs) >= maxParts {
			return nil
		}
		w.segs = slices.Insert(w.segs, i, &part{epoch: epoch, seq: seq, touched: now})
	}
	return w.segs[i]
}

func (w *window) get(id segment.ID) *held {
	p := w.find(id.Epoch, id.Seq)
	if p == nil || id.Index < 0 || id.Index >= len(p.pieces) {
		return nil
	}
	return p.pieces[id.Index]
}

// past reports whether id is older than the window.
func (w *window) past(id segment.ID) bool { return id.Compare(w.floor) < 0 }

// put stores a piece; false if it is there, older than the window, or beyond
// its bounds.
func (w *window) put(now time.Time, h *held) bool {
	id := h.piece.ID
	if id.Index < 0 || id.Index >= maxKnown || w.past(id) {
		return false
	}
	p := w.open(now, id.Epoch, id.Seq)
	if p == nil || id.Index < len(p.pieces) && p.pieces[id.Index] != nil {
		return false
	}
	for len(p.pieces) <= id.Index {
		p.pieces = append(p.pieces, nil)
	}
	h.came = now
	p.pieces[id.Index] = h
	p.sure = max(p.sure, id.Index+1)
	p.touched = now
	w.bytes += len(h.body)
	return true
}

// trim lets go of the oldest segments until the window fits its bounds; the
// newest stays. It reports whether any went.
func (w *window) trim(now time.Time, span time.Duration, bytes int) bool {
	n := 0
	for n < len(w.segs)-1 && (w.bytes > bytes || now.Sub(w.segs[n].touched) > span) {
		for _, h := range w.segs[n].pieces {
			if h != nil {
				w.bytes -= len(h.body)
			}
		}
		n++
	}
	if n == 0 {
		return false
	}
	w.segs = slices.Delete(w.segs, 0, n)
	w.floor = segment.ID{Epoch: w.segs[0].epoch, Seq: w.segs[0].seq}
	return true
}

// words returns how many segments are known by words alone, and the last of
// them.
func (w *window) words() (n int, last *part) {
	for _, p := range w.segs {
		if p.sure == 0 {
			n, last = n+1, p
		}
	}
	return n, last
}

// newest returns the newest piece that is proved to exist.
func (w *window) newest() (segment.ID, bool) {
	for i := len(w.segs) - 1; i >= 0; i-- {
		if p := w.segs[i]; p.sure > 0 {
			return segment.ID{Epoch: p.epoch, Seq: p.seq, Index: p.sure - 1}, true
		}
	}
	return segment.ID{}, false
}

// runs appends everything that is held, newest segments first where not all
// fits, in stream order.
func (w *window) runs() (runs []wire.Run) {
	from := max(0, len(w.segs)-wire.MaxSwarmRuns/4)
	for _, p := range w.segs[from:] {
		for i, h := range p.pieces {
			if h == nil {
				continue
			}
			var ok bool
			if runs, ok = wire.AppendToRuns(runs, p.epoch, p.seq, i); !ok {
				return runs
			}
		}
	}
	return runs
}

// A set is which pieces a neighbour holds, by segment.
type set struct {
	segs []marks // sorted
}

// marks are the pieces of a segment: the first 64, which are nearly always all, and
// the others.
type marks struct {
	epoch, seq int64
	low        uint64
	high       []uint64
}

// word returns the bits among which a piece's is; nil if there are none yet.
func (m *marks) word(index int) *uint64 {
	switch i := index/64 - 1; {
	case i < 0:
		return &m.low
	case i < len(m.high):
		return &m.high[i]
	}
	return nil
}

// count returns the index behind the last piece.
func (m *marks) count() int {
	for i := len(m.high) - 1; i >= 0; i-- {
		if w := m.high[i]; w != 0 {
			return 64*(i+1) + bits.Len64(w)
		}
	}
	return bits.Len64(m.low)
}

// search begins with the newest, which is nearly always meant.
func (s *set) search(epoch, seq int64) (int, bool) {
	lo, hi := 0, len(s.segs)
	for n := 0; n < 3 && hi > 0; n++ {
		switch m := &s.segs[hi-1]; {
		case m.epoch == epoch && m.seq == seq:
			return hi - 1, true
		case m.epoch < epoch || m.epoch == epoch && m.seq < seq:
			return hi, false
		}
		hi--
	}
	for lo < hi {
		i := (lo + hi) / 2
		switch m := &s.segs[i]; {
		case m.epoch == epoch && m.seq == seq:
			return i, true
		case m.epoch < epoch || m.epoch == epoch && m.seq < seq:
			lo = i + 1
		default:
			hi = i
		}
	}
	return lo, false
}

func (s *set) has(id segment.ID) bool {
	i, ok := s.search(id.Epoch, id.Seq)
	if !ok {
		return false
	}
	w := s.segs[i].word(id.Index)
	return w != nil && *w>>(id.Index%64)&1 == 1
}

// reaches reports whether a piece is here, or one behind it in its segment.
func (s *set) reaches(id segment.ID) bool {
	i, ok := s.search(id.Epoch, id.Seq)
	return ok && s.segs[i].count() > id.Index
}

// add notes a piece; a set that is full, by a neighbour's invention, forgets
// its oldest segment.
func (s *set) add(id segment.ID) {
	if id.Index < 0 || id.Index >= maxKnown {
		return
	}
	i, ok := s.search(id.Epoch, id.Seq)
	if !ok {
		if len(s.segs) >= maxParts {
			if i == 0 {
				return
			}
			s.segs = slices.Delete(s.segs, 0, 1)
			i--
		}
		s.segs = slices.Insert(s.segs, i, marks{epoch: id.Epoch, seq: id.Seq})
	}
	m := &s.segs[i]
	for len(m.high) < id.Index/64 {
		m.high = append(m.high, 0)
	}
	*m.word(id.Index) |= 1 << (id.Index % 64)
}

func (s *set) remove(id segment.ID) {
	if i, ok := s.search(id.Epoch, id.Seq); ok {
		if w := s.segs[i].word(id.Index); w != nil {
			*w &^= 1 << (id.Index % 64)
		}
	}
}

// drop forgets what is older than the window.
func (s *set) drop(floor segment.ID) {
	n := 0
	for n < len(s.segs) && cmp.Or(cmp.Compare(s.segs[n].epoch, floor.Epoch), cmp.Compare(s.segs[n].seq, floor.Seq)) < 0 {
		n++
	}
	s.segs = slices.Delete(s.segs, 0, n)
}

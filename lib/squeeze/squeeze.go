// Package squeeze lets a player catch up with the live edge: it changes the
// times in a stream, and leaves frames of its sound out, so that a player that
// runs at its own speed shows the source faster than it was made.
//
//	source   ├─────────────GOP─────────────┤ 1 s │ 1 s │ 1 s │
//	output   ├──────squeezed──────┤squeez│ 1 s │ 1 s │
//
// It is what X-P2P's talks call fast-forward. A [Squeezer] stands behind a
// Playable of package origin: runs of whole tags or fragments go in, the same
// with other times come out. It is a value without a clock; now is an argument.
// Nothing is squeezed before it has to be: until then the bytes are the source's.
//
// # The model player
//
// It starts Buffer after the first keyframe was written, shows a second of the
// output in a second, and stands when it has nothing left. A player that takes
// nothing for a while has shown no more than it took: that is how one is noticed
// that was paused. It arrives when what was written and what is known to follow
// would leave it Buffer (what it ran dry for is added to that), and is hurried
// when it is farther behind than that by more than the unrest of pieces.
//
// # Picture
//
// All frames stay. Times of decoding and of showing go through the same
// increasing function ([Line]), so that their order stays; times that were
// written once are never mapped otherwise.
//
// # Sound
//
// Frames are left out, evenly, as many as it takes to follow the picture by half
// a frame; those that stay follow each other without a gap, at the speed they
// were made for. They are not scaled, because that takes a decoder and an
// encoder; nor are their times squeezed, because a decoder gives out a frame's
// samples at their own rate whatever its time says, and players then hear
// overlaps. It sounds hurried, and chopped, for the seconds that it lasts. That
// is clean for formats whose frames need no others: AAC (LC above all), Opus,
// AC-3, PCM. When it is over, picture and sound are moved by the same amount, to
// the millisecond in FLV and to the tick in fMP4.
//
// # Jumps
//
// Where the source's times jump, by more than five seconds either way, or were
// told to (Jump), the output's go on.
package squeeze

import (
	"time"

	"github.com/xp2p/xp2p/lib/media"
)

// maxStep is a step of the source's times that is a jump (package segment).
const maxStep = 5000 // ms

// A Squeezer rewrites one stream. It belongs to one goroutine.
type Squeezer struct {
	pace
	units   rewriter
	passes  bool // nothing is rewritten: the stream's boxes are not all understood
	jumped  bool // what comes next does not follow
	jumps   int
	newest  float64 // source time of the last unit
	at      time.Time
	edge    float64
	was     float64 // what was played before the last Add
	written float64 // how far the output went before it
	carry   []byte
	runs    [][]byte
}

// A rewriter takes the units of a container apart and puts them together again
// with the times that the squeezer gives them.
type rewriter interface {
	// next returns the size of the unit that b begins with; 0: it is not whole yet.
	next(b []byte, eof bool) int
	// unit appends that unit to dst as it is to be.
	unit(q *Squeezer, dst, b []byte) []byte
	// sound returns the track that the picture's times end up with; nil without one.
	sound() *sound
}

// New returns a squeezer for a stream framed in c: FLV or fragmented MP4. Others
// pass as they are.
func New(c media.Container, l Latency) *Squeezer {
	q := &Squeezer{pace: pace{latency: l}}
	switch {
	case c == media.FLV && l != Off:
		q.units = &flvTags{tone: sound{scale: 1000}}
	case c == media.FMP4 && l != Off:
		q.units = &fragments{}
	default:
		q.passes = true
	}
	return q
}

// Add takes runs of whole units and returns what to write of them, to be used
// before the next call. edge is the newest time that the source is known to
// have, in ms of the reference track's DTS. Call Wrote when it was written.
func (q *Squeezer) Add(now time.Time, edge int64, runs [][]byte) [][]byte {
	if q.passes {
		return runs
	}
	q.begin(now, float64(edge))
	for _, b := range runs {
		q.carry = append(q.carry, b...)
	}
	return q.drain(false)
}

// Finish returns what is held when the stream is over.
func (q *Squeezer) Finish(now time.Time) [][]byte {
	if q.passes {
		return nil
	}
	q.begin(now, q.edge)
	return q.drain(true)
}

func (q *Squeezer) begin(now time.Time, edge float64) {
	q.at, q.edge = now, edge
	if q.started {
		q.was, q.written = q.play(now), q.line.At(q.tail)
	}
}

func (q *Squeezer) drain(eof bool) [][]byte {
	var all []byte
	used := 0
	for used < len(q.carry) {
		n := 0
		if q.passes {
			n = len(q.carry) - used
			all = append(all, q.carry[used:]...)
		} else if n = q.units.next(q.carry[used:], eof); n > 0 {
			all = q.units.unit(q, all, q.carry[used:used+n])
		}
		if n == 0 {
			break
		}
		used += n
	}
	q.carry = append(q.carry[:0], q.carry[used:]...)
	q.runs = q.runs[:0]
	if len(all) > 0 {
		q.runs = append(q.runs, all)
	}
	return q.runs
}

// blockedFor is how long a write takes that waited for its reader.
const blockedFor = 20 * time.Millisecond

// Wrote tells that the player has taken what the last Add gave.
func (q *Squeezer) Wrote(now time.Time) {
	if q.started && now.Sub(q.at) >= blockedFor {
		q.blocked(now, q.was, q.line.At(q.tail)-q.written)
	}
}

// Jump says that what comes next does not follow on what was added: bytes were
// left out. The output's times go on without them.
func (q *Squeezer) Jump() { q.jumped, q.carry = q.started, q.carry[:0] }

// Behind returns how much farther from the edge than it should be the player
// stays, as things are planned.
func (q *Squeezer) Behind(now time.Time, edge int64) time.Duration {
	if !q.started || q.passes {
		return 0
	}
	return time.Duration(q.behind(now, float64(edge)) * float64(time.Millisecond))
}

// Playhead returns what the model player shows.
func (q *Squeezer) Playhead() Playhead {
	h := q.playhead()
	h.line.s = append([]stretch(nil), h.line.s...)
	return h
}

// time takes notice of a unit's time of decoding, in ms, before it is mapped,
// and plans what comes from there on. It is shown lead later. Where the source
// jumps, it is decoded when its turn is, but not shown before others were.
func (q *Squeezer) time(ms, lead float64) {
	step := ms - q.newest
	switch {
	case !q.started:
		q.line.jump(ms, ms)
		q.horizon, q.tail = ms, ms
		q.start(q.at, ms)
		q.was, q.written = q.play(q.at), ms
	case q.jumped, step > maxStep, step < -maxStep:
		q.line.jump(ms, max(q.line.At(q.tail), q.line.At(q.horizon)-lead))
		q.horizon, q.tail = ms, ms
		q.jumps++
	}
	q.jumped, q.newest = false, ms
	q.plan(q.at, q.edge, q.units.sound())
}

// keep takes note of a unit that was mapped: none of its times is behind
// horizon, and the next is decoded at tail.
func (q *Squeezer) keep(horizon, tail float64) {
	q.horizon, q.tail = max(q.horizon, horizon, tail), max(q.tail, tail)
}

package segment

import (
	"github.com/xp2p/xp2p/lib/fmp4"
	"github.com/xp2p/xp2p/lib/media"
)

// What is more than this either way is a jump of the timeline; what is less is
// a gap or a step back that stays in its segment (milliseconds).
const jump = 5000

type heldUnit struct {
	unit  media.Unit
	start int  // in hold
	whole bool // its End was seen, and the input did not end there too early
}

// isMedia reports whether a unit counts as media: samples, and opaque units
// whose time can be trusted (encrypted tags, unknown codecs).
func isMedia(u *media.Unit) bool {
	return u.Kind == media.Sample ||
		u.Kind == media.Opaque && u.Timed && (u.Track == media.Video || u.Track == media.Audio)
}

func (c *Cutter) liveSpan(p []byte, s *media.Span) {
	if s.Begin {
		c.begin(&s.Unit)
	}
	// A head or configuration without end waits no longer.
	if !c.started && c.full(len(p), maxHead) {
		c.settle()
		c.start()
	}
	if c.started && c.full(len(p), maxHold) {
		c.release()
	}
	c.pass(p, s.End && !s.Unit.Truncated)
	if s.End {
		c.finishUnit(&s.Unit)
	}
}

// full reports whether n more bytes are more than may wait.
func (c *Cutter) full(n, most int) bool {
	return c.holding && (len(c.hold)+n > most || len(c.held) > maxHeld)
}

// begin decides where a unit goes.
func (c *Cutter) begin(u *media.Unit) {
	if c.started && u.Kind == media.Header {
		// A stream behind the stream: a new clock is chosen, loudly.
		c.release()
		c.started, c.again, c.choice, c.sawPix = false, true, choice{}, false
	}
	if !c.started {
		if !c.choice.see(u, c.cfg.Clock) {
			c.holding = true
			c.wait(u)
			return
		}
		c.settle()
		c.start()
	}
	c.place(u)
}

// wait puts a unit on hold.
func (c *Cutter) wait(u *media.Unit) {
	c.held = append(c.held, heldUnit{unit: *u, start: len(c.hold)})
}

// pass takes bytes of the current unit; end says that it is whole with them.
// Half a unit has no end, so that a player can stop before it.
func (c *Cutter) pass(p []byte, end bool) {
	if c.holding {
		c.hold = append(c.hold, p...)
	} else {
		c.put(p, end)
	}
}

// finishUnit follows the last byte of a unit.
func (c *Cutter) finishUnit(u *media.Unit) {
	if c.holding && len(c.held) > 0 {
		h := &c.held[len(c.held)-1]
		h.unit, h.whole = *u, !u.Truncated
		if !c.started && u.Kind == media.Header && c.cfg.Container == media.FMP4 {
			c.choice.movie(c.hold[h.start:])
		}
	} else if c.long {
		c.closePiece()
	}
	c.long = false
}

// settle ends the choice of the clock with what is known.
func (c *Cutter) settle() {
	before := c.clock
	c.clock, c.clockless = c.choice.settle(c.cfg.Clock)
	if c.again && before != media.NoTrack && c.clock != before {
		c.note(c.unitPos, "behind a new header another track is the clock")
	}
}

// start replays what was held until the clock was known.
func (c *Cutter) start() {
	hold, held := c.hold, c.held
	c.hold, c.held = nil, nil
	c.started = true
	from := 0
	if !c.again {
		c.joined = len(held) == 0 || held[0].unit.Kind != media.Header
	}
	switch {
	case c.again:
		c.forced = true
	case !c.joined:
		// The first init: every byte before the first sample.
		size := len(hold)
		for from < len(held) && !isMedia(&held[from].unit) {
			c.joiner.learn(&held[from].unit, heldBytes(hold, held, from))
			from++
		}
		if from < len(held) {
			size = held[from].start
		}
		c.joiner.changed = false
		c.sendInit(hold[:size])
	}
	c.holding = false
	for i := from; i < len(held); i++ {
		h := &held[i]
		c.place(&h.unit)
		c.pass(heldBytes(hold, held, i), h.whole)
		if h.whole {
			c.finishUnit(&h.unit)
		}
	}
	c.again = false
}

func heldBytes(hold []byte, held []heldUnit, i int) []byte {
	if i+1 < len(held) {
		return hold[held[i].start:held[i+1].start]
	}
	return hold[held[i].start:]
}

// sendInit sends the first init.
func (c *Cutter) sendInit(p []byte) {
	if len(p) == 0 {
		return
	}
	i := &Init{Hash: sumOf(p), Size: len(p)}
	c.joiner.init = i.Hash
	c.enqueue(Record{Kind: KindInit, Init: i, Body: p}, len(p))
}

// place opens and closes what a unit opens and closes, and decides whether its
// bytes wait or go.
func (c *Cutter) place(u *media.Unit) {
	switch {
	case isMedia(u) && u.Timed && u.Track == c.clock:
		c.tick(u)
		c.release()
		c.holding = false
		c.mark(u)
	case (c.seg == nil || c.forced) && !c.clockless:
		c.holding = true // until the clock says which segment this is
		c.wait(u)
	case isMedia(u):
		if c.seg == nil {
			c.openSegment(u.DTS.Grid(c.step), u.DTS.Milliseconds(), false)
		}
		c.release()
		c.holding = false
		c.mark(u)
	case u.Kind == media.Header || u.Kind == media.Config || c.seg == nil || len(c.held) > 0:
		// Configuration goes forward to the segment that the next sample opens,
		// and what stands behind it with it.
		c.holding = true
		c.wait(u)
	default:
		c.holding = false
	}
}

// release lets what was held go into the open segment.
func (c *Cutter) release() {
	if len(c.held) == 0 {
		return
	}
	hold, held := c.hold, c.held
	if c.seg == nil {
		c.openSegment(0, 0, false)
	}
	for i := range held {
		h := &held[i]
		if h.whole && (h.unit.Kind == media.Config || h.unit.Kind == media.Header) {
			c.joiner.learn(&h.unit, heldBytes(hold, held, i))
		}
	}
	if body := c.joiner.assemble(); body != nil {
		i := &Init{Hash: sumOf(body), Size: len(body), Copy: true}
		c.joiner.init = i.Hash
		c.enqueue(Record{Kind: KindInit, Init: i, Body: body}, len(body))
	}
	for i := range held {
		h := &held[i]
		if isMedia(&h.unit) {
			c.mark(&h.unit)
		}
		c.put(heldBytes(hold, held, i), h.whole)
	}
	if cap(hold) > maxHold {
		c.hold = nil
	}
	c.hold, c.held = c.hold[:0], held[:0]
	c.holding = false // a unit of which only the beginning was held goes on
}

// tick follows the clock and cuts.
func (c *Cutter) tick(u *media.Unit) {
	ms, seq := u.DTS.Milliseconds(), u.DTS.Grid(c.step)
	cut, disc, wrap, keep := false, false, false, false
	var d int64
	if c.ticking {
		d = distance(c.last, u.DTS)
		switch {
		case -jump <= d && d <= jump:
		case wrapped(c.last, u.DTS):
			wrap = true
		case wrapped(u.DTS, c.last):
			keep = true // a step back over the place where the clock wrapped
		default:
			cut, disc = true, true
		}
	}
	switch {
	case c.seg == nil:
		c.openSegment(seq, ms, c.forced)
	case c.forced || cut:
		if d < 0 || seq <= c.seg.Seq {
			c.epoch++
		}
		c.closeSegment()
		c.openSegment(seq, ms, disc || c.forced)
	case keep:
	case wrap:
		c.epoch++
		c.closeSegment()
		c.openSegment(seq, ms, false)
	case seq > c.seg.Seq && (c.cfg.Align == Grid || u.Key):
		c.closeSegment()
		c.openSegment(seq, ms, false)
	case c.piece != nil && ms >= c.first+c.pieceTime:
		c.closePiece()
	}
	// A fragment that lasts as long as a piece may is not to wait for the next
	// one. How long it lasts is taken from the fragment before it.
	c.long = c.cfg.Container == media.FMP4 && c.ticking && d >= c.pieceTime && d <= jump
	if c.clockless {
		c.clockless = false
		c.note(c.unitPos, "the clock's first sample comes late: what was before is numbered by guess")
	}
	c.forced = false
	if keep {
		return
	}
	c.ticking, c.last, c.nowMS = true, u.DTS, ms
	c.seg.EndDTS = max(c.seg.EndDTS, ms)
}

// distance returns b - a in milliseconds.
func distance(a, b media.Time) int64 { return b.Milliseconds() - a.Milliseconds() }

// wrapped reports whether b follows a on a clock of 31 or 32 bits. (ffmpeg
// masks the time of FLV tags to 31 bits; the field has 32.)
func wrapped(a, b media.Time) bool {
	if a.Scale != b.Scale || a.Scale == 0 {
		return false
	}
	for _, bits := range [...]uint{31, 32} {
		// Only the last moments before the wrap can be followed by it.
		d := media.Time{Ticks: b.Ticks + 1<<bits - a.Ticks, Scale: a.Scale}.Milliseconds()
		if a.Ticks < 1<<bits && b.Ticks < a.Ticks && -jump <= d && d <= jump {
			return true
		}
	}
	return false
}

// mark notes that a sample begins at the next byte.
func (c *Cutter) mark(u *media.Unit) {
	opener := c.opener
	c.opener = false
	if u.Track == media.Video {
		c.sawPix = true
		if c.clock == media.Audio && c.cfg.Clock == media.NoTrack && !c.warned {
			c.warned = true
			c.note(c.unitPos, "video begins after audio became the clock: audio stays the clock")
		}
	}
	key := u.Key && u.Track == media.Video || opener && c.clock == media.Audio && !c.sawPix
	if !key || !u.Timed {
		return
	}
	c.openPiece()
	if len(c.piece.Keyframes) < MaxKeyframes {
		c.piece.Keyframes = append(c.piece.Keyframes, Keyframe{len(c.body), u.DTS.Milliseconds(), u.PTS.Milliseconds(), c.joiner.init})
	}
	if len(c.seg.Keyframes) < MaxSegmentKeyframes {
		k := SegmentKeyframe{c.seg.Size + int64(len(c.body)), u.DTS.Milliseconds(), u.PTS.Milliseconds(), c.joiner.init}
		c.seg.Keyframes = append(c.seg.Keyframes, k)
	}
}

// A choice finds the reference track.
type choice struct {
	announced bool // video is said to be there
	none      bool // video is said not to be there (by a movie box, which can be trusted)
	video     bool
	audio     bool
	wanted    bool // a sample of the wanted track was seen
	timed     bool
	from      int64 // ms of the first sample
}

// see takes a unit and reports whether the clock can be settled.
func (c *choice) see(u *media.Unit, want media.Track) bool {
	if u.Kind == media.Config && u.Track == media.Video {
		c.announced = true
	}
	if !isMedia(u) || !u.Timed {
		return false
	}
	switch u.Track {
	case media.Video:
		c.video = true
	case media.Audio:
		c.audio = true
	}
	if want != media.NoTrack {
		c.wanted = c.wanted || u.Track == want
	} else {
		c.wanted = c.video || c.none && c.audio
	}
	if c.wanted {
		return true
	}
	ms := u.DTS.Milliseconds()
	if !c.timed {
		c.timed, c.from = true, ms
	}
	patience := int64(1000)
	if c.announced || want != media.NoTrack {
		patience = 5000
	}
	return ms-c.from >= patience || ms < c.from-jump
}

// movie takes a header box of fMP4.
func (c *choice) movie(box []byte) {
	tracks, err := fmp4.Tracks(box)
	if err != nil || len(tracks) == 0 {
		return
	}
	c.none = true
	for _, t := range tracks {
		if t.Track == media.Video {
			c.none, c.announced = false, true
		}
	}
}

// settle returns the clock; clockless if it was not seen yet.
func (c *choice) settle(want media.Track) (clock media.Track, clockless bool) {
	switch {
	case want != media.NoTrack:
		return want, !c.wanted
	case c.video:
		return media.Video, false
	case c.audio:
		return media.Audio, false
	}
	return media.Video, true
}

package measure

import "time"

// A Player is the model player that deadlines are defined by: it starts B after
// its first whole keyframe is there, runs at stream speed, and needs every
// piece when its DTS comes up. A piece that comes later is a stall, and shifts
// all that follows; one that never comes is skipped. It plays nothing: it says
// what a viewer would have seen.
type Player struct {
	b       time.Duration
	started bool
	anchor  time.Time // when anchorDTS is due
	dts     int64     // anchorDTS
	last    time.Time // deadline of the last piece
	lastDTS int64
	step    int64 // ms between the last two pieces

	Due     int64         // pieces whose turn came
	Late    int64         // those that came after their deadline
	Missing int64         // those that never came
	Stalls  int64         // times the picture stood
	Stalled time.Duration // for how long, together
}

// NewPlayer returns a player with a starting buffer of b.
func NewPlayer(b time.Duration) *Player { return &Player{b: b} }

// Start says that the first keyframe, of this DTS in milliseconds, is whole at
// now. Later calls are ignored.
func (p *Player) Start(now time.Time, dts int64) {
	if p.started {
		return
	}
	p.started = true
	p.anchor, p.dts = now.Add(p.b), dts
	p.last, p.lastDTS = p.anchor, dts
}

// Started says whether the clock runs.
func (p *Player) Started() bool { return p.started }

// Deadline returns when the piece of this DTS is needed, as things stand.
func (p *Player) Deadline(dts int64) time.Time {
	return p.anchor.Add(time.Duration(dts-p.dts) * time.Millisecond)
}

// Play takes the next piece in stream order. Pieces before the start are not
// due.
func (p *Player) Play(dts int64, arrived time.Time) {
	if !p.started {
		return
	}
	p.Due++
	deadline := p.advance(dts)
	if late := arrived.Sub(deadline); late > 0 {
		p.Late++
		p.Stalls++
		p.Stalled += late
		p.anchor = p.anchor.Add(late)
		p.last = arrived
	}
}

// Skip takes the next piece in stream order, which never came.
func (p *Player) Skip(dts int64) {
	if !p.started {
		return
	}
	p.Due++
	p.Missing++
	p.advance(dts)
}

// Jump says that the timeline goes on at dts, where the next piece is due a
// piece's time after the last one.
func (p *Player) Jump(dts int64) {
	if !p.started {
		return
	}
	p.anchor, p.dts = p.last.Add(time.Duration(p.step)*time.Millisecond), dts
	p.lastDTS = dts
}

func (p *Player) advance(dts int64) time.Time {
	deadline := p.Deadline(dts)
	if d := dts - p.lastDTS; d > 0 {
		p.step = d
	}
	p.last, p.lastDTS = deadline, dts
	return deadline
}

// Continuity is pieces present at their deadline / pieces due; 1 before any
// was due.
func (p *Player) Continuity() float64 {
	if p.Due == 0 {
		return 1
	}
	return float64(p.Due-p.Late-p.Missing) / float64(p.Due)
}

package squeeze

import (
	"math"
	"time"
)

// Our choices. What a player is behind is made good in two seconds, at no less
// than half as fast again and no more than four times: a picture that hurries,
// but does not jump, and that a decoder keeps up with.
const (
	within    = 2000 // ms
	slowest   = 1.5
	fastest   = 4
	deviation = 50  // ms by which a plan must be wrong to be made anew
	believed  = 150 // seconds of edge before what was written; more is another stream's
)

// A pace is the model player, and the plan for it: see the package comment.
type pace struct {
	line    Line
	latency Latency
	started bool
	anchor  time.Time // when out is played
	out     float64
	horizon float64 // source: all up to it has its place in the output, and keeps it
	tail    float64 // source: so far the frames go that were written, by when they are decoded
	buffer  float64 // that the player is left with
	unequal bool    // picture and sound were hurried, and may have come out apart
	speed   float64 // at which they were
}

func (p *pace) start(now time.Time, out float64) {
	p.started, p.anchor, p.out = true, now.Add(p.latency.Buffer()), out
	p.buffer = float64(p.latency.Buffer().Milliseconds())
}

// play returns the output's time that the player shows now. One that has shown
// all it has stands, and has what it lacked added to its buffer: the way to it
// is no more even than that.
func (p *pace) play(now time.Time) float64 {
	at, end := p.playhead().At(now), p.line.At(p.tail)
	if late := at - end; late > 0 {
		p.anchor, p.out = now, end
		p.buffer = min(p.buffer+late, max(p.buffer, p.latency.most()))
		return end
	}
	return at
}

// blocked says that the player took what was written since `was` was played only
// now: as long as it takes nothing it has shown no more than what it took after.
func (p *pace) blocked(now time.Time, was, written float64) {
	shown := was + written
	if min(p.playhead().At(now), p.line.At(p.tail)) > shown {
		p.anchor, p.out = now, shown
	}
}

// behind returns how much farther from the edge than it should be the player
// would stay, in ms, if nothing else were planned.
func (p *pace) behind(now time.Time, edge float64) float64 {
	if edge < p.tail || edge-p.tail > believed*1000 {
		edge = p.tail
	}
	end, _ := p.line.hurried(p.horizon)
	end = max(end, edge)
	return p.line.At(end) - p.play(now) - (end - edge) - p.buffer
}

// plan hurries what comes next so that the player arrives where it should be.
func (p *pace) plan(now time.Time, edge float64, s *sound) {
	if !p.started || p.latency == Off {
		return
	}
	excess := p.behind(now, edge)
	end, speed := p.line.hurried(p.horizon)
	hurried := end > p.horizon
	rest := end - p.horizon - (p.line.At(end) - p.line.At(p.horizon))
	switch {
	case !hurried && excess > p.latency.slack():
	case hurried && math.Abs(excess) > deviation:
	default:
		if !hurried && p.unequal {
			p.settle(s)
		}
		return
	}
	lose := max(0, rest+excess)
	p.hurry(lose, max(speed, min(max(1+lose/within, slowest), fastest)))
}

func (p *pace) hurry(lose, speed float64) {
	p.line.hurry(p.horizon, p.horizon+lose*speed/(speed-1), speed)
	p.unequal, p.speed = true, speed
}

// settle ends a hurry: what the picture has lost becomes what the sound has,
// which only loses whole frames. The difference is half a frame at most. The
// picture waits for as much, or is hurried a little longer; it never steps back.
func (p *pace) settle(s *sound) {
	if s == nil || !s.begun {
		p.unequal = false
		return
	}
	if s.ms(s.last) < p.line.turn() {
		return // it has not come so far
	}
	by, _ := p.line.Shift(p.horizon)
	switch apart := s.ms(s.offset) - by; {
	case math.Abs(apart) < 0.5/float64(s.scale)*1000, math.Abs(apart) > maxFrame:
		p.unequal = false
	case apart > 0:
		p.line.wait(p.horizon, apart)
		p.unequal = false
	default:
		p.hurry(-apart, p.speed)
	}
}

func (p *pace) playhead() Playhead {
	return Playhead{Started: p.started, anchor: p.anchor, out: p.out, end: p.line.At(p.tail), line: p.line}
}

// A Playhead says what the model player shows, as things stood when it was asked
// for.
type Playhead struct {
	Started bool
	anchor  time.Time
	out     float64
	end     float64
	line    Line
}

// At returns the output's time that is shown at now, in ms, had the player all of it.
func (h Playhead) At(now time.Time) float64 {
	return h.out + float64(now.Sub(h.anchor))/float64(time.Millisecond)
}

// Source returns the source's time that is shown at now, in ms.
func (h Playhead) Source(now time.Time) float64 {
	return h.line.Source(min(h.At(now), h.end))
}

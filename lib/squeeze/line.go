package squeeze

import "math"

// A Line is how the source's time goes over into the output's, both in
// milliseconds: stretches one behind the other, each with a slope of at most 1.
// A time that was asked for once must give the same answer for ever, or frames
// would change their order; so what is changed lies behind what was written.
type Line struct {
	s []stretch
}

// A stretch goes from a source time on, until the next one begins. One that is
// anew does not follow on the source times before it: there the source jumped.
type stretch struct {
	src, out, slope float64
	anew            bool
}

// maxStretches bounds a line; the oldest are forgotten, which are long played.
const maxStretches = 256

func (s *stretch) at(ms float64) float64 { return s.out + (ms-s.src)*s.slope }

// find returns the stretch that ms lies in. What stands a little before a jump
// in the stream, and belongs to what is behind it, is as far before it in the
// output.
func (l *Line) find(ms float64) *stretch {
	for i := len(l.s) - 1; i > 0; i-- {
		if s := &l.s[i]; ms >= s.src || s.anew {
			return s
		}
	}
	return &l.s[0]
}

// At returns the output's time of ms.
func (l *Line) At(ms float64) float64 {
	if len(l.s) == 0 {
		return ms
	}
	s := l.find(ms)
	if ms < s.src {
		return s.out + ms - s.src
	}
	return s.at(ms)
}

// Shift returns by how much ms is moved, and whether all times near it are
// moved by as much.
func (l *Line) Shift(ms float64) (by float64, steady bool) {
	if len(l.s) == 0 {
		return 0, true
	}
	s := l.find(ms)
	return l.At(ms) - ms, s.slope == 1 || ms < s.src
}

// Ticks is At in another unit than milliseconds. Where times are moved by the
// same amount they keep their distances exactly.
func (l *Line) Ticks(t int64, scale uint32) int64 {
	ms := float64(t) * 1000 / float64(scale)
	by, steady := l.Shift(ms)
	if steady {
		return t + int64(math.Round(by*float64(scale)/1000))
	}
	return int64(math.Round(l.At(ms) * float64(scale) / 1000))
}

// Source is the inverse of At.
func (l *Line) Source(out float64) float64 {
	for i := len(l.s) - 1; i >= 0; i-- {
		if s := &l.s[i]; out >= s.out {
			return s.src + (out-s.out)/s.slope
		}
	}
	if len(l.s) == 0 {
		return out
	}
	return l.s[0].src + out - l.s[0].out
}

// jump says that the source goes on at src, and the output at out.
func (l *Line) jump(src, out float64) {
	l.cut(out)
	l.add(stretch{src, out, 1, true})
}

// hurry plays from src, which nothing that was written lies behind, at speed
// until end.
func (l *Line) hurry(src, end, speed float64) {
	out := l.At(src)
	l.cut(out)
	l.add(stretch{src: src, out: out, slope: 1 / speed})
	l.add(stretch{src: end, out: out + (end-src)/speed, slope: 1})
}

// wait moves what comes behind src by so much more.
func (l *Line) wait(src, by float64) {
	out := l.At(src)
	l.cut(out)
	l.add(stretch{src: math.Nextafter(src, math.Inf(1)), out: out + by, slope: 1})
}

// turn is where the last stretch begins.
func (l *Line) turn() float64 { return l.s[len(l.s)-1].src }

// cut forgets what was planned from out on.
func (l *Line) cut(out float64) {
	for n := len(l.s); n > 1 && l.s[n-1].out >= out && !l.s[n-1].anew; n-- {
		l.s = l.s[:n-1]
	}
}

func (l *Line) add(s stretch) {
	l.s = append(l.s, s)
	if n := len(l.s) - maxStretches; n > 0 {
		l.s = append(l.s[:0], l.s[n:]...)
	}
}

// hurried returns until when the source is hurried behind ms, and how fast; ms
// itself and 1 if it is not.
func (l *Line) hurried(ms float64) (end, speed float64) {
	for i := range l.s {
		if s := &l.s[i]; s.slope < 1 && i+1 < len(l.s) && ms >= s.src && ms < l.s[i+1].src && l.find(ms) == s {
			return l.s[i+1].src, 1 / s.slope
		}
	}
	return ms, 1
}

package squeeze

// A sound is the grid that the frames of a track of sound stand on in the
// output, in the track's own ticks.
type sound struct {
	scale   uint32
	begun   bool
	jumps   int   // of the squeezer, when the last frame came
	last    int64 // source time of the last frame
	offset  int64 // what is added to source times
	frame   int64 // how long a frame is
	dropped bool  // the last frame was left out: the next one takes its place
	end     int64 // of what was written
}

// maxFrame is the longest frame of sound that is believed, in ms. A longer step
// is a gap.
const maxFrame = 200

func (s *sound) ms(t int64) float64 { return float64(t) * 1000 / float64(s.scale) }

// next takes a frame at t and returns its place in the output; false if it is to
// be left out. length is its duration, 0 if only the next frame tells it.
func (s *sound) next(q *Squeezer, t, length int64) (out int64, ok bool) {
	step, anew := t-s.last, s.jumps != q.jumps
	if s.begun && !anew && step > 0 && s.ms(step) <= maxFrame {
		if length == 0 {
			s.frame = step
		}
		if s.dropped {
			s.offset -= step
		}
	}
	if length > 0 {
		s.frame = length
	}
	want := q.line.Ticks(t, s.scale)
	switch {
	case !s.begun, !anew && s.ms(want-(t+s.offset)) > maxFrame:
		s.offset = want - t // the first, or one behind a gap
	case anew:
		s.offset = max(want, s.end) - t
	}
	s.begun, s.jumps, s.last, s.dropped = true, q.jumps, t, false
	out = t + s.offset
	if s.frame > 0 && out-want > s.frame/2 {
		s.dropped = true
		return 0, false
	}
	s.end = out + s.frame
	return out, true
}

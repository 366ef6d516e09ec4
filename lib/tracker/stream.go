package tracker

import "slices"

// stream is how many bytes of payload a room's stream has had since the room was
// opened, as far as is known: what nobody can have received more of. It is the
// seeds' word, and where none of them gives it, that of the viewer in the middle.
type stream struct {
	total int64
	past  [recentTicks]int64 // total at the ticks before, the oldest first
	seeds bool               // a seed has given its word
}

// recentTicks is how many ticks of the stream are allowed for what is not known
// exactly: a viewer starts some seconds behind the live edge, and reports of
// seeds are up to a tick old.
const recentTicks = 4

// recent is what the stream had of late: half a minute of it, or a little more.
func (s *stream) recent() int64 { return s.total - s.past[0] }

// A source is a seed's word on the stream.
type source struct {
	counter
	from  int64 // the stream's total when it first gave it
	known bool
}

// say takes a seed's word. Its first says how much there was, if nobody has said
// so before and it does not count from old times; else only what it says more
// from then on is news.
func (s *stream) say(src *source, n int64, old bool) {
	if n <= 0 {
		return
	}
	if !src.known {
		src.known, src.from = true, s.total
		if old || s.seeds {
			src.last = n
		}
	}
	src.set(n)
	s.seeds = true
	s.total = min(max(s.total, src.from+src.sum), maxCount)
}

// tick ends a tick, in which viewers have received so much each.
func (s *stream) tick(received []int64) {
	if !s.seeds && len(received) > 0 {
		slices.Sort(received)
		s.total = min(s.total+received[(len(received)-1)/2], maxCount)
	}
	copy(s.past[:], s.past[1:])
	s.past[recentTicks-1] = s.total
}

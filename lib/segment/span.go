package segment

import "time"

// A Span is a stretch of stream time: it ends with the first piece that lies For
// behind the first one, or on another clock. The zero Span never ends.
type Span struct {
	For   time.Duration
	first int64
	begun bool
}

// Ends takes the next piece's DTS, and reports whether it is the last.
func (s *Span) Ends(dts int64) bool {
	if s.For <= 0 {
		return false
	}
	if !s.begun {
		s.begun, s.first = true, dts
	}
	return dts-s.first >= s.For.Milliseconds() || dts < s.first
}

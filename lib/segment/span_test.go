package segment

import (
	"testing"
	"time"
)

func TestASpanEndsByTheStreamsClock(t *testing.T) {
	for _, c := range []struct {
		name string
		span time.Duration
		dts  []int64
		ends int // at which of them; -1: at none
	}{
		{"a keyframe's pieces are of one moment", 400 * time.Millisecond, []int64{2000, 2000, 2000, 2000, 2000, 2200, 2400, 2600}, 6},
		{"it need not be hit", 400 * time.Millisecond, []int64{2000, 2399, 2500}, 2},
		{"the broadcaster began anew", 400 * time.Millisecond, []int64{2000, 2040, 0}, 2},
		{"the zero Span never ends", 0, []int64{0, 100, 1e6, 0}, -1},
	} {
		s, ends := Span{For: c.span}, -1
		for i, dts := range c.dts {
			if s.Ends(dts) {
				ends = i
				break
			}
		}
		if ends != c.ends {
			t.Errorf("%s: ends at %d, want %d", c.name, ends, c.ends)
		}
	}
}

package origin

import (
	"github.com/xp2p/xp2p/lib/flv"
	"github.com/xp2p/xp2p/lib/fmp4"
	"github.com/xp2p/xp2p/lib/media"
)

// unitBorders returns where units end.
func unitBorders(c media.Container, in []byte) map[int64]bool {
	next := new(flv.Walker).Next
	if c == media.FMP4 {
		next = new(fmp4.Walker).Next
	}
	borders := map[int64]bool{}
	for at := int64(0); len(in) > 0; {
		s := next(in, true)
		at += int64(s.N)
		in = in[s.N:]
		if s.End {
			borders[at] = true
		}
	}
	return borders
}

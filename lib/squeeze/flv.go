package squeeze

import (
	"encoding/binary"
	"math"

	"github.com/xp2p/xp2p/lib/flv"
	"github.com/xp2p/xp2p/lib/media"
)

// flvTags rewrites FLV: the times in the headers of tags, and the composition
// times of frames.
type flvTags struct {
	walk  flv.Walker
	info  media.Unit
	done  int // bytes of the unit under way that the walker has seen
	tone  sound
	moved bool // a video sample came before
	dts   int64
	out   int64
	step  int64 // from frame to frame of the source
}

func (w *flvTags) next(b []byte, eof bool) int {
	for n := w.done; ; {
		s := w.walk.Next(b[n:], eof)
		n += s.N
		switch {
		case s.N == 0:
			w.done = n
			return 0
		case s.End:
			w.done, w.info = 0, s.Unit
			return n
		}
	}
}

func (w *flvTags) sound() *sound { return &w.tone }

func (w *flvTags) unit(q *Squeezer, dst, b []byte) []byte {
	from := len(dst)
	dst = append(dst, b...)
	tag, u := dst[from:], &w.info
	whole := len(b) >= 15 && int(binary.BigEndian.Uint32(b[len(b)-4:])) == len(b)-4
	if u.Kind == media.Header || u.Truncated || !whole {
		return dst
	}
	t := int64(flv.Timestamp(b))
	switch {
	case !u.Timed:
		// Configuration and the like: many write it at 0 wherever it stands.
		if d := float64(t) - q.newest; q.started && t > 0 && -maxStep < d && d < maxStep {
			flv.Retime(tag, uint32(q.line.Ticks(t, 1000)), 0)
		}
	case u.Track == media.Audio && u.Kind == media.Sample:
		q.time(float64(t), math.Inf(1))
		out, ok := w.tone.next(q, t, 0)
		if !ok {
			return dst[:from]
		}
		if !w.moved {
			q.keep(0, float64(t+w.tone.frame))
		}
		flv.Retime(tag, uint32(out), 0)
	default:
		w.picture(q, tag, t, u.PTS.Ticks)
	}
	return dst
}

// picture moves a frame; decoding times grow even where the squeezed ones would
// fall on the same millisecond.
func (w *flvTags) picture(q *Squeezer, tag []byte, dts, pts int64) {
	jumps := q.jumps
	q.time(float64(dts), float64(pts-dts))
	d, p := q.line.Ticks(dts, 1000), q.line.Ticks(pts, 1000)
	if w.moved && d <= w.out && (dts > w.dts || jumps != q.jumps) {
		d = w.out + 1
		if pts >= dts {
			p = max(p, d)
		}
	}
	if step := dts - w.dts; w.moved && 0 < step && step <= maxFrame {
		w.step = step
	}
	w.moved, w.dts, w.out = true, dts, d
	q.keep(float64(pts+w.step), float64(dts+w.step))
	flv.Retime(tag, uint32(d), int32(p-d))
}

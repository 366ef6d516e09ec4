package fmp4

import "encoding/binary"

// RetimeBoxes appends the boxes that stand before a fragment, with their times
// moved by at, which is given ticks of a timescale and returns the new ones: the
// producer reference time (ISO/IEC 14496-12 §8.16.5) of one of the movie's
// tracks, and event messages (ISO/IEC 23009-1 §5.10.3.3). Segment indexes are
// left out: they count bytes that are others now, and are for those who seek.
func (m *Movie) RetimeBoxes(dst, boxes []byte, at func(ticks int64, scale uint32) int64) []byte {
	for len(boxes) > 0 {
		kind, _, rest, ok := child(boxes)
		if !ok {
			return append(dst, boxes...)
		}
		size := len(boxes) - len(rest)
		from := len(dst)
		if kind != sidx && kind != ssix {
			dst = append(dst, boxes[:size]...)
		}
		boxes = rest
		_, b, _, ok := child(dst[from:])
		switch {
		case !ok || len(b) < 8:
		case kind == prft:
			t := m.walker.track(be32(b[4:]))
			switch {
			case t == nil || t.scale == 0:
			case b[0] == 0 && len(b) >= 20:
				binary.BigEndian.PutUint32(b[16:], uint32(at(int64(be32(b[16:])), t.scale)))
			case b[0] == 1 && len(b) >= 24:
				binary.BigEndian.PutUint64(b[16:], uint64(at(int64(binary.BigEndian.Uint64(b[16:])), t.scale)))
			}
		case kind == emsg && b[0] == 1 && len(b) >= 16 && be32(b[4:]) > 0:
			binary.BigEndian.PutUint64(b[8:], uint64(at(int64(binary.BigEndian.Uint64(b[8:])), be32(b[4:]))))
		}
	}
	return dst
}

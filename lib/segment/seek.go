package segment

import "time"

// Seek returns the offset of the newest keyframe that lies at most d behind the
// recording's first, and how many bytes of the recording's beginning a decoder
// must see before it. At the first keyframe that is simply the beginning: zero
// and zero. false if the recording has no times.
func (x *Index) Seek(d time.Duration) (offset, head int64, ok bool) {
	if len(x.Keyframes) == 0 {
		return 0, 0, false
	}
	k := x.Keyframes[0]
	at := k.DTS + d.Milliseconds()
	for _, next := range x.Keyframes[1:] {
		if next.DTS > at {
			break
		}
		k = next
	}
	if k == x.Keyframes[0] || k.Offset <= x.Init {
		return 0, 0, true
	}
	return k.Offset, x.Init, true
}

package flv

// Timestamp returns the time in the header of a whole tag, in milliseconds.
func Timestamp(tag []byte) uint32 { return timestamp(tag) }

// Retime changes, in place, when a whole tag is decoded, and if it holds a frame
// with a composition time (H.264, H.265 and H.266, classic or enhanced) when it
// is shown: cts milliseconds after that. Other bytes stay as they are. It
// reports whether the tag has a composition time; without one it is shown when
// it is decoded. Of several tracks in one tag it sets the first one's.
func Retime(tag []byte, dts uint32, cts int32) (composed bool) {
	body, ok := bodyOf(tag)
	if !ok {
		return false
	}
	stamp(tag, dts)
	if tag[0] != typeVideo {
		return false
	}
	e := parseVideo(body)
	if !e.composed {
		return false
	}
	at := body[e.data-3:]
	at[0], at[1], at[2] = byte(cts>>16), byte(cts>>8), byte(cts)
	return true
}

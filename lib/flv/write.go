package flv

import "encoding/binary"

// TagHeader is how long the header of a tag is.
const TagHeader = tagHeader

// AppendHeader appends the file header of a stream with audio and video, and
// the size of the tag that there is not before it.
func AppendHeader(b []byte) []byte {
	return append(b, "FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"...)
}

// AppendStamped appends a tag as it is, but for its time.
func AppendStamped(b, tag []byte, time uint32) []byte {
	at := len(b)
	b = append(b, tag...)
	stamp(b[at:], time)
	return b
}

func stamp(tag []byte, time uint32) {
	tag[4], tag[5], tag[6], tag[7] = byte(time>>16), byte(time>>8), byte(time), byte(time>>24)
}

// AppendFrameHead appends what stands before the rest of a frame's payload in a
// tag of coded video with another time and composition offset, and with extra
// where offset at of the payload is. What must follow is the payload from at on
// and AppendTrailer. What of the tag's prefix says more than codec and key
// (several tracks, ModEx) is kept as it is, with the offset that stands in it.
func AppendFrameHead(b, tag []byte, f Frame, time uint32, cts int32, at int, extra []byte) []byte {
	start := len(b)
	b = append(b, tag[:tagHeader]...)
	first := tag[tagHeader]
	switch {
	case !f.simple:
		b = append(b, tag[tagHeader:f.Data]...)
	case first&0x80 != 0 && (f.Codec == avc1 || f.Codec == hvc1 || f.Codec == vvc1):
		b = append(b, first&^15|1) // CodedFrames: the packet type that has an offset
		b = binary.BigEndian.AppendUint32(b, f.Codec)
		b = append(b, byte(cts>>16), byte(cts>>8), byte(cts))
	case first&0x80 == 0 && (f.Codec == avc1 || f.Codec == hvc1):
		b = append(b, first, 1, byte(cts>>16), byte(cts>>8), byte(cts))
	default:
		b = append(b, tag[tagHeader:f.Data]...)
	}
	b = append(b, tag[f.Data:f.Data+at]...)
	b = append(b, extra...)
	size := len(b) - start - tagHeader + f.Stop - f.Data - at
	b[start+1], b[start+2], b[start+3] = byte(size>>16), byte(size>>8), byte(size)
	stamp(b[start:], time)
	return b
}

// AppendTrailer appends the size that stands behind a tag whose body has size
// bytes.
func AppendTrailer(b []byte, size int) []byte {
	return binary.BigEndian.AppendUint32(b, uint32(tagHeader+size))
}

// AppendStampedHead appends a tag's header with another time; what must follow is
// the tag from TagHeader on.
func AppendStampedHead(b, tag []byte, time uint32) []byte {
	at := len(b)
	b = append(b, tag[:tagHeader]...)
	stamp(b[at:], time)
	return b
}

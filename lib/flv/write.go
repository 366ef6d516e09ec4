package flv

import "encoding/binary"

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

// AppendFrame appends a tag of coded video with another time and composition
// offset, and with extra before its payload where offset at of that is. What of
// its prefix says more than codec and key (several tracks, ModEx) is kept as it
// is, with the offset that stands in it.
func AppendFrame(b, tag []byte, f Frame, time uint32, cts int32, at int, extra []byte) []byte {
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
	b = append(b, tag[f.Data+at:f.Stop]...)
	size := len(b) - start - tagHeader
	b[start+1], b[start+2], b[start+3] = byte(size>>16), byte(size>>8), byte(size)
	stamp(b[start:], time)
	return binary.BigEndian.AppendUint32(b, uint32(tagHeader+size))
}

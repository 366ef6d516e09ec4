// Package flv walks a Flash Video stream: it says where tags begin and end,
// what they are and when, without copying or changing a byte.
//
// The walk is our own, because the slicer must give back exactly what came in
// and must survive what a network leaves of a stream: wrong sizes, garbage,
// tags of types that nobody knows, a beginning in the middle of a tag. Classic
// tags and the enhanced ones of enhanced RTMP v2 are understood; whatever is
// not understood is opaque, and stays where it stands.
package flv

import (
	"encoding/binary"

	"github.com/xp2p/xp2p/lib/media"
)

// MaxLookahead is the most unread input that a Walker asks for. While tags
// follow each other it needs 75 bytes; only where framing is lost it reads
// ahead far enough to see a whole tag and the header behind it.
const MaxLookahead = maxSearch + peek

// Detect reports whether p, the first bytes of an input (at least 9), begins
// an FLV stream. An input that was joined in the middle does not: a Walker
// finds its way in it all the same.
func Detect(p []byte) bool { return isHeader(p) }

// A Walker turns bytes into spans. The zero value is ready.
//
// Every span carries its unit; on the End span it is complete, since Size,
// Defect and Truncated may change while a body passes. A span that is not the
// End leaves at least one byte of its unit unread, so that the End is always
// said with a byte.
//
// Samples are Timed. So are Opaque units with a time that can be trusted
// (encrypted tags on their own Track, unknown tags and those with unknown
// codecs). Config units, script data, empty tags, server commands and ends of
// sequence are not: encoders give them times that no clock should follow.
// Every audio sample is Key; what a key is worth depends on the reference
// track, which a Walker does not choose. A multitrack body counts as its first
// track; any but track 0 is of Track Other.
//
// Where framing is lost, the bytes without it are one Opaque unit; it and the
// unit behind it are marked Resync. An input that does not begin with an FLV
// header counts as lost from its first byte on.
type Walker struct {
	unit   media.Unit
	state  state
	begun  bool // a span of the current unit was returned
	again  bool // the next unit is the first behind a loss
	left   int  // in a tag: bytes up to the body's end not covered yet; lost: covered
	want   uint32
	dts    uint32
	header bool // an FLV header, or framing without one, was seen
}

type state uint8

const (
	between state = iota // at what should be a header
	inTag
	lost
)

// Next returns a span over a prefix of p, which is all unread input; eof says
// that nothing will follow. A span with N = 0 asks for more input: never with
// eof, and never if p holds MaxLookahead bytes.
func (w *Walker) Next(p []byte, eof bool) media.Span {
	if len(p) == 0 {
		return media.Span{}
	}
	switch w.state {
	case inTag:
		return w.tag(p, eof)
	case lost:
		return w.search(p, eof)
	default:
		return w.boundary(p, eof)
	}
}

// boundary judges what stands where a header should.
func (w *Walker) boundary(p []byte, eof bool) media.Span {
	if p[0] == 'F' {
		switch {
		case isHeader(p) && (len(p) >= headerSize || eof):
			return w.fileHeader(p)
		case len(p) < headerSize && !eof:
			return media.Span{}
		}
	}
	switch {
	case !w.header:
		w.header = true
		return w.lose(p, eof)
	case len(p) < tagHeader && !eof:
		return media.Span{}
	case len(p) < tagHeader:
		w.unit = media.Unit{Kind: media.Opaque, Size: int64(len(p)), Truncated: true, Defect: "input ends inside a tag header"}
		return w.whole(len(p))
	case !framed(p):
		return w.lose(p, eof)
	}
	size := bodySize(p)
	if !known(p) {
		// A header of zeros would pass too: an unknown type must prove itself by
		// the size behind it.
		n := tagHeader + size + trailer
		if len(p) < n && !eof && size <= maxSearch {
			return media.Span{}
		}
		if len(p) < n || binary.BigEndian.Uint32(p[n-trailer:]) != uint32(n-trailer) {
			return w.lose(p, eof)
		}
	}
	if !eof && len(p) < tagHeader+min(size, peek) {
		return media.Span{}
	}
	w.unit = media.Unit{}
	judge(&w.unit, p)
	w.mark()
	w.state, w.begun, w.left, w.want, w.dts = inTag, false, tagHeader+size, uint32(tagHeader+size), timestamp(p)
	return w.tag(p, eof)
}

func (w *Walker) fileHeader(p []byte) media.Span {
	w.header = true
	n := min(len(p), headerSize)
	w.unit = media.Unit{Kind: media.Header, Size: int64(n)}
	if n < headerSize {
		w.unit.Truncated, w.unit.Defect = true, "input ends inside the FLV header"
	} else if binary.BigEndian.Uint32(p[9:]) != 0 {
		w.unit.Defect = "PreviousTagSize0 is not 0"
	}
	w.mark()
	return w.whole(n)
}

// mark tells the first unit behind a loss.
func (w *Walker) mark() {
	w.unit.Resync = w.again
	w.again = false
}

func (w *Walker) whole(n int) media.Span {
	w.state = between
	return media.Span{N: n, Begin: true, End: true, Unit: w.unit}
}

// tag covers what is there of the current tag. The size behind the tag must
// repeat its length: if it does not, either that size is wrong, and a header
// follows where it should, or the tag's own, and framing is lost from the end
// of the body on.
//
// An FLV header inside the body is a new stream, unless the tag ends as it
// should: the bytes from such a header on wait until that shows. Of a body
// that is too large to wait for it is always a new stream.
func (w *Walker) tag(p []byte, eof bool) media.Span {
	n, over := w.left+trailer, true
	next := p[min(n, len(p)):]
	large := w.want > tagHeader+maxSearch
	cut := -1
	if large || len(p) < n || binary.BigEndian.Uint32(p[n-trailer:]) != w.want {
		cut = fileHeaderIn(p[:min(len(p), w.left+headerSize-1)])
	}
	switch {
	case cut > 0 && (large || len(p) >= n || eof):
		n = cut
		w.unit.Size = int64(int(w.want) - w.left + n)
		w.unit.Defect = "an FLV header stands inside a tag"
	case len(p) < n && eof:
		n = len(p)
		w.unit.Size = int64(int(w.want) - w.left + n)
		w.unit.Truncated, w.unit.Defect = true, "input ends inside a tag"
	case len(p) < n:
		over = false
	case binary.BigEndian.Uint32(p[n-trailer:]) == w.want:
	case len(next) == 0 && eof, w.plausible(next):
		w.unit.Defect = "PreviousTagSize is wrong"
	case len(next) < tagHeader && !eof:
		over = false
	default:
		n = w.left
		w.unit.Size = int64(w.want)
		w.unit.Defect = "DataSize is wrong: no tag where it says"
	}
	if !over { // what stays could begin an FLV header, or end the body
		n = min(len(p)-headerSize, w.left-1)
		if cut > 0 {
			n = min(n, cut-1)
		}
		if n <= 0 {
			return media.Span{}
		}
	}
	begin := !w.begun
	w.begun = true
	w.left -= n
	if over {
		w.state = between
		if w.left == 0 && cut <= 0 { // without its trailer
			w.state, w.begun = lost, false
		}
	}
	return media.Span{N: n, Begin: begin, End: over, Unit: w.unit}
}

// plausible reports whether next begins with the header of a tag about as old
// as this one, or with a new FLV header. The time matters: a header read one
// byte too early often has the right type and stream ID. (Sequence headers
// stand at 0 whatever the media's time.)
func (w *Walker) plausible(next []byte) bool {
	const hour = 3600 * 1000
	if len(next) < tagHeader {
		return false
	}
	if isHeader(next) {
		return true
	}
	t := timestamp(next)
	d := int32(t - w.dts)
	return known(next) && (d < hour && d > -hour || t == 0 || w.dts == 0)
}

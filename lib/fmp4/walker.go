// Package fmp4 walks a fragmented MP4 stream (ISO/IEC 14496-12, CMAF chunks
// included): it says where fragments begin and end and when they play, without
// copying or changing a byte.
//
// The walk over the top-level boxes is our own, because the slicer must give
// back exactly what came in, media data must stream however large it is, and
// legal layouts must pass that decoders refuse. mp4ff decodes the movie box.
package fmp4

import "github.com/xp2p/xp2p/lib/media"

// MaxLookahead is the most unread input that a Walker asks for: the boxes of a
// fragment up to its media data. Media data itself is never waited for (but
// where it stands before its movie fragment).
const MaxLookahead = maxPending + 64

// Detect reports whether p, the first bytes of an input (at least 12), begins
// an MP4 stream. An input that was joined in the middle may not: a Walker
// finds its way in it all the same.
func Detect(p []byte) bool {
	b, ok := readBox(p)
	if !ok || !b.plausible() {
		return false
	}
	switch b.kind {
	case ftyp, styp, moov, moof, sidx:
		return true
	}
	return false
}

// A Walker turns bytes into spans. The zero value is ready.
//
// A unit is a movie fragment with all boxes before it that belong to nothing
// else, and its media data; ftyp and moov are Header units; what belongs to no
// fragment is Opaque. Every span carries its unit; on the End span it is
// complete, since Size, Defect and Truncated may change while media data
// passes. A span that is not the End leaves at least one byte of its unit
// unread, so that the End is always said with a byte.
//
// Only the reference track is called Video or Audio among those of its kind;
// the others are of Track Other.
//
// Before a movie box has been seen fragments are Samples without a time. Where
// framing is lost, the bytes without it are one Opaque unit; it and the unit
// behind it are marked Resync.
type Walker struct {
	// Clock is the kind of the reference track; NoTrack is video, or audio
	// where there is no video.
	Clock media.Track

	unit      media.Unit
	state     state
	tracks    []track
	reference uint32
	begun     bool  // a span of the current unit was returned
	again     bool  // the next unit is the first behind a loss
	toEOF     bool  // the current unit ends with the input
	data      int   // from here on a new file may begin in the current unit; 0 if it is known whole
	left      int64 // of the current unit, if not toEOF
	done      int64 // bytes of the current unit covered
	pos       int64 // in the file: bytes covered since its ftyp
	joined    bool  // the input did not begin at the beginning
}

type state uint8

const (
	between state = iota // at what should be a box
	inside
	lost
)

// Prime gives the walker the movie box beforehand, for an input that is joined
// in the middle.
func (w *Walker) Prime(initBytes []byte) error {
	movie, err := findMovie(initBytes)
	if err != nil {
		return err
	}
	w.setMovie(movie)
	return nil
}

// Next returns a span over a prefix of p, which is all unread input; eof says
// that nothing will follow. A span with N = 0 asks for more input: never with
// eof, and never if p holds MaxLookahead bytes.
func (w *Walker) Next(p []byte, eof bool) (s media.Span) {
	if len(p) == 0 {
		return s
	}
	switch w.state {
	case inside:
		s = w.pass(p, eof)
	case lost:
		s = w.search(p, eof)
	default:
		s = w.boundary(p, eof)
	}
	w.pos += int64(s.N)
	return s
}

// boundary looks over the boxes that p begins with until it knows what the
// next unit is. It changes nothing before it knows, since it may be asked again
// with more input.
func (w *Walker) boundary(p []byte, eof bool) media.Span {
	var h held
	for n := 0; ; n++ {
		b, ok := readBox(p[h.end:])
		if n == 0 && w.pos == 0 {
			w.joined = b.kind != ftyp
		}
		switch {
		case !ok && !eof:
			return media.Span{}
		case !ok && h.end == 0:
			return w.open(p, eof, media.Unit{Defect: "input ends inside a box header", Truncated: true, Kind: media.Opaque}, int64(len(p)), false, 0)
		case !ok, n == maxBoxes:
			return w.alone(p, h)
		case !b.plausible() && h.end == 0:
			return w.lose(p, eof)
		case !b.plausible():
			return w.alone(p, h)
		}
		size := int64(h.end) + b.size
		if b.kind == mdat && h.moof {
			return w.open(p, eof, w.fragment(p, h), size, b.toEOF, h.end+b.head)
		}
		alone := b.kind == ftyp || b.kind == moov || b.kind == mfra || b.toEOF || size > maxPending
		switch {
		case h.end > 0 && (alone || b.kind == moof && h.moof):
			return w.alone(p, h)
		case b.kind == moov:
			return w.movie(p, eof, b)
		case b.kind == ftyp: // positions count from here
			w.pos, w.joined = 0, false
			return w.open(p, eof, media.Unit{Kind: media.Header}, b.size, b.toEOF, 0)
		case b.kind == mdat && alone:
			return w.open(p, eof, media.Unit{Kind: media.Opaque, Defect: stray}, b.size, b.toEOF, b.head)
		case alone:
			return w.open(p, eof, media.Unit{Kind: media.Opaque}, b.size, b.toEOF, b.head)
		case int64(len(p)) < size && !eof:
			return media.Span{}
		case int64(len(p)) < size && h.end > 0:
			return w.alone(p, h)
		case int64(len(p)) < size && b.known():
			return w.open(p, eof, media.Unit{Kind: media.Opaque}, b.size, false, 0)
		}
		end := int(size)
		if !b.known() { // it must prove itself by what follows
			next, ok := readBox(p[min(end, len(p)):])
			switch {
			case !ok && !eof:
				return media.Span{}
			case ok && next.plausible(), end == len(p):
			case h.end > 0:
				return w.alone(p, h)
			default:
				return w.lose(p, eof)
			}
		}
		if at, sure := movieIn(p, h.end+b.head, size, false, eof); sure {
			u := media.Unit{Kind: media.Opaque, Defect: newFile}
			return w.open(p, eof, u, int64(at), false, 0)
		} else if at > 0 {
			return media.Span{}
		}
		switch b.kind {
		case mdat:
			h.data = end
		case moof:
			h.moof, h.at, h.head, h.moofEnd = true, h.end, b.head, end
		}
		h.end = end
		if b.kind == moof && h.data > 0 {
			if w.dataBefore(p[h.at+h.head:end], w.pos+int64(h.at)) {
				return w.open(p, eof, w.fragment(p, h), size, false, 0)
			}
			return w.open(p, eof, media.Unit{Kind: media.Opaque, Defect: stray}, int64(h.data), false, 0)
		}
	}
}

const (
	stray   = "media data without a movie fragment"
	newFile = "a new file begins inside a box"
)

// held are the boxes that wait for the unit they belong to.
type held struct {
	end     int  // behind the last of them
	data    int  // behind the last mdat; 0 if there is none
	moof    bool // there is a moof, at at, with a header of head bytes
	at      int
	head    int
	moofEnd int
}

// alone makes a unit of boxes that turned out to wait for nothing.
func (w *Walker) alone(p []byte, h held) media.Span {
	u := media.Unit{Kind: media.Opaque}
	switch {
	case h.moof:
		if u = w.fragment(p, h); u.Defect == "" {
			u.Defect = "movie fragment without media data"
		}
	case h.data > 0:
		u.Defect = stray
	}
	return w.open(p, false, u, int64(h.end), false, 0)
}

// movie reads a movie box.
func (w *Walker) movie(p []byte, eof bool, b box) media.Span {
	u := media.Unit{Kind: media.Header}
	switch {
	case b.toEOF, b.size > maxPending:
		u.Defect = "movie box is too large to be read"
	case int64(len(p)) >= b.size:
		movie, err := decodeMovie(p[:b.size])
		if err != nil {
			u.Defect = err.Error()
		} else {
			w.setMovie(movie)
		}
	case !eof:
		return media.Span{}
	}
	return w.open(p, eof, u, b.size, b.toEOF, 0)
}

// open begins a unit of size bytes. If it is passed on as it comes, data
// is behind the headers that were read.
func (w *Walker) open(p []byte, eof bool, u media.Unit, size int64, toEOF bool, data int) media.Span {
	if !toEOF {
		u.Size = size
	}
	u.Resync = w.again
	w.again, w.begun = false, false
	w.unit, w.left, w.done, w.toEOF, w.data = u, size, 0, toEOF, data
	w.state = inside
	return w.pass(p, eof)
}

// pass covers what is there of the current unit.
func (w *Walker) pass(p []byte, eof bool) media.Span {
	n, over := len(p), true
	if !w.toEOF && int64(n) >= w.left {
		n = int(w.left)
	} else if eof {
		if !w.toEOF {
			w.unit.Truncated, w.unit.Defect = true, "input ends inside a box"
		}
	} else {
		n, over = n-1, false
	}
	if w.data > 0 {
		if !over {
			n = min(n, len(p)-8) // what stays could be a box header
		}
		if at, sure := movieIn(p, w.data, w.left, w.toEOF, eof); at > 0 && at <= n {
			n, over = at, sure
			if sure {
				w.unit.Truncated, w.unit.Defect = false, newFile // the input did not end
			} else {
				n-- // one byte stays, to say End with
			}
		}
		if n > 0 {
			w.data = max(1, w.data-n)
		}
	}
	if n <= 0 {
		return media.Span{}
	}
	return w.span(n, over)
}

func (w *Walker) span(n int, over bool) media.Span {
	begin := !w.begun
	w.begun = true
	w.left -= int64(n)
	w.done += int64(n)
	if over {
		w.unit.Size = w.done
		w.state = between
	}
	return media.Span{N: n, Begin: begin, End: over, Unit: w.unit}
}

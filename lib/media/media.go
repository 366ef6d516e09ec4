// Package media holds the words of a timeline that every container shares: a
// span of bytes, the sample it belongs to, its decoding and presentation time,
// whether decoding may start there.
//
// The container packages (flv, fmp4) turn bytes into spans without copying or
// changing them; package segment cuts spans into segments and pieces.
package media

import "math/bits"

// A Container names the format that bytes are framed in.
type Container uint8

const (
	Raw  Container = iota // any bytes: sliced by offset only
	FLV                   // Adobe FLV, classic or enhanced
	FMP4                  // fragmented MP4 (ISO 14496-12), CMAF chunks included
)

// String returns the word that headers and URLs use.
func (c Container) String() string {
	switch c {
	case FLV:
		return "flv"
	case FMP4:
		return "mp4"
	default:
		return "raw"
	}
}

// ParseContainer is the inverse of String.
func ParseContainer(s string) (Container, bool) {
	for _, c := range []Container{Raw, FLV, FMP4} {
		if c.String() == s {
			return c, true
		}
	}
	return Raw, false
}

// ContentType returns the media type for HTTP.
func (c Container) ContentType() string {
	switch c {
	case FLV:
		return "video/x-flv"
	case FMP4:
		return "video/mp4"
	default:
		return "application/octet-stream"
	}
}

// Time is a position on a stream's own timeline: Ticks of 1/Scale second.
type Time struct {
	Ticks int64
	Scale uint32
}

// Milliseconds returns t rounded towards minus infinity.
func (t Time) Milliseconds() int64 { return t.Grid(1) }

// Grid returns floor(t / step), where step is a number of milliseconds,
// exactly: the tick is never rounded first.
func (t Time) Grid(step int64) int64 {
	if t.Scale == 0 || step <= 0 {
		return 0
	}
	// floor(ticks*1000 / (scale*step)) in 128 bits: ticks may use all 63.
	neg := t.Ticks < 0
	u := uint64(t.Ticks)
	if neg {
		u = -u
	}
	hi, lo := bits.Mul64(u, 1000)
	div := uint64(t.Scale) * uint64(step)
	if hi >= div { // cannot be represented; saturate rather than panic
		if neg {
			return -1 << 63
		}
		return 1<<63 - 1
	}
	q, r := bits.Div64(hi, lo, div)
	if neg {
		if r != 0 {
			q++
		}
		return -int64(q)
	}
	return int64(q)
}

// A Kind says what a span's bytes are to a slicer.
type Kind uint8

const (
	Header Kind = iota // container header: the FLV header, ftyp, moov
	Config             // what decoders must have seen before samples: sequence headers, metadata
	Sample             // a unit of media with a time
	Opaque             // bytes without a meaning to us; they stay where they stand
)

// A Track is the kind of medium that a sample belongs to.
type Track uint8

const (
	NoTrack Track = iota
	Video
	Audio
	Other
)

// A Unit is the smallest run of bytes that a container lets stand alone: an
// FLV tag with its trailing size, or the boxes of one movie fragment with its
// media data. A stream may be cut between units and nowhere else.
type Unit struct {
	Kind  Kind
	Track Track // the track whose time DTS is
	Size  int64 // bytes, all spans together; 0 if not known when it begins
	// DTS and PTS are those of the unit's first sample on Track.
	// Valid if Timed.
	Timed    bool
	DTS, PTS Time
	// Key reports that decoding can start with this unit.
	Key bool
	// Inexact reports that DTS was accumulated from durations because the
	// container did not state it.
	Inexact bool
	// Defect is what was wrong with the bytes, in words for a person; empty if
	// nothing was. The bytes are passed on all the same.
	Defect string
	// Resync reports that framing was lost before this unit and found again.
	Resync bool
	// Truncated reports that the input ended inside the unit.
	Truncated bool
}

// A Span is a run of input bytes that belongs to one unit. Units larger than
// the walker's buffer arrive as several spans.
type Span struct {
	N     int  // how many bytes of the input it covers
	Begin bool // first span of its unit; Unit is filled in
	End   bool // last span of its unit: a cut is allowed behind it
	Unit  Unit
}

// Package fmp4 walks a fragmented MP4 stream.
package fmp4

import "github.com/xp2p/xp2p/lib/media"

// MaxLookahead is the most unread input that a Walker asks for: a fragment's
// boxes up to its media data.
const MaxLookahead = 16<<20 + 64

// Detect reports whether p, the first bytes of an input (at least 12), begins
// an MP4 stream.
func Detect(p []byte) bool { return len(p) >= 8 && string(p[4:8]) == "ftyp" }

// A TrackInfo describes a track of the movie box.
type TrackInfo struct {
	ID        uint32
	Track     media.Track
	Timescale uint32
	Codec     string // RFC 6381, e.g. avc1.64001F; the sample entry's name if no more is known
}

// Tracks reads the movie box in initBytes (ftyp and moov, in any company).
func Tracks(initBytes []byte) ([]TrackInfo, error) { return nil, nil }

// A Walker turns bytes into spans. The zero value is ready. On the End span
// Unit is complete: Size, Defect and Truncated may be known only there.
type Walker struct {
	Clock media.Track // the reference track; NoTrack is video, else audio
	unit  media.Unit
}

// Prime gives the walker the movie box beforehand, for an input that is
// joined mid-stream.
func (w *Walker) Prime(initBytes []byte) error { return nil }

// Next covers a prefix of p, which is all unread input.
func (w *Walker) Next(p []byte, eof bool) media.Span {
	return media.Span{N: len(p), Begin: true, End: true, Unit: w.unit}
}

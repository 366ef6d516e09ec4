// Package flv walks a Flash Video stream.
package flv

import "github.com/xp2p/xp2p/lib/media"

// MaxLookahead is the most unread input that a Walker asks for.
const MaxLookahead = 4<<20 + 64

// Detect reports whether p, the first bytes of an input (at least 9), begins
// an FLV stream.
func Detect(p []byte) bool { return len(p) >= 9 && string(p[:4]) == "FLV\x01" }

// A Walker turns bytes into spans. The zero value is ready. On the End span
// Unit is complete: Size, Defect and Truncated may be known only there. Config
// units and ends of sequence are not Timed; encrypted and unknown tags are
// Opaque and Timed.
type Walker struct {
	unit media.Unit
}

// Next covers a prefix of p, which is all unread input.
func (w *Walker) Next(p []byte, eof bool) media.Span {
	return media.Span{N: len(p), Begin: true, End: true, Unit: w.unit}
}

// A Class says which configuration a tag carries; a joiner needs the newest of
// each class. Two tags of equal Class replace each other.
type Class uint16

const (
	NoConfig      Class = iota // not a configuration (or script data that is not metadata)
	Metadata                   // onMetaData
	VideoConfig                // sequence header of the (default) video track
	AudioConfig                // sequence header of the (default) audio track
	VideoMetadata              // enhanced FLV: HDR colour information
	AudioLayout                // enhanced FLV: multichannel configuration
)

// ConfigClass classifies a whole tag (header, body; trailing size or not).
func ConfigClass(tag []byte) Class { return NoConfig }

// IDR reports whether a whole tag holds a true IDR picture.
func IDR(tag []byte) bool { return false }

// Describe says in words what a configuration tag means.
func Describe(tag []byte) string { return "" }

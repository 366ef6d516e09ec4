package segment

import (
	"crypto/ed25519"
	"time"

	"github.com/xp2p/xp2p/lib/media"
)

// An Align says where a segment may start.
type Align uint8

const (
	Grid Align = iota // at the first sample past a multiple of the duration
	Key               // at the first keyframe past a multiple of the duration
)

// A CutterConfig says how to cut. Container and Key are required.
type CutterConfig struct {
	Container   media.Container
	VOD         bool          // by offset instead of by time
	Segment     time.Duration // live: duration of a segment, a multiple of 1 ms; 0 means 1 s
	SegmentSize int64         // VOD: size of a segment; 0 means DefaultVODSize
	PieceSize   int           // 0 means DefaultPiece
	PieceTime   time.Duration // 0 means 100 ms
	Align       Align
	Clock       media.Track // the reference track; NoTrack means video, else audio
	Epoch       int64
	Key         ed25519.PrivateKey
	// Init is what the walker of a stream joined mid-stream must know, if it
	// is known: ftyp and moov. It is not part of the stream.
	Init []byte
	// Hash, if not nil, hashes body into sum; it may return before it has,
	// if Wait then returns only after all have. The cutter itself is pure; this
	// is how the rind lets another core do the work.
	Hash func(body []byte, sum *Hash)
	Wait func()
}

// A Cutter turns bytes into signed records.
type Cutter struct{ cfg CutterConfig }

// NewCutter returns a Cutter.
func NewCutter(cfg CutterConfig) *Cutter { return &Cutter{cfg: cfg} }

// Feed takes the next bytes of the input. It keeps none of p. Take all
// records with Next before the next Feed.
func (c *Cutter) Feed(p []byte) {}

// Sign lets go of every record that has closed: call it when input would have
// to be waited for.
func (c *Cutter) Sign() {}

// Finish says that the input has ended.
func (c *Cutter) Finish() {}

// Next returns the next signed record. Its body is valid until the call after.
func (c *Cutter) Next() (Record, bool) { return Record{}, false }

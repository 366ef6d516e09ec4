package segment

import (
	"cmp"
	"crypto/ed25519"

	"github.com/xp2p/xp2p/lib/media"
)

// Bounds of the grammar. A reader refuses what is larger.
const (
	MaxPiece            = 1 << 20  // bytes in a piece
	MaxInit             = 16 << 20 // bytes in an init or an index
	MaxHeader           = 64 << 10 // bytes in a record's JSON line
	MaxKeyframes        = 64       // keyframes that a piece names
	MaxSegmentKeyframes = 256      // keyframes that a segment names; its pieces name the rest
	MaxBatch            = 4096     // records under one signature
)

// What is usual.
const (
	DefaultPiece   = 16 << 10 // bytes
	firstPiece     = 8 << 10  // bytes; see package comment
	DefaultVODSize = 1 << 20  // bytes in a segment of a recording
)

// An ID says where a piece stands. It orders and never identifies: bytes are
// identified by their hash.
type ID struct {
	Epoch int64 // Unix milliseconds when the stream began, one more for each wrap or step back of its timeline; 0 for a recording
	Seq   int64 // the segment: its place on the stream's own grid of times, or its number in a recording
	Index int   // the piece in its segment
}

// Compare orders IDs by epoch, sequence and index.
func (a ID) Compare(b ID) int {
	return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.Index, b.Index))
}

// A Keyframe is a place in a piece where decoding can start.
type Keyframe struct {
	Offset   int   // of its unit, in the piece
	DTS, PTS int64 // milliseconds
	Init     Hash  // what a decoder must have seen before; zero if the stream did not show it
}

// A Link names a whole segment.
type Link struct {
	Epoch, Seq int64
	Pieces     int
}

// A Piece describes a run of a segment's bytes. The bytes travel beside it.
type Piece struct {
	ID
	Size      int
	DTS       int64 // milliseconds, of the reference track's newest sample where the piece begins
	SHA256    Hash
	Border    int        // bytes up to the last unit border in the piece, where a player may stop; 0 if it has none
	Keyframes []Keyframe // in order; usually none or one
	Prev      *Link      // in a segment's first piece: the segment before; nil in the very first of a stream
	Disc      bool       // in a segment's first piece: the timeline jumps here
	Partial   bool       // the segment began before the slicer joined, so that its bytes are this slicer's own
	Proof     Proof
}

// A Proof shows that a record is one of those that the room's key signed:
// the record's path in a Merkle tree, and a signature of the root.
type Proof struct {
	Sig          [ed25519.SignatureSize]byte
	Index, Count int    // the record's leaf, and how many leaves the tree has
	Path         []Hash // the siblings from the leaf to the root
}

// An Init is what a decoder must have seen before samples: the container's
// header, metadata, sequence headers, or ftyp and moov.
type Init struct {
	Hash  Hash
	Size  int
	Copy  bool // put together for joiners; its bytes are not part of the stream
	Proof Proof
}

// A Segment describes a closed segment.
type Segment struct {
	Epoch, Seq  int64
	Pieces      int
	Size        int64
	SHA256      Hash  // SHA-256 of the pieces' hashes, concatenated
	DTS, EndDTS int64 // milliseconds: the reference track's first and greatest
	Keyframes   []SegmentKeyframe
	Disc        bool
	Partial     bool // joined or truncated: another slicer may have other bytes under this number
	Proof       Proof
}

// Link returns the name that the next segment calls s by.
func (s *Segment) Link() Link { return Link{s.Epoch, s.Seq, s.Pieces} }

// A SegmentKeyframe is a place in a segment where decoding can start.
type SegmentKeyframe struct {
	Offset   int64
	DTS, PTS int64 // milliseconds
	Init     Hash
}

// An End closes a stream.
type End struct {
	Pieces, Segments int64
	Last             Link // the last segment; zero if there was none
	Truncated        bool // the input ended inside a unit
	Proof            Proof
}

// An Index describes a recording as a whole. Its segments are numbered from
// zero and all but the last have SegmentSize bytes.
type Index struct {
	Container   media.Container
	Epoch       int64
	SegmentSize int64
	PieceSize   int
	Size        int64  // of the whole recording
	Init        int64  // bytes before the first sample, which a joiner needs; 0 if not known
	Segments    []Hash // Segment.SHA256
	Keyframes   []IndexKeyframe
	Proof       Proof
}

// An IndexKeyframe is a place in a recording where decoding can start.
type IndexKeyframe struct {
	DTS    int64 // milliseconds
	Offset int64 // in the recording
}

// A Header is a slice stream's version line.
type Header struct {
	Key       ed25519.PublicKey
	Container media.Container
	VOD       bool
}

// A Kind says which of a Record's fields is set.
type Kind uint8

const (
	KindHeader  Kind = iota + 1 // Header: a stream begins
	KindInit                    // Init and Body; also for copies
	KindPiece                   // Piece and Body
	KindSegment                 // Segment
	KindIndex                   // Index and Body, its binary form
	KindEnd                     // End
)

// String returns the word for error messages.
func (k Kind) String() string {
	switch k {
	case KindHeader:
		return "header"
	case KindInit:
		return "init"
	case KindPiece:
		return "piece"
	case KindSegment:
		return "segment"
	case KindIndex:
		return "index"
	case KindEnd:
		return "end"
	}
	return "unknown"
}

// A Record is one element of a slice stream.
type Record struct {
	Kind    Kind
	Header  *Header
	Init    *Init
	Piece   *Piece
	Segment *Segment
	Index   *Index
	End     *End
	Body    []byte
}

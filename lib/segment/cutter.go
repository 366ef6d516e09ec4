package segment

import (
	"crypto/ed25519"
	"crypto/sha256"
	"hash"
	"time"

	"github.com/xp2p/xp2p/lib/flv"
	"github.com/xp2p/xp2p/lib/fmp4"
	"github.com/xp2p/xp2p/lib/media"
)

// An Align says where a segment may start.
type Align uint8

const (
	Grid Align = iota // at the first sample past a multiple of the duration
	Key               // at the first keyframe past a multiple of the duration
)

// Bounds of what a Cutter keeps.
const (
	maxHead   = 8 << 20 // bytes before the clock is known
	maxHold   = 1 << 20 // configuration waiting for the next sample
	maxHeld   = 8192    // units waiting
	batchSize = 1 << 20 // bytes under one signature
	batchLen  = 512     // records under one signature
	ahead     = 2       // batches that are being hashed while the next is cut
	maxNotes  = 64      // remarks between two calls of Notes
	// Segments of a recording, so that its index stays below MaxInit.
	maxSegments = 400_000
	maxMarks    = 128 << 10 // keyframes of a recording, thinned out beyond
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
	// Hash, if not nil, begins to hash the pieces of a batch, and returns what
	// waits until that is done. The cutter itself is pure; this is how the rind
	// lets other cores do the work while it goes on cutting. See Record.HashPiece.
	Hash func(batch []Record) (wait func())
}

// A Cutter turns bytes into signed records. The rhythm is: Feed, then Next
// until it has no more; Sign and Next when input would have to be waited
// for; Finish and Next at the end.
//
// # The clock
//
// One track's decoding times number the segments. A live Cutter takes video
// if a video sample comes within the first second of the stream's own time
// (five seconds, if a video configuration announced it), else audio. What FLV
// header flags and metadata claim is not asked: they lie, and a slicer that
// joins mid-stream never sees them. The clock stays until the next container
// header, whatever comes or stays away; Notes says so.
type Cutter struct {
	cfg       CutterConfig
	step      int64 // milliseconds
	pieceTime int64 // milliseconds
	flv       flv.Walker
	fmp4      fmp4.Walker
	carry     []byte // input that the walker wants more behind
	pos       int64  // bytes covered by spans
	unitPos   int64  // where the current unit begins

	// What the timeline says.
	clock     media.Track
	started   bool // the clock is chosen
	again     bool // it was chosen before, for the stream before this header
	clockless bool // the clock is chosen, but is not in sight
	joined    bool // the stream did not begin with a header
	forced    bool // the next clock sample opens a segment
	ticking   bool // last is set
	last      media.Time
	long      bool // the current unit is a fragment that fills a piece's time alone
	choice    choice

	// Units that wait: before the clock is known all, later configuration
	// until the next sample.
	holding bool
	hold    []byte
	held    []heldUnit
	joiner  joiner

	// What is being built.
	epoch int64
	seg   *Segment // open segment
	sum   hash.Hash
	left  int64 // VOD: bytes until the segment is full
	prev  *Link
	piece *Piece // open piece
	body  []byte
	most  int   // bytes that the open piece may have
	first int64 // ms of the clock where the piece began
	nowMS int64 // ms of the clock
	ended bool  // Finish was called
	end   End
	marks marks

	// Records on their way out.
	queue  []Record // open batch
	queued int      // bytes of bodies in queue
	closed []batch  // being hashed, oldest first
	spare  []Record
	ready  []Record
	next   int // in ready
	lent   []byte
	free   [][]byte
	notes  []Note
	sawPix bool // a video sample was placed
	opener bool // no sample was placed in the open segment yet
	warned bool
	buf    []byte
}

// NewCutter returns a Cutter.
func NewCutter(cfg CutterConfig) *Cutter {
	if cfg.Segment <= 0 {
		cfg.Segment = time.Second
	}
	if cfg.SegmentSize <= 0 {
		cfg.SegmentSize = DefaultVODSize
	}
	if cfg.PieceSize <= 0 {
		cfg.PieceSize = DefaultPiece
	}
	if cfg.PieceTime <= 0 {
		cfg.PieceTime = 100 * time.Millisecond
	}
	c := &Cutter{
		cfg:       cfg,
		step:      max(1, cfg.Segment.Milliseconds()),
		pieceTime: max(1, cfg.PieceTime.Milliseconds()),
		epoch:     cfg.Epoch,
		sum:       sha256.New(),
		joiner:    joiner{container: cfg.Container},
		holding:   true,
	}
	c.fmp4.Clock = cfg.Clock
	if cfg.Container == media.FMP4 && len(cfg.Init) > 0 {
		if err := c.fmp4.Prime(cfg.Init); err != nil {
			c.note(0, "the given init is not understood: "+err.Error())
		} else {
			c.choice.movie(cfg.Init)
			c.joiner.header = cfg.Init
		}
	}
	return c
}

// Feed takes the next bytes of the input. It keeps none of p. Take all
// records with Next before the next Feed.
func (c *Cutter) Feed(p []byte) {
	// A walker leaves a few bytes of most chunks unread. They are joined with
	// as little of the next chunk as gets it past them, so that the rest need
	// not be copied.
	for len(c.carry) > 0 && len(p) > 0 {
		old := len(c.carry)
		n := min(len(p), max(old, 4<<10), maxHold)
		if need := old + n; need > cap(c.carry) && need > maxHold {
			// A fragment's boxes, all of which the walker wants to see: growing
			// step by step would need the room twice, and so would a new one each time.
			c.carry = append(make([]byte, 0, fmp4.MaxLookahead+maxHold), c.carry...)
		}
		c.carry = append(c.carry, p[:n]...)
		used := c.walk(c.carry, false)
		if used >= old {
			p = p[used-old:]
			c.carry = c.carry[:0]
			break
		}
		c.carry = c.carry[:copy(c.carry, c.carry[used:])]
		p = p[n:]
	}
	if len(p) > 0 {
		c.carry = append(c.carry, p[c.walk(p, false):]...)
	}
}

// Finish says that the input has ended.
func (c *Cutter) Finish() {
	if c.ended {
		return
	}
	c.ended = true
	c.walk(c.carry, true)
	c.carry = nil
	if !c.cfg.VOD {
		if !c.started {
			c.settle()
			c.start()
		}
		c.release()
	}
	c.closeSegment()
	if c.cfg.VOD {
		c.Sign() // the index names every segment
		c.closeRecording()
	}
	e := c.end
	c.enqueue(Record{Kind: KindEnd, End: &e}, 0)
	c.Sign()
}

// Next returns the next signed record. Its body is valid until the call after.
func (c *Cutter) Next() (Record, bool) {
	if c.lent != nil {
		if len(c.free)*c.cfg.PieceSize < (ahead+2)*batchSize {
			c.free = append(c.free, c.lent)
		}
		c.lent = nil
	}
	if c.next == len(c.ready) {
		clear(c.ready)
		c.ready, c.next = c.ready[:0], 0
		return Record{}, false
	}
	r := c.ready[c.next]
	c.ready[c.next] = Record{}
	c.next++
	if r.Kind == KindPiece {
		c.lent = r.Body
	}
	return r, true
}

// Overflow reports that a recording has more segments than an index can hold.
func (c *Cutter) Overflow() bool { return c.cfg.VOD && c.end.Segments > maxSegments }

// A Note is a remark for people: what is wrong with the input.
type Note struct {
	Offset int64 // in the input
	Text   string
}

// Notes returns the remarks since it was called last, the first of them if
// there were too many.
func (c *Cutter) Notes() []Note {
	n := c.notes
	c.notes = nil
	return n
}

func (c *Cutter) note(offset int64, text string) {
	if len(c.notes) < maxNotes {
		c.notes = append(c.notes, Note{offset, text})
	}
}

// walk hands spans of p on and returns how many bytes they cover.
func (c *Cutter) walk(p []byte, eof bool) (used int) {
	if c.cfg.Container == media.Raw {
		if len(p) > 0 {
			c.put(p, true)
		}
		c.pos += int64(len(p))
		return len(p)
	}
	for used < len(p) {
		var s media.Span
		if c.cfg.Container == media.FLV {
			s = c.flv.Next(p[used:], eof)
		} else {
			s = c.fmp4.Next(p[used:], eof)
		}
		if s.N == 0 {
			break
		}
		if s.Begin {
			c.unitPos = c.pos
		}
		if c.cfg.VOD {
			c.recordingSpan(p[used:used+s.N], &s)
		} else {
			c.liveSpan(p[used:used+s.N], &s)
		}
		if s.End {
			c.remark(&s.Unit)
		}
		c.pos += int64(s.N)
		used += s.N
	}
	return used
}

func (c *Cutter) remark(u *media.Unit) {
	if u.Truncated && !c.cfg.VOD {
		c.end.Truncated = true
	}
	if u.Defect != "" {
		c.note(c.unitPos, u.Defect)
	}
}

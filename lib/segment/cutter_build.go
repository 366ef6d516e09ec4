package segment

import (
	"crypto/sha256"
	"math"

	"github.com/xp2p/xp2p/lib/media"
)

func sumOf(p []byte) Hash { return sha256.Sum256(p) }

// openSegment opens a segment whose first sample is the next one.
func (c *Cutter) openSegment(seq, ms int64, disc bool) {
	c.seg = &Segment{Epoch: c.epoch, Seq: seq, DTS: ms, EndDTS: ms, Disc: disc, Partial: c.joined || c.clockless}
	c.joined, c.opener = false, true
	c.nowMS = ms
	c.left = math.MaxInt64
	if c.cfg.VOD {
		c.left = c.cfg.SegmentSize
	}
}

func (c *Cutter) openPiece() {
	if c.piece != nil {
		return
	}
	s := c.seg
	c.piece = &Piece{ID: ID{s.Epoch, s.Seq, s.Pieces}, DTS: c.nowMS, Partial: s.Partial}
	if s.Pieces == 0 {
		c.piece.Prev, c.piece.Disc = c.prev, s.Disc
	}
	c.first = c.nowMS
	if n := len(c.free); n > 0 {
		c.body, c.free = c.free[n-1][:0], c.free[:n-1]
	} else {
		c.body = make([]byte, 0, c.cfg.PieceSize)
	}
	c.most = cap(c.body)
	if s.Pieces == 0 && !c.cfg.VOD {
		c.most = min(c.most, firstPiece)
	}
}

// put takes bytes of the open segment; end says that a unit ends with them.
func (c *Cutter) put(p []byte, end bool) {
	for len(p) > 0 {
		if c.cfg.VOD && c.left == 0 {
			c.closeSegment()
		}
		if c.seg == nil {
			c.openSegment(c.end.Segments, c.nowMS, false) // VOD: numbered from zero
		}
		c.openPiece()
		n := min(len(p), c.most-len(c.body), int(min(c.left, math.MaxInt32)))
		c.body = append(c.body, p[:n]...)
		p = p[n:]
		if c.cfg.VOD {
			c.left -= int64(n)
		}
		if end && len(p) == 0 {
			c.piece.Border = len(c.body)
		}
		if len(c.body) == c.most || c.left == 0 {
			c.closePiece()
		}
	}
}

// closePiece closes the open piece, if there is one.
func (c *Cutter) closePiece() {
	p := c.piece
	if p == nil {
		return
	}
	p.Size = len(c.body)
	p.Partial = p.Partial || c.end.Truncated
	c.seg.Pieces++
	c.seg.Size += int64(p.Size)
	c.end.Pieces++
	c.enqueue(Record{Kind: KindPiece, Piece: p, Body: c.body}, p.Size)
	c.piece, c.body = nil, nil
}

// closeSegment closes the open segment, if there is one, and its last batch.
func (c *Cutter) closeSegment() {
	if c.seg == nil {
		return
	}
	c.closePiece()
	s := c.seg
	if c.cfg.VOD {
		s.EndDTS = max(s.DTS, c.nowMS)
	}
	s.Partial = s.Partial || c.end.Truncated
	l := s.Link()
	c.prev = &l
	c.end.Segments++
	c.end.Last = l
	c.enqueue(Record{Kind: KindSegment, Segment: s}, 0)
	c.seg = nil
	c.closeBatch()
}

// marks collects what a recording's index holds.
type marks struct {
	segments  []Hash
	keyframes []IndexKeyframe
	video     bool
	init      int64
	sample    bool  // a sample was seen
	every     int64 // keyframes closer than this (ms) to the one before are left out
}

// recordingSpan takes a span of a recording: the bytes go where their offset
// says; the unit only tells times.
func (c *Cutter) recordingSpan(p []byte, s *media.Span) {
	if u := &s.Unit; s.Begin && isMedia(u) && u.Timed {
		c.marks.see(u, c.pos)
		if u.Track == media.Video || !c.marks.video {
			c.nowMS = u.DTS.Milliseconds()
		}
	}
	c.put(p, s.End) // also of half a unit: a recording is given back as it is
}

func (m *marks) see(u *media.Unit, offset int64) {
	if !m.sample {
		m.sample, m.init = true, offset
	}
	if u.Track == media.Video && !m.video {
		m.video, m.keyframes, m.every = true, nil, 0 // until now it seemed to be audio only
	}
	apart := m.every
	switch {
	case !u.Key || u.Track != media.Video && m.video:
		return
	case !m.video:
		apart = max(apart, 1000) // any audio sample is a key
	}
	dts := u.DTS.Milliseconds()
	if n := len(m.keyframes); n > 0 && dts >= m.keyframes[n-1].DTS && dts-m.keyframes[n-1].DTS < apart {
		return
	}
	if len(m.keyframes) == maxMarks { // keep every other one, and go on half as densely
		k := m.keyframes[:0]
		for i := 0; i < len(m.keyframes); i += 2 {
			k = append(k, m.keyframes[i])
		}
		span := k[len(k)-1].DTS - k[0].DTS
		m.keyframes, m.every = k, max(2*m.every, span/int64(len(k)))
	}
	m.keyframes = append(m.keyframes, IndexKeyframe{dts, offset})
}

func (c *Cutter) closeRecording() {
	x := &Index{
		Container:   c.cfg.Container,
		Epoch:       c.cfg.Epoch,
		SegmentSize: c.cfg.SegmentSize,
		PieceSize:   c.cfg.PieceSize,
		Size:        c.pos,
		Init:        c.marks.init,
		Segments:    c.marks.segments,
		Keyframes:   c.marks.keyframes,
	}
	c.enqueue(Record{Kind: KindIndex, Index: x}, 0)
}

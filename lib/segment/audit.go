package segment

import (
	"errors"
	"fmt"
)

// ErrOrder says that records do not follow each other as a slicer writes them.
var ErrOrder = errors.New("records are out of order")

// An Audit follows a stream's records and checks that they fit together:
// pieces without a gap, segments made of the pieces before them, an end that
// counts right. It verifies neither proofs nor bytes; see [Verifier]. The zero
// value is ready. A live stream may begin anywhere, as that of a viewer does:
// then the first segment and the counts of the end are held against what is
// there.
type Audit struct {
	begun    bool
	ended    bool
	pieces   []Hash // of the open segment
	id       ID     // of the newest piece
	size     int64
	last     *Link
	end      End
	segments []Hash // of a recording
	total    int64
	vod      bool
	joined   bool // the stream begins mid-way: somebody came later than it
	missed   int  // pieces of the open segment before the first
}

// Ended reports whether an end record closed the newest stream.
func (a *Audit) Ended() bool { return a.ended }

// See takes the next record.
func (a *Audit) See(r *Record) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrOrder, fmt.Sprintf(format, args...))
	}
	if a.ended && r.Kind != KindHeader {
		*a = Audit{vod: a.vod} // a directory goes on without a header
	}
	switch r.Kind {
	case KindHeader:
		begun, ended := a.begun, a.ended
		*a = Audit{vod: r.Header.VOD}
		if begun && !ended {
			return bad("a new stream begins before the end of the one before")
		}
		return nil
	case KindInit:
		if !r.Init.Copy {
			switch {
			case len(a.pieces) > 0 || a.vod && a.begun:
				return bad("an init behind pieces")
			case a.begun: // a room goes on with the stream of a broadcaster who began anew
				*a = Audit{}
			}
			a.total += int64(r.Init.Size)
		}
	case KindPiece:
		p := r.Piece
		if a.end.Pieces == 0 && !a.vod && (p.Index > 0 || p.Prev != nil) {
			a.joined, a.missed, a.id = true, p.Index, p.ID
		}
		next := a.missed + len(a.pieces)
		switch {
		case p.Index != next:
			return bad("piece %d/%d, where index %d follows", p.Seq, p.Index, next)
		case p.Index > 0 && (p.Epoch != a.id.Epoch || p.Seq != a.id.Seq):
			return bad("piece %d/%d in segment %d", p.Seq, p.Index, a.id.Seq)
		case p.Index == 0 && a.last != nil && (p.Prev == nil || *p.Prev != *a.last):
			return bad("segment %d does not name the one before it, %d", p.Seq, a.last.Seq)
		}
		a.id = p.ID
		a.pieces = append(a.pieces, p.SHA256)
		a.size += int64(p.Size)
		a.total += int64(p.Size)
		a.end.Pieces++
	case KindSegment:
		s := r.Segment
		switch {
		case len(a.pieces) == 0 || s.Epoch != a.id.Epoch || s.Seq != a.id.Seq:
			return bad("segment %d behind pieces of %d", s.Seq, a.id.Seq)
		case a.missed > 0 && s.Pieces == a.missed+len(a.pieces) && s.Size > a.size:
			// Its beginning is not here: what is was checked piece by piece.
			l := s.Link()
			a.last, a.pieces, a.size, a.missed = &l, a.pieces[:0], 0, 0
			a.end.Segments++
			return nil
		case s.Size != a.size:
			return bad("segment %d says %d bytes, its pieces have %d", s.Seq, s.Size, a.size)
		}
		if err := s.Check(a.pieces); err != nil {
			return err
		}
		l := s.Link()
		a.last, a.pieces, a.size = &l, a.pieces[:0], 0
		a.end.Segments++
		if a.vod {
			a.segments = append(a.segments, s.SHA256)
		}
	case KindIndex:
		x := r.Index
		if x.Size != a.total || len(x.Segments) != len(a.segments) {
			return bad("an index of %d bytes in %d segments behind %d in %d", x.Size, len(x.Segments), a.total, len(a.segments))
		}
		for i := range x.Segments {
			if x.Segments[i] != a.segments[i] {
				return bad("the index has another hash for segment %d", i)
			}
		}
	case KindEnd:
		e := r.End
		if a.last != nil {
			a.end.Last = *a.last
		}
		if a.joined && len(a.pieces) == 0 && e.Pieces >= a.end.Pieces && e.Segments >= a.end.Segments && e.Last == a.end.Last {
			a.ended = true
			return nil
		}
		if len(a.pieces) > 0 || e.Pieces != a.end.Pieces || e.Segments != a.end.Segments || e.Last != a.end.Last {
			return bad("the end counts %d pieces in %d segments, there were %d in %d", e.Pieces, e.Segments, a.end.Pieces, a.end.Segments)
		}
		a.ended = true
	}
	a.begun = true
	return nil
}

package store

import (
	"slices"

	"github.com/xp2p/xp2p/lib/segment"
)

// A Snapshot is what a room looks like at one moment.
type Snapshot struct {
	// Oldest and Edge are the first and the newest piece that can be had;
	// valid if Pieces is not zero. EdgeDTS is Edge's, in ms.
	Oldest, Edge segment.ID
	EdgeDTS      int64
	Pieces       int64
	// Keyframe is the newest place to start at, in the piece KeyframeID; nil
	// if there is none.
	Keyframe   *segment.Keyframe
	KeyframeID segment.ID
	// Init is the newest init.
	Init segment.Hash
	// Segments are the newest closed segments, oldest first.
	Segments []*segment.Segment
	// Ended: the room was closed. Nothing more will come.
	Ended bool
}

// Snapshot returns the room's state with at most n segments.
func (r *Room) Snapshot(n int) Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := &r.log
	s := Snapshot{Pieces: int64(len(w.pieces)), Init: w.current, Ended: r.closed}
	for i := range w.recs {
		if p := w.recs[i].rec.Piece; p != nil {
			s.Oldest = p.ID
			break
		}
	}
	for i := len(w.recs) - 1; i >= 0; i-- {
		switch rec := &w.recs[i].rec; {
		case rec.Piece != nil && s.Edge == segment.ID{}:
			s.Edge, s.EdgeDTS = rec.Piece.ID, rec.Piece.DTS
		case rec.Segment != nil && len(s.Segments) < n:
			s.Segments = append(s.Segments, rec.Segment)
		}
		if s.Edge != (segment.ID{}) && len(s.Segments) == n {
			break
		}
	}
	for i := len(w.starts) - 1; i >= 0; i-- {
		if w.starts[i].key {
			p := w.at(w.starts[i].pos).rec.Piece
			s.KeyframeID, s.Keyframe = p.ID, &p.Keyframes[0]
			break
		}
	}
	if r.shelf != nil {
		r.shelf.widen(&s, n)
	}
	slices.Reverse(s.Segments)
	return s
}

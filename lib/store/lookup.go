package store

import (
	"github.com/xp2p/xp2p/lib/segment"
)

// Piece returns the record of the piece id, from the window or from disk.
func (r *Room) Piece(id segment.ID) (segment.Record, bool) {
	r.mu.Lock()
	if pos, ok := r.log.pieces[id]; ok {
		rec := r.log.at(pos).rec
		r.mu.Unlock()
		return rec, true
	}
	r.mu.Unlock()
	return r.shelf.piece(id)
}

// PieceByHash returns the record of a piece whose body has the hash h.
func (r *Room) PieceByHash(h segment.Hash) (segment.Record, bool) {
	r.mu.Lock()
	if pos, ok := r.log.hashes[h]; ok {
		rec := r.log.at(pos).rec
		r.mu.Unlock()
		return rec, true
	}
	r.mu.Unlock()
	return r.shelf.pieceByHash(h)
}

// Init returns the record of the init, first or copy, that has the hash h.
func (r *Room) Init(h segment.Hash) (segment.Record, bool) {
	r.mu.Lock()
	if ref := r.log.inits[h]; ref != nil {
		rec := ref.rec
		r.mu.Unlock()
		return rec, true
	}
	r.mu.Unlock()
	return r.shelf.init(h)
}

// Segment returns a closed segment by its name, with its pieces in order.
func (r *Room) Segment(name string) (*segment.Segment, []segment.Record, bool) {
	r.mu.Lock()
	if pos, ok := r.log.names[name]; ok {
		s := r.log.at(pos).rec.Segment
		pieces := make([]segment.Record, 0, s.Pieces)
		for i := range s.Pieces {
			pos, ok := r.log.pieces[segment.ID{Epoch: s.Epoch, Seq: s.Seq, Index: i}]
			if !ok {
				break
			}
			pieces = append(pieces, r.log.at(pos).rec)
		}
		if len(pieces) == s.Pieces {
			r.mu.Unlock()
			return s, pieces, true
		}
	}
	r.mu.Unlock()
	return r.shelf.segment(name)
}

// Index returns the index record of a recording.
func (r *Room) Index() (segment.Record, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.index == nil {
		return segment.Record{}, false
	}
	return *r.index, true
}

// Edge returns the newest piece.
func (r *Room) Edge() (segment.ID, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last, r.begun
}

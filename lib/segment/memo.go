package segment

import (
	"bytes"
	"crypto/ed25519"
	"hash/maphash"
)

// NewSharedVerifier returns a Verifier for many members of one room in one
// goroutine, as in a simulation where thousands hold the same bytes: what was
// parsed or proved once is known by the place of its bytes in memory, which
// nobody changes. Other bytes, a polluter's, are checked in full.
func NewSharedVerifier(key ed25519.PublicKey) *Verifier {
	return &Verifier{key: key, memo: &memo{seed: maphash.MakeSeed(), parsed: map[uint64]*known{}, pieces: map[*Piece]*known{}}}
}

// memoSize bounds what is remembered: some minutes of a stream.
const memoSize = 8192

type memo struct {
	seed   maphash.Seed
	parsed map[uint64]*known // by the hash of a descriptor
	pieces map[*Piece]*known
	order  []uint64
}

// known is a piece that was parsed or proved.
type known struct {
	piece *Piece
	desc  []byte // nil: it was never parsed here
	body  *byte  // where the body lies that it was proved with
}

func (m *memo) parse(desc []byte) (*Piece, error) {
	h := maphash.Bytes(m.seed, desc)
	if k, ok := m.parsed[h]; ok && bytes.Equal(k.desc, desc) {
		return k.piece, nil
	}
	p, rest, err := ParsePiece(desc)
	if err != nil || len(rest) > 0 {
		return nil, ErrMalformed
	}
	if len(m.order) >= memoSize {
		delete(m.pieces, m.parsed[m.order[0]].piece)
		delete(m.parsed, m.order[0])
		m.order = m.order[1:]
	}
	k := &known{piece: p, desc: bytes.Clone(desc)}
	m.parsed[h], m.pieces[p] = k, k
	m.order = append(m.order, h)
	return p, nil
}

func (m *memo) proved(r *Record) bool {
	if m == nil || r.Kind != KindPiece || len(r.Body) == 0 || len(r.Body) != r.Piece.Size {
		return false
	}
	k := m.pieces[r.Piece]
	return k != nil && k.body == &r.Body[0]
}

func (m *memo) prove(r *Record) {
	if m == nil || r.Kind != KindPiece || len(r.Body) == 0 {
		return
	}
	k := m.pieces[r.Piece]
	if k == nil {
		if len(m.pieces) >= 2*memoSize {
			return
		}
		k = &known{piece: r.Piece}
		m.pieces[r.Piece] = k
	}
	k.body = &r.Body[0]
}

// Keep returns the descriptor that p was parsed from, to be held for long: the
// members who share a Verifier hold one copy.
func (v *Verifier) Keep(p *Piece, desc []byte) []byte {
	if v.memo != nil {
		if k := v.memo.pieces[p]; k != nil && k.desc != nil {
			return k.desc
		}
	}
	return desc
}

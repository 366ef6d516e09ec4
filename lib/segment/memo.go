package segment

import (
	"crypto/ed25519"
	"hash/maphash"
)

// NewSharedVerifier returns a Verifier for many members of one room in one
// goroutine, as in a simulation where thousands hold the same bytes: what was
// parsed or proved once is known by the place of its bytes in memory, which
// nobody changes. Other bytes, a polluter's, are checked in full.
func NewSharedVerifier(key ed25519.PublicKey) *Verifier {
	return &Verifier{key: key, memo: &memo{seed: maphash.MakeSeed(), parsed: map[uint64]parsed{}, bodies: map[*Piece]*byte{}}}
}

// memoSize bounds what is remembered: some minutes of a stream.
const memoSize = 8192

type memo struct {
	seed   maphash.Seed
	parsed map[uint64]parsed // by the hash of a descriptor
	bodies map[*Piece]*byte  // where the body lies that a piece was proved with
	order  []uint64
}

type parsed struct {
	desc  string
	piece *Piece
}

func (m *memo) parse(desc []byte) (*Piece, error) {
	h := maphash.Bytes(m.seed, desc)
	if k, ok := m.parsed[h]; ok && k.desc == string(desc) {
		return k.piece, nil
	}
	p, rest, err := ParsePiece(desc)
	if err != nil || len(rest) > 0 {
		return nil, ErrMalformed
	}
	if len(m.order) >= memoSize {
		delete(m.bodies, m.parsed[m.order[0]].piece)
		delete(m.parsed, m.order[0])
		m.order = m.order[1:]
	}
	m.parsed[h] = parsed{string(desc), p}
	m.order = append(m.order, h)
	return p, nil
}

func (m *memo) proved(r *Record) bool {
	return m != nil && r.Kind == KindPiece && len(r.Body) > 0 && len(r.Body) == r.Piece.Size && m.bodies[r.Piece] == &r.Body[0]
}

func (m *memo) prove(r *Record) {
	if m != nil && r.Kind == KindPiece && len(r.Body) > 0 && len(m.bodies) < 2*memoSize {
		m.bodies[r.Piece] = &r.Body[0]
	}
}

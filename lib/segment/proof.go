package segment

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// Verification errors. Wrapped, so use errors.Is.
var (
	ErrSignature = errors.New("not signed by the room's key")
	ErrContent   = errors.New("bytes do not match their hash")
)

// What the signature is over begins with domain, so that a signature of a
// batch can never be taken for one of anything else.
const domain = "xp2p-slice/1 batch\x00"

func appendMessage(b []byte, count int, root Hash) []byte {
	b = append(b, domain...)
	b = binary.AppendUvarint(b, uint64(count))
	return append(b, root[:]...)
}

// leaf returns the hash under which a record stands in its batch.
func (r *Record) leaf(scratch []byte) (Hash, []byte) {
	b := append(scratch[:0], 0, byte(r.Kind))
	switch r.Kind {
	case KindInit:
		b = appendInitBody(b, r.Init)
	case KindPiece:
		b = appendPieceBody(b, r.Piece)
	case KindSegment:
		b = appendSegmentBody(b, r.Segment)
	case KindIndex:
		b = appendIndexBody(b, r.Index)
	case KindEnd:
		b = appendEndBody(b, r.End)
	}
	return sha256.Sum256(b), b
}

func (r *Record) proof() *Proof {
	switch r.Kind {
	case KindInit:
		return &r.Init.Proof
	case KindPiece:
		return &r.Piece.Proof
	case KindSegment:
		return &r.Segment.Proof
	case KindIndex:
		return &r.Index.Proof
	case KindEnd:
		return &r.End.Proof
	}
	return nil
}

// sign gives every record its proof. There are at most MaxBatch.
func sign(key ed25519.PrivateKey, recs []Record, scratch []byte) []byte {
	if len(recs) == 0 {
		return scratch
	}
	leaves := make([]Hash, len(recs))
	paths := make([][]Hash, len(recs))
	room := 0
	for i := range recs {
		room += pathLen(i, len(recs))
	}
	arena := make([]Hash, room) // one allocation for all paths
	for i := range recs {
		leaves[i], scratch = recs[i].leaf(scratch)
		n := pathLen(i, len(recs))
		if n == 0 {
			continue
		}
		paths[i], arena = arena[:0:n], arena[n:]
	}
	root := merkle(leaves, paths)
	scratch = appendMessage(scratch[:0], len(recs), root)
	sig := ed25519.Sign(key, scratch)
	for i := range recs {
		*recs[i].proof() = Proof{[ed25519.SignatureSize]byte(sig), i, len(recs), paths[i]}
	}
	return scratch
}

// A Verifier checks records of one room. It remembers the batches that it has
// seen, so that a signature is checked once for all records under it.
type Verifier struct {
	key  ed25519.PublicKey
	seen [16]struct {
		root  Hash
		count int
		sig   [ed25519.SignatureSize]byte
	}
	next int
	memo *memo // of a shared one
}

// NewVerifier returns a Verifier for the room's key.
func NewVerifier(key ed25519.PublicKey) *Verifier { return &Verifier{key: key} }

// ParsePiece parses a descriptor that must be whole and nothing else.
func (v *Verifier) ParsePiece(desc []byte) (*Piece, error) {
	if v.memo != nil {
		return v.memo.parse(desc)
	}
	p, rest, err := ParsePiece(desc)
	if err == nil && len(rest) > 0 {
		err = ErrMalformed
	}
	return p, err
}

func (v *Verifier) check(leaf Hash, p *Proof) error {
	if p.Index < 0 || p.Index >= p.Count || p.Count > MaxBatch || len(p.Path) != pathLen(p.Index, p.Count) {
		return ErrSignature
	}
	root := rootOf(leaf, p.Index, p.Count, p.Path)
	for i := range v.seen {
		if s := &v.seen[i]; s.count == p.Count && s.root == root && s.sig == p.Sig {
			return nil
		}
	}
	if len(v.key) != ed25519.PublicKeySize || !ed25519.Verify(v.key, appendMessage(nil, p.Count, root), p.Sig[:]) {
		return ErrSignature
	}
	s := &v.seen[v.next]
	s.root, s.count, s.sig = root, p.Count, p.Sig
	v.next = (v.next + 1) % len(v.seen)
	return nil
}

// Verify checks a record's proof and, where it has one, its body. A header
// has nothing to check.
func (v *Verifier) Verify(r *Record) error {
	if r.Kind == KindHeader || v.memo.proved(r) {
		return nil
	}
	p := r.proof()
	if p == nil {
		return ErrSignature
	}
	leaf, _ := r.leaf(nil)
	if err := v.check(leaf, p); err != nil {
		return fmt.Errorf("%s: %w", r.Kind, err)
	}
	var err error
	switch r.Kind {
	case KindPiece:
		err = r.Piece.Check(r.Body)
	case KindInit:
		err = r.Init.Check(r.Body)
	}
	if err == nil {
		v.memo.prove(r)
	}
	return err
}

// VerifyPiece checks a piece's proof; Check checks its bytes.
func (v *Verifier) VerifyPiece(p *Piece) error {
	leaf, _ := (&Record{Kind: KindPiece, Piece: p}).leaf(nil)
	return v.check(leaf, &p.Proof)
}

func verify(key ed25519.PublicKey, r Record) error {
	leaf, _ := r.leaf(nil)
	return (&Verifier{key: key}).check(leaf, r.proof())
}

// Verify checks that the room's key signed p.
func (p *Piece) Verify(key ed25519.PublicKey) error {
	return verify(key, Record{Kind: KindPiece, Piece: p})
}

// Verify checks that the room's key signed i.
func (i *Init) Verify(key ed25519.PublicKey) error {
	return verify(key, Record{Kind: KindInit, Init: i})
}

// Verify checks that the room's key signed s.
func (s *Segment) Verify(key ed25519.PublicKey) error {
	return verify(key, Record{Kind: KindSegment, Segment: s})
}

// Verify checks that the room's key signed x.
func (x *Index) Verify(key ed25519.PublicKey) error {
	return verify(key, Record{Kind: KindIndex, Index: x})
}

// Verify checks that the room's key signed e.
func (e *End) Verify(key ed25519.PublicKey) error {
	return verify(key, Record{Kind: KindEnd, End: e})
}

// Check checks that body is the piece's.
func (p *Piece) Check(body []byte) error {
	if len(body) != p.Size || sha256.Sum256(body) != p.SHA256 {
		return fmt.Errorf("piece %d/%d: %w", p.Seq, p.Index, ErrContent)
	}
	return nil
}

// Check checks that body is the init's.
func (i *Init) Check(body []byte) error {
	if len(body) != i.Size || sha256.Sum256(body) != i.Hash {
		return fmt.Errorf("init: %w", ErrContent)
	}
	return nil
}

// Check checks that the pieces' hashes, in order, are the segment's.
func (s *Segment) Check(pieces []Hash) error {
	if len(pieces) != s.Pieces || HashPieces(pieces) != s.SHA256 {
		return fmt.Errorf("segment %d: %w", s.Seq, ErrContent)
	}
	return nil
}

// HashPieces returns the hash of a segment whose pieces have these hashes.
func HashPieces(pieces []Hash) Hash {
	h := sha256.New()
	for i := range pieces {
		h.Write(pieces[i][:])
	}
	var out Hash
	h.Sum(out[:0])
	return out
}

// Name returns the name of segment seq of the recording.
func (x *Index) Name(seq int) Name { return NameOf(x.Epoch, int64(seq), x.Segments[seq]) }

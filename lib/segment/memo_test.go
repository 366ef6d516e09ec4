package segment

import (
	"crypto/ed25519"
	"errors"
	"slices"
	"testing"
)

func TestASharedVerifierProvesOnceAndRefusesWhatWasChanged(t *testing.T) {
	pub := testKey.Public().(ed25519.PublicKey)
	v, plain := NewSharedVerifier(pub), NewVerifier(pub)
	pieces := 0
	for _, rec := range sample(t, false) {
		if rec.Kind != KindPiece {
			if err := v.Verify(&rec); err != nil {
				t.Errorf("%s: %v", rec.Kind, err)
			}
			continue
		}
		pieces++
		desc := AppendPiece(nil, rec.Piece)
		d, err := v.ParsePiece(desc)
		if err != nil || d.ID != rec.Piece.ID {
			t.Fatalf("%v: %v", rec.Piece.ID, err)
		}
		// Everybody gets a descriptor of his own; the body lies where it lay.
		again, err := v.ParsePiece(slices.Clone(desc))
		if err != nil || again != d {
			t.Errorf("%v is parsed twice: %v", d.ID, err)
		}
		mine := slices.Clone(desc)
		if kept := v.Keep(d, mine); &kept[0] == &mine[0] || !slices.Equal(kept, desc) || &kept[0] != &v.Keep(d, desc)[0] {
			t.Errorf("%v: each member keeps a descriptor of its own", d.ID)
		}
		if kept := plain.Keep(d, mine); &kept[0] != &mine[0] {
			t.Errorf("%v: who is alone keeps something else than what came", d.ID)
		}
		good := Record{Kind: KindPiece, Piece: d, Body: rec.Body}
		for range 2 {
			if err := v.Verify(&good); err != nil {
				t.Errorf("%v: %v", d.ID, err)
			}
		}
		if m := v.memo; m.pieces[d].body != &rec.Body[0] || !m.proved(&good) {
			t.Errorf("%v is not remembered", d.ID)
		}

		// A polluter's bytes lie elsewhere; so does a true copy, which is proved anew.
		polluted := slices.Clone(rec.Body)
		polluted[len(polluted)/2] ^= 4
		bad := Record{Kind: KindPiece, Piece: d, Body: polluted}
		if err := v.Verify(&bad); err == nil || v.memo.proved(&bad) {
			t.Errorf("%v: a changed byte passes", d.ID)
		}
		cut := Record{Kind: KindPiece, Piece: d, Body: rec.Body[:len(rec.Body)-1]}
		if err := v.Verify(&cut); err == nil {
			t.Errorf("%v: a body that is cut short passes", d.ID)
		}
		if err := v.Verify(&Record{Kind: KindPiece, Piece: d, Body: nil}); err == nil {
			t.Errorf("%v: nothing passes", d.ID)
		}
		if err := v.Verify(&Record{Kind: KindPiece, Piece: d, Body: slices.Clone(rec.Body)}); err != nil {
			t.Errorf("%v: a copy of the body: %v", d.ID, err)
		}
		if err := v.Verify(&bad); err == nil {
			t.Errorf("%v: a changed byte passes the second time", d.ID)
		}

		// Another descriptor is another piece, whatever its bytes are.
		forged := slices.Clone(desc)
		forged[len(forged)-1] ^= 1 // of the signature
		f, err := v.ParsePiece(forged)
		if err != nil || f == d {
			t.Fatalf("%v: a forged descriptor is taken for the true one (%v)", d.ID, err)
		}
		if err := v.Verify(&Record{Kind: KindPiece, Piece: f, Body: rec.Body}); !errors.Is(err, ErrSignature) {
			t.Errorf("%v: a forged signature: %v", d.ID, err)
		}
		for _, w := range []*Verifier{v, plain} {
			if _, err := w.ParsePiece(append(slices.Clone(desc), 0)); !errors.Is(err, ErrMalformed) {
				t.Errorf("a descriptor with something behind it: %v", err)
			}
			if _, err := w.ParsePiece(desc[:len(desc)/2]); err == nil {
				t.Error("half a descriptor is parsed")
			}
		}
	}
	if pieces < 5 {
		t.Errorf("%d pieces show little", pieces)
	}
}

func TestWhatASharedVerifierRemembersIsBounded(t *testing.T) {
	pub := testKey.Public().(ed25519.PublicKey)
	v := NewSharedVerifier(pub)
	recs := []Record{{Kind: KindPiece, Piece: &Piece{ID: ID{Seq: 1}, Size: 1}}}
	sign(testKey, recs, nil)
	d := *recs[0].Piece
	body := []byte{7}
	var desc []byte
	for i := range 2*memoSize + 100 {
		d.Index, d.Prev, d.Disc = i+1, nil, false
		desc = AppendPiece(desc[:0], &d)
		p, err := v.ParsePiece(desc)
		if err != nil {
			t.Fatal(err)
		}
		v.memo.prove(&Record{Kind: KindPiece, Piece: p, Body: body})
	}
	// And of pieces that no message brought: the origin's.
	for range 2 * memoSize {
		v.memo.prove(&Record{Kind: KindPiece, Piece: &Piece{}, Body: body})
	}
	m := v.memo
	if len(m.parsed) > memoSize || len(m.order) > memoSize || len(m.pieces) > 2*memoSize {
		t.Errorf("%d descriptors, %d in order, %d bodies", len(m.parsed), len(m.order), len(m.pieces))
	}
	// What was forgotten is parsed and proved again.
	d.Index = 1
	if p, err := v.ParsePiece(AppendPiece(nil, &d)); err != nil || p.Index != 1 || m.proved(&Record{Kind: KindPiece, Piece: p, Body: body}) {
		t.Errorf("an old one: %v", err)
	}
	m.prove(&Record{Kind: KindPiece, Piece: &Piece{}}) // no body: nothing to remember
}

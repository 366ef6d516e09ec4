package segment

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/xp2p/xp2p/lib/media"
)

func testHeader(vod bool) Header {
	return Header{testKey.Public().(ed25519.PublicKey), media.FLV, vod}
}

func written(t testing.TB, h Header, recs []Record) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b, h)
	for _, r := range recs {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func readAll(p []byte) (recs []Record, err error) {
	r := NewReader(bytes.NewReader(p))
	for {
		rec, err := r.Next()
		if err != nil {
			return recs, err
		}
		recs = append(recs, rec)
	}
}

func sample(t testing.TB, vod bool) []Record {
	f := newFLV().play(0, 2000).avcConfig(0, 77).play(50_000, 51_000)
	return cut(t, CutterConfig{Container: media.FLV, VOD: vod, SegmentSize: 50_000}, f.Bytes(), 4096).recs
}

func TestTheReaderReadsWhatTheWriterWrote(t *testing.T) {
	for _, vod := range []bool{false, true} {
		recs := sample(t, vod)
		got, err := readAll(written(t, testHeader(vod), recs))
		if err != io.EOF {
			t.Fatal(err)
		}
		if h := *got[0].Header; !reflect.DeepEqual(h, testHeader(vod)) {
			t.Errorf("header %+v", h)
		}
		for i := range recs {
			if recs[i].Body != nil && len(recs[i].Body) == 0 {
				recs[i].Body = nil
			}
			if !reflect.DeepEqual(got[i+1], recs[i]) {
				t.Fatalf("record %d: got %+v, want %+v", i, got[i+1], recs[i])
			}
		}
	}
}

func TestSliceStreamsCanBeConcatenated(t *testing.T) {
	a := written(t, testHeader(false), sample(t, false))
	got, err := readAll(append(bytes.Clone(a), a...))
	if err != io.EOF || len(got)%2 != 0 || got[len(got)/2].Kind != KindHeader {
		t.Errorf("%d records, %v", len(got), err)
	}
	var audit Audit
	for i := range got {
		if err := audit.See(&got[i]); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTruncationShowsWhereverItHappens(t *testing.T) {
	p := written(t, testHeader(false), sample(t, false))
	for n := len("xp2p-slice/1 ") + 60; n < len(p); n += 1 + n/100 {
		if _, err := readAll(p[:n]); !errors.Is(err, ErrTruncated) {
			t.Fatalf("cut at %d of %d: %v", n, len(p), err)
		}
	}
}

func TestAReaderBearsTheFuture(t *testing.T) {
	recs := sample(t, false)
	p := written(t, testHeader(false), recs)
	p = bytes.Replace(p, []byte(" live\n"), []byte(" live more words\n"), 1)
	p = bytes.ReplaceAll(p, []byte(`{"type":"piece",`), []byte(`{"later":[{"size":3}],"type":"piece",`))
	p = bytes.Replace(p, []byte(`{"type":"segment"`), []byte(`{"type":"poem","size":6}`+"\nroses\n"+`{"type":"segment"`), 1)
	got, err := readAll(p)
	if err != io.EOF || len(got) != len(recs)+1 {
		t.Errorf("%d records of %d: %v", len(got), len(recs)+1, err)
	}
}

func TestAReaderRefuses(t *testing.T) {
	p := string(written(t, testHeader(false), sample(t, false)))
	head, rest, _ := strings.Cut(p, "\n")
	for name, in := range map[string]string{
		"nothing":           "",
		"media":             "FLV\x01\x05",
		"another version":   "xp2p-slice/2 x flv live\n",
		"a short key":       "xp2p-slice/1 AAAA flv live\n",
		"a huge body":       head + "\n" + `{"type":"piece","size":99999999}` + "\n",
		"a negative body":   head + "\n" + `{"type":"piece","size":-1}` + "\n",
		"no type":           head + "\n{}\n",
		"no signature":      head + "\n" + `{"type":"end"}` + "\n",
		"an endless line":   head + "\n{" + strings.Repeat(" ", 2*MaxHeader),
		"bytes in between":  head + "\nhello\n" + rest,
		"a path too long":   strings.Replace(p, `"path":[`, `"path":["AAAA",`, 1),
		"keys out of order": strings.Replace(p, `"keyframes":[`, `"keyframes":[{"offset":9999},`, 1),
	} {
		if _, err := readAll([]byte(in)); err == nil || err == io.EOF || errors.Is(err, ErrTruncated) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnyFlippedBitIsFound(t *testing.T) {
	p := written(t, testHeader(false), sample(t, false))
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		q := bytes.Clone(p)
		at := 70 + rng.IntN(len(q)-70)
		q[at] ^= 1 << rng.IntN(8)
		recs, err := readAll(q)
		if err != io.EOF {
			continue
		}
		v := NewVerifier(testKey.Public().(ed25519.PublicKey))
		var audit Audit
		for i := range recs {
			if err = errors.Join(v.Verify(&recs[i]), audit.See(&recs[i])); err != nil {
				break
			}
		}
		if err == nil && !reflect.DeepEqual(recs, mustRead(t, p)) {
			t.Fatalf("a bit flipped in byte %d (%q) passes", at, p[max(0, at-20):at+1])
		}
	}
}

func mustRead(t *testing.T, p []byte) []Record {
	recs, err := readAll(p)
	if err != io.EOF {
		t.Fatal(err)
	}
	return recs
}

func TestProofsHoldForTheirRecordOnly(t *testing.T) {
	pub := testKey.Public().(ed25519.PublicKey)
	for n := 1; n < 40; n++ {
		recs := make([]Record, n)
		for i := range recs {
			recs[i] = Record{Kind: KindPiece, Piece: &Piece{ID: ID{Seq: int64(i)}, Size: 1}}
		}
		sign(testKey, recs, nil)
		for i := range recs {
			p := *recs[i].Piece
			if err := p.Verify(pub); err != nil {
				t.Fatalf("%d of %d: %v", i, n, err)
			}
			p.DTS++
			if p.Verify(pub) == nil {
				t.Fatalf("%d of %d: a changed piece passes", i, n)
			}
			p.DTS--
			p.Proof.Index = (i + 1) % n
			if n > 1 && p.Verify(pub) == nil {
				t.Fatalf("%d of %d: another leaf passes", i, n)
			}
		}
	}
	other := ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)
	recs := []Record{{Kind: KindEnd, End: &End{}}}
	sign(testKey, recs, nil)
	if recs[0].End.Verify(other) == nil {
		t.Error("another key passes")
	}
}

func TestNames(t *testing.T) {
	for _, n := range []Name{{0, 0, [8]byte{}}, {testEpoch, 812, [8]byte{1, 2, 3}}, {-5, -7, [8]byte{255}}, {-1 << 63, 1<<63 - 1, [8]byte{9}}} {
		if got, ok := ParseName(n.String()); !ok || got != n {
			t.Errorf("%s: %v %v", n, got, ok)
		}
	}
	for _, s := range []string{"", "1-2", "1-2-0011223344556677 ", "01-2-0011223344556677", "+1-2-0011223344556677", "1-2-00112233445566AA", "1--0011223344556677", "../1-2-0011223344556677"} {
		if _, ok := ParseName(s); ok {
			t.Errorf("%q is taken for a name", s)
		}
	}
}

func FuzzReader(f *testing.F) {
	short := cut(f, CutterConfig{Container: media.FLV, PieceSize: 100}, newFLV().video(0, true, 99).video(1000, true, 1).Bytes(), 4096)
	f.Add(written(f, testHeader(false), short.recs))
	f.Add([]byte("xp2p-slice/1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA raw vod\n{\"type\":\"x\",\"size\":1}\n.\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		recs, err := readAll(in)
		if err == nil {
			t.Fatal("no end")
		}
		if len(recs) == 0 {
			return
		}
		// What was read can be written, and reads the same again.
		out := written(t, *recs[0].Header, recs[1:])
		again, err := readAll(out)
		if err != io.EOF && !errors.Is(err, ErrTruncated) {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(recs, again) {
			t.Fatalf("%v\n%v", fmt.Sprint(recs), fmt.Sprint(again))
		}
	})
}

func FuzzPiece(f *testing.F) {
	for _, r := range sample(f, false) {
		if r.Kind == KindPiece && (r.Piece.Index == 0 || len(r.Piece.Keyframes) > 0) {
			f.Add(AppendPiece(nil, r.Piece))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		p, rest, err := ParsePiece(in)
		if err != nil {
			return
		}
		if got := AppendPiece(nil, p); !bytes.Equal(got, in[:len(in)-len(rest)]) {
			t.Fatalf("%x was written back as %x", in, got)
		}
	})
}

func FuzzIndex(f *testing.F) {
	recs := sample(f, true)
	f.Add(recs[len(recs)-2].Body)
	f.Fuzz(func(t *testing.T, in []byte) {
		x, err := ParseIndex(in)
		if err != nil {
			return
		}
		if got := AppendIndex(nil, x); !bytes.Equal(got, in) {
			t.Fatalf("%x was written back as %x", in, got)
		}
	})
}

// Whatever comes, in whatever chunks, bytes out are bytes in and the records
// fit together.
func FuzzCutter(f *testing.F) {
	f.Add(newFLV().video(0, true, 9).audio(7).video(1000, true, 9).Bytes(), uint16(100), byte(0))
	f.Add(newFLV().video(9000, false, 9).header().avcConfig(0, 1).video(0, true, 9).Bytes()[20:], uint16(1), byte(1))
	f.Add([]byte("\x00\x00\x00\x10ftypiso5\x00\x00\x00\x00\x00\x00\x00\x08mdat"), uint16(3), byte(2))
	f.Fuzz(func(t *testing.T, in []byte, chunk uint16, how byte) {
		if len(in) > 64<<10 {
			return
		}
		cfg := CutterConfig{Container: media.FLV, PieceSize: 1024}
		if how&2 != 0 {
			cfg.Container = media.FMP4
		}
		if how&1 != 0 {
			cfg.Align = Key
		}
		cfg.VOD = how&4 != 0
		cfg.SegmentSize = 5000
		cut(t, cfg, in, int(chunk)+1).wellFormed(t, in)
	})
}

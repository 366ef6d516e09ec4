package origin

import (
	"bytes"
	"io"
	"testing"

	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/store"
)

// A recording is sliced into a directory, and served from it alone.
func TestRecordingFromADirectory(t *testing.T) {
	flv := film(t, media.FLV)
	dir := t.TempDir()
	cutter := segment.NewCutter(segment.CutterConfig{Container: media.FLV, VOD: true, SegmentSize: 128 << 10, Key: testKey})
	w, err := store.CreateDir(dir, segment.Header{Key: publicKey(), Container: media.FLV, VOD: true})
	if err != nil {
		t.Fatal(err)
	}
	write := func() {
		for rec, ok := cutter.Next(); ok; rec, ok = cutter.Next() {
			if err := w.Write(rec); err != nil {
				t.Fatal(err)
			}
		}
	}
	cutter.Feed(flv)
	write()
	cutter.Finish()
	write()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}

	room, err := store.OpenRoom("match", dir)
	if err != nil {
		t.Fatal(err)
	}
	_, base := serve(t, Config{}, room)
	for _, from := range []string{"", "?from=oldest"} {
		got, err := io.ReadAll(get(t, base+"/live/match.flv"+from).Body)
		if err != nil || !bytes.Equal(got, flv) {
			t.Errorf("/live%s: %d of %d bytes, %v", from, len(got), len(flv), err)
		}
	}
	c := newClient(t, base)
	x, err := c.Index(t.Context())
	if err != nil || x.Size != int64(len(flv)) {
		t.Fatalf("Index: %+v, %v", x, err)
	}
	var whole []byte
	for seq, sum := range x.Segments {
		list, err := c.SegmentPieces(t.Context(), x.Name(seq).String(), sum)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range list {
			b, err := c.Piece(t.Context(), h)
			if err != nil {
				t.Fatal(err)
			}
			whole = append(whole, b...)
		}
	}
	if !bytes.Equal(whole, flv) {
		t.Errorf("piece by piece: %d of %d bytes", len(whole), len(flv))
	}

	// As a slice stream, to its end.
	p, err := c.Start(t.Context(), store.Oldest())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	whole = whole[:0]
	kinds := map[segment.Kind]int{}
	for {
		rec, err := p.Next()
		if err != nil {
			break
		}
		kinds[rec.Kind]++
		if rec.Kind == segment.KindPiece {
			whole = append(whole, rec.Body...)
		}
	}
	if !bytes.Equal(whole, flv) || kinds[segment.KindIndex] != 1 || kinds[segment.KindEnd] != 1 || kinds[segment.KindSegment] != len(x.Segments) {
		t.Errorf("as a stream: %d of %d bytes, %v", len(whole), len(flv), kinds)
	}
}

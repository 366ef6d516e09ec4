package store

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/segment"
)

var testKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public().(ed25519.PublicKey)

// unsigned is a proof in form only.
var unsigned = segment.Proof{Count: 1}

// A broadcast makes records as a slicer would: one segment a second, ten pieces
// of 100 ms in each, a keyframe every gop seconds. A room does not look at
// signatures, so there are none.
type broadcast struct {
	t     *testing.T
	room  *Room
	epoch int64
	gop   int64
	size  int // of a piece

	init   segment.Hash
	prev   *segment.Link
	sent   []segment.Record
	pieces []segment.Hash
}

func newRoom(t *testing.T, c RoomConfig) *Room {
	t.Helper()
	c.Name, c.Key, c.Container = "match", testKey, media.FLV
	r, err := NewRoom(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (b *broadcast) send(rec segment.Record) {
	b.t.Helper()
	if err := b.room.Append(rec); err != nil {
		b.t.Fatal(err)
	}
	b.sent = append(b.sent, rec)
}

func (b *broadcast) sendInit(body string, isCopy bool) {
	b.t.Helper()
	b.init = sha256.Sum256([]byte(body))
	b.send(segment.Record{Kind: segment.KindInit, Init: &segment.Init{Hash: b.init, Size: len(body), Copy: isCopy, Proof: unsigned}, Body: []byte(body)})
}

func (b *broadcast) piece(seq int64, i int) segment.Record {
	body := fmt.Appendf(make([]byte, 0, max(b.size, 32)), "%d/%d/%d", b.epoch, seq, i)
	body = append(body, make([]byte, max(b.size-len(body), 0))...)
	p := &segment.Piece{
		ID: segment.ID{Epoch: b.epoch, Seq: seq, Index: i}, Size: len(body), DTS: seq*1000 + int64(i)*100,
		SHA256: sha256.Sum256(body), Border: len(body), Proof: unsigned,
	}
	if i == 0 {
		p.Prev = b.prev
		if seq%b.gop == 0 {
			p.Keyframes = []segment.Keyframe{{Offset: 1, DTS: p.DTS, PTS: p.DTS + 40, Init: b.init}}
		}
	}
	return segment.Record{Kind: segment.KindPiece, Piece: p, Body: body}
}

// sendPieces sends pieces first … last-1 of a segment.
func (b *broadcast) sendPieces(seq int64, first, last int) {
	b.t.Helper()
	for i := first; i < last; i++ {
		rec := b.piece(seq, i)
		if i == 0 {
			b.pieces = nil
		}
		b.pieces = append(b.pieces, rec.Piece.SHA256)
		b.send(rec)
	}
}

func (b *broadcast) sendSegment(seq int64) *segment.Segment {
	b.t.Helper()
	b.sendPieces(seq, 0, 10)
	s := &segment.Segment{Epoch: b.epoch, Seq: seq, Pieces: 10, DTS: seq * 1000, EndDTS: seq*1000 + 960, SHA256: segment.HashPieces(b.pieces), Size: int64(10 * max(b.size, 1)), Proof: unsigned}
	if seq%b.gop == 0 {
		s.Keyframes = []segment.SegmentKeyframe{{Offset: 1, DTS: s.DTS, PTS: s.DTS + 40, Init: b.init}}
	}
	b.send(segment.Record{Kind: segment.KindSegment, Segment: s})
	l := s.Link()
	b.prev = &l
	return s
}

// drain reads what the cursor has without waiting.
func drain(t *testing.T, c *Cursor) (words []string) {
	t.Helper()
	for c.Ready() {
		rec, err := c.Next(t.Context())
		if errors.Is(err, ErrEnded) {
			return append(words, "ended")
		}
		if err != nil {
			t.Fatal(err)
		}
		words = append(words, word(rec))
	}
	return words
}

func word(rec segment.Record) string {
	switch rec.Kind {
	case segment.KindInit:
		return "init:" + string(rec.Body)
	case segment.KindPiece:
		return FormatID(rec.Piece.ID)
	case segment.KindSegment:
		return "segment"
	default:
		return rec.Kind.String()
	}
}

func start(t *testing.T, r *Room, from Start) *Cursor {
	t.Helper()
	c, err := r.Start(from)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wantWords(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) > len(want) {
		got = got[:len(want)]
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestReadersStartWhereTheyAskTo(t *testing.T) {
	r := newRoom(t, RoomConfig{})
	b := &broadcast{t: t, room: r, epoch: 7, gop: 2}
	b.sendInit("A", false)
	for seq := range int64(9) {
		b.sendSegment(seq)
	}
	b.sendPieces(9, 0, 5)

	// Keyframes stand at 0, 2, 4, 6 and 8 s; the live edge is at 9.4 s.
	for _, tt := range []struct {
		from string
		want []string
	}{
		{"live", []string{"init:A", "7-8-0", "7-8-1"}},
		{"", []string{"init:A", "7-8-0"}},
		{"oldest", []string{"init:A", "7-0-0", "7-0-1"}},
		{"1s", []string{"init:A", "7-8-0"}},
		{"2s", []string{"init:A", "7-6-0"}},
		{"3s", []string{"init:A", "7-6-0"}},
		{"5400ms", []string{"init:A", "7-4-0"}},
		{"90s", []string{"init:A", "7-0-0"}},
		{"7-3-8", []string{"7-3-8", "7-3-9", "segment", "7-4-0"}},
	} {
		from, err := ParseStart(tt.from)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(tt.from, func(t *testing.T) { wantWords(t, drain(t, start(t, r, from)), tt.want...) })
	}
	wantWords(t, drain(t, start(t, r, After(segment.ID{Epoch: 7, Seq: 3, Index: 9}))), "segment", "7-4-0")

	if _, err := r.Start(At(segment.ID{Epoch: 7, Seq: 9, Index: 5})); !errors.Is(err, ErrNotYet) {
		t.Errorf("a piece that is still to come: %v, want ErrNotYet", err)
	}
	if _, err := r.Start(After(segment.ID{Epoch: 6, Seq: 9, Index: 5})); !errors.Is(err, ErrGone) {
		t.Errorf("a piece of an older stream: %v, want ErrGone", err)
	}
	for _, s := range []string{"-1s", "9000h", "new", "1-2", "1-2-3-4", "01-2-3", "+1-2-3", "1-2-03", "1-2--3", "1--2", "--"} {
		if _, err := ParseStart(s); err == nil {
			t.Errorf("ParseStart(%q) gave no error", s)
		}
	}
	if id, err := ParseID("-1--2-3"); err != nil || id != (segment.ID{Epoch: -1, Seq: -2, Index: 3}) {
		t.Errorf("ParseID of negative numbers: %v, %v", id, err)
	}
}

func TestJoinerGetsTheInitOfItsKeyframe(t *testing.T) {
	r := newRoom(t, RoomConfig{})
	b := &broadcast{t: t, room: r, epoch: 7, gop: 2}
	b.sendInit("A", false)
	b.sendSegment(0)
	b.sendSegment(1)
	// The configuration changes; the keyframe at 2 s needs the copy, the one
	// before it still needs A.
	b.sendInit("B", true)
	b.sendSegment(2)
	b.sendSegment(3)
	wantWords(t, drain(t, start(t, r, Live())), "init:B", "7-2-0")
	wantWords(t, drain(t, start(t, r, Back(2*time.Second))), "init:A", "7-0-0")
}

func TestWindowIsBoundedInMediaTimeAndBytes(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  RoomConfig
	}{
		{"time", RoomConfig{Window: 5 * time.Second}},
		{"bytes", RoomConfig{WindowBytes: 55 * (1000 + recordCost)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRoom(t, tt.cfg)
			b := &broadcast{t: t, room: r, epoch: 7, gop: 2, size: 1000}
			b.sendInit("A", false)
			first := b.sendSegment(0)
			slow := start(t, r, Live())
			var last *segment.Segment
			for seq := range int64(100) {
				last = b.sendSegment(seq + 1)
				if len(r.log.recs) > 60 {
					t.Fatalf("the window holds %d records", len(r.log.recs))
				}
			}
			if n := len(r.log.pieces) + len(r.log.hashes) + len(r.log.starts) + len(r.log.segments) + len(r.log.inits); n > 150 {
				t.Errorf("%d entries are kept to find what is in the window", n)
			}

			// The init was evicted from the log long ago; joiners need it all the same.
			wantWords(t, drain(t, start(t, r, Oldest())), "init:A")
			if _, ok := r.Init(b.init); !ok {
				t.Error("the init is gone")
			}
			if _, _, ok := r.Segment(first.Name()); ok {
				t.Error("the first segment is still there")
			}
			if s, pieces, ok := r.Segment(last.Name()); !ok || s != last || len(pieces) != 10 {
				t.Error("the last segment is not there")
			}
			if _, ok := r.PieceByHash(b.pieces[3]); !ok {
				t.Error("a piece of the last segment is not there")
			}
			if _, ok := r.Piece(segment.ID{Epoch: 7, Seq: 0, Index: 3}); ok {
				t.Error("a piece of the first segment is still there")
			}

			// The reader that never read is told.
			if _, err := slow.Next(t.Context()); !errors.Is(err, ErrFellBehind) {
				t.Errorf("slow reader: %v, want ErrFellBehind", err)
			}
			if _, err := r.Start(At(segment.ID{Epoch: 7, Seq: 0, Index: 3})); !errors.Is(err, ErrGone) {
				t.Errorf("start at an evicted piece: %v, want ErrGone", err)
			}
		})
	}
}

func must(rec segment.Record, err error) segment.Record {
	if err != nil {
		panic(err)
	}
	return rec
}

func TestAppendRefusesWhatDoesNotFollow(t *testing.T) {
	r := newRoom(t, RoomConfig{})
	b := &broadcast{t: t, room: r, epoch: 7, gop: 2}
	b.sendInit("A", false)
	b.sendSegment(4)
	b.sendPieces(5, 0, 3)
	prev := b.prev

	other := func(change func(*segment.Piece)) segment.Record {
		rec := b.piece(5, 3)
		change(rec.Piece)
		return rec
	}
	for _, tt := range []struct {
		name string
		rec  segment.Record
		want error
	}{
		{"the same again", b.piece(5, 2), ErrDuplicate},
		{"an older one", b.piece(4, 2), ErrDuplicate},
		{"one left out", b.piece(5, 4), ErrGap},
		{"a segment left out", other(func(p *segment.Piece) { p.Seq, p.Index, p.Prev = 7, 0, &segment.Link{Epoch: 7, Seq: 6, Pieces: 10} }), ErrGap},
		{"a segment shorter than announced", other(func(p *segment.Piece) { p.Seq, p.Index, p.Prev = 6, 0, &segment.Link{Epoch: 7, Seq: 5, Pieces: 4} }), ErrGap},
		{"no previous segment in the same epoch", other(func(p *segment.Piece) { p.Seq, p.Index, p.Prev = 6, 0, nil }), ErrGap},
		{"an older epoch", other(func(p *segment.Piece) { p.Epoch, p.Seq, p.Index, p.Prev = 6, 9, 0, prev }), ErrDuplicate},
		{"the middle of a newer epoch", other(func(p *segment.Piece) { p.Epoch, p.Seq, p.Index = 8, 0, 2 }), ErrGap},
		{"a segment record for other pieces", segment.Record{Kind: segment.KindSegment, Segment: &segment.Segment{Epoch: 7, Seq: 5, Pieces: 4}}, ErrGap},
	} {
		if err := r.Append(tt.rec); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	if err := r.Append(b.piece(5, 3)); err != nil {
		t.Errorf("the next piece after all that: %v", err)
	}
}

func TestBroadcasterStartsAgain(t *testing.T) {
	r := newRoom(t, RoomConfig{Window: 20 * time.Second})
	b := &broadcast{t: t, room: r, epoch: 1000, gop: 2}
	b.sendInit("A", false)
	b.sendSegment(500)
	c := start(t, r, Live())
	drain(t, c)
	b.send(segment.Record{Kind: segment.KindEnd, End: &segment.End{}})

	// DTS begins again at 0; the old window is still there.
	again := &broadcast{t: t, room: r, epoch: 2000, gop: 2}
	again.sendInit("B", false)
	again.sendSegment(0)
	wantWords(t, drain(t, c), "end", "init:B", "2000-0-0", "2000-0-1")
	wantWords(t, drain(t, start(t, r, Live())), "init:B", "2000-0-0")
	wantWords(t, drain(t, start(t, r, Oldest())), "init:A", "1000-500-0")

	// An epoch that jumps back within one stream is linked to what was before.
	l := segment.Link{Epoch: 2000, Seq: 0, Pieces: 10}
	again.epoch, again.prev = 2001, &l
	again.sendSegment(0)
}

func TestManyReadersSeeEveryRecordOnce(t *testing.T) {
	r := newRoom(t, RoomConfig{Window: time.Hour})
	b := &broadcast{t: t, room: r, epoch: 7, gop: 2}
	b.sendInit("A", false)
	b.sendSegment(0)

	const readers = 50
	got := make([][]string, readers)
	var all sync.WaitGroup
	for i := range readers {
		c := start(t, r, Oldest())
		all.Go(func() {
			for {
				rec, err := c.Next(t.Context())
				if err != nil {
					got[i] = append(got[i], err.Error())
					return
				}
				got[i] = append(got[i], word(rec))
			}
		})
	}
	for seq := range int64(20) {
		b.sendSegment(seq + 1)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	var want []string
	for _, rec := range b.sent {
		want = append(want, word(rec))
	}
	want = append(want, ErrEnded.Error())
	for i := range got {
		if !slices.Equal(got[i], want) {
			t.Errorf("reader %d saw %d records, want %d", i, len(got[i]), len(want))
		}
	}
	if err := r.Append(b.piece(21, 0)); !errors.Is(err, ErrEnded) {
		t.Errorf("append to a closed room: %v", err)
	}
}

func TestReaderWaitsForTheFirstKeyframe(t *testing.T) {
	r := newRoom(t, RoomConfig{})
	c := start(t, r, Live())
	if c.Ready() {
		t.Error("an empty room has nothing to read")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Next with a context that is done: %v", err)
	}
	// The room was joined in the middle of a GOP.
	b := &broadcast{t: t, room: r, epoch: 7, gop: 2, prev: &segment.Link{Epoch: 7, Seq: 2, Pieces: 10}}
	b.sendInit("A", true)
	b.sendSegment(3)
	b.sendSegment(4)
	wantWords(t, drain(t, c), "init:A", "7-4-0")
}

// A reader that was there first and slept through the start is told so, too.
func TestReaderThatSleepsThroughTheStartFellBehind(t *testing.T) {
	r := newRoom(t, RoomConfig{Window: 5 * time.Second})
	b := &broadcast{t: t, room: r, epoch: 7, gop: 2, size: 1000}
	early := start(t, r, Oldest())
	b.sendInit("A", false)
	for seq := range int64(20) {
		b.sendSegment(seq)
	}
	if _, err := early.Next(t.Context()); !errors.Is(err, ErrFellBehind) {
		t.Errorf("%v, want ErrFellBehind", err)
	}
}

func TestReset(t *testing.T) {
	r := newRoom(t, RoomConfig{})
	b := &broadcast{t: t, room: r, epoch: 7, gop: 2}
	b.sendInit("A", false)
	b.sendSegment(0)
	read := start(t, r, Live())
	drain(t, read)
	unread := start(t, r, Oldest())
	must(unread.Next(t.Context()))
	r.Reset()
	b.prev = &segment.Link{Epoch: 7, Seq: 99, Pieces: 10}
	b.sendInit("A", true)
	b.sendSegment(100)
	for _, c := range []*Cursor{read, unread} {
		if _, err := c.Next(t.Context()); !errors.Is(err, ErrFellBehind) {
			t.Errorf("after a reset: %v, want ErrFellBehind", err)
		}
	}
	wantWords(t, drain(t, start(t, r, Live())), "init:A", "7-100-0")
}

func TestSnapshot(t *testing.T) {
	r := newRoom(t, RoomConfig{})
	if s := r.Snapshot(4); s.Pieces != 0 || s.Keyframe != nil || len(s.Segments) != 0 {
		t.Errorf("an empty room: %+v", s)
	}
	b := &broadcast{t: t, room: r, epoch: 7, gop: 2}
	b.sendInit("A", false)
	for seq := range int64(7) {
		b.sendSegment(seq)
	}
	b.sendPieces(7, 0, 3)
	s := r.Snapshot(4)
	if len(s.Segments) != 4 || s.Segments[0].Seq != 3 || s.Segments[3].Seq != 6 {
		t.Errorf("segments: %+v", s.Segments)
	}
	if s.Oldest != (segment.ID{Epoch: 7}) || s.Edge != (segment.ID{Epoch: 7, Seq: 7, Index: 2}) || s.EdgeDTS != 7200 {
		t.Errorf("from %v to %v at %d ms", s.Oldest, s.Edge, s.EdgeDTS)
	}
	if s.Keyframe == nil || s.KeyframeID != (segment.ID{Epoch: 7, Seq: 6}) || s.Init != b.init {
		t.Errorf("keyframe %v in %v", s.Keyframe, s.KeyframeID)
	}
}

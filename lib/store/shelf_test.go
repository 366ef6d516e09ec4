package store

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
)

// all reads a room from its oldest record to what it has now.
func all(t *testing.T, r *Room) []string {
	t.Helper()
	return drain(t, start(t, r, Oldest()))
}

func (b *broadcast) words() (words []string) {
	for _, rec := range b.sent {
		words = append(words, word(rec))
	}
	return words
}

func TestWhatLeavesTheWindowIsServedFromDisk(t *testing.T) {
	r := newRoom(t, RoomConfig{Window: 3 * time.Second, Dir: t.TempDir()})
	b := &broadcast{t: t, room: r, epoch: 7, gop: 2}
	b.sendInit("A", false)
	first := b.sendSegment(0)
	hash := b.pieces[3]
	for seq := range int64(9) {
		b.sendSegment(seq + 1)
	}
	b.sendInit("B", true)
	for seq := range int64(10) {
		b.sendSegment(seq + 10)
	}
	b.sendPieces(20, 0, 5)
	if len(r.log.pieces) > 35 {
		t.Fatalf("%d pieces are in memory", len(r.log.pieces))
	}

	// From the oldest on disk into the window, without a seam.
	if got, want := all(t, r), b.words(); !slices.Equal(got, want) {
		t.Errorf("from disk: %d records, want %d\n%v\n%v", len(got), len(want), got, want)
	}
	wantWords(t, drain(t, start(t, r, Back(7*time.Second))), "init:B", "7-12-0", "7-12-1")
	wantWords(t, drain(t, start(t, r, Back(11*time.Second))), "init:A", "7-8-0", "7-8-1")
	wantWords(t, drain(t, start(t, r, Live())), "init:B", "7-20-0")
	c := start(t, r, After(segment.ID{Epoch: 7, Seq: 9, Index: 8}))
	wantWords(t, drain(t, c), "7-9-9", "segment", "init:B", "7-10-0")

	// By name.
	if rec, ok := r.Piece(segment.ID{Epoch: 7, Seq: 0, Index: 3}); !ok || rec.Piece.SHA256 != hash {
		t.Error("a piece on disk is not found by its place")
	}
	if rec, ok := r.PieceByHash(hash); !ok || rec.Piece.Seq != 0 {
		t.Error("a piece on disk is not found by its hash")
	}
	if _, ok := r.PieceByHash(segment.Hash{1}); ok {
		t.Error("a piece that is not there is found")
	}
	if s, pieces, ok := r.Segment(first.Name()); !ok || s.SHA256 != first.SHA256 || len(pieces) != 10 {
		t.Error("a segment on disk is not found")
	}
	if s := r.Snapshot(15); len(s.Segments) != 15 || s.Segments[0].Seq != 5 || s.Oldest != (segment.ID{Epoch: 7}) {
		t.Errorf("snapshot: %d segments from %v, oldest %v", len(s.Segments), s.Segments[0].Seq, s.Oldest)
	}

	// A reader that waits at the end of the disk part goes on live.
	b.sendPieces(20, 5, 7)
	drain(t, c)
	b.sendPieces(20, 7, 8)
	wantWords(t, drain(t, c), "7-20-7")
	if rec := must(start(t, r, At(segment.ID{Epoch: 7, Seq: 20, Index: 6})).Next(t.Context())); word(rec) != "7-20-6" {
		t.Errorf("live again: %s", word(rec))
	}
}

func TestRoomGoesOnAfterARestart(t *testing.T) {
	dir := t.TempDir()
	r := newRoom(t, RoomConfig{Dir: dir})
	b := &broadcast{t: t, room: r, epoch: 7, gop: 2}
	b.sendInit("A", false)
	for seq := range int64(4) {
		b.sendSegment(seq)
	}
	whole := b.words()
	b.sendPieces(4, 0, 4) // lost: the segment never closes

	again := newRoom(t, RoomConfig{Dir: dir})
	if got := all(t, again); !slices.Equal(got, whole) {
		t.Errorf("after a restart: %v, want %v", got, whole)
	}
	c := start(t, again, Live())
	wantWords(t, drain(t, c), "init:A", "7-2-0")
	if edge, ok := again.Edge(); !ok || edge != (segment.ID{Epoch: 7, Seq: 3, Index: 9}) {
		t.Errorf("edge is %v, %v", edge, ok)
	}

	// An edge goes on where the disk ends …
	b.room, b.sent = again, nil
	b.sendSegment(4)
	wantWords(t, drain(t, c), "7-4-0", "7-4-1")
	// … and its readers hear of a hole.
	behind := start(t, again, After(segment.ID{Epoch: 7, Seq: 4, Index: 9}))
	fromDisk := start(t, again, Oldest())
	again.Reset()
	b.prev = &segment.Link{Epoch: 7, Seq: 10, Pieces: 10}
	b.sendSegment(11)
	b.sendSegment(12)
	for _, c := range []*Cursor{behind, fromDisk} {
		err := error(nil)
		for err == nil {
			_, err = c.Next(t.Context())
		}
		if !errors.Is(err, ErrFellBehind) {
			t.Errorf("over the hole: %v, want ErrFellBehind", err)
		}
	}
}

func TestRecordingEnds(t *testing.T) {
	dir := t.TempDir()
	c := RoomConfig{VOD: true, Dir: dir}
	r := newRoom(t, c)
	b := &broadcast{t: t, room: r, gop: 2}
	b.sendInit("A", false)
	for seq := range int64(4) {
		b.sendSegment(seq)
	}
	b.send(segment.Record{Kind: segment.KindEnd, End: &segment.End{Segments: 4, Proof: unsigned}})
	again, err := OpenRoom("match", dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := all(t, again), append(b.words(), "ended"); !slices.Equal(got, want) {
		t.Errorf("a recording: %v, want %v", got, want)
	}
	wantWords(t, drain(t, start(t, again, Back(3*time.Second))), "init:A", "0-2-0")
	wantWords(t, drain(t, start(t, again, Live())), "init:A", "0-0-0")
}

func TestDamagedFileIsNotServed(t *testing.T) {
	dir := t.TempDir()
	r := newRoom(t, RoomConfig{Dir: dir, Window: time.Second})
	b := &broadcast{t: t, room: r, epoch: 7, gop: 2, size: 100}
	b.sendInit("A", false)
	bad := b.sendSegment(0)
	for seq := range int64(5) {
		b.sendSegment(seq + 1)
	}
	file := filepath.Join(dir, "segments", bad.Name())
	bytes, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	bytes[len(bytes)/2] ^= 1
	if err := os.WriteFile(file, bytes, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := r.Segment(bad.Name()); ok {
		t.Error("a damaged segment is served")
	}
	if _, err := start(t, r, Oldest()).Next(t.Context()); err == nil {
		t.Error("a damaged segment is read")
	}
}

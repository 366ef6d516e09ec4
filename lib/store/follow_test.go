package store

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/segment"
)

// kinds are the first letters of a cursor's records up to the end, and what
// ended it.
func kinds(t *testing.T, c *Cursor) (s string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		rec, err := c.Next(ctx)
		if err != nil {
			return s, err
		}
		s += rec.Kind.String()[:1]
	}
}

// A slicer writes a directory; a room follows it, is left by its slicer, gone on
// with by another, and ends with the end record.
func TestADirectoryIsFollowedWhileItIsWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "room")
	h := dirHeader(false)
	recs := dirLive(1000, 0, 3000)
	h.Container = media.FLV
	w, err := CreateDir(dir, h)
	if err != nil {
		t.Fatal(err)
	}
	write := func(recs []segment.Record) {
		t.Helper()
		for _, r := range recs {
			if err := w.Write(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Up to the first segment's end.
	cut := slices.IndexFunc(recs, func(r segment.Record) bool { return r.Kind == segment.KindSegment }) + 1
	write(recs[:cut])
	if _, err := OpenRoom("match", dir); !errors.Is(err, ErrUnfinished) {
		t.Errorf("a directory without an end: %v, want ErrUnfinished", err)
	}
	room, f, err := FollowRoom("match", dir, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	done := make(chan error, 1)
	go func() { done <- f.Run(t.Context()) }()
	early := start(t, room, Oldest())
	got := make(chan string)
	go func() {
		s, err := kinds(t, early)
		if !errors.Is(err, ErrEnded) {
			t.Error(err)
		}
		got <- s
	}()
	write(recs[cut:])
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	want := ""
	for _, r := range recs {
		if r.Kind != segment.KindHeader {
			want += r.Kind.String()[:1]
		}
	}
	if s := <-got; s != want {
		t.Errorf("followed: %s, want %s", s, want)
	}
	if s, _ := kinds(t, start(t, room, Oldest())); s != want {
		t.Errorf("afterwards: %s, want %s", s, want)
	}
	// It is over: whoever opens it now watches it from its beginning.
	past, err := OpenRoom("match", dir)
	if err != nil {
		t.Fatal(err)
	}
	if s, _ := kinds(t, start(t, past, Live())); s != want {
		t.Errorf("a finished directory: %s, want %s", s, want)
	}
}

// A reader that sleeps longer than the window finds on disk what it has missed.
func TestASlowReaderGoesOnFromDisk(t *testing.T) {
	r := newRoom(t, RoomConfig{Dir: t.TempDir(), Window: time.Second})
	b := &broadcast{t: t, room: r, epoch: 7, gop: 2, size: 100}
	b.sendInit("A", false)
	b.sendSegment(0)
	c := start(t, r, Oldest())
	for range 2 {
		if _, err := c.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for seq := range int64(8) {
		b.sendSegment(seq + 1)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := drain(t, c), append(b.words()[2:], "ended"); !slices.Equal(got, want) {
		t.Errorf("it read %v, want %v", got, want)
	}
}

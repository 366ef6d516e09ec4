package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xp2p/xp2p/lib/flv"
	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/squeeze"
	"github.com/xp2p/xp2p/lib/store"
	"github.com/xp2p/xp2p/lib/tool"
)

// A pausing player takes nothing from one moment on for a while.
type pausing struct {
	bytes.Buffer
	began       time.Time
	from, until time.Duration
}

func (p *pausing) Write(b []byte) (int, error) {
	if now := time.Since(p.began); now >= p.from && now < p.until {
		time.Sleep(p.until - now) // of the bubble's clock
	}
	return p.Buffer.Write(b)
}

// A player that was paused for eight seconds is brought back to the live edge:
// by times that are closer to each other, or at once, at the newest keyframe.
// Either way its times go on without a hole.
func TestAPlayerThatFellBehindGetsBack(t *testing.T) {
	for _, way := range []string{"fast", "skip"} {
		t.Run(way, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { getBack(t, way) })
		})
	}
}

func getBack(t *testing.T, way string) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	room, err := store.NewRoom(store.RoomConfig{Name: "match", Key: key.Public().(ed25519.PublicKey), Container: media.FLV, Window: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	o := &options{nearness: squeeze.Edge, catchUp: way, format: "media"}
	s := &session{viewer: &viewer{o: o, io: &tool.IO{Log: slog.New(slog.DiscardHandler)}}, name: "match", local: room}
	cur, err := room.Start(store.Oldest())
	if err != nil {
		t.Fatal(err)
	}
	player := &pausing{began: time.Now(), from: 5 * time.Second, until: 13 * time.Second}
	played := make(chan error)
	go func() { played <- s.play(context.Background(), cur, player) }()

	c := segment.NewCutter(segment.CutterConfig{Container: media.FLV, Epoch: 1000, Key: key})
	content := minute()
	feed := func(b []byte) {
		c.Feed(b)
		c.Sign()
		for rec, ok := c.Next(); ok; rec, ok = c.Next() {
			rec.Body = bytes.Clone(rec.Body)
			if err := room.Append(rec); err != nil {
				t.Fatal(err)
			}
		}
	}
	feed(content[:13])
	for n := range 300 {
		feed(content[13+28*n:][:28])
		time.Sleep(100 * time.Millisecond)
	}
	newest := int64(300 * 100)
	behind := newest - int64(s.edge.playhead.Load().Source(time.Now()))
	c.Finish()
	for rec, ok := c.Next(); ok; rec, ok = c.Next() {
		_ = room.Append(rec)
	}
	room.Close()
	if err := <-played; err != nil {
		t.Fatal(err)
	}
	if behind > 1000 {
		t.Errorf("at the end the player is %d ms behind", behind)
	}
	out := player.Bytes()[13:]
	lastTime, lastFrame, left := int64(-100), -1, 0
	for ; len(out) >= 28; out = out[28:] {
		at, n := int64(flv.Timestamp(out)), int(binary.BigEndian.Uint64(out[16:24]))
		if step := at - lastTime; step <= 0 || step > 150 {
			t.Errorf("frame %d is at %d, behind %d", n, at, lastTime)
		}
		if n != lastFrame+1 {
			left += n - lastFrame - 1
			if n%20 != 0 {
				t.Errorf("it goes on at frame %d, which is no keyframe", n)
			}
		}
		lastTime, lastFrame = at, n
	}
	if skips := left > 0; skips != (way == "skip") {
		t.Errorf("%d frames were left out", left)
	}
}

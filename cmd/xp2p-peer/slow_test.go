package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/origin"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/store"
	"github.com/xp2p/xp2p/lib/tool"
)

// minute is an FLV stream: ten frames a second, a keyframe every two.
func minute() []byte {
	b := []byte("FLV\x01\x01\x00\x00\x00\x09\x00\x00\x00\x00")
	for n := range 600 {
		ts := n * 100
		first := byte(0x27)
		if n%20 == 0 {
			first = 0x17
		}
		b = append(b, 9, 0, 0, 13, byte(ts>>16), byte(ts>>8), byte(ts), 0, 0, 0, 0)
		b = binary.BigEndian.AppendUint64(append(b, first, 1, 0, 0, 0), uint64(n))
		b = append(b, 0, 0, 0, 24)
	}
	return b
}

// onAir serves a room that holds a stream and is over.
func onAir(t *testing.T, content []byte) (url string) {
	t.Helper()
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	room, err := store.NewRoom(store.RoomConfig{Name: "match", Key: key.Public().(ed25519.PublicKey), Container: media.FLV, Window: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	c := segment.NewCutter(segment.CutterConfig{Container: media.FLV, Epoch: 1000, Key: key})
	c.Feed(content)
	c.Finish()
	for rec, ok := c.Next(); ok; rec, ok = c.Next() {
		rec.Body = bytes.Clone(rec.Body)
		if err := room.Append(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := room.Close(); err != nil {
		t.Fatal(err)
	}
	rooms := store.New()
	if err := rooms.Add(room); err != nil {
		t.Fatal(err)
	}
	h := origin.NewHandler(rooms, origin.Config{})
	s := httptest.NewServer(h)
	t.Cleanup(func() {
		h.Stop()
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL + "/match"
}

// sleeper is a reader that sleeps after its first bytes until it is woken.
type sleeper struct {
	bytes.Buffer
	wake chan struct{}
}

func (s *sleeper) Write(p []byte) (int, error) {
	if s.Len() > 0 {
		<-s.wake
	}
	return s.Buffer.Write(p)
}

// watch runs a viewer that keeps so many bytes for its reader, who sleeps until
// so many have come.
func watch(t *testing.T, url string, window int64, until int64) (out []byte, code int, says string) {
	t.Helper()
	stats := filepath.Join(t.TempDir(), "stats")
	reader := &sleeper{wake: make(chan struct{})}
	var errs bytes.Buffer
	o := &options{start: "oldest", format: "media", listen: "127.0.0.1:0", window: time.Hour, windowBytes: window}
	done := make(chan int)
	go func() {
		done <- tool.Run(t.Context(), commandWith(o), []string{"--origin-only", "--start", "oldest", "--stats", stats, url},
			tool.Streams{In: bytes.NewReader(nil), Out: struct{ io.Writer }{reader}, Err: &errs})
	}()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for came := false; !came; {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("nothing comes")
		}
		b, _ := os.ReadFile(stats)
		for _, line := range bytes.Split(b, []byte("\n")) {
			var r struct {
				Bytes int64 `json:"origin_bytes"`
			}
			came = came || json.Unmarshal(line, &r) == nil && r.Bytes >= until
		}
	}
	close(reader.wake)
	code = <-done
	return reader.Bytes(), code, errs.String()
}

// A player that sleeps longer than its viewer's window goes on later, and hears
// that something is missing.
func TestAReaderThatSleepsLongerThanTheWindowHasAGap(t *testing.T) {
	content := minute()
	out, code, says := watch(t, onAir(t, content), 32<<10, 80*28)
	if code != 3 || !strings.Contains(says, "gap") {
		t.Errorf("code %d, says %q", code, says)
	}
	// Runs of whole tags, each from a keyframe on, the last up to the end.
	if !bytes.HasPrefix(out, content[:13]) || (len(out)-13)%28 != 0 {
		t.Fatalf("%d bytes are no init and whole tags", len(out))
	}
	next, runs := -1, 0
	for tags := out[13:]; len(tags) > 0; tags = tags[28:] {
		n := int(binary.BigEndian.Uint64(tags[16:]))
		if n != next {
			if runs++; n < next || n%20 != 0 {
				t.Errorf("tag %d behind %d", n, next-1)
			}
		}
		next = n + 1
	}
	if next != 600 || runs < 2 {
		t.Errorf("%d runs up to tag %d", runs, next-1)
	}
}

// One that sleeps shorter has everything, however much there is: what it has no
// room for stays at the origin.
func TestASleepyReaderHasEverything(t *testing.T) {
	content := minute()
	reader, code, says := watch(t, onAir(t, content), 128<<10, 80*28)
	if code != 0 || !bytes.Equal(reader, content) {
		t.Errorf("code %d, %d of %d bytes, or they differ; says %q", code, len(reader), len(content), says)
	}
}

package origin

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/store"
)

// wantRun checks what a viewer saw: the init, then the film from some place on.
func wantRun(t *testing.T, got, film []byte, init []byte) {
	t.Helper()
	rest, ok := bytes.CutPrefix(got, init)
	if !ok {
		t.Fatalf("%d bytes do not begin with the init", len(got))
	}
	if !bytes.HasSuffix(film, rest) || len(rest) == 0 {
		t.Errorf("%d bytes behind the init are not a contiguous run up to the film's end", len(rest))
	}
}

// given counts the bytes that a player who comes now has at once.
func given(t *testing.T, room *store.Room) (n int) {
	t.Helper()
	cur, err := room.Start(store.Live())
	if err != nil {
		t.Fatal(err)
	}
	play := NewPlayable(room.Container())
	for cur.Ready() {
		rec, err := cur.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range play.Add(rec) {
			n += len(b)
		}
	}
	return n
}

// Players join at random moments; each sees the init and a contiguous run, and
// a real ffmpeg reads it without a warning.
func TestPlayersJoinAtRandomMoments(t *testing.T) {
	for _, c := range []media.Container{media.FLV, media.FMP4} {
		t.Run(c.String(), func(t *testing.T) {
			film := film(t, c)
			recs := slice(t, c, 1000, film)
			init := recs[0].Body
			rng := rand.New(rand.NewPCG(1, uint64(c)))
			joins := 20
			if testing.Short() {
				joins = 3
			}
			for range joins {
				room := newRoom(t, store.RoomConfig{Container: c})
				_, base := serve(t, Config{}, room)
				n := 2 + rng.IntN(len(recs)-3)
				appendAll(t, room, recs[:n])
				for ; given(t, room) <= len(init); n++ { // the newest keyframe is not whole yet
					appendAll(t, room, recs[n:n+1])
				}
				url := base + "/live/match." + c.String()

				// A plain reader takes what is there at once; the rest comes as it is
				// appended.
				resp := get(t, url)
				warnings := make(chan string)
				pipe, feed := io.Pipe()
				go func() {
					cmd := exec.Command("ffmpeg", "-v", "warning", "-i", "-", "-f", "null", "-")
					cmd.Stdin = pipe
					out, err := cmd.CombinedOutput()
					pipe.Close()
					if err != nil {
						out = append(out, err.Error()...)
					}
					warnings <- string(out)
				}()
				var got bytes.Buffer
				body := io.TeeReader(resp.Body, &got)
				if _, err := io.CopyN(feed, body, int64(len(init)+1)); err != nil {
					t.Fatal(err)
				}
				appendAll(t, room, recs[n:])
				if err := room.Close(); err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(feed, body); err != nil {
					t.Fatal(err)
				}
				feed.Close()
				wantRun(t, got.Bytes(), film, init)
				out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "warning", "-nostdin", "-i", url, "-f", "null", "-").CombinedOutput()
				if err != nil || len(out) > 0 {
					t.Errorf("ffmpeg on %s: %v %s", url, err, out)
				}
				if w := <-warnings; w != "" {
					t.Errorf("joined after record %d: ffmpeg says:\n%s", n, w)
				}
			}
		})
	}
}

// A stream that is left at any moment has been given whole units only.
func TestInterruptedStreamEndsOnABorder(t *testing.T) {
	for _, c := range []media.Container{media.FLV, media.FMP4} {
		t.Run(c.String(), func(t *testing.T) {
			film := film(t, c)
			recs := slice(t, c, 1000, film)
			borders := unitBorders(c, film)
			play := NewPlayable(c)
			at := 0
			for _, rec := range recs {
				for _, b := range play.Add(rec) {
					if !bytes.HasPrefix(film[at:], b) {
						t.Fatalf("at %d: not the film's bytes", at)
					}
					at += len(b)
				}
				if at > 0 && !borders[int64(at)] {
					t.Fatalf("after %s: byte %d is inside a unit", rec.Kind, at)
				}
			}
			for _, b := range play.Finish() {
				at += len(b)
			}
			if at != len(film) {
				t.Errorf("%d of %d bytes", at, len(film))
			}
		})
	}
}

func TestTheOtherContainerIsAHint(t *testing.T) {
	_, base := serve(t, Config{}, newRoom(t, store.RoomConfig{Container: media.FLV}))
	resp := get(t, base+"/live/match.mp4")
	text, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusNotFound || !strings.Contains(string(text), "/live/match.flv") {
		t.Errorf("%s: %s", resp.Status, text)
	}
}

// The broadcaster's ffmpeg is started again: DTS begins at 0, and players go on.
func TestBroadcasterStartsAgain(t *testing.T) {
	flv := film(t, media.FLV)
	half := flv[:len(flv)/2]
	first := slice(t, media.FLV, 1000, half)
	second := slice(t, media.FLV, 2000, flv)
	room := newRoom(t, store.RoomConfig{Container: media.FLV})
	_, base := serve(t, Config{}, room)
	appendAll(t, room, first)
	resp := get(t, base+"/live/match.flv?from=oldest")
	appendAll(t, room, second)
	room.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}

	// Of the first: up to its last border. Of the second: all but its 13 bytes of
	// header.
	at, end := 0, 0
	for _, rec := range first {
		switch rec.Kind {
		case segment.KindInit:
			at += len(rec.Body)
		case segment.KindPiece:
			if rec.Piece.Border > 0 {
				end = at + rec.Piece.Border
			}
			at += rec.Piece.Size
		}
	}
	want := append(bytes.Clone(half[:end]), flv[13:]...)
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes, want %d", len(got), len(want))
	}

	// Both streams are read by ffmpeg to their end; only the clock's jump is
	// remarked on. The header would have ended the input.
	cmd := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-count_packets", "-select_streams", "v", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", "-")
	cmd.Stdin = bytes.NewReader(got)
	out, err := cmd.Output()
	if n := strings.TrimSpace(string(out)); err != nil || len(n) != 3 || n < "440" {
		t.Errorf("ffprobe counts %q video packets (%v), want more than the second stream's 300 by nearly half", n, err)
	}

	// One slicer that sees both streams keeps the header in its bytes, and the
	// player is spared it all the same.
	play := NewPlayable(media.FLV)
	var run []byte
	for _, rec := range slice(t, media.FLV, 3000, append(bytes.Clone(flv), flv...)) {
		for _, b := range play.Add(rec) {
			run = append(run, b...)
		}
	}
	if want := append(bytes.Clone(flv), flv[13:]...); !bytes.Equal(run, want) {
		t.Errorf("one slicer, two streams: %d bytes, want %d", len(run), len(want))
	}
}

// A player that does not read is cut off when the window has moved past it, and
// its connection shows that something is missing.
func TestSlowReaderIsCutOff(t *testing.T) {
	flv := film(t, media.FLV)
	room := newRoom(t, store.RoomConfig{Container: media.FLV, WindowBytes: 1 << 20})
	h, base := serve(t, Config{WriteTimeout: time.Minute}, room)
	appendAll(t, room, slice(t, media.FLV, 1, flv))
	resp := get(t, base+"/live/match.flv")
	// More than the sockets between us can hold.
	for epoch := range int64(40) {
		appendAll(t, room, slice(t, media.FLV, epoch+2, flv))
	}
	if _, err := io.Copy(io.Discard, resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("slow reader: %v, want an unexpected end", err)
	}
	if n := h.Served().Dropped.Load(); n != 1 {
		t.Errorf("%d readers were dropped, want 1", n)
	}
}

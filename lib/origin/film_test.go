package origin

import (
	"bytes"
	"crypto/ed25519"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/store"
)

var testKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

func publicKey() ed25519.PublicKey { return testKey.Public().(ed25519.PublicKey) }

// film is 12 s of test picture and sound, a keyframe every second, made by
// ffmpeg once for all tests.
func film(t testing.TB, c media.Container) []byte {
	t.Helper()
	b, err := films[c]()
	if err != nil {
		t.Skip("no test film: ", err)
	}
	return b
}

var films = map[media.Container]func() ([]byte, error){
	media.FLV: sync.OnceValues(func() ([]byte, error) { return shoot("film.flv", "-f", "flv") }),
	media.FMP4: sync.OnceValues(func() ([]byte, error) {
		return shoot("film.mp4", "-f", "mp4", "-movflags", "empty_moov+default_base_moof+frag_keyframe+frag_every_frame")
	}),
}

func shoot(name string, format ...string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "xp2p-film-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, name)
	args := []string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25", "-f", "lavfi", "-i", "sine=r=44100", "-t", "12",
		"-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-bf", "2", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "64k"}
	if out, err := exec.Command("ffmpeg", append(append(args, format...), file)...).CombinedOutput(); err != nil {
		return nil, &exec.Error{Name: "ffmpeg " + string(out), Err: err}
	}
	return os.ReadFile(file)
}

// slice cuts a stream as xp2p-slice does when its input comes in small reads.
func slice(t testing.TB, c media.Container, epoch int64, in []byte) (recs []segment.Record) {
	t.Helper()
	cutter := segment.NewCutter(segment.CutterConfig{Container: c, Epoch: epoch, Key: testKey})
	drain := func() {
		for rec, ok := cutter.Next(); ok; rec, ok = cutter.Next() {
			rec.Body = bytes.Clone(rec.Body)
			recs = append(recs, rec)
		}
	}
	for len(in) > 0 {
		n := min(len(in), 4096)
		cutter.Feed(in[:n])
		in = in[n:]
		cutter.Sign()
		drain()
	}
	cutter.Finish()
	drain()
	return recs
}

func newRoom(t testing.TB, c store.RoomConfig) *store.Room {
	t.Helper()
	if c.Name == "" {
		c.Name = "match"
	}
	c.Key = publicKey()
	if c.Window == 0 {
		c.Window = time.Hour
	}
	r, err := store.NewRoom(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func appendAll(t testing.TB, r *store.Room, recs []segment.Record) {
	t.Helper()
	for _, rec := range recs {
		if err := r.Append(rec); err != nil {
			t.Fatal(err)
		}
	}
}

// serve runs a real server on loopback for some rooms.
func serve(t testing.TB, c Config, rooms ...*store.Room) (*Handler, string) {
	t.Helper()
	s := store.New()
	for _, r := range rooms {
		if err := s.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	h := NewHandler(s, c)
	srv := httptest.NewUnstartedServer(h)
	srv.Config = NewServer(h)
	srv.Start()
	t.Cleanup(func() {
		h.Stop()
		srv.CloseClientConnections()
		srv.Close()
	})
	return h, srv.URL
}

func get(t testing.TB, url string, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func newClient(t testing.TB, base string) *Client {
	t.Helper()
	c, err := NewClient(ClientConfig{Base: base, Room: "match", Key: publicKey(), Backoff: func(int) time.Duration { return time.Millisecond }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

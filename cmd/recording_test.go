package cmd_test

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// recorded slices content as a recording and serves its directory.
func recorded(t *testing.T, name string, content []byte) (url string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, launch{}, "slice", "-q", "--vod", "--segment", "64k", file, "-o", dir).wantExit(20*time.Second, 0)
	return base(seed(t, launch{}, dir)) + "/" + name
}

func TestARecordingIsSavedExactly(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	noise := make([]byte, 1_000_001)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	for name, content := range map[string][]byte{
		"film.flv": read(t, clip{seconds: 4}.file(t)),
		"noise":    noise,
		"one":      {42},
	} {
		t.Run(name, func(t *testing.T) {
			url := recorded(t, name, content)
			file := filepath.Join(t.TempDir(), "saved")
			run(t, launch{}, "peer", "-q", "-o", file, url).wantExit(20*time.Second, 0)
			if got := read(t, file); !bytes.Equal(got, content) {
				t.Errorf("%d bytes were saved, %d were sliced, or they differ", len(got), len(content))
			}
			p := run(t, launch{}, "peer", "-q", url)
			p.wantExit(20*time.Second, 0)
			if got := p.out.bytes(); !bytes.Equal(got, content) {
				t.Errorf("%d bytes were written, %d were sliced, or they differ", len(got), len(content))
			}
		})
	}
}

// A gatekeeper passes requests on to a seed until it has seen enough segments.
type gatekeeper struct {
	proxy    *httputil.ReverseProxy
	mu       sync.Mutex
	segments []string
	limit    int
}

func (g *gatekeeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	if strings.Contains(r.URL.Path, "/segments/") && !strings.HasSuffix(r.URL.Path, "/pieces") {
		g.segments = append(g.segments, r.URL.Path)
	}
	over := len(g.segments) > g.limit
	g.mu.Unlock()
	if over {
		<-r.Context().Done() // no answer
		return
	}
	g.proxy.ServeHTTP(w, r)
}

func (g *gatekeeper) seen() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.segments)
}

func TestARecordingIsResumedWhereItWasCutOff(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(8, 9))
	content := make([]byte, 20*64<<10+777)
	for i := range content {
		content[i] = byte(rng.Uint32())
	}
	target, err := url.Parse(recorded(t, "noise", content))
	if err != nil {
		t.Fatal(err)
	}
	target.Path = ""
	serve := func(limit int) (*gatekeeper, string) {
		g := &gatekeeper{proxy: httputil.NewSingleHostReverseProxy(target), limit: limit}
		addr := freePort(t)
		s := &http.Server{Addr: addr, Handler: g}
		go s.ListenAndServe()
		t.Cleanup(func() { s.Close() })
		until(t, 5*time.Second, "the gatekeeper listens", func() bool { return get(t, "http://"+addr+"/v1/rooms/noise/newest") != nil })
		return g, "http://" + addr + "/noise"
	}
	file := filepath.Join(t.TempDir(), "saved")
	g, at := serve(12)
	p := run(t, launch{}, "peer", "-q", "-o", file, at)
	until(t, 20*time.Second, "half of it is saved", func() bool {
		info, err := os.Stat(file)
		return err == nil && info.Size() >= 10*64<<10 && g.seen() > 12
	})
	p.cmd.Process.Kill()
	<-p.ended

	// What the disk took of the last write need not be whole.
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.Write(bytes.Repeat([]byte("torn"), 5000))
	f.Close()

	g, at = serve(100)
	run(t, launch{}, "peer", "-q", "-o", file, at).wantExit(20*time.Second, 0)
	if got := read(t, file); !bytes.Equal(got, content) {
		t.Errorf("%d bytes were saved, %d were sliced, or they differ", len(got), len(content))
	}
	if n := g.seen(); n > 11 {
		t.Errorf("%d segments were asked for again; 21 in all, 10 and more were there", n)
	}
}

// A directory that xp2p-slice wrote of a live stream is a room as well.
func TestALiveDirectoryIsServed(t *testing.T) {
	t.Parallel()
	in := read(t, clip{seconds: 4}.file(t))
	dir := filepath.Join(t.TempDir(), room)
	p := run(t, launch{in: bytes.NewReader(in)}, "slice", "-q", "-o", dir)
	p.wantExit(20*time.Second, 0)
	v := viewer(t, base(seed(t, launch{}, dir))+"/"+room, "--start", "oldest")
	v.wantExit(20*time.Second, 0)
	if got := v.out.bytes(); !bytes.Equal(got, in) {
		t.Errorf("%d bytes came out, %d went in, or they differ", len(got), len(in))
	}
}

package cmd_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// get fetches a document; nothing, if there is none yet.
func get(t testing.TB, url string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil
	}
	return body
}

// counters are the members of /stat and --stats that scripts may rely on.
type counters struct {
	PeerBytes     *int64            `json:"peer_bytes"`
	SeedBytes     *int64            `json:"seed_bytes"`
	OriginBytes   *int64            `json:"origin_bytes"`
	RelayBytes    *int64            `json:"relay_bytes"`
	UploadedBytes *int64            `json:"uploaded_bytes"`
	ShareRatio    *float64          `json:"share_ratio"`
	LagMS         *int64            `json:"lag_ms"`
	BufferMS      *int64            `json:"buffer_ms"`
	StartupMS     *int64            `json:"startup_ms"`
	Neighbours    []json.RawMessage `json:"neighbours"`
}

func (c *counters) missing() (names []string) {
	for name, absent := range map[string]bool{
		"peer_bytes": c.PeerBytes == nil, "seed_bytes": c.SeedBytes == nil, "origin_bytes": c.OriginBytes == nil,
		"relay_bytes": c.RelayBytes == nil, "uploaded_bytes": c.UploadedBytes == nil, "share_ratio": c.ShareRatio == nil,
		"lag_ms": c.LagMS == nil, "buffer_ms": c.BufferMS == nil, "startup_ms": c.StartupMS == nil, "neighbours": c.Neighbours == nil,
	} {
		if absent {
			names = append(names, name)
		}
	}
	return names
}

// The seed and the peer serve ordinary players, the peer also its counters.
func TestAnyPlayerPlaysFromSeedAndPeer(t *testing.T) {
	b := onAir(t, clip{seconds: 10}.live(t, asFLV))
	at, stats := freePort(t), filepath.Join(t.TempDir(), "stats")
	p := viewer(t, b.url, "--http", at, "--stats", stats)
	other := viewer(t, b.url)
	playing(t, p, other)

	fromPeer := run(t, launch{}, "ffmpeg", "-nostdin", "-v", "warning", "-i", "http://"+at+"/live/"+room+".flv", "-t", "3", "-f", "null", "-")
	fromSeed := run(t, launch{}, "ffmpeg", "-nostdin", "-v", "warning", "-i", b.base+"/live/"+room+".flv", "-t", "3", "-f", "null", "-")
	copied := run(t, launch{}, "curl", "-sN", "http://"+at+"/live/"+room+".flv")
	for _, player := range []*process{fromPeer, fromSeed} {
		player.wantExit(20*time.Second, 0)
		if said := player.errs.String(); said != "" {
			t.Errorf("ffmpeg on %s says:\n%s", player.cmd.Args[5], last(said, 600))
		}
	}
	var c counters
	until(t, 5*time.Second, "/stat has every name", func() bool {
		c = counters{}
		return json.Unmarshal(get(t, "http://"+at+"/stat"), &c) == nil && len(c.missing()) == 0 && len(c.Neighbours) > 0
	})
	b.wantAll(p, other)
	copied.wantExit(10*time.Second, 0)
	walk(b.input.bytes()).wantEnd(t, "curl on the peer", copied.out.bytes())

	lines := strings.Split(strings.TrimSpace(string(read(t, stats))), "\n")
	c = counters{}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &c); err != nil {
		t.Fatal(err)
	}
	if m := c.missing(); len(m) > 0 || len(lines) < 5 {
		t.Errorf("--stats: %d lines, the last without %v: %s", len(lines), m, lines[len(lines)-1])
	}
	sum := *c.PeerBytes + *c.SeedBytes + *c.OriginBytes + *c.RelayBytes
	if out := int64(p.out.len()); sum < out*9/10 || sum > out*13/10 {
		t.Errorf("--stats counts %d bytes of payload, %d were written", sum, out)
	}
	t.Logf("start-up %d ms, lag %d ms, buffer %d ms, share %.2f", *c.StartupMS, *c.LagMS, *c.BufferMS, *c.ShareRatio)
}

// One viewer's slices feed another seed, whose viewers see the same bytes.
func TestSlicesFeedAnotherSeed(t *testing.T) {
	b := onAir(t, clip{seconds: 8}.live(t, asFLV))
	r, w := pipe(t)
	run(t, launch{out: w}, "peer", "-q", "--format", "slices", b.url)
	w.Close()
	second := seed(t, launch{in: r}, "--room", room)
	r.Close()
	p := viewer(t, base(second)+"/"+room)
	b.wantAll(p)
}

// A browser plays fragmented MP4 through the page that the peer serves.
func TestABrowserPlays(t *testing.T) {
	name := ""
	for _, n := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if _, err := exec.LookPath(n); err == nil {
			name = n
			break
		}
	}
	if name == "" {
		t.Skip("there is no Chromium here")
	}
	if testing.Short() {
		t.Skip("a browser takes long to start")
	}
	b := onAir(t, clip{seconds: 30}.live(t, asFrame))
	at := freePort(t)
	p := viewer(t, b.url, "--http", at)
	playing(t, p)
	// The browser's files outlive it by a moment: its own directory, removed
	// when all its processes are gone.
	profile, err := os.MkdirTemp("", "xp2p-browser-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { eventually(t, 5*time.Second, func() bool { return os.RemoveAll(profile) == nil }) })
	run(t, launch{}, name, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--autoplay-policy=no-user-gesture-required",
		"--user-data-dir="+profile, "--remote-debugging-port=0", "http://"+at+"/")

	page := debugged(t, profile)
	type state struct {
		Time  float64 `json:"time"`
		Ready int     `json:"ready"`
		Error string  `json:"error"`
		Said  string  `json:"said"`
		Width int     `json:"width"`
	}
	look := func() (s state) {
		text := page.evaluate(t, `(() => { const v = document.querySelector('video'); return JSON.stringify(v ? {time: v.currentTime, ready: v.readyState, width: v.videoWidth,
			error: v.error ? v.error.message || 'error ' + v.error.code : '', said: document.documentElement.dataset.state || ''} : {}); })()`)
		json.Unmarshal([]byte(text), &s)
		return s
	}
	var first, then state
	until(t, 25*time.Second, "the browser plays", func() bool {
		first = look()
		return first.Error != "" || first.Time > 0 && first.Ready >= 3
	})
	until(t, 15*time.Second, "the browser goes on playing", func() bool {
		then = look()
		return then.Error != "" || then.Time > first.Time+2
	})
	t.Logf("currentTime went from %.2f to %.2f, %d pixels wide, the page says %q", first.Time, then.Time, then.Width, then.Said)
	if then.Error != "" || then.Width != 320 {
		t.Errorf("the browser's player: %+v", then)
	}
}

// A debuggee is a page of a browser, asked over its debugging port.
type debuggee struct {
	ws *websocket.Conn
	id int
}

func debugged(t *testing.T, profile string) *debuggee {
	t.Helper()
	var port, url string
	until(t, 20*time.Second, "the browser has started", func() bool {
		b, err := os.ReadFile(filepath.Join(profile, "DevToolsActivePort"))
		if err != nil {
			return false
		}
		port, _, _ = strings.Cut(string(b), "\n")
		var pages []struct {
			Type string `json:"type"`
			URL  string `json:"webSocketDebuggerUrl"`
		}
		json.Unmarshal(get(t, "http://127.0.0.1:"+port+"/json/list"), &pages)
		for _, p := range pages {
			if p.Type == "page" {
				url = p.URL
			}
		}
		return url != ""
	})
	ws, _, err := websocket.Dial(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(16 << 20)
	t.Cleanup(func() { ws.CloseNow() })
	return &debuggee{ws: ws}
}

// evaluate runs an expression in the page and returns its value, a string.
func (d *debuggee) evaluate(t *testing.T, expression string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	d.id++
	q, err := json.Marshal(map[string]any{"id": d.id, "method": "Runtime.evaluate", "params": map[string]any{"expression": expression}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.ws.Write(ctx, websocket.MessageText, q); err != nil {
		t.Fatal(err)
	}
	for {
		_, b, err := d.ws.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var a struct {
			ID     int `json:"id"`
			Result struct {
				Result struct {
					Value string `json:"value"`
				} `json:"result"`
			} `json:"result"`
		}
		if err := json.Unmarshal(b, &a); err != nil {
			t.Fatal(fmt.Errorf("the browser answered %q: %w", b, err))
		}
		if a.ID == d.id {
			return a.Result.Result.Value
		}
	}
}

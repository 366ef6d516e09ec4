package origin

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/store"
)

func TestPageSaysHowTheRoomIsCoded(t *testing.T) {
	room := newRoom(t, store.RoomConfig{Container: media.FMP4})
	_, base := serve(t, Config{Parts: Live | Page}, room)
	var p Play
	ask := func() {
		t.Helper()
		p = Play{}
		if err := json.NewDecoder(get(t, base+"/play/match.json").Body).Decode(&p); err != nil {
			t.Fatal(err)
		}
	}
	if ask(); p.MIME != "" || p.URL != "/live/match.mp4" {
		t.Errorf("an empty room: %+v", p)
	}
	appendAll(t, room, slice(t, media.FMP4, 1000, film(t, media.FMP4)))
	if ask(); !strings.HasPrefix(p.MIME, `video/mp4; codecs="avc1.`) || !strings.Contains(p.MIME, "mp4a.40.2") {
		t.Errorf("codecs: %+v", p)
	}
	for _, path := range []string{"/", "/play/match"} {
		resp := get(t, base+path)
		b, _ := io.ReadAll(resp.Body)
		if !strings.Contains(string(b), `data-room="match"`) || strings.Contains(string(b), "{{") || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: %s %s", path, resp.Status, b)
		}
	}
	if resp := get(t, base+"/v1/rooms/match/newest"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("content is served though it was not asked for: %s", resp.Status)
	}
}

// A real browser plays the page: its clock advances and it reports no error.
func TestBrowserPlaysThePage(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser takes seconds")
	}
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		t.Skip("no chromium here")
	}
	// On a busy machine a browser may take for ever to start a page's media.
	for try := range 3 {
		why := played(t, program)
		if why == "" {
			return
		}
		t.Logf("browser %d: %s", try+1, why)
	}
	t.Error("three browsers in a row do not play the page")
}

// played shows a page to a browser, and returns what went wrong.
func played(t *testing.T, program string) (why string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	room := newRoom(t, store.RoomConfig{Container: media.FMP4})
	_, base := serve(t, Config{Parts: Live | Page}, room)
	recs := slice(t, media.FMP4, 1000, film(t, media.FMP4))
	appendAll(t, room, recs[:len(recs)/2])

	// The browser's children may still write when it has been killed.
	profile, err := os.MkdirTemp("", "xp2p-browser-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(profile) })
	cmd := exec.CommandContext(ctx, program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--autoplay-policy=no-user-gesture-required", "--user-data-dir="+profile, "--remote-debugging-port=0", base+"/")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skip("chromium does not start: ", err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	lines := bufio.NewScanner(stderr)
	tools := ""
	for tools == "" && lines.Scan() {
		_, tools, _ = strings.Cut(lines.Text(), "DevTools listening on ")
	}
	if tools == "" {
		t.Skip("chromium does not open its DevTools")
	}
	go func() { _, _ = io.Copy(io.Discard, stderr) }()

	b := dial(ctx, t, tools)
	// The rest of the film comes while the page plays.
	if _, err := b.evaluate(`new Promise(done => { const t = setInterval(() => { if (video.currentTime > 0.5 || video.error) { clearInterval(t); done() } }, 20) })`); err != nil {
		return "it does not begin: " + err.Error()
	}
	appendAll(t, room, recs[len(recs)/2:])
	at, err := b.evaluate(`new Promise(done => { const t = setInterval(() => { if (video.currentTime > 3 || video.error) { clearInterval(t); done(video.currentTime) } }, 20) })`)
	if err != nil {
		return "it does not go on: " + err.Error()
	}
	room.Close()
	state, err := b.evaluate(`new Promise(done => { const t = setInterval(() => { const s = document.documentElement.dataset.state; if (s === 'ended' || video.error) { clearInterval(t); done(s + ', ' + (video.error ? video.error.message : 'no error') + ', ' + video.currentTime) } }, 20) })`)
	if err != nil {
		return "it does not end: " + err.Error()
	}
	t.Logf("at %v s, then %v", at, state)
	if s, _ := state.(string); !strings.HasPrefix(s, "ended, no error") {
		t.Errorf("the page says %v", state)
	}
	if f, _ := at.(float64); f <= 3 {
		t.Errorf("the clock stands at %v s", at)
	}
	return ""
}

// A browser is a page under DevTools.
type browser struct {
	t    *testing.T
	ctx  context.Context
	conn *websocket.Conn
	id   int
}

func dial(ctx context.Context, t *testing.T, tools string) *browser {
	t.Helper()
	u, err := url.Parse(strings.TrimSpace(tools))
	if err != nil {
		t.Fatal(err)
	}
	var pages []struct {
		Type string `json:"type"`
		URL  string `json:"webSocketDebuggerUrl"`
	}
	if err := json.NewDecoder(get(t, "http://"+u.Host+"/json/list").Body).Decode(&pages); err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		if p.Type == "page" {
			conn, _, err := websocket.Dial(ctx, p.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.CloseNow() })
			conn.SetReadLimit(1 << 20)
			return &browser{t: t, ctx: ctx, conn: conn}
		}
	}
	t.Fatal("no page under DevTools")
	return nil
}

// evaluate runs an expression in the page, and waits for its promise. The error is
// the browser's, that it does not answer.
func (b *browser) evaluate(expression string) (any, error) {
	b.t.Helper()
	b.id++
	type object = map[string]any
	msg, _ := json.Marshal(object{"id": b.id, "method": "Runtime.evaluate", "params": object{"expression": expression, "awaitPromise": true, "returnByValue": true}})
	if err := b.conn.Write(b.ctx, websocket.MessageText, msg); err != nil {
		return nil, err
	}
	for {
		_, msg, err := b.conn.Read(b.ctx)
		if err != nil {
			return nil, err
		}
		var answer struct {
			ID     int `json:"id"`
			Result struct {
				Result           struct{ Value any }
				ExceptionDetails any
			}
		}
		if err := json.Unmarshal(msg, &answer); err != nil {
			b.t.Fatal(err)
		}
		if answer.ID == b.id {
			if e := answer.Result.ExceptionDetails; e != nil {
				b.t.Fatalf("the page throws %v", e)
			}
			return answer.Result.Result.Value, nil
		}
	}
}

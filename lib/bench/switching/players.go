package switching

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

//go:embed mse.html
var page []byte

// A browser is a Chromium that plays files of one page, one after the other.
type browser struct {
	cmd     *exec.Cmd
	server  *http.Server
	profile string
	ask     chan string // a file to play
	answer  chan string // what came of it; "" is all well
}

// Close ends what was started.
func (b *Bench) Close() {
	if b.browser != nil {
		_ = b.browser.cmd.Process.Kill()
		_ = b.browser.cmd.Wait()
		_ = b.browser.server.Close()
		_ = os.RemoveAll(b.browser.profile)
		b.browser = nil
	}
}

// Play hands the outcome of a switch to the players that are there: VLC, and a
// headless Chromium for fragmented MP4 of H.264 and, with mpegts.js, for FLV.
func (b *Bench) Play(ctx context.Context, r *Result) error {
	if err := vlc(ctx, r); err != nil {
		return err
	}
	if r.Cell.HEVC || !r.Cell.MP4 && b.MPEGTS == "" {
		return ctx.Err()
	}
	if b.browser == nil && !b.noBrowser {
		if err := b.startBrowser(); err != nil {
			b.noBrowser = true
		}
	}
	if b.noBrowser {
		return ctx.Err()
	}
	why := ""
	select {
	case b.browser.ask <- r.Path:
		select {
		case why = <-b.browser.answer:
		case <-time.After(40 * time.Second):
			why = "no answer"
		case <-ctx.Done():
			return ctx.Err()
		}
	case <-time.After(40 * time.Second):
		b.noBrowser = true // it does not open the page
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	player := "chromium-mse"
	if !r.Cell.MP4 {
		player = "chromium-mpegts.js"
	}
	r.Players = append(r.Players, player)
	if why != "" {
		r.fail("Chromium says: %s", why)
	}
	return nil
}

// vlc plays four times as fast as it should, from stdin, if VLC is there. It does not
// work for root: then it is started as nobody.
func vlc(ctx context.Context, r *Result) error {
	args := []string{"vlc", "-I", "dummy", "--no-dbus", "--no-audio", "--aout", "none", "--vout", "dummy", "--rate", "4",
		"--no-skip-frames", "--no-drop-late-frames", "--no-avcodec-hurry-up", // all pictures, on a busy machine, too
		"--play-and-exit", "-", "vlc://quit"}
	if os.Geteuid() == 0 {
		args = append([]string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", "HOME=/nonexistent"}, args...)
	}
	for _, program := range []string{"vlc", args[0]} {
		if _, err := exec.LookPath(program); err != nil {
			return ctx.Err()
		}
	}
	f, err := os.Open(r.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	limit, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(limit, args[0], args[1:]...)
	cmd.Stdin = f
	out, err := cmd.CombinedOutput()
	said := string(out)
	if !strings.Contains(said, "dummy interface") {
		return ctx.Err() // it does not start here
	}
	r.Players = append(r.Players, "vlc")
	if err != nil {
		r.fail("VLC: %v", err)
	}
	for line := range strings.Lines(said) {
		machine := strings.Contains(line, "interface") || strings.Contains(line, "audio output") // of this one, not of the stream
		if strings.Contains(line, "error") && !machine || strings.HasPrefix(line, "[h264 @") || strings.HasPrefix(line, "[hevc @") {
			r.fail("VLC says: %s", strings.TrimSpace(line))
			break
		}
	}
	return ctx.Err()
}

// startBrowser starts a Chromium on a page that asks this process for files.
func (b *Bench) startBrowser() error {
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			program = p
			break
		}
	}
	if program == "" {
		return exec.ErrNotFound
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	w := &browser{ask: make(chan string), answer: make(chan string, 1)}
	mux := http.NewServeMux()
	now := ""
	mux.HandleFunc("GET /", func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(page) })
	mux.HandleFunc("GET /next", func(rw http.ResponseWriter, q *http.Request) {
		select {
		case now = <-w.ask:
			fmt.Fprint(rw, filepath.Ext(now))
		case <-q.Context().Done():
		}
	})
	mux.HandleFunc("GET /mpegts.js", func(rw http.ResponseWriter, q *http.Request) { http.ServeFile(rw, q, b.MPEGTS) })
	mux.HandleFunc("GET /film", func(rw http.ResponseWriter, q *http.Request) { http.ServeFile(rw, q, now) })
	mux.HandleFunc("POST /done", func(_ http.ResponseWriter, q *http.Request) {
		text, _ := io.ReadAll(io.LimitReader(q.Body, 4096))
		w.answer <- string(text)
	})
	w.server = &http.Server{Handler: mux}
	go func() { _ = w.server.Serve(l) }()
	if w.profile, err = os.MkdirTemp("", "xp2p-browser-"); err != nil {
		return err
	}
	w.cmd = exec.Command(program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--autoplay-policy=no-user-gesture-required", "--user-data-dir="+w.profile, "--remote-debugging-port=0", "http://"+l.Addr().String()+"/")
	if err := w.cmd.Start(); err != nil {
		return err
	}
	b.browser = w
	return nil
}

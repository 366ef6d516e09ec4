package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/tool"
)

// crowded stands before a seed and refuses the first so many requests for the
// start.
func crowded(t *testing.T, room string, refuse int64) (to string, asked *atomic.Int64) {
	t.Helper()
	at, err := url.Parse(room)
	if err != nil {
		t.Fatal(err)
	}
	asked = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/start") && asked.Add(1) <= refuse {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		resp, err := http.Get("http://" + at.Host + r.URL.RequestURI())
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}))
	t.Cleanup(s.Close)
	return s.URL + at.Path, asked
}

// played runs a viewer that gives up after so long alone.
func played(t *testing.T, url string, lonely time.Duration) (out []byte, code int, says string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	o := &options{start: "oldest", format: "media", listen: "127.0.0.1:0", window: time.Hour, windowBytes: localWindowBytes, lonely: lonely}
	code = tool.Run(t.Context(), commandWith(o), []string{"-q", "--start", "oldest", url}, tool.Streams{In: bytes.NewReader(nil), Out: &stdout, Err: &stderr})
	return stdout.Bytes(), code, stderr.String()
}

func TestAViewerWhoIsRefusedAsksAgain(t *testing.T) {
	content := minute()
	url, asked := crowded(t, onAir(t, content), 1)
	out, code, says := played(t, url, lonely)
	if code != 0 || !bytes.Equal(out, content) {
		t.Errorf("code %d, %d of %d bytes, or they differ; says %q", code, len(out), len(content), says)
	}
	if n := asked.Load(); n < 2 || n > 4 {
		t.Errorf("%d requests for the start", n)
	}
}

func TestAViewerForWhomThereIsNoRoomAndNobodyElseGivesUp(t *testing.T) {
	url, asked := crowded(t, onAir(t, minute()), 1<<30)
	out, code, says := played(t, url, 300*time.Millisecond)
	if code != 5 || len(out) > 0 || !strings.Contains(says, "no room") || !strings.Contains(says, "hint") {
		t.Errorf("code %d, %d bytes, says %q", code, len(out), says)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("%d requests for the start: a second has not passed", n)
	}
}

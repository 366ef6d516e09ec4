package origin

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/store"
)

func TestContentIsImmutable(t *testing.T) {
	flv := film(t, media.FLV)
	room := newRoom(t, store.RoomConfig{Container: media.FLV})
	recs := slice(t, media.FLV, 1000, flv)
	appendAll(t, room, recs)
	h, base := serve(t, Config{}, room)
	base += "/v1/rooms/match/"

	var piece, init, seg segment.Record
	var pieces []segment.Record
	for _, rec := range recs {
		switch rec.Kind {
		case segment.KindPiece:
			piece = rec
			pieces = append(pieces, rec)
		case segment.KindInit:
			init = rec
		case segment.KindSegment:
			if rec.Segment.Seq == 3 {
				seg = rec
			}
		}
	}
	var body []byte
	var list []segment.Hash
	for _, p := range pieces {
		if p.Piece.Seq == 3 {
			body = append(body, p.Body...)
			list = append(list, p.Piece.SHA256)
		}
	}
	for _, tt := range []struct {
		path string
		want []byte
	}{
		{"pieces/" + piece.Piece.SHA256.String(), piece.Body},
		{"inits/" + init.Init.Hash.String(), init.Body},
		{"segments/" + seg.Segment.Name(), body},
	} {
		resp := get(t, base+tt.path)
		got, err := io.ReadAll(resp.Body)
		etag := resp.Header.Get("ETag")
		if err != nil || resp.StatusCode != 200 || !bytes.Equal(got, tt.want) {
			t.Errorf("%s: %s, %d bytes, %v", tt.path, resp.Status, len(got), err)
		}
		if c := resp.Header.Get("Cache-Control"); c != "public, max-age=31536000, immutable" || len(etag) < 10 || etag[0] != '"' {
			t.Errorf("%s: Cache-Control %q, ETag %q", tt.path, c, etag)
		}
		if o := resp.Header.Get("Access-Control-Allow-Origin"); o != "*" {
			t.Errorf("%s: Access-Control-Allow-Origin %q", tt.path, o)
		}
		if resp = get(t, base+tt.path, "If-None-Match", etag); resp.StatusCode != http.StatusNotModified {
			t.Errorf("%s with its ETag: %s", tt.path, resp.Status)
		}
		resp = get(t, base+tt.path, "Range", "bytes=10-19")
		if got, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusPartialContent || !bytes.Equal(got, tt.want[10:20]) {
			t.Errorf("%s, ten bytes of it: %s, %d bytes", tt.path, resp.Status, len(got))
		}
		if resp = get(t, base+tt.path, "Range", "bytes=99999999-"); resp.StatusCode != http.StatusRequestedRangeNotSatisfiable {
			t.Errorf("%s, a range behind its end: %s", tt.path, resp.Status)
		}
		resp, err = http.Head(base + tt.path)
		if err != nil || resp.ContentLength != int64(len(tt.want)) {
			t.Errorf("HEAD %s: %d bytes, %v", tt.path, resp.ContentLength, err)
		}
		resp.Body.Close()
	}
	resp := get(t, base+"segments/"+seg.Segment.Name()+"/pieces")
	if got, _ := io.ReadAll(resp.Body); sha256.Sum256(got) != seg.Segment.SHA256 || len(got) != 32*len(list) {
		t.Errorf("the list of pieces does not have the segment's hash: %s, %d bytes", resp.Status, len(got))
	}
	if n := h.Served().PieceBytes.Load(); n < int64(len(piece.Body))+10 || n > int64(len(piece.Body))+100 {
		t.Errorf("%d bytes of pieces were counted", n)
	}

	// A piece by its place, with its proof.
	c := newClient(t, strings.TrimSuffix(base, "/v1/rooms/match/"))
	got, err := c.At(t.Context(), segment.ID{Epoch: 1000, Seq: 3, Index: 2}, 3)
	if err != nil || len(got) != 3 || got[0].Piece.Index != 2 || !bytes.Equal(got[2].Body, pieces[indexOf(pieces, 3, 4)].Body) {
		t.Errorf("At: %d records, %v", len(got), err)
	}
	// A run that reaches beyond the segment is answered as far as it goes.
	if got, err := c.At(t.Context(), segment.ID{Epoch: 1000, Seq: 3}, maxRun); err != nil || len(got) != len(list) {
		t.Errorf("At: %d records, %v", len(got), err)
	}
	resp = get(t, base+"at/1000-999-0")
	if cc := resp.Header.Get("Cache-Control"); resp.StatusCode != 404 || cc != "public, max-age=1" {
		t.Errorf("a piece to come: %s, %s", resp.Status, cc)
	}

	// The newest document.
	resp = get(t, base+"newest")
	var n Newest
	if err := json.NewDecoder(resp.Body).Decode(&n); err != nil {
		t.Fatal(err)
	}
	if n.Edge == nil || n.Edge.ID() != pieces[len(pieces)-1].Piece.ID || n.Keyframe == nil || n.Container != "flv" || n.Mode != "live" ||
		len(n.Segments) == 0 || n.Init != init.Init.Hash.String() || n.Segments[len(n.Segments)-1].SHA256 == "" {
		t.Errorf("newest: %+v", n)
	}
	if cc := resp.Header.Get("Cache-Control"); cc != "public, max-age=1" {
		t.Errorf("newest: Cache-Control %q", cc)
	}
}

func indexOf(pieces []segment.Record, seq int64, index int) int {
	for i, p := range pieces {
		if p.Piece.Seq == seq && p.Piece.Index == index {
			return i
		}
	}
	return 0
}

func TestStartIsASliceStream(t *testing.T) {
	flv := film(t, media.FLV)
	room := newRoom(t, store.RoomConfig{Container: media.FLV})
	recs := slice(t, media.FLV, 1000, flv)
	appendAll(t, room, recs)
	room.Close()
	_, base := serve(t, Config{}, room)

	rd := segment.NewReader(get(t, base+"/v1/rooms/match/start?from=oldest").Body)
	v := segment.NewVerifier(publicKey())
	n := 0
	for {
		rec, err := rd.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Verify(&rec); err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != len(recs)+1 {
		t.Errorf("%d records, want %d and the header", n, len(recs))
	}

	// A peer that only wants the start says so.
	rd = segment.NewReader(get(t, base+"/v1/rooms/match/start?from=oldest&pieces=3").Body)
	pieces := 0
	for rec, err := rd.Next(); err == nil; rec, err = rd.Next() {
		if rec.Kind == segment.KindPiece {
			pieces++
		}
	}
	if pieces != 3 {
		t.Errorf("%d pieces, want 3", pieces)
	}
}

// A thousand requests that nobody should send: each gets the right status, and
// none an answer that says more.
func TestBadRequests(t *testing.T) {
	room := newRoom(t, store.RoomConfig{Container: media.FLV})
	h, base := serve(t, Config{Parts: Content | Live | Page}, room)
	sum := strings.Repeat("a", 64)
	for _, tt := range []struct {
		path string
		want int
	}{
		{"/v1", 404}, {"/v1/rooms", 404}, {"/v1/rooms/match", 404}, {"/v1/rooms/match/", 404}, {"/v1/rooms/other/newest", 404},
		{"/v1/rooms/../newest", 400}, {"/v1/rooms/%2e%2e/newest", 400}, {"/v1/rooms/..%2f..%2fetc/newest", 400}, {"/v1/rooms/stat/newest", 400},
		{"/v1/rooms//newest", 400}, {"/v1/rooms/match//newest", 404}, {"//v1/rooms/match/newest", 404}, {"/v1/rooms/match/newest/", 404},
		{"/v1/rooms/match/pieces/" + sum, 404}, {"/v1/rooms/match/pieces/" + strings.ToUpper(sum), 400}, {"/v1/rooms/match/pieces/" + sum[:63], 400},
		{"/v1/rooms/match/pieces/../../../etc/passwd", 404}, {"/v1/rooms/match/pieces/", 400}, {"/v1/rooms/match/pieces", 404},
		{"/v1/rooms/match/inits/zz", 400}, {"/v1/rooms/match/segments/1-2-3", 400}, {"/v1/rooms/match/segments/1-2-" + sum[:16], 404},
		{"/v1/rooms/match/segments/1-2-" + sum[:16] + "/pieces", 404}, {"/v1/rooms/match/segments/1-2-" + sum[:16] + "/other", 404},
		{"/v1/rooms/match/at/1-2", 400}, {"/v1/rooms/match/at/1-2-3", 404}, {"/v1/rooms/match/at/1-2-3..2", 400}, {"/v1/rooms/match/at/1-2-0..99999", 400},
		{"/v1/rooms/match/at/1-2-3..", 400}, {"/v1/rooms/match/at/1-2-3..-4", 400}, {"/v1/rooms/match/index", 404},
		{"/v1/rooms/match/start?from=now", 400}, {"/v1/rooms/match/start?from=-5s", 400}, {"/v1/rooms/match/start?after=x", 400},
		{"/v1/rooms/match/start?after=1-2-3&from=live", 400}, {"/v1/rooms/match/start?pieces=0", 400}, {"/v1/rooms/match/start?for=0s", 400}, {"/v1/rooms/match/start?for=x", 400}, {"/v1/rooms/match/start?after=1-2-3", 404},
		{"/live/match", 404}, {"/live/match.mp4", 404}, {"/live/match.raw", 404}, {"/live/match.flv/x", 404}, {"/live/.flv", 400}, {"/live/live.flv", 400},
		{"/live/..flv", 400}, {"/play/", 400}, {"/play/a/b", 404}, {"/x", 404}, {"/favicon.ico", 404}, {"/live/match.flv?from=x", 400}, {"/\x00", 404},
	} {
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		path, query, _ := strings.Cut(tt.path, "?")
		u.Opaque = "//" + u.Host + strings.ReplaceAll(path, "\x00", "%00")
		u.RawQuery = query
		resp, err := http.DefaultClient.Do(&http.Request{Method: "GET", URL: u, Header: http.Header{}})
		if err != nil {
			t.Errorf("%s: %v", tt.path, err)
			continue
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != tt.want {
			t.Errorf("%s: %d, want %d (%s)", tt.path, resp.StatusCode, tt.want, text)
		}
		if len(text) > 200 || strings.Contains(string(text), "etc") {
			t.Errorf("%s: says %q", tt.path, text)
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "BREW"} {
		req, _ := http.NewRequestWithContext(t.Context(), method, base+"/v1/rooms/match/newest", strings.NewReader("x"))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 405 || resp.Header.Get("Allow") == "" {
			t.Errorf("%s: %s", method, resp.Status)
		}
	}

	// Noise on the wire: nothing but refusals, and the server lives.
	rng := rand.New(rand.NewPCG(2, 3))
	words := []string{"/", "v1", "rooms", "match", "pieces", "segments", "at", "..", "%2e", "%00", "1-2-3", sum, "live", ".flv", "?from=", "start", "\\", "é", " ", ":", "@"}
	addr := strings.TrimPrefix(base, "http://")
	for range 1000 {
		var line strings.Builder
		line.WriteString([]string{"GET ", "HEAD ", "POST ", "get ", "\x16\x03\x01", "PRI * ", ""}[rng.IntN(7)])
		for range rng.IntN(9) {
			line.WriteString(words[rng.IntN(len(words))])
		}
		line.WriteString([]string{" HTTP/1.1\r\nHost: x\r\n", " HTTP/1.0\r\n", " HTTP/9.9\r\n", "\r\n", ""}[rng.IntN(5)])
		line.WriteString("Connection: close\r\n\r\n")
		status := raw(t, addr, line.String())
		if status != 0 && (status < 400 || status >= 500) && status != 505 && status != 501 && !(status == 200 && (strings.Contains(line.String(), "start") || strings.HasPrefix(line.String(), "GET / ") || strings.HasPrefix(line.String(), "HEAD / "))) {
			t.Errorf("%q: %d", line.String(), status)
		}
	}
	if resp := get(t, base+"/v1/rooms/match/newest"); resp.StatusCode != 200 {
		t.Errorf("after all that: %s", resp.Status)
	}
	if n := h.Served().Refused.Load(); n < 50 {
		t.Errorf("%d refusals were counted", n)
	}
}

// raw sends bytes and returns the status of the answer, 0 if there was none.
func raw(t *testing.T, addr, request string) (status int) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, request)
	_ = conn.(*net.TCPConn).CloseWrite()
	line, _ := bufio.NewReader(conn).ReadString('\n')
	_, _ = fmt.Sscanf(line, "HTTP/1.1 %d", &status)
	if status == 0 {
		_, _ = fmt.Sscanf(line, "HTTP/1.0 %d", &status)
	}
	return status
}

func TestTooManyStreams(t *testing.T) {
	room := newRoom(t, store.RoomConfig{Container: media.FLV})
	_, base := serve(t, Config{MaxStreams: 1}, room)
	get(t, base+"/live/match.flv")
	if resp := get(t, base+"/live/match.flv"); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("the second of one stream: %s", resp.Status)
	}
}

// Whatever the path, the parser gives a target that only checked names are in.
// A slowWriter takes what it is given and remembers until when it had time.
type slowWriter struct {
	*httptest.ResponseRecorder
	deadlines []time.Time
}

func (s *slowWriter) SetWriteDeadline(t time.Time) error {
	s.deadlines = append(s.deadlines, t)
	return nil
}

func TestWhatHasAnEndMustBeTakenInTime(t *testing.T) {
	room := newRoom(t, store.RoomConfig{Container: media.FLV})
	recs := slice(t, media.FLV, 1000, film(t, media.FLV))
	appendAll(t, room, recs)
	h, _ := serve(t, Config{WriteTimeout: time.Second}, room)
	for _, rec := range recs {
		if rec.Kind != segment.KindSegment || rec.Segment.Size < 2*(32<<10) {
			continue
		}
		for _, path := range []string{"segments/" + rec.Segment.Name(), "at/" + formatRun(segment.ID{Epoch: rec.Segment.Epoch, Seq: rec.Segment.Seq}, rec.Segment.Pieces)} {
			w := &slowWriter{ResponseRecorder: httptest.NewRecorder()}
			h.ServeHTTP(w, httptest.NewRequest("GET", "/v1/rooms/match/"+path, nil))
			latest := time.Now().Add(time.Second + time.Duration(w.Body.Len())*time.Second/minRate)
			if n := len(w.deadlines); w.Code != 200 || n < 2 || w.deadlines[n-1].After(latest) {
				t.Errorf("%s: status %d, %d bytes in %d writes with deadlines %v", path, w.Code, w.Body.Len(), n, w.deadlines)
			}
		}
		return
	}
	t.Error("no segment is large enough")
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{
		"/", "/v1/rooms/match/newest", "/v1/rooms/match/at/1-2-3..9", "/v1/rooms/match/pieces/" + strings.Repeat("a", 64),
		"/v1/rooms/match/segments/1-2-0123456789abcdef/pieces", "/live/match.flv", "/play/match.json", "/v1/rooms/../start", "//", "/live/..flv",
	} {
		f.Add(s)
	}
	h := NewHandler(store.New(), Config{Parts: Content | Live | Page})
	f.Fuzz(func(t *testing.T, path string) {
		target, bad := parseTarget(path)
		if target.kind != noTarget && !bad && target.room != "" && store.CheckName(target.room) != nil {
			t.Errorf("%q names the room %q", path, target.room)
		}
		if target.kind == atTarget && !bad && (target.n < 1 || target.n > maxRun || formatRun(target.id, target.n) != path[strings.LastIndexByte(path, '/')+1:]) {
			t.Errorf("%q is another spelling of %s", path, formatRun(target.id, target.n))
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, &http.Request{Method: "GET", URL: &url.URL{Path: path}})
		if w.Code != 400 && w.Code != 404 && path != "/" {
			t.Errorf("%q: %d", path, w.Code)
		}
	})
}

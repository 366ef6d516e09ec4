package origin

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/store"
)

func TestClientVerifiesWhatItReturns(t *testing.T) {
	room := newRoom(t, store.RoomConfig{Container: media.FLV})
	recs := slice(t, media.FLV, 1000, film(t, media.FLV))
	appendAll(t, room, recs)
	_, base := serve(t, Config{}, room)
	c := newClient(t, base)
	ctx := t.Context()

	n, err := c.Newest(ctx)
	if err != nil {
		t.Fatal(err)
	}
	k := n.Keyframe
	got, err := c.At(ctx, k.ID(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := c.Piece(ctx, got[0].Piece.SHA256); err != nil || !bytes.Equal(b, got[0].Body) {
		t.Errorf("Piece: %v", err)
	}
	if b, err := c.Init(ctx, recs[0].Init.Hash); err != nil || !bytes.Equal(b, recs[0].Body) {
		t.Errorf("Init: %v", err)
	}
	seg := n.Segments[0]
	sum, _ := segment.ParseHash(seg.SHA256)
	if list, err := c.SegmentPieces(ctx, seg.Name, sum); err != nil || len(list) != seg.Pieces {
		t.Errorf("SegmentPieces: %d, %v", len(list), err)
	}
	if _, err := c.Piece(ctx, segment.Hash{1}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a piece that is not there: %v", err)
	}

	// Another key than the one that the viewer pinned.
	other := ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)
	pinned, _ := NewClient(ClientConfig{Base: base, Room: "match", Key: other})
	for name, ask := range map[string]func() error{
		"Newest": func() error { _, err := pinned.Newest(ctx); return err },
		"At":     func() error { _, err := pinned.At(ctx, k.ID(), 1); return err },
		"Start":  func() error { _, err := pinned.Start(ctx, store.Live()); return err },
	} {
		if err := ask(); !errors.Is(err, ErrBadData) {
			t.Errorf("%s under another key: %v, want ErrBadData", name, err)
		}
	}

	// An origin that is not there.
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	away := newClient(t, gone.URL)
	if _, err := away.Start(ctx, store.Live()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("nobody there: %v, want ErrUnreachable", err)
	}
}

// A viewer whose neighbours are late asks for a few pieces, now and again: each time
// that is what comes, over one connection.
func TestAFewPiecesBehindOne(t *testing.T) {
	room := newRoom(t, store.RoomConfig{Container: media.FLV})
	var pieces []*segment.Piece
	for _, rec := range slice(t, media.FLV, 1000, film(t, media.FLV)) {
		appendAll(t, room, []segment.Record{rec})
		if rec.Kind == segment.KindPiece {
			pieces = append(pieces, rec.Piece)
		}
	}
	h, _ := serve(t, Config{}, room)
	var made atomic.Int32
	web := httptest.NewUnstartedServer(h)
	web.Config.ConnState = func(_ net.Conn, to http.ConnState) {
		if to == http.StateNew {
			made.Add(1)
		}
	}
	web.Start()
	t.Cleanup(web.Close)
	c := newClient(t, web.URL)
	const span = 400 * time.Millisecond
	for at := range 5 {
		p, err := c.After(t.Context(), pieces[at].ID, span)
		if err != nil {
			t.Fatal(err)
		}
		var got []segment.ID
		for {
			rec, err := p.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if rec.Kind == segment.KindPiece {
				got = append(got, rec.Piece.ID)
			}
		}
		p.Close()
		var want []segment.ID
		for _, d := range pieces[at+1:] {
			if want = append(want, d.ID); d.DTS-pieces[at+1].DTS >= span.Milliseconds() {
				break
			}
		}
		if !slices.Equal(got, want) || len(want) < 2 {
			t.Errorf("behind %v came %v, want %v", pieces[at].ID, got, want)
		}
	}
	if n := made.Load(); n != 1 {
		t.Errorf("it took %d connections", n)
	}
}

// A proxy in between flips bits: nothing wrong is returned.
func TestClientRefusesWhatWasChangedOnTheWay(t *testing.T) {
	room := newRoom(t, store.RoomConfig{Container: media.FLV})
	recs := slice(t, media.FLV, 1000, film(t, media.FLV))
	appendAll(t, room, recs)
	room.Close()
	s := store.New()
	_ = s.Add(room)
	h := NewHandler(s, Config{})
	var at int
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		b := rec.Body.Bytes()
		b[min(at, len(b)-1)] ^= 0x10
		w.WriteHeader(rec.Code)
		_, _ = w.Write(b)
	}))
	defer proxy.Close()
	c := newClient(t, proxy.URL)
	piece := recs[1].Piece
	for i, n := range []int{0, 60, 130, 400, 1500} {
		at = n
		if b, err := c.Piece(t.Context(), piece.SHA256); err == nil {
			t.Errorf("%d: a changed piece was returned: %d bytes", i, len(b))
		}
		if r, err := c.At(t.Context(), piece.ID, 1); err == nil && !bytes.Equal(r[0].Body, recs[1].Body) {
			t.Errorf("%d: a changed record was returned", i)
		}
	}
	for at = 90; at < 200_000; at += 9973 {
		// A flipped size looks like a broken connection: the test ends where the
		// client would ask again.
		ctx, cancel := context.WithCancel(t.Context())
		c.cfg.Backoff = func(int) time.Duration { cancel(); return time.Hour }
		p, err := c.Start(ctx, store.Oldest())
		if err != nil {
			cancel()
			continue
		}
		i := 0
		for {
			rec, err := p.Next()
			if err != nil {
				break
			}
			if !bytes.Equal(rec.Body, recs[i].Body) {
				t.Fatalf("with byte %d flipped: record %d is another", at, i)
			}
			i++
		}
		p.Close()
		cancel()
	}
}

func TestConcurrentRequestsAreOne(t *testing.T) {
	body := []byte("a piece")
	asked := make(chan bool)
	answer := make(chan bool)
	var requests atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		asked <- true
		<-answer
		_, _ = w.Write(body)
	}))
	defer srv.Close()
	c := newClient(t, srv.URL)
	h := sumOf(body)
	var all sync.WaitGroup
	ask := func() {
		defer all.Done()
		if b, err := c.Piece(t.Context(), h); err != nil || !bytes.Equal(b, body) {
			t.Errorf("Piece: %v", err)
		}
	}
	all.Add(1)
	go ask()
	<-asked
	// While the first waits, the others join it. One that gives up does not
	// take the answer from the rest.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Piece(ctx, h); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that gave up: %v", err)
	}
	all.Add(20)
	for range 20 {
		go ask()
	}
	close(answer)
	go func() {
		for range asked {
		}
	}()
	all.Wait()
	if n := requests.Load(); n > 20 {
		t.Errorf("%d requests for 22 callers", n)
	}
}

// restartable is an upstream whose process can be killed and started anew.
type restartable struct {
	mu sync.Mutex
	h  *Handler
	*httptest.Server
}

func newRestartable(t *testing.T) *restartable {
	r := &restartable{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		h := r.h
		r.mu.Unlock()
		if h == nil {
			panic(http.ErrAbortHandler)
		}
		h.ServeHTTP(w, req)
	}))
	t.Cleanup(func() {
		r.run(nil)
		r.CloseClientConnections()
		r.Close()
	})
	return r
}

func (r *restartable) run(room *store.Room) {
	r.mu.Lock()
	old := r.h
	r.h = nil
	if room != nil {
		s := store.New()
		_ = s.Add(room)
		r.h = NewHandler(s, Config{})
	}
	r.mu.Unlock()
	if old != nil {
		old.Stop()
		r.CloseClientConnections()
	}
}

// An edge mirrors a room through restarts of its upstream: no gap, no repeat.
func TestEdgeLivesThroughRestarts(t *testing.T) {
	flv := film(t, media.FLV)
	recs := slice(t, media.FLV, 1000, flv)
	up := newRestartable(t)
	upstream := newRoom(t, store.RoomConfig{Container: media.FLV})
	up.run(upstream)

	edge := newRoom(t, store.RoomConfig{Container: media.FLV})
	c := newClient(t, up.URL)
	done := make(chan error)
	go func() { done <- Mirror(t.Context(), c, edge) }()
	viewer, err := edge.Start(store.Oldest())
	if err != nil {
		t.Fatal(err)
	}
	var got []segment.Record
	read := func(n int) {
		t.Helper()
		for len(got) < n {
			rec, err := viewer.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, rec)
		}
	}
	step := len(recs) / 5
	for i := range 5 {
		n := min((i+1)*step, len(recs))
		appendAll(t, upstream, recs[i*step:n])
		read(n - 20) // in the middle of things,
		up.run(nil)  // it is killed,
		fresh := newRoom(t, store.RoomConfig{Container: media.FLV})
		appendAll(t, fresh, recs[:n]) // and comes back filled from further up.
		upstream = fresh
		up.run(upstream)
		read(n)
	}
	appendAll(t, upstream, recs[5*step:])
	upstream.Close()
	read(len(recs))
	if err := <-done; err != nil {
		t.Errorf("Mirror: %v", err)
	}
	if _, err := viewer.Next(t.Context()); !errors.Is(err, store.ErrEnded) {
		t.Errorf("behind the end: %v", err)
	}
	for i := range recs {
		if got[i].Kind != recs[i].Kind || !bytes.Equal(got[i].Body, recs[i].Body) {
			t.Fatalf("record %d is another", i)
		}
	}
}

// When the upstream's window has moved past the edge, its readers are told, and
// the edge goes on with what there is.
func TestEdgeThatWasAwayTooLong(t *testing.T) {
	recs := slice(t, media.FLV, 1000, film(t, media.FLV))
	up := newRestartable(t)
	upstream := newRoom(t, store.RoomConfig{Container: media.FLV, Window: 3 * time.Second})
	appendAll(t, upstream, recs[:len(recs)/4])
	up.run(upstream)
	edge := newRoom(t, store.RoomConfig{Container: media.FLV})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	c := newClient(t, up.URL)
	go func() { done <- Mirror(ctx, c, edge) }()
	viewer, _ := edge.Start(store.Oldest())
	if _, err := viewer.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	up.run(nil)
	appendAll(t, upstream, recs[len(recs)/4:])
	up.run(upstream)
	err := error(nil)
	for err == nil {
		_, err = viewer.Next(t.Context())
	}
	if !errors.Is(err, store.ErrFellBehind) {
		t.Errorf("viewer over the gap: %v", err)
	}
	viewer, _ = edge.Start(store.Live())
	if _, err := viewer.Next(t.Context()); err != nil {
		t.Errorf("a new viewer: %v", err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Mirror: %v", err)
	}
}

// What an edge does not hold it asks its upstream for.
func TestEdgeAsksItsUpstream(t *testing.T) {
	upstream := newRoom(t, store.RoomConfig{Container: media.FLV})
	recs := slice(t, media.FLV, 1000, film(t, media.FLV))
	appendAll(t, upstream, recs)
	h, base := serve(t, Config{}, upstream)
	up := newClient(t, base)
	_, edge := serve(t, Config{Upstream: func(string) *Client { return up }}, newRoom(t, store.RoomConfig{Container: media.FLV}))
	c := newClient(t, edge)
	name := NewestOf(upstream).Segments[2].Name
	pieces, err := c.Segment(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Piece(t.Context(), pieces[1].Piece.SHA256); err != nil {
		t.Error(err)
	}
	if _, err := c.Init(t.Context(), recs[0].Init.Hash); err != nil {
		t.Error(err)
	}
	if resp := get(t, edge+"/v1/rooms/match/segments/"+name); resp.StatusCode != 200 {
		t.Errorf("a segment through the edge: %s", resp.Status)
	}
	for _, err := range []error{second(c.Piece(t.Context(), segment.Hash{1})), second(c.At(t.Context(), segment.ID{Epoch: 1}, 1)), second(c.Index(t.Context())), second(c.Segment(t.Context(), name[:len(name)-1]+"x"))} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("what nobody has: %v, want ErrNotFound", err)
		}
	}
	h.Stop()
}

func second[T any](_ T, err error) error { return err }

func TestParseRoomURL(t *testing.T) {
	key := strings.Repeat("A", 43)
	for s, want := range map[string]RoomURL{
		"http://127.0.0.1:8080/match":             {Base: "http://127.0.0.1:8080", Room: "match"},
		"https://tv.example.org/a/b/match#" + key: {Base: "https://tv.example.org/a/b", Room: "match", Key: make([]byte, 32)},
		"http://seed/match/":                      {Base: "http://seed", Room: "match"},
		"http://seed/tv/v1/rooms/match":           {Base: "http://seed/tv", Room: "match"},
		"http://seed/live/match.flv#" + key:       {Base: "http://seed", Room: "match", Key: make([]byte, 32)},
		"http://u:p@seed/live/match.mp4":          {Base: "http://u:p@seed", Room: "match"},
		"http://seed/live/match.2":                {Base: "http://seed", Room: "match.2"},
	} {
		got, err := ParseRoomURL(s)
		if err != nil || got.Base != want.Base || got.Room != want.Room || !bytes.Equal(got.Key, want.Key) {
			t.Errorf("%s: %+v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "match", "http://", "http://x", "http://x/", "ftp://x/match", "http://x/live", "http://x/a?b", "http://x/match#short", "http://x/a%2fb%20", "http://x/metrics", "http://x/%zz", "ws://x/match"} {
		if got, err := ParseRoomURL(s); err == nil {
			t.Errorf("%q: %+v", s, got)
		}
	}
}

func sumOf(b []byte) segment.Hash { return sha256.Sum256(b) }

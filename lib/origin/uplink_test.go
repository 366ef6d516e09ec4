package origin

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/store"
)

// ask sends a request through h without a network.
func ask(h *Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

func TestAnOriginWhoseUplinkIsFullSendsNewcomersToTheOthers(t *testing.T) {
	recs := slice(t, media.FLV, 1000, film(t, media.FLV))
	synctest.Test(t, func(t *testing.T) {
		room := newRoom(t, store.RoomConfig{Container: media.FLV})
		appendAll(t, room, recs)
		room.Close()
		s := store.New()
		_ = s.Add(room)
		// A tenth is left alone: the bucket holds 1 MB.
		h := NewHandler(s, Config{Uplink: 8 * 1_000_000 * 10 / 9})
		defer h.Stop()
		piece := recs[1].Piece
		var name string
		for _, rec := range recs {
			if rec.Kind == segment.KindSegment {
				name = rec.Segment.Name()
			}
		}
		const base = "/v1/rooms/match/"
		want := func(what, path string, code int) {
			t.Helper()
			w := ask(h, "GET", path)
			if w.Code != code {
				t.Errorf("%s: %s is answered with %d, want %d", what, path, w.Code, code)
			}
			if code == 503 && (w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), "uplink") || w.Header().Get("Cache-Control") != "no-store") {
				t.Errorf("%s: %s is refused with %v: %s", what, path, w.Header(), w.Body)
			}
		}
		all := func(what string, start, pieces int) {
			t.Helper()
			before := h.Served().Busy.Load()
			want(what, base+"start?pieces=1", start)
			want(what, "/live/match.flv", start)
			want(what, base+"pieces/"+piece.SHA256.String(), pieces)
			want(what, base+"at/"+store.FormatID(piece.ID), pieces)
			want(what, base+"segments/"+name, pieces)
			want(what, base+"segments/"+name+"/pieces", pieces)
			// What tells a viewer whom else to ask is always answered.
			want(what, base+"newest", 200)
			want(what, base+"inits/"+recs[0].Init.Hash.String(), 200)
			if w := ask(h, "HEAD", base+"pieces/"+piece.SHA256.String()); w.Code != 200 {
				t.Errorf("%s: HEAD is answered with %d", what, w.Code)
			}
			n := int64(0)
			for _, code := range []int{start, start, pieces, pieces, pieces, pieces} {
				if code == 503 {
					n++
				}
			}
			if got := h.Served().Busy.Load() - before; got != n {
				t.Errorf("%s: %d answers are counted as refused, want %d", what, got, n)
			}
		}
		all("at first", 200, 200)
		spent := h.Served().Bytes()
		time.Sleep(time.Minute)
		// What the swarm's part of the seed gives leaves by the same uplink.
		h.Spent(1_000_000)
		all("when the seed has given all that was saved up", 503, 200)
		time.Sleep(time.Minute)
		h.Spent(3_000_001)
		all("when it is overdrawn", 503, 200)
		time.Sleep(4 * time.Second)
		all("when it has recovered", 200, 200)
		// What players lack fills its part of the uplink itself.
		h.uplink.spend(2_900_000, true)
		all("when too many lack something", 503, 503)

		// What was written is what was spent: an answer that ended before the
		// newcomer had what he was expected to take gives the rest back.
		time.Sleep(time.Minute)
		before := h.Served().Bytes()
		ask(h, "GET", base+"start?pieces=1")
		h.uplink.mu.Lock()
		tokens := h.uplink.admit.tokens
		h.uplink.mu.Unlock()
		if n := h.Served().Bytes() - before; n < 1000 || n > 20_000 || math.Abs(tokens-float64(1_000_000-n)) > 1 {
			t.Errorf("%d bytes were written, %v are left of 1000000", n, tokens)
		}
		if spent < 10_000 {
			t.Errorf("the first answers were %d bytes", spent)
		}
	})
}

// Of a crowd that asks in one moment only as many are let in as there is room
// for, although none of them has been sent anything yet.
func TestOfACrowdOnlyAsManyAreLetInAsThereIsRoomFor(t *testing.T) {
	var u uplink
	u.init(8 * 100_000 * 10 / 9)
	in := 0
	for range 100 {
		if u.start(30_000) {
			in++
		}
	}
	if in != 4 {
		t.Errorf("%d of 100 were let in", in)
	}
	var none uplink
	none.init(0)
	none.spend(1<<40, false)
	if !none.start(1<<30) || !none.pieces(t.Context(), 1<<30) {
		t.Error("without a bound somebody was refused")
	}
}

// Those who lack something stand in a line, each for as long as its player can
// wait; who has what it lacks from elsewhere and leaves, leaves its place.
func TestWhatPlayersLackIsGivenInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u uplink
		u.init(8 * 100_000 * 10 / 9) // 10,000 bytes may be on their way
		began := time.Now()
		type answer struct {
			in    bool
			after time.Duration
		}
		answers := make([]answer, 8)
		gone, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range answers {
			ctx := t.Context()
			if i == 2 {
				ctx = gone
			}
			wg.Go(func() {
				in := u.pieces(ctx, 10_001)
				answers[i] = answer{in, time.Since(began).Round(10 * time.Millisecond)}
			})
			synctest.Wait() // they come one after the other
		}
		time.Sleep(50 * time.Millisecond)
		leave()
		wg.Wait()
		for i, want := range []answer{
			{true, 0}, {true, 0}, // one more than fits is on its way
			{false, 50 * time.Millisecond},
			{true, 100 * time.Millisecond}, {true, 200 * time.Millisecond}, {true, 300 * time.Millisecond},
			{false, 400 * time.Millisecond},
			{false, 400 * time.Millisecond},
		} {
			if answers[i] != want {
				t.Errorf("request %d: %v, want %v", i, answers[i], want)
			}
		}
	})
}

func TestAClientHearsThatItsOriginIsBusy(t *testing.T) {
	room := newRoom(t, store.RoomConfig{Container: media.FLV})
	recs := slice(t, media.FLV, 1000, film(t, media.FLV))
	appendAll(t, room, recs)
	h, base := serve(t, Config{Uplink: 1000}, room)
	h.Spent(1 << 30)
	h.uplink.spend(1<<30, true)
	c := newClient(t, base)
	for name, err := range map[string]error{
		"Start": second(c.Start(t.Context(), store.Live())),
		"At":    second(c.At(t.Context(), recs[1].Piece.ID, 1)),
		"Piece": second(c.Piece(t.Context(), recs[1].Piece.SHA256)),
	} {
		if !errors.Is(err, ErrBusy) || !errors.Is(err, ErrUnreachable) {
			t.Errorf("%s: %v, want ErrBusy", name, err)
		}
	}
	if err := c.Err(); err != nil {
		t.Errorf("it has answered, and yet: %v", err)
	}

	// An edge passes the word on.
	empty := newRoom(t, store.RoomConfig{Container: media.FLV})
	_, edge := serve(t, Config{Upstream: func(string) *Client { return c }}, empty)
	resp := get(t, edge+"/v1/rooms/match/pieces/"+recs[1].Piece.SHA256.String())
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") != "1" {
		t.Errorf("the edge of a busy upstream answers %s", resp.Status)
	}
}

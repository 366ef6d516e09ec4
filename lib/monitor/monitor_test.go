package monitor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/measure"
)

const (
	anna = "00000000000000aa"
	bert = "00000000000000bb"
	carl = "00000000000000cc"
)

var start = time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)

func testMonitor() *Monitor {
	return New(Config{Rooms: func() []Room { return []Room{{Name: "match", Peers: 2, Seeds: 1}} }})
}

func serve(m *Monitor) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.Metrics())
	mux.Handle("POST /v1/rooms/{room}/log", m.Log())
	return mux
}

func post(h http.Handler, room, body string) int {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "/v1/rooms/"+room+"/log", strings.NewReader(body)))
	return w.Code
}

func metrics(t *testing.T, h http.Handler) string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// A patientWriter remembers how long a body may take.
type patientWriter struct {
	*httptest.ResponseRecorder
	until time.Time
}

func (p *patientWriter) SetReadDeadline(t time.Time) error {
	p.until = t
	return nil
}

func TestWaysBecomeMetrics(t *testing.T) {
	m := New(Config{Rooms: func() []Room { return nil }, Ways: func() []Way { return []Way{{"public", "symmetric-random", "direct", 7}} }})
	if got := metrics(t, serve(m)); !strings.Contains(got, `xp2p_traversals_total{a="public",b="symmetric-random",path="direct"} 7`) {
		t.Error(got)
	}
}

func TestAReportThatTricklesInIsCutOff(t *testing.T) {
	w := &patientWriter{ResponseRecorder: httptest.NewRecorder()}
	serve(testMonitor()).ServeHTTP(w, httptest.NewRequest("POST", "/v1/rooms/match/log", strings.NewReader(`{"id":"`+anna+`"}`)))
	if left := time.Until(w.until); w.Code != 204 || left <= 0 || left > bodyTimeout {
		t.Errorf("status %d, %v for the body", w.Code, left)
	}
}

func TestReportsBecomeMetrics(t *testing.T) {
	m := testMonitor()
	m.Counter("xp2p_stun_requests_total", "Binding requests.", func() float64 { return 7 })
	m.Gauge("xp2p_signal_connections", "WebSockets.", func() float64 { return 2 })
	h := serve(m)
	for _, body := range []string{
		`{"id":"` + anna + `","peer_bytes":600,"seed_bytes":400,"inter_zone_bytes":400,"uploaded_bytes":900,"lag_ms":120,"due_pieces":10,"late_pieces":1,"neighbours":[{"id":"` + bert + `","received_bytes":600}]}`,
		`{"id":"` + bert + `","peer_bytes":900,"origin_bytes":100,"inter_zone_bytes":50,"uploaded_bytes":600,"lag_ms":400,"neighbours":[{"id":"` + anna + `","received_bytes":900}]}`,
	} {
		if code := post(h, "match", body); code != 204 {
			t.Fatalf("%d for %s", code, body)
		}
	}
	got := metrics(t, h)
	for _, want := range []string{
		"xp2p_rooms 1", `xp2p_peers{role="peer",room="match"} 2`, `xp2p_share_ratio{room="match"} 0.75`,
		`xp2p_received_bytes_total{room="match",source="seed"} 400`, `xp2p_uploaded_bytes_total{room="match",word="vouched"} 1500`,
		`xp2p_inter_zone_bytes_total{room="match"} 450`,
		`xp2p_lag_seconds_bucket{room="match",le="0.15"} 1`, `xp2p_lag_seconds_count{room="match"} 2`, "xp2p_stun_requests_total 7",
		"xp2p_signal_connections 2", `xp2p_pieces_total{room="match",state="late"} 1`, `xp2p_reports_total{result="taken"} 2`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
}

func TestReceiptsMakeTheShareToShow(t *testing.T) {
	var m *Monitor
	m = New(Config{Rooms: func() []Room { return []Room{{Name: "match"}, {Name: "other"}} }, Account: func(room string) (Account, bool) {
		// A tracker that holds its own lock reports to us at the same time.
		m.Report(start, "match", anna, &measure.Report{PeerBytes: 900, OriginBytes: 100})
		return Account{PayloadBytes: 1000, VouchedBytes: 700, LocalBytes: 50, ClaimedBytes: 1 << 30, CutBytes: 5, VouchedShare: 0.7, Refused: 3, FreeRiders: 2, Polluters: 1}, room == "match"
	}})
	got := metrics(t, serve(m))
	for _, want := range []string{
		`xp2p_share_vouched_ratio{room="match"} 0.7`, `xp2p_share_ratio{room="match"} 0.9`, `xp2p_peer_bytes_vouched_total{room="match"} 700`,
		`xp2p_peer_bytes_vouched_local{room="match"} 50`, `xp2p_peer_bytes_cut{room="match"} 5`, `xp2p_receipts_refused_total{room="match"} 3`,
		`xp2p_free_riders{room="match"} 2`, `xp2p_polluters{room="match"} 1`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
	if strings.Contains(got, `vouched_ratio{room="other"}`) {
		t.Error("a room without a tracker has a vouched share")
	}
	s, _ := m.Summary(start, "match")
	b, err := json.Marshal(s)
	if err != nil || !strings.Contains(string(b), `"account":{"payload_bytes":1000,"vouched_bytes":700,`) || !strings.Contains(string(b), `"vouched_share_ratio":0.7`) {
		t.Errorf("%s, %v", b, err)
	}
}

func TestABoasterIsNotBelieved(t *testing.T) {
	m := testMonitor()
	m.Report(start, "match", carl, &measure.Report{UploadedBytes: 1 << 40, OriginBytes: 100})
	m.Report(start, "match", anna, &measure.Report{PeerBytes: 300, Neighbours: []measure.Neighbour{{ID: bert, ReceivedBytes: 300}}})
	m.Report(start, "match", anna, &measure.Report{PeerBytes: 500, Neighbours: []measure.Neighbour{{ID: bert, ReceivedBytes: 500}}})
	s, ok := m.Summary(start, "match")
	if !ok || s.VouchedBytes != 500 || s.PeerBytes != 500 || s.OriginBytes != 100 {
		t.Errorf("%+v", s)
	}
	if len(s.Senders) != 2 || s.Senders[0] != (Sender{bert, 0, 500}) || s.Senders[1] != (Sender{carl, 1 << 40, 0}) {
		t.Errorf("senders %+v", s.Senders)
	}
}

func TestWhoLeavesOrBeginsAnewStaysCounted(t *testing.T) {
	m := testMonitor()
	report := func(at time.Duration, id string, n int64) {
		m.Report(start.Add(at), "match", id, &measure.Report{PeerBytes: n, Neighbours: []measure.Neighbour{{ID: carl, ReceivedBytes: n}}})
	}
	report(0, anna, 100)
	report(time.Second, anna, 150)
	report(2*time.Second, anna, 10) // another process
	report(0, bert, 1000)           // and then silence
	s, _ := m.Summary(start.Add(silentTime+2*time.Second), "match")
	if s.PeerBytes != 1160 || s.VouchedBytes != 1160 || s.Reporting != 1 {
		t.Errorf("%+v", s)
	}
}

func TestARoomThatClosedIsForgotten(t *testing.T) {
	open := []Room{{Name: "match"}}
	m := New(Config{Rooms: func() []Room { return open }})
	lag := int64(5)
	m.Report(start, "match", anna, &measure.Report{PeerBytes: 1, LagMS: &lag})
	h := serve(m)
	if !strings.Contains(metrics(t, h), `room="match"`) {
		t.Error("an open room has no metrics")
	}
	open = nil
	_ = metrics(t, h)
	if strings.Contains(metrics(t, h), `room="match"`) || len(m.rooms) != 0 {
		t.Error("a closed room has metrics")
	}
}

func TestAThousandBadReports(t *testing.T) {
	m := testMonitor()
	server := httptest.NewServer(serve(m))
	defer server.Close()
	rng := rand.New(rand.NewPCG(1, 1))
	bodies := []func() string{
		func() string { return "" },
		func() string { return "{" },
		func() string { return `[]` },
		func() string { return `{"id":"` + anna + `","peer_bytes":-1}` },
		func() string { return `{"id":"nobody"}` },
		func() string { return `{"id":"+00000000000000a"}` },
		func() string { return strings.Repeat(" ", measure.MaxReport+1) },
		func() string { return strings.Repeat("[", measure.MaxReport) },
		func() string {
			b := make([]byte, rng.IntN(500))
			for i := range b {
				b[i] = byte(rng.Uint32())
			}
			return string(b)
		},
	}
	slots := make(chan struct{}, 8)
	var wg sync.WaitGroup
	for i := range 1000 {
		body, path := bodies[i%len(bodies)](), "/v1/rooms/match/log"
		if i%10 == 0 {
			path, body = "/v1/rooms/..%2f..%2fetc/log", `{"id":"`+anna+`"}`
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			resp, err := http.Post(server.URL+path, "application/json", strings.NewReader(body))
			if err != nil {
				return // a body that is too long ends the connection
			}
			defer resp.Body.Close()
			b, _ := io.ReadAll(resp.Body)
			var e struct{ Type, Message string }
			if resp.StatusCode < 400 || resp.StatusCode >= 500 || json.Unmarshal(b, &e) != nil || e.Message == "" {
				t.Errorf("%.40q: %s %s", body, resp.Status, b)
			}
		})
	}
	wg.Wait()
	if _, ok := m.Summary(time.Now(), "match"); ok {
		t.Error("something was taken")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	m := testMonitor()
	for i := range maxPeers + 500 {
		r := &measure.Report{PeerBytes: 1, UploadedBytes: 1}
		for j := range 4 {
			r.Neighbours = append(r.Neighbours, measure.Neighbour{ID: fmt.Sprintf("%016x", i*4+j), ReceivedBytes: 1})
		}
		m.Report(start, "match", fmt.Sprintf("%016x", i), r)
	}
	rm := m.rooms["match"]
	if len(rm.peers) != maxPeers || len(rm.vouched) > maxSenders || len(rm.claimed) > maxSenders {
		t.Errorf("%d peers, %d vouched for, %d claim", len(rm.peers), len(rm.vouched), len(rm.claimed))
	}
	m.Report(start.Add(silentTime+time.Second), "match", "ffffffffffffffff", &measure.Report{PeerBytes: 1})
	if len(rm.peers) != 1 {
		t.Errorf("%d peers after a silence", len(rm.peers))
	}
}

func TestHealthAndStat(t *testing.T) {
	var ill error
	health := Health(func() error { return ill })
	get := func(h http.Handler) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	if code, body := get(health); code != 200 || body != `{"status":"ok"}` {
		t.Errorf("%d %s", code, body)
	}
	ill = errors.New("no input for 10 s")
	if code, body := get(health); code != 503 || !strings.Contains(body, "no input") {
		t.Errorf("%d %s", code, body)
	}
	meter := measure.NewMeter()
	meter.Received(measure.Peer, 5)
	code, body := get(Stat(func(*http.Request) any {
		r := &measure.Report{Room: "match"}
		meter.Fill(r)
		return r
	}))
	if code != 200 || !strings.Contains(body, `"peer_bytes":5`) || !strings.Contains(body, `"neighbours":[]`) {
		t.Errorf("%d %s", code, body)
	}
	if code, _ := get(Stat(func(*http.Request) any { return nil })); code != 404 {
		t.Errorf("%d for nothing", code)
	}
}

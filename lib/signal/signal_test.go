package signal

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/xp2p/xp2p/lib/tracker"
	"github.com/xp2p/xp2p/lib/wire"
)

var tokenKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))

func keyOf(n byte) (k wire.Key) {
	k[0], k[31] = n, 1
	return k
}

func testServer(t *testing.T, change ...func(*ServerConfig)) *Server {
	t.Helper()
	token := wire.Key(tokenKey.Public().(ed25519.PublicKey))
	cfg := ServerConfig{
		Tracker: tracker.Config{
			Rand: rand.New(rand.NewPCG(1, 2)), Entropy: rand.NewChaCha8([32]byte{1}),
			TokenKeys: []ed25519.PublicKey{tokenKey.Public().(ed25519.PublicKey)},
		},
		Document: func(_ *http.Request, room string) (*wire.RoomDocument, bool) {
			return &wire.RoomDocument{
				Mode: "live", Container: "flv", RoomKey: keyOf(9), Origins: []string{"/"}, TokenKey: &token, STUN: []string{"127.0.0.1:3478"},
				Log: "/v1/rooms/" + room + "/log",
			}, room == "match"
		},
	}
	for _, f := range change {
		f(&cfg)
	}
	s := NewServer(cfg)
	t.Cleanup(s.Close)
	if err := s.Open("match", "balanced"); err != nil {
		t.Fatal(err)
	}
	return s
}

func hello(n byte) *wire.SignalHello {
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 5000+uint16(n))
	return &wire.SignalHello{
		Key: keyOf(n), Role: wire.RolePeer, Upload: true,
		Tokens: []wire.Token{wire.AppendToken(nil, tokenKey, addr, time.Now().Add(time.Minute))},
	}
}

// A viewer is a Client with what it has heard.
type viewer struct {
	t *testing.T
	*Client
	conns *conns
}

// conns keeps the connections of an HTTP client, so that a test can break them.
type conns struct {
	mu  sync.Mutex
	all []*net.TCPConn
}

func (c *conns) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil {
			c.mu.Lock()
			c.all = append(c.all, conn.(*net.TCPConn))
			c.mu.Unlock()
		}
		return conn, err
	}}}
}

// reset kills the connections as a crash would: TCP says RST, not FIN.
func (c *conns) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.all {
		_ = conn.SetLinger(0)
		_ = conn.Close()
	}
	c.all = nil
}

func join(t *testing.T, url string, n byte) *viewer {
	t.Helper()
	c := &conns{}
	v := &viewer{t, Dial(t.Context(), ClientConfig{URL: url + "/v1/rooms/match/signal", Hello: hello(n), HTTP: c.client()}), c}
	t.Cleanup(v.Close)
	return v
}

// until takes events until one satisfies want.
func (v *viewer) until(what string, want func(Event) bool) Event {
	v.t.Helper()
	late := time.After(20 * time.Second)
	for {
		select {
		case e, ok := <-v.Events():
			if !ok {
				v.t.Fatalf("the client ended before %s", what)
			}
			if want(e) {
				return e
			}
		case <-late:
			v.t.Fatalf("no %s", what)
		}
	}
}

// knows waits for a list of exactly these peers.
func (v *viewer) knows(keys ...byte) *wire.SignalNeighbours {
	v.t.Helper()
	var want []wire.PeerID
	for _, k := range keys {
		want = append(want, wire.PeerIDOf(keyOf(k)))
	}
	slices.Sort(want)
	e := v.until(fmt.Sprintf("list of %v", keys), func(e Event) bool {
		l, ok := e.Signal.(*wire.SignalNeighbours)
		if !ok {
			return false
		}
		var got []wire.PeerID
		for _, m := range l.Members {
			got = append(got, m.ID)
		}
		slices.Sort(got)
		return slices.Equal(got, want)
	})
	return e.Signal.(*wire.SignalNeighbours)
}

func (v *viewer) welcome() *wire.SignalWelcome {
	v.t.Helper()
	e := v.until("welcome", func(e Event) bool { _, ok := e.Signal.(*wire.SignalWelcome); return ok })
	return e.Signal.(*wire.SignalWelcome)
}

func TestPeersMeetOverTheNetworkAndAVanishedOneIsToldOfAtOnce(t *testing.T) {
	s := testServer(t)
	web := httptest.NewServer(s)
	defer web.Close()
	seed, err := s.Attach("match", &wire.SignalHello{Key: keyOf(1), Role: wire.RoleSeed, Upload: true}, []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:9000")})
	if err != nil {
		t.Fatal(err)
	}
	defer seed.Close()
	anna, bert := join(t, web.URL, 2), join(t, web.URL, 3)
	if w := anna.welcome(); w.ID != wire.PeerIDOf(keyOf(2)) {
		t.Errorf("welcome %+v", w)
	}
	l := anna.knows(1, 3)
	for _, m := range l.Members {
		if len(m.Addrs) != 1 {
			t.Errorf("%s is at %v", m.ID, m.Addrs)
		}
	}
	bert.knows(1, 2)
	anna.conns.reset()
	bert.knows(1)
	// She comes back by herself, to her old name.
	anna.until("down", func(e Event) bool { return e.Kind == Down })
	if w := anna.welcome(); w.ID != wire.PeerIDOf(keyOf(2)) {
		t.Errorf("welcome back %+v", w)
	}
	anna.knows(1, 3)
	bert.knows(1, 2)
	// And now she leaves as one should.
	anna.Close()
	bert.knows(1)
	for range anna.Events() {
	}
	// All this time the seed knew whom to feed.
	feeds := 0
	for done := false; !done; {
		m := <-seed.Events()
		if f, ok := m.(*wire.SignalFeed); ok {
			feeds++
			done = feeds > 2 && len(f.Groups) == 1 && len(f.Groups[0].Members) == 1
		}
	}
}

func TestATrackerComesBackAndItsPeersFindIt(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	first := testServer(t)
	web := &http.Server{Handler: first}
	served := make(chan error, 1)
	go func() { served <- web.Serve(listener) }()
	anna, bert := join(t, "http://"+addr, 2), join(t, "http://"+addr, 3)
	anna.knows(3)
	bert.knows(2)
	// The process dies: the listener and all connections go together.
	first.Close()
	_ = web.Close()
	<-served
	e := anna.until("down", func(e Event) bool { return e.Kind == Down })
	if e.Retry <= 0 || e.Retry > 8*time.Second {
		t.Errorf("retry in %v", e.Retry)
	}
	if err := anna.Send(&wire.SignalReport{Report: json.RawMessage(`{}`)}); !errors.Is(err, ErrOffline) {
		t.Errorf("sent without a tracker: %v", err)
	}
	anna.until("unreachable", func(e Event) bool { return e.Kind == Down && errors.Is(e.Err, ErrUnreachable) })
	second := testServer(t)
	if listener, err = net.Listen("tcp", addr); err != nil {
		t.Fatal(err)
	}
	web = &http.Server{Handler: second}
	go func() { served <- web.Serve(listener) }()
	defer func() { _ = web.Close(); <-served }()
	anna.knows(3)
	bert.knows(2)
}

func TestAHelloMayChange(t *testing.T) {
	s := testServer(t)
	web := httptest.NewServer(s)
	defer web.Close()
	bert := join(t, web.URL, 3)
	bert.welcome()
	// Anna's address is not observed yet.
	c := Dial(t.Context(), ClientConfig{URL: web.URL + "/v1/rooms/match/signal", Hello: &wire.SignalHello{Key: keyOf(2), Role: wire.RolePeer}})
	anna := &viewer{t, c, nil}
	defer anna.Close()
	anna.welcome()
	h := hello(2)
	h.UplinkBPS = 7_000_000
	if err := anna.Send(h); err != nil {
		t.Fatal(err)
	}
	anna.knows(3)
	if l := bert.knows(2); l.Members[0].UplinkBPS != 7_000_000 {
		t.Errorf("bert knows %+v", l.Members[0])
	}
}

func TestReportsArrive(t *testing.T) {
	got := make(chan string, 1)
	s := testServer(t, func(c *ServerConfig) {
		c.Report = func(room string, id wire.PeerID, report []byte) { got <- fmt.Sprintf("%s %s %s", room, id, report) }
	})
	web := httptest.NewServer(s)
	defer web.Close()
	anna := join(t, web.URL, 2)
	anna.welcome()
	if err := anna.Send(&wire.SignalReport{Report: json.RawMessage(`{"peer_bytes":5}`)}); err != nil {
		t.Fatal(err)
	}
	if g, want := <-got, `match `+wire.PeerIDOf(keyOf(2)).String()+` {"peer_bytes":5}`; g != want {
		t.Errorf("got %s, want %s", g, want)
	}
	st, _ := s.RoomStats("match")
	if len(st.Reports) != 1 || st.Reports[0].PeerBytes != 5 {
		t.Errorf("stats %+v", st)
	}
}

func TestWhoIsTurnedAway(t *testing.T) {
	s := testServer(t, func(c *ServerConfig) { c.Tracker.MaxPeers = 1 })
	web := httptest.NewServer(s)
	defer web.Close()
	join(t, web.URL, 2).welcome()
	for name, c := range map[string]struct {
		path string
		role wire.Role
		want string
	}{
		"one too many":             {"/v1/rooms/match/signal", wire.RolePeer, wire.SignalFull},
		"a seed that nobody knows": {"/v1/rooms/match/signal", wire.RoleSeed, wire.SignalForbidden},
		"a guest of no room":       {"/v1/rooms/other/signal", wire.RolePeer, ""},
	} {
		h := hello(50)
		h.Role = c.role
		cl := Dial(t.Context(), ClientConfig{URL: web.URL + c.path, Hello: h})
		v := &viewer{t, cl, nil}
		e := v.until("down", func(e Event) bool { return e.Kind == Down })
		var refused *wire.SignalError
		if c.want == "" {
			if !errors.Is(e.Err, ErrNoRoom) {
				t.Errorf("%s: %v", name, e.Err)
			}
		} else if !errors.As(e.Err, &refused) || refused.Code != c.want {
			t.Errorf("%s: %v, want %s", name, e.Err, c.want)
		}
		v.Close()
	}
}

func TestTheRoomDocument(t *testing.T) {
	s := testServer(t)
	web := httptest.NewServer(s)
	defer web.Close()
	d, err := FetchRoom(t.Context(), nil, web.URL+"/v1/rooms/match")
	if err != nil {
		t.Fatal(err)
	}
	if d.Room != "match" || d.Topology != "balanced" || d.RoomKey != keyOf(9) || d.TokenKey == nil || d.TimeUnixMS == 0 ||
		d.Signal != web.URL+"/v1/rooms/match/signal" || d.Log != web.URL+"/v1/rooms/match/log" || d.Origins[0] != web.URL+"/" {
		t.Errorf("%+v", d)
	}
	garbage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/html":
			_, _ = io.WriteString(w, "<html>hello</html>")
		case "/endless":
			_, _ = io.WriteString(w, `{"room":"`+strings.Repeat("x", 1<<20))
		case "/teapot":
			w.WriteHeader(http.StatusTeapot)
		default:
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	defer garbage.Close()
	for url, want := range map[string]error{
		web.URL + "/v1/rooms/other": ErrNoRoom, web.URL + "/v1/rooms/..%2f..%2fetc": ErrNoRoom,
		"http://127.0.0.1:1/v1/rooms/match": ErrUnreachable, garbage.URL + "/502": ErrUnreachable,
		garbage.URL + "/html": ErrBadDocument, garbage.URL + "/endless": ErrBadDocument, garbage.URL + "/teapot": ErrBadDocument,
		"http://[::1": ErrRoomURL,
	} {
		if _, err := FetchRoom(t.Context(), nil, url); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", url, err, want)
		}
	}
}

func TestAThousandBadHandshakesAndMessages(t *testing.T) {
	s := testServer(t)
	web := httptest.NewServer(s)
	defer web.Close()
	anna := join(t, web.URL, 2)
	anna.welcome()
	rng := rand.New(rand.NewPCG(3, 4))
	addr := strings.TrimPrefix(web.URL, "http://")
	upgrade := "GET /v1/rooms/match/signal HTTP/1.1\r\nHost: " + addr + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
	good := upgrade + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	forms := []func() []byte{
		func() []byte { return noise(rng.IntN(300)) },
		func() []byte { return []byte(upgrade + "\r\n") },
		func() []byte { return []byte(upgrade + "Sec-WebSocket-Version: 99\r\nSec-WebSocket-Key: x\r\n\r\n") },
		func() []byte { return []byte(strings.Replace(good, "match", "nobody", 1) + "\r\n") },
		func() []byte { return []byte(strings.Replace(good, "match", "..%2f..%2fetc%2fpasswd", 1) + "\r\n") },
		func() []byte { return []byte(good + "Origin: http://evil.example\r\n\r\n") },
		func() []byte { return append([]byte(good+"\r\n"), noise(rng.IntN(300))...) },               // broken frames
		func() []byte { return append([]byte(good+"\r\n"), 0x81, 0x82, 0, 0, 0, 0, '{', '}') },      // no type
		func() []byte { return append([]byte(good+"\r\n"), 0x82, 0x82, 0, 0, 0, 0, '{', '}') },      // binary
		func() []byte { return append([]byte(good+"\r\n"), 0x81, 0xff, 0, 0, 0, 0, 1, 0, 0, 0, 0) }, // four gigabytes
		func() []byte { return append([]byte(good+"\r\n"), 0x81, 0x02, '{', '}') },                  // unmasked
	}
	const total = 1000
	slots := make(chan struct{}, 16)
	var wg sync.WaitGroup
	for i := range total {
		b := forms[i%len(forms)]()
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			_, _ = conn.Write(b)
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, io.LimitReader(conn, 1<<16))
		})
	}
	wg.Wait()
	// Nothing is left of it, and the room goes on.
	bert := join(t, web.URL, 3)
	bert.knows(2)
	anna.knows(3)
	st, _ := s.RoomStats("match")
	if st.Peers != 2 {
		t.Errorf("%d peers", st.Peers)
	}
	if stats := s.Stats(); stats.Refused < total/4 || stats.Bad == 0 {
		t.Errorf("%+v", stats)
	}
}

func TestATalkerIsCutOff(t *testing.T) {
	s := testServer(t)
	web := httptest.NewServer(s)
	defer web.Close()
	conn, _, err := websocket.Dial(t.Context(), web.URL+"/v1/rooms/match/signal", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	b, _ := wire.AppendSignal(nil, hello(2))
	for range messageBurst + 50 {
		if conn.Write(t.Context(), websocket.MessageText, b) != nil {
			break
		}
	}
	for {
		_, b, err := conn.Read(t.Context())
		if err != nil {
			t.Fatalf("cut off without a word: %v", err)
		}
		m, err := wire.ParseSignal(b)
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := m.(*wire.SignalError); ok {
			if e.Code != wire.SignalTooFast {
				t.Errorf("%v", e)
			}
			return
		}
	}
}

func TestAnOutboxIsBoundedAndListsReplaceEachOther(t *testing.T) {
	o := newOutbox()
	for i := range 1000 {
		if !o.put(&wire.SignalNeighbours{Version: uint64(i)}) {
			t.Fatal("a storm of lists filled the outbox of a healthy peer")
		}
	}
	q, _ := o.take()
	if len(q) != 1 || q[0].(*wire.SignalNeighbours).Version != 999 {
		t.Errorf("took %v", q)
	}
	n := 0
	for o.put(&wire.SignalFeed{}) {
		n++
	}
	if n != maxOutbox {
		t.Errorf("%d feeds wait", n)
	}
	o.finish()
	if !o.put(&wire.SignalFeed{}) {
		t.Error("an outbox that is finished has no use for more, and is not slow")
	}
	if q, last := o.take(); len(q) != maxOutbox || !last {
		t.Errorf("took %d, last %t", len(q), last)
	}
}

func TestASeedAttachesWithoutASocket(t *testing.T) {
	s := testServer(t)
	h := &wire.SignalHello{Key: keyOf(1), Role: wire.RoleSeed, Upload: true}
	if _, err := s.Attach("match", &wire.SignalHello{}, nil); err == nil {
		t.Error("attached without a key")
	}
	if _, err := s.Attach("other", h, nil); !errors.Is(err, tracker.ErrNoRoom) {
		t.Errorf("attached to no room: %v", err)
	}
	l, err := s.Attach("match", h, []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:9000")})
	if err != nil {
		t.Fatal(err)
	}
	if w, ok := (<-l.Events()).(*wire.SignalWelcome); !ok || w.ID != wire.PeerIDOf(keyOf(1)) {
		t.Errorf("welcome %+v", w)
	}
	if f, ok := (<-l.Events()).(*wire.SignalFeed); !ok || !f.Reset {
		t.Errorf("feed %+v", f)
	}
	s.CloseRoom("match")
	if e, ok := (<-l.Events()).(*wire.SignalError); !ok || e.Code != wire.SignalNoRoom {
		t.Errorf("in a closed room: %+v", e)
	}
	if _, ok := <-l.Events(); ok {
		t.Error("the session goes on in a closed room")
	}
	l.Close()
	s.Close()
	if _, err := s.Attach("match", h, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("attached to a closed server: %v", err)
	}
}

package signal

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/wire"
)

// A viewer is at home sooner by what runs side by side: the tracker's connection stands
// when the document comes, and is upgraded before there is anything to say.
func TestTheTrackersConnectionIsMadeBesideTheDocument(t *testing.T) {
	s := testServer(t)
	var made atomic.Int32
	second, upgraded := make(chan struct{}), make(chan struct{})
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/rooms/match" {
			select {
			case <-second:
			case <-time.After(10 * time.Second):
				t.Error("the document was asked for, and nothing else connects")
			}
		}
		s.ServeHTTP(w, r)
	}))
	web.Config.ConnState = func(_ net.Conn, to http.ConnState) {
		switch {
		case to == http.StateNew && made.Add(1) == 2:
			close(second)
		case to == http.StateHijacked:
			close(upgraded)
		}
	}
	web.Start()
	t.Cleanup(web.Close)
	client := Reach()
	doc, err := FetchRoom(t.Context(), client, web.URL+"/v1/rooms/match")
	if err != nil {
		t.Fatal(err)
	}
	c := Dial(t.Context(), ClientConfig{URL: doc.Signal, HTTP: client})
	t.Cleanup(c.Close)
	v := &viewer{t, c, nil}
	select {
	case <-upgraded:
	case e := <-c.Events():
		t.Fatalf("before there was a hello: %+v", e)
	case <-time.After(10 * time.Second):
		t.Fatal("the tracker is not connected to before there is a hello")
	}
	c.Hello(hello(1))
	v.until("a welcome", func(e Event) bool { _, ok := e.Signal.(*wire.SignalWelcome); return ok })
	if n := made.Load(); n != 2 {
		t.Errorf("%d connections were made, want 2", n)
	}
}

func TestWithoutASecondConnectionOneIsMadeWhenItIsNeeded(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	s := &spare{ready: make(chan net.Conn)}
	s.once.Do(func() {}) // the first is there
	s.addr = web.Listener.Addr().String()
	close(s.ready) // and nobody took the second, or there was none
	c, err := s.dial(t.Context(), "tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

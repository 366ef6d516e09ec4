package endpoint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/stream"
)

// attach makes a socket of a carrier of an endpoint that runs.
func attach(t *testing.T, e running, c Carrier) machine.Socket {
	t.Helper()
	var id machine.Socket
	var err error
	if callErr := e.Call(t.Context(), func(time.Time) { id, err = e.Attach(c) }); callErr != nil || err != nil {
		t.Fatal(callErr, err)
	}
	return id
}

func anywhere(t *testing.T) *TCP {
	t.Helper()
	c, err := ListenTCP(loopback[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestAMachineSpeaksOverTCPAsOverUDP(t *testing.T) {
	for name, dial := range map[string]func(*testing.T) (near, far Carrier, at netip.AddrPort){
		"dialed": func(t *testing.T) (Carrier, Carrier, netip.AddrPort) {
			far := anywhere(t)
			near, err := DialTCP(t.Context(), netip.AddrPort{}, far.LocalAddr())
			if err != nil {
				t.Fatal(err)
			}
			return near, far, far.LocalAddr()
		},
		"upgraded from HTTP": func(t *testing.T) (Carrier, Carrier, netip.AddrPort) {
			far := NewTCP(netip.AddrPort{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if conn, err := stream.Accept(w, r); err == nil {
					far.Take(conn)
				}
			}))
			t.Cleanup(server.Close)
			conn, err := stream.Upgrade(t.Context(), server.URL)
			if err != nil {
				t.Fatal(err)
			}
			near := NewTCP(netip.AddrPort{})
			if err := near.Take(conn); err != nil {
				t.Fatal(err)
			}
			return near, far, server.Listener.Addr().(*net.TCPAddr).AddrPort()
		},
	} {
		t.Run(name, func(t *testing.T) {
			near, far, at := dial(t)
			a, b := &duet{rounds: 200, size: 1200, noFrag: true, ecn: machine.ECT0, to: at}, &duet{}
			done := make(chan struct{})
			eb := start(t, b, Config{Listen: loopback})
			ea := start(t, a, Config{Listen: loopback, Step: func(time.Time) { closeOnce(done, a.round == a.rounds) }})
			attach(t, eb, far)
			id := attach(t, ea, near)
			if err := ea.Do(func(now time.Time) {
				a.socket = id
				a.start(now)
			}); err != nil {
				t.Fatal(err)
			}
			wait(t, done)
			if a.seen.Socket != id || b.seen.Socket != 1 || a.seen.Remote != at {
				t.Errorf("heard on socket %d from %v, there on socket %d", a.seen.Socket, a.seen.Remote, b.seen.Socket)
			}
		})
	}
}

func TestBothEndsMayDialAtOnce(t *testing.T) {
	for i := range 20 {
		a, b := anywhere(t), anywhere(t)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		type end struct {
			c   *TCP
			err error
		}
		ends := make(chan end, 2)
		go func() { c, err := a.DialOne(ctx, b.LocalAddr()); ends <- end{c, err} }()
		go func() { c, err := b.DialOne(ctx, a.LocalAddr()); ends <- end{c, err} }()
		x, y := <-ends, <-ends
		if x.err != nil || y.err != nil {
			t.Fatalf("try %d: %v, %v", i, x.err, y.err)
		}
		if x.c.LocalAddr() == y.c.LocalAddr() {
			t.Fatalf("try %d: both ends are %v", i, x.c.LocalAddr())
		}
		other := map[netip.AddrPort]netip.AddrPort{a.LocalAddr(): b.LocalAddr(), b.LocalAddr(): a.LocalAddr()}
		for _, way := range [][2]*TCP{{x.c, y.c}, {y.c, x.c}} {
			want := fmt.Sprint("hello", i)
			if err := way[0].WriteTo([]byte(want), other[way[0].LocalAddr()]); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 100)
			n, from, err := way[1].ReadFrom(buf)
			if string(buf[:n]) != want || from != way[0].LocalAddr() {
				t.Fatalf("try %d: %q from %v, %v", i, buf[:n], from, err)
			}
		}
		x.c.Close()
		if _, _, err := y.c.ReadFrom(make([]byte, 100)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the other end's close: %v", err)
		}
	}
}

func TestACarrierThatEndsIsToldOf(t *testing.T) {
	far := anywhere(t)
	near, err := DialTCP(t.Context(), netip.AddrPort{}, far.LocalAddr())
	if err != nil {
		t.Fatal(err)
	}
	lost := make(chan machine.Socket, 1)
	e := start(t, &duet{}, Config{Listen: loopback, Lost: func(_ time.Time, id machine.Socket, _ error) { lost <- id }})
	id := attach(t, e, near)
	far.Close()
	select {
	case got := <-lost:
		if got != id {
			t.Errorf("socket %d is lost, want %d", got, id)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("nobody was told")
	}
	// One that is closed by command is not.
	other := attach(t, e, anywhere(t))
	if err := e.Call(t.Context(), func(time.Time) { e.CloseSocket(other) }); err != nil {
		t.Fatal(err)
	}
	e.stop()
	if len(lost) > 0 {
		t.Error("a carrier that was closed by command was called lost")
	}
}

func TestStrangersOnTCPAreHungUpOn(t *testing.T) {
	c := anywhere(t)
	conn, err := net.Dial("tcp", c.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n")
	got, _ := io.ReadAll(conn)
	if !bytes.Equal(got, []byte(Preface)) {
		t.Errorf("got %q, want the preface and the end", got)
	}
	if err := c.WriteTo([]byte("x"), netip.MustParseAddrPort("127.0.0.1:9")); !errors.Is(err, ErrNoConn) {
		t.Errorf("to nobody: %v", err)
	}
}

package tunnel

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/endpoint"
	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/wire"
	"github.com/xp2p/xp2p/lib/xntp"
)

// An end is a node on a socket, with its tunnels.
type end struct {
	*Tunnel
	n    *node.Node
	ep   *endpoint.Endpoint
	stop func()
}

func newEnd(t *testing.T, role wire.Role) *end {
	t.Helper()
	key, err := xntp.GenerateKey(crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	e := &end{n: node.New(node.Config{Key: key, Rand: rand.New(rand.NewPCG(1, 2)), Entropy: crand.Reader, Role: role, Streams: true})}
	e.ep, err = endpoint.New(e.n, endpoint.Config{
		Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")},
		Step: func(now time.Time) {
			for ev, ok := e.n.NextEvent(); ok; ev, ok = e.n.NextEvent() {
				e.Event(now, ev)
			}
		},
		Leave: func(now time.Time) { e.n.Close(now) },
	})
	if err != nil {
		t.Fatal(err)
	}
	e.Tunnel = New(e.n, e.ep.Do, role == wire.RoleSeed)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); e.ep.Run(ctx) }()
	e.stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(func() { e.Tunnel.Close(); e.stop() })
	return e
}

// pair is a seed and a viewer that knows it.
func pair(t *testing.T) (seed, viewer *end) {
	seed, viewer = newEnd(t, wire.RoleSeed), newEnd(t, wire.RolePeer)
	key := make([]byte, 32)
	for _, e := range []*end{seed, viewer} {
		room := node.Room{Name: "film", Key: key, NoSignal: true, AtHome: true, NoPlayer: true}
		if e == viewer {
			room.Seeds = []wire.RoomSeed{{Key: wire.Key(seed.n.Public()), Addrs: []netip.AddrPort{seed.ep.LocalAddr(0)}}}
		}
		if err := e.ep.Do(func(now time.Time) {
			if err := e.n.Join(now, room); err != nil {
				t.Error(err)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	return seed, viewer
}

func (e *end) id() wire.PeerID { return wire.PeerIDOf(wire.Key(e.n.Public())) }

func dial(t *testing.T, from, to *end) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, err := from.Dial(ctx, to.id())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestHTTPPassesThroughTunnels(t *testing.T) {
	seed, viewer := pair(t)
	body := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{7}).Read(body)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/endless" {
			for {
				if _, err := w.Write(body); err != nil {
					return
				}
			}
		}
		w.Write(body[len(r.URL.Path):])
	})}
	go srv.Serve(seed)
	defer srv.Close()
	client := &http.Client{Transport: &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return viewer.Dial(ctx, seed.id()) },
		MaxIdleConnsPerHost: 4, DisableCompression: true,
	}}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			path := fmt.Sprintf("/%0*d", i+1, i)
			resp, err := client.Get("http://seed" + path)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, body[len(path):]) {
				t.Errorf("%s: %d bytes, %v", path, len(got), err)
			}
		})
	}
	wg.Wait()

	// Who loses interest in an endless answer stops it, and the next is served.
	resp, err := client.Get("http://seed/endless")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, resp.Body, 2<<20); err != nil {
		t.Error(err)
	}
	resp.Body.Close()
	if resp, err = client.Get("http://seed/x"); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != int64(len(body)-2) {
		t.Errorf("after it: %d bytes, %v", n, err)
	}
	resp.Body.Close()
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Errorf("some answer has not ended: %v", err)
	}
}

// Who writes to a reader that does not read is held back; nobody's memory fills.
func TestASlowReaderHoldsTheWriterBack(t *testing.T) {
	seed, viewer := pair(t)
	c := dial(t, viewer, seed)
	accepted := make(chan net.Conn, 1)
	go func() {
		far, _ := seed.Accept()
		accepted <- far
	}()
	c.SetWriteDeadline(time.Now().Add(time.Second))
	n, err := c.Write(make([]byte, 4*wire.TunnelCredit))
	if !errors.Is(err, os.ErrDeadlineExceeded) || n != wire.TunnelCredit {
		t.Errorf("%d bytes were written, %v; want %d", n, err, wire.TunnelCredit)
	}
	far := <-accepted
	c.SetWriteDeadline(time.Time{})
	wrote := make(chan error, 1)
	go func() {
		_, err := c.Write(make([]byte, 2*wire.TunnelCredit))
		c.Close()
		wrote <- err
	}()
	if got, err := io.Copy(io.Discard, far); err != nil || got != 3*wire.TunnelCredit {
		t.Errorf("%d bytes came, %v", got, err)
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("writing after Close: %v", err)
	}
	far.SetReadDeadline(time.Now().Add(-time.Second))
	if _, err := far.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, io.EOF) {
		t.Errorf("reading past a deadline: %v", err)
	}
	far.Close()
	viewer.settled(t)
	seed.settled(t)
}

// settled waits until no tunnel is in the books any more.
func (e *end) settled(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; {
		n := 0
		if err := e.ep.Call(t.Context(), func(time.Time) {
			e.mu.Lock()
			defer e.mu.Unlock()
			n = len(e.by) + len(e.in) + len(e.unknown)
		}); err != nil {
			t.Fatal(err)
		}
		switch {
		case n == 0:
			return
		case time.Now().After(end):
			t.Fatalf("%d are left", n)
		}
	}
}

func TestTunnelsKeepWithinTheirRate(t *testing.T) {
	seed, viewer := pair(t)
	const bps, n = 4_000_000, 150_000
	viewer.SetRate(bps)
	began := time.Now()
	for range 2 { // together
		c := dial(t, viewer, seed)
		go func() {
			c.Write(make([]byte, n/2))
			c.Close()
		}()
	}
	var got int64
	for range 2 {
		far, err := seed.Accept()
		if err != nil {
			t.Fatal(err)
		}
		k, err := io.Copy(io.Discard, far)
		if err != nil {
			t.Error(err)
		}
		got += k
		far.Close()
	}
	least := time.Duration((n - 2*wire.MaxTunnelData) * 8 * int64(time.Second) / bps)
	if took := time.Since(began); got != n || took < least {
		t.Errorf("%d bytes in %v, at %d bit/s they take %v", got, took, bps, least)
	}
}

func TestATunnelEndsWithItsPeer(t *testing.T) {
	seed, viewer := pair(t)
	c := dial(t, viewer, seed)
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	far, err := seed.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if b := make([]byte, 5); func() bool { _, err := io.ReadFull(far, b); return err != nil || string(b) != "hello" }() {
		t.Errorf("came: %q", b)
	}
	seed.stop()
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, ErrGone) {
		t.Errorf("reading from who has gone: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := viewer.Dial(ctx, seed.id()); !errors.Is(err, context.Canceled) {
		t.Errorf("dialing who has gone: %v", err)
	}
}

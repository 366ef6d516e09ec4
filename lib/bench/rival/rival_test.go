package rival

import (
	"bytes"
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

var loopback = Place{Addr: netip.MustParseAddrPort("127.0.0.1:0")}

// pair opens both ends of a transport on loopback; what the request asks for is
// the caller's.
func pair(t *testing.T, s Spec, o Options, serve func(Conn)) (Transport, Listener) {
	t.Helper()
	if err := s.Missing(); err != nil {
		t.Skip(err)
	}
	x, err := s.New(o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := x.Listen(loopback, serve)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return x, l
}

func request(text string) []byte {
	return append([]byte(text), make([]byte, RequestBytes-len(text))...)
}

// Every transport brings a request one way and an object the other way, whole
// and in order, and ends when either end says so.
func TestAnObjectIsAskedForAndArrivesWhole(t *testing.T) {
	object := make([]byte, 300_000)
	for i := range object {
		object[i] = byte(i ^ i>>8 ^ i>>16)
	}
	for _, s := range All {
		if s.LiveOnly {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			asked, over := make(chan string, 1), make(chan struct{})
			x, l := pair(t, s, Options{}, func(c Conn) {
				defer close(over)
				defer c.Close()
				asked <- strings.TrimRight(string(c.Request()), "\x00")
				for p := object; len(p) > 0; {
					n := min(len(p), 64<<10)
					if _, err := c.Write(p[:n]); err != nil {
						return
					}
					p = p[n:]
				}
				c.Next() // until the other end has had enough
			})
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			c, err := x.Dial(ctx, loopback, l.Peer(), request("an object, please"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			defer context.AfterFunc(ctx, func() { c.Close() })()
			var got []byte
			for len(got) < len(object) {
				p, err := c.Next()
				if err != nil {
					t.Fatalf("after %d bytes: %v", len(got), err)
				}
				got = append(got, p...)
			}
			if !bytes.Equal(got, object) {
				t.Error("it is not what was sent")
			}
			if a := <-asked; a != "an object, please" {
				t.Errorf("asked for %q", a)
			}
			c.Close()
			c.Close()
			if _, err := c.Next(); err == nil {
				t.Error("bytes from a connection that is closed")
			}
			l.Close()
			if s.Name == "kcp" {
				return // it has no goodbye: its server waits for silence
			}
			<-over
		})
	}
}

// Those who carry live messages keep them apart.
func TestLiveMessagesKeepTheirBorders(t *testing.T) {
	const n, size = 50, 1316
	// SRT holds messages back for all of its budget; XNTP hands them over at once.
	for name, budget := range map[string]time.Duration{"xntp": 10 * time.Second, "srt": 900 * time.Millisecond} {
		s, err := Find(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hold := make(chan struct{})
			x, l := pair(t, s, Options{Live: budget, MessageBytes: size}, func(c Conn) {
				defer c.Close()
				for i := range n {
					m := bytes.Repeat([]byte{byte(i)}, size)
					if _, err := c.Write(m); err != nil {
						return
					}
				}
				<-hold
			})
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			c, err := x.Dial(ctx, loopback, l.Peer(), request("live"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			defer close(hold)
			defer context.AfterFunc(ctx, func() { c.Close() })()
			var got []int
			for len(got) < n {
				p, err := c.Next()
				if err != nil {
					t.Fatalf("after %d: %v", len(got), err)
				}
				if len(p) != size || bytes.Count(p, p[:1]) != size {
					t.Fatalf("message %d has %d bytes", len(got), len(p))
				}
				got = append(got, int(p[0]))
			}
			slices.Sort(got)
			if len(slices.Compact(got)) != n {
				t.Error("one came twice")
			}
		})
	}
}

func TestNobodyAnswers(t *testing.T) {
	for _, name := range []string{"tcp-cubic", "tls", "quic", "utp"} {
		s, _ := Find(name)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x, l := pair(t, s, Options{}, func(c Conn) { c.Close() })
			to := l.Peer()
			l.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if c, err := x.Dial(ctx, loopback, to, request("hello?")); err == nil {
				c.Close()
				t.Error("somebody did")
			}
		})
	}
}

func TestFindKnowsTheNamesThatScriptsRelyOn(t *testing.T) {
	for _, name := range strings.Split("xntp,xntp-cubic,xntp-tfrc,quic,tcp-cubic,tcp-bbr,tls,srt,kcp,utp", ",") {
		if s, err := Find(name); err != nil || s.Name != name || s.About == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Find("sctp"); err == nil || !strings.Contains(err.Error(), "there are xntp, ") {
		t.Error(err)
	}
	s, _ := Find("srt")
	if _, err := s.New(Options{}); err == nil {
		t.Error("srt has a file mode")
	}
}

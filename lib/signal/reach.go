package signal

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// spareTime is how long a spare connection waits for its use: less than servers wait
// for a request.
const spareTime = 5 * time.Second

// Reach returns an HTTP client for FetchRoom and then Dial. When it connects to a
// server for the first time it does so twice: net/http upgrades no connection that has
// served a request, and where the document came from the tracker is, as a rule. So
// the tracker's connection stands when the document comes.
func Reach() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	s := &spare{dialer: net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}, ready: make(chan net.Conn)}
	t.DialContext = s.dial
	return &http.Client{Transport: t}
}

// A spare is a second connection to the server that was dialed first.
type spare struct {
	dialer net.Dialer
	once   sync.Once
	addr   string
	ready  chan net.Conn // closed when there is none, or none any more
}

func (s *spare) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	first := false
	s.once.Do(func() {
		first, s.addr = true, addr
		go s.prepare(network)
	})
	if !first && addr == s.addr {
		select {
		case c, ok := <-s.ready:
			if ok {
				return c, nil
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return s.dialer.DialContext(ctx, network, addr)
}

// prepare connects, and waits for somebody who takes the connection.
func (s *spare) prepare(network string) {
	defer close(s.ready)
	c, err := s.dialer.Dial(network, s.addr)
	if err != nil {
		return
	}
	select {
	case s.ready <- c:
	case <-time.After(spareTime):
		c.Close()
	}
}

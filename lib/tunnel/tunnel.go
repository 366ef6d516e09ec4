// Package tunnel makes connections, as HTTP wants them, of the streams between two
// nodes: what an origin serves can so be had from a seed that no TCP reaches, for
// it stands behind a NAT. The grammar is that of wire.TunnelReader.
package tunnel

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/wire"
	"github.com/xp2p/xp2p/lib/xntp"
)

// Bounds, our choices: a viewer opens sixteen at a time and a few that last.
const (
	maxConns     = 1024
	maxPerPeer   = 64
	maxAccept    = 64        // calls that nobody has accepted yet
	maxUnsent    = 128 << 10 // of a connection, beside what XNTP has taken
	creditAt     = wire.TunnelCredit / 4
	maxGreetings = 256 // streams that have not said yet what they are
)

// ErrGone says that the XNTP connection below has ended.
var ErrGone = errors.New("tunnel: the connection to the peer has ended")

// A Tunnel is a node's end of all its tunnels: it dials, and is a net.Listener for
// those who call.
type Tunnel struct {
	n  *node.Node
	do func(func(now time.Time)) error // runs a command on the node's loop

	mu      sync.Mutex
	by      map[node.Stream]*Conn              // by the stream that we write
	in      map[node.Stream]*Conn              // by the stream that we read
	unknown map[node.Stream]*wire.TunnelReader // streams that have not greeted
	news    chan struct{}                      // closed when there is a new connection
	closed  bool
	rate    int64     // bit/s of what all of them write; 0: no bound
	free    time.Time // when the next of it may leave
	calls   chan *Conn
	done    chan struct{}
}

// New returns the tunnels of a node that was made with Config.Streams. do runs a
// command on the node's loop, and fails when that has ended; Event is called there.
// Only who listens is to be called.
func New(n *node.Node, do func(func(now time.Time)) error, listens bool) *Tunnel {
	waiting := 0
	if listens {
		waiting = maxAccept
	}
	return &Tunnel{
		n: n, do: do, by: map[node.Stream]*Conn{}, in: map[node.Stream]*Conn{}, unknown: map[node.Stream]*wire.TunnelReader{},
		news: make(chan struct{}), calls: make(chan *Conn, waiting), done: make(chan struct{}),
	}
}

// SetRate bounds what all tunnels together are given to send, in bits per second; 0
// is no bound.
func (t *Tunnel) SetRate(bps int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rate = bps
}

// turn is how long n bytes have to wait. The caller holds mu.
func (t *Tunnel) turn(n int) time.Duration {
	if t.rate <= 0 {
		return 0
	}
	now := time.Now()
	if t.free.Before(now) {
		t.free = now
	}
	wait := t.free.Sub(now)
	t.free = t.free.Add(time.Duration(int64(n) * 8 * int64(time.Second) / t.rate))
	return wait
}

// Dial opens a tunnel to a peer as soon as there is a connection with it.
func (t *Tunnel) Dial(ctx context.Context, peer wire.PeerID) (net.Conn, error) {
	for {
		t.mu.Lock()
		news := t.news
		t.mu.Unlock()
		type opened struct {
			c   *Conn
			err error
		}
		got := make(chan opened, 1)
		err := t.do(func(now time.Time) {
			s, err := t.n.OpenStream(now, peer)
			if err != nil {
				got <- opened{nil, err}
				return
			}
			c, err := t.make(now, s, peer.String(), wire.AppendTunnelCall(nil))
			got <- opened{c, err}
		})
		if err != nil {
			return nil, err
		}
		var o opened
		select {
		case o = <-got:
		case <-ctx.Done():
			go func() { // nobody will use it
				select {
				case o := <-got:
					if o.c != nil {
						o.c.Close()
					}
				case <-t.done:
				}
			}()
			return nil, context.Cause(ctx)
		}
		switch {
		case o.err == nil:
			return o.c, nil
		case !errors.Is(o.err, node.ErrNotConnected):
			return nil, o.err
		}
		select {
		case <-news:
		case <-t.done:
			return nil, net.ErrClosed
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// make makes a connection of a stream that was opened. On the loop.
func (t *Tunnel) make(now time.Time, s node.Stream, name string, greeting []byte) (*Conn, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	same := 0
	for o := range t.by {
		if o.Conn == s.Conn {
			same++
		}
	}
	if t.closed || len(t.by) >= maxConns || same >= maxPerPeer {
		t.n.CloseStream(now, s)
		return nil, errors.New("tunnel: too many")
	}
	c := newConn(t, s, name)
	c.unsent = greeting
	t.by[s] = c
	c.flush(now)
	return c, nil
}

// Event takes an event of the node's that is about streams; others it leaves
// alone. On the loop.
func (t *Tunnel) Event(now time.Time, e node.Event) {
	switch e.Kind {
	case node.EventStream:
		t.read(now, e)
	case node.EventConn:
		t.mu.Lock()
		defer t.mu.Unlock()
		close(t.news)
		t.news = make(chan struct{})
	case node.EventWritable:
		t.mu.Lock()
		defer t.mu.Unlock()
		for _, c := range t.on(e.Stream.Conn) {
			c.flush(now)
		}
	case node.EventConnGone:
		t.mu.Lock()
		defer t.mu.Unlock()
		for s := range t.unknown {
			if s.Conn == e.Stream.Conn {
				delete(t.unknown, s)
			}
		}
		for _, c := range t.on(e.Stream.Conn) {
			c.fail(ErrGone)
			t.forget(c)
		}
	}
}

// on returns the tunnels on a connection. The caller holds mu.
func (t *Tunnel) on(id xntp.ConnID) (list []*Conn) {
	for s, c := range t.by {
		if s.Conn == id {
			list = append(list, c)
		}
	}
	return list
}

// forget takes a connection out of the books. The caller holds mu.
func (t *Tunnel) forget(c *Conn) {
	delete(t.by, c.out)
	if c.bound {
		delete(t.in, c.from)
	}
}

// read takes what a stream brought.
func (t *Tunnel) read(now time.Time, e node.Event) {
	t.mu.Lock()
	c := t.in[e.Stream]
	var r *wire.TunnelReader
	if c == nil {
		if r = t.unknown[e.Stream]; r == nil {
			if len(t.unknown) >= maxGreetings {
				t.mu.Unlock()
				return
			}
			r = new(wire.TunnelReader)
			t.unknown[e.Stream] = r
		}
	} else {
		r = &c.reader
	}
	t.mu.Unlock()
	for b := e.Data; len(b) > 0; {
		data, credit, rest, err := r.Next(b)
		if err == nil && c == nil && r.Greeted {
			if c = t.greeted(now, e, r); c == nil {
				return
			}
			r = &c.reader
		}
		b = rest
		t.mu.Lock()
		switch {
		case err != nil && c == nil:
			delete(t.unknown, e.Stream)
		case err != nil, c != nil && !c.take(data, credit):
			c.fail(wire.ErrTunnel)
			c.end(now)
			t.forget(c)
			err = wire.ErrTunnel
		}
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
	if e.Fin {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.unknown, e.Stream)
		if c != nil {
			c.finished(now)
		}
	}
}

// greeted makes a connection of a stream that has said what it is; nil if it is
// none.
func (t *Tunnel) greeted(now time.Time, e node.Event, r *wire.TunnelReader) *Conn {
	t.mu.Lock()
	delete(t.unknown, e.Stream)
	if !r.Call {
		c := t.by[node.Stream{Conn: e.Stream.Conn, Object: xntp.ObjectID(r.Answers)}]
		if c != nil && !c.bound {
			c.bind(e.Stream, *r)
			t.in[e.Stream] = c
		} else {
			c = nil
		}
		t.mu.Unlock()
		return c
	}
	full := t.closed || len(t.calls) == cap(t.calls)
	t.mu.Unlock()
	if full {
		return nil
	}
	s, err := t.n.AnswerStream(now, e.Stream.Conn)
	if err != nil {
		return nil
	}
	c, err := t.make(now, s, e.Addr.String(), wire.AppendTunnelAnswer(nil, uint64(e.Stream.Object)))
	if err != nil {
		return nil
	}
	t.mu.Lock()
	c.bind(e.Stream, *r)
	t.in[e.Stream] = c
	t.mu.Unlock()
	t.calls <- c // there is room: only the loop puts in
	return c
}

// Accept implements net.Listener.
func (t *Tunnel) Accept() (net.Conn, error) {
	select {
	case c := <-t.calls:
		return c, nil
	case <-t.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener: there are no new tunnels.
func (t *Tunnel) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.closed = true
		close(t.done)
	}
	return nil
}

// Addr implements net.Listener.
func (t *Tunnel) Addr() net.Addr { return addr("xntp") }

// An addr names an end of a tunnel.
type addr string

func (addr) Network() string  { return "xntp" }
func (a addr) String() string { return string(a) }

var _ net.Listener = (*Tunnel)(nil)
var _ io.Closer = (*Tunnel)(nil)

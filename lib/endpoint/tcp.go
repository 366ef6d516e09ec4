package endpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/xp2p/xp2p/lib/stream"
)

// Preface is what both ends of a TCP connection between peers say first. Then come
// datagrams, each behind two bytes of its length, big endian (RFC 4571); the
// machine's own handshake proves who is there.
const Preface = "xntp/1\r\n"

// Our choices for TCP.
const (
	maxTCPConns   = 4096
	maxTCPPerAddr = 64
	maxTCPGreets  = 64 // strangers who have not said the preface yet
	greetTime     = 5 * time.Second
	knockEvery    = 100 * time.Millisecond // while two ends try at once
	tcpBacklog    = 128                    // datagrams that came and were not taken yet
)

// ErrNoConn says that there is no connection to an address.
var ErrNoConn = errors.New("no TCP connection to there")

// A TCP is a Carrier of TCP connections: for those who have no UDP. To the machine
// all of them are one socket with many remote addresses. Who reads slowly loses
// datagrams (package stream), and nobody waits for him.
type TCP struct {
	one    bool // ends with its connection
	ln     net.Listener
	local  netip.AddrPort
	in     chan tcpDatagram
	pool   sync.Pool
	greets chan struct{}
	closed chan struct{}
	once   sync.Once

	mu    sync.Mutex
	conns map[netip.AddrPort]*stream.Conn
	from  map[netip.Addr]int
	news  chan struct{} // closed, and made anew, when there is a connection more
}

type tcpDatagram struct {
	from netip.AddrPort
	data *[]byte
	n    int
}

// NewTCP returns a carrier without connections; Take brings them.
func NewTCP(local netip.AddrPort) *TCP {
	t := &TCP{
		local: unmapped(local), in: make(chan tcpDatagram, tcpBacklog), greets: make(chan struct{}, maxTCPGreets), closed: make(chan struct{}),
		conns: map[netip.AddrPort]*stream.Conn{}, from: map[netip.Addr]int{}, news: make(chan struct{}),
	}
	t.pool.New = func() any { b := make([]byte, maxDatagram); return &b }
	return t
}

// ListenTCP returns a carrier that takes connections at an address, and can dial
// from it.
func ListenTCP(at netip.AddrPort) (*TCP, error) {
	lc := net.ListenConfig{Control: reusePort}
	ln, err := lc.Listen(context.Background(), "tcp", at.String())
	if err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	t := NewTCP(ln.Addr().(*net.TCPAddr).AddrPort())
	t.ln = ln
	go t.accept()
	return t, nil
}

// DialTCP returns a carrier with one connection, which ends with it. A local address
// that is not zero is bound to, beside others that have it.
func DialTCP(ctx context.Context, local, remote netip.AddrPort) (*TCP, error) {
	t := NewTCP(local)
	t.one = true
	if err := t.Dial(ctx, remote); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// Dial connects to an address, until ctx ends. From a carrier that listens both ends
// may do so at the same time: SYNs that cross become one connection (RFC 9293 §3.5),
// and where one is early, it finds the other's listener; so a NAT or a firewall
// before each of them sees its own end begin. Meanwhile refusals are tried again.
func (t *TCP) Dial(ctx context.Context, remote netip.AddrPort) error {
	remote = unmapped(remote)
	d := net.Dialer{}
	if t.local.IsValid() && t.local.Port() != 0 {
		d.Control = reusePort
		d.LocalAddr = net.TCPAddrFromAddrPort(t.local)
	}
	for {
		t.mu.Lock()
		news, there := t.news, t.conns[remote] != nil
		t.mu.Unlock()
		if there {
			return nil
		}
		// The other's connection may come while ours does not.
		dctx, cancel := context.WithCancel(ctx)
		go func() {
			select {
			case <-news:
				t.mu.Lock()
				there := t.conns[remote] != nil
				t.mu.Unlock()
				if there {
					cancel()
				}
			case <-dctx.Done():
			}
		}()
		conn, err := d.DialContext(dctx, "tcp", remote.String())
		cancel()
		if err == nil {
			if err = t.greet(conn); err == nil {
				return t.Take(conn)
			}
			conn.Close()
			if t.has(remote) {
				return nil
			}
			return fmt.Errorf("endpoint: %v: %w", remote, err)
		}
		if t.has(remote) {
			return nil
		}
		again := errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.ECONNRESET)
		if ctx.Err() != nil || !again || t.ln == nil {
			return fmt.Errorf("endpoint: %w", err)
		}
		select {
		case <-time.After(knockEvery):
		case <-news:
		case <-t.closed:
			return ErrClosed
		case <-ctx.Done():
			return fmt.Errorf("endpoint: %v: %w", remote, ctx.Err())
		}
	}
}

func (t *TCP) has(remote netip.AddrPort) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.conns[remote] != nil
}

// accept takes connections in.
func (t *TCP) accept() {
	for {
		conn, err := t.ln.Accept()
		if err != nil {
			select {
			case <-t.closed:
				return
			case <-time.After(knockEvery): // too many open files, and the like
				continue
			}
		}
		select {
		case t.greets <- struct{}{}:
			go func() {
				if t.greet(conn) != nil || t.Take(conn) != nil {
					conn.Close()
				}
				<-t.greets
			}()
		default:
			conn.Close()
		}
	}
}

// greet says the preface and waits for the other's.
func (t *TCP) greet(conn net.Conn) error {
	conn.SetDeadline(time.Now().Add(greetTime))
	defer conn.SetDeadline(time.Time{})
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-t.closed:
			conn.Close()
		case <-stop:
		}
	}()
	if _, err := io.WriteString(conn, Preface); err != nil {
		return err
	}
	var b [len(Preface)]byte
	if _, err := io.ReadFull(conn, b[:]); err != nil {
		return err
	}
	if string(b[:]) != Preface {
		return errors.New("not one of us")
	}
	return nil
}

// Take adds a connection on which datagrams begin now, both ways. With an error it
// is the caller's to close.
func (t *TCP) Take(conn net.Conn) error {
	at, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return fmt.Errorf("endpoint: %v is no TCP address", conn.RemoteAddr())
	}
	remote := unmapped(at.AddrPort())
	remote = netip.AddrPortFrom(remote.Addr().WithZone(""), remote.Port())
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-t.closed:
		return ErrClosed
	default:
	}
	switch {
	case t.conns[remote] != nil:
		return fmt.Errorf("endpoint: a second connection to %v", remote)
	case len(t.conns) >= maxTCPConns || t.from[remote.Addr()] >= maxTCPPerAddr && !remote.Addr().IsLoopback():
		return fmt.Errorf("endpoint: too many connections from %v", remote.Addr())
	}
	if !t.local.IsValid() {
		if l, ok := conn.LocalAddr().(*net.TCPAddr); ok {
			t.local = unmapped(l.AddrPort())
		}
	}
	c := stream.New(conn, stream.Length)
	t.conns[remote] = c
	t.from[remote.Addr()]++
	close(t.news)
	t.news = make(chan struct{})
	go t.read(c, remote)
	return nil
}

// read brings what comes on one connection.
func (t *TCP) read(c *stream.Conn, remote netip.AddrPort) {
	defer func() {
		c.Close()
		t.mu.Lock()
		delete(t.conns, remote)
		if t.from[remote.Addr()]--; t.from[remote.Addr()] == 0 {
			delete(t.from, remote.Addr())
		}
		t.mu.Unlock()
		if t.one {
			t.Close()
		}
	}()
	for {
		b := t.pool.Get().(*[]byte)
		n, err := c.Read(*b)
		if err != nil {
			return
		}
		select {
		case t.in <- tcpDatagram{remote, b, n}:
		case <-t.closed:
			return
		}
	}
}

// ReadFrom implements Carrier.
func (t *TCP) ReadFrom(b []byte) (int, netip.AddrPort, error) {
	select {
	case d := <-t.in:
		n := copy(b, (*d.data)[:d.n])
		t.pool.Put(d.data)
		return n, d.from, nil
	case <-t.closed:
		return 0, netip.AddrPort{}, net.ErrClosed
	}
}

// WriteTo implements Carrier.
func (t *TCP) WriteTo(b []byte, to netip.AddrPort) error {
	t.mu.Lock()
	c := t.conns[unmapped(to)]
	t.mu.Unlock()
	if c == nil {
		return ErrNoConn
	}
	return c.Write(b)
}

// LocalAddr implements Carrier: where it listens, or what its connection is bound
// to.
func (t *TCP) LocalAddr() netip.AddrPort {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.local
}

// Remotes returns the other ends of its connections.
func (t *TCP) Remotes() (all []netip.AddrPort) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for a := range t.conns {
		all = append(all, a)
	}
	return all
}

// Hang ends the connection to an address.
func (t *TCP) Hang(remote netip.AddrPort) {
	t.mu.Lock()
	c := t.conns[unmapped(remote)]
	t.mu.Unlock()
	if c != nil {
		c.Close()
	}
}

// Close implements Carrier.
func (t *TCP) Close() error {
	t.once.Do(func() {
		close(t.closed)
		if t.ln != nil {
			t.ln.Close()
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		for _, c := range t.conns {
			c.Close()
		}
	})
	return nil
}

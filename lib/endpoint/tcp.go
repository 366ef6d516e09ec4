package endpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
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
	one    bool           // ends with its connection
	as     netip.AddrPort // of its other end
	ln     net.Listener
	local  netip.AddrPort
	in     chan tcpDatagram
	greets chan struct{}
	closed chan struct{}
	once   sync.Once

	mu     sync.Mutex
	conns  map[netip.AddrPort]*tcpConn
	from   map[netip.Addr]int
	wanted map[netip.AddrPort]chan net.Conn // by those who dial them
}

// A tcpConn is a connection of the carrier that owns it.
type tcpConn struct {
	*stream.Conn
	remote netip.AddrPort
	owner  atomic.Pointer[TCP]
}

type tcpDatagram struct {
	from netip.AddrPort
	data *[]byte
	n    int
}

// NewTCP returns a carrier without connections; Take brings them.
func NewTCP(local netip.AddrPort) *TCP {
	return &TCP{
		local: unmapped(local), in: make(chan tcpDatagram, tcpBacklog), greets: make(chan struct{}, maxTCPGreets), closed: make(chan struct{}),
		conns: map[netip.AddrPort]*tcpConn{}, from: map[netip.Addr]int{}, wanted: map[netip.AddrPort]chan net.Conn{},
	}
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

// DialTCP returns a carrier with one connection, which ends with it. With a local
// address that has a port, both ends may dial at once, as with DialOne.
func DialTCP(ctx context.Context, local, remote netip.AddrPort) (*TCP, error) {
	if local.Port() == 0 {
		t := NewTCP(local)
		defer t.Close()
		return t.DialOne(ctx, remote)
	}
	t, err := ListenTCP(local)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	return t.DialOne(ctx, remote)
}

// OneTCP returns a carrier of one connection, which ends with it. To the machine its
// other end has the address that is given, whatever stands between.
func OneTCP(conn net.Conn, as netip.AddrPort) (*TCP, error) {
	t := NewTCP(netip.AddrPort{})
	t.one, t.as = true, unmapped(as)
	if err := t.Take(conn); err != nil {
		conn.Close()
		return nil, err
	}
	return t, nil
}

// DialOne connects to an address, until ctx ends, and returns a carrier with that one
// connection, which ends with it. From a carrier that listens both ends may do so at
// the same time: SYNs that cross become one connection (RFC 9293 §3.5), and one that
// is early finds the other's listener; so a NAT or a firewall before each of them
// sees its own end begin. Meanwhile refusals are tried again.
func (t *TCP) DialOne(ctx context.Context, remote netip.AddrPort) (*TCP, error) {
	one := NewTCP(t.LocalAddr())
	one.one = true
	remote = unmapped(remote)
	for {
		conn, err := t.connect(ctx, remote)
		switch {
		case err == nil:
			if err := one.Take(conn); err != nil {
				conn.Close()
				return nil, err
			}
			return one, nil
		case t.move(remote, one): // it had come before we dialed
			return one, nil
		case !errors.Is(err, errHere):
			return nil, err
		}
	}
}

// errHere says that there is a connection to an address, which the other end made.
var errHere = errors.New("the other end has dialed")

// move gives a connection to another carrier.
func (t *TCP) move(remote netip.AddrPort, to *TCP) bool {
	t.mu.Lock()
	c := t.conns[remote]
	if c != nil {
		t.forget(c)
	}
	t.mu.Unlock()
	return c != nil && to.adopt(c) == nil
}

// connect makes a connection, or takes the one that the other end made meanwhile.
func (t *TCP) connect(ctx context.Context, remote netip.AddrPort) (net.Conn, error) {
	theirs := make(chan net.Conn, 1)
	t.mu.Lock()
	here, busy := t.conns[remote] != nil, t.wanted[remote] != nil
	if !here && !busy {
		t.wanted[remote] = theirs
	}
	t.mu.Unlock()
	switch {
	case here:
		return nil, errHere
	case busy:
		return nil, fmt.Errorf("endpoint: %v is being dialed", remote)
	}
	defer func() {
		t.mu.Lock()
		delete(t.wanted, remote)
		t.mu.Unlock()
		select {
		case conn := <-theirs: // a second one
			conn.Close()
		default:
		}
	}()
	d := net.Dialer{}
	if t.ln != nil {
		d.Control, d.LocalAddr = reusePort, net.TCPAddrFromAddrPort(t.local)
	}
	for {
		conn, err := t.race(ctx, &d, remote, theirs)
		if err == nil {
			return conn, nil
		}
		again := t.ln != nil && slices.ContainsFunc(knockAgain, func(e error) bool { return errors.Is(err, e) })
		if ctx.Err() != nil || !again {
			return nil, fmt.Errorf("endpoint: %w", err)
		}
		select {
		case <-time.After(knockEvery):
		case conn := <-theirs:
			return conn, nil
		case <-t.closed:
			return nil, ErrClosed
		case <-ctx.Done():
			return nil, fmt.Errorf("endpoint: %v: %w", remote, ctx.Err())
		}
	}
}

// knockAgain are the answers of one who is not there yet, or of our own system,
// while it takes the other's connection.
var knockAgain = []error{syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EADDRNOTAVAIL, syscall.EADDRINUSE}

// race dials once, unless the other's connection comes first.
func (t *TCP) race(ctx context.Context, d *net.Dialer, remote netip.AddrPort, theirs <-chan net.Conn) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		conn net.Conn
		err  error
	}
	dialed := make(chan result, 1)
	go func() {
		conn, err := d.DialContext(ctx, "tcp", remote.String())
		if err == nil {
			if err = t.greet(conn); err != nil {
				conn.Close()
			}
		}
		dialed <- result{conn, err}
	}()
	select {
	case r := <-dialed:
		return r.conn, r.err
	case conn := <-theirs:
		cancel()
		go func() {
			if r := <-dialed; r.err == nil {
				r.conn.Close()
			}
		}()
		return conn, nil
	case <-t.closed:
		return nil, ErrClosed
	}
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
				if t.greet(conn) != nil || !t.hand(conn) && t.Take(conn) != nil {
					conn.Close()
				}
				<-t.greets
			}()
		default:
			conn.Close()
		}
	}
}

// hand gives a connection to him who is dialing its other end.
func (t *TCP) hand(conn net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	remote, _ := remoteOf(conn)
	select {
	case t.wanted[remote] <- conn: // nil, if nobody is
		return true
	default:
		return false
	}
}

// remoteOf is the other end of a TCP connection.
func remoteOf(conn net.Conn) (netip.AddrPort, bool) {
	at, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}, false
	}
	a := at.AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port()), true
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
			select {
			case <-stop: // it is over, and the connection another's
			default:
				conn.Close()
			}
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
	remote, ok := remoteOf(conn)
	if t.as.IsValid() {
		remote, ok = t.as, true
	}
	if !ok {
		return fmt.Errorf("endpoint: %v is no TCP address", conn.RemoteAddr())
	}
	if !t.LocalAddr().IsValid() {
		if l, ok := conn.LocalAddr().(*net.TCPAddr); ok {
			t.mu.Lock()
			t.local = unmapped(l.AddrPort())
			t.mu.Unlock()
		}
	}
	c := &tcpConn{Conn: stream.New(conn, stream.Length), remote: remote}
	if err := t.adopt(c); err != nil {
		return err
	}
	go c.read()
	return nil
}

// fits says whether there may be a connection to an address. The caller holds mu.
func (t *TCP) fits(remote netip.AddrPort) error {
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
	return nil
}

// adopt makes a connection the carrier's own, or closes it.
func (t *TCP) adopt(c *tcpConn) error {
	t.mu.Lock()
	if err := t.fits(c.remote); err != nil {
		t.mu.Unlock()
		c.Close()
		return err
	}
	t.conns[c.remote] = c
	t.from[c.remote.Addr()]++
	c.owner.Store(t)
	t.mu.Unlock()
	select {
	case <-c.Done(): // its reader may know but the owner before
		t.lose(c)
	default:
	}
	return nil
}

// lose takes out a connection that has ended.
func (t *TCP) lose(c *tcpConn) {
	t.mu.Lock()
	t.forget(c)
	t.mu.Unlock()
	if t.one {
		t.Close()
	}
}

// forget takes a connection out. The caller holds mu.
func (t *TCP) forget(c *tcpConn) {
	if t.conns[c.remote] != c {
		return
	}
	delete(t.conns, c.remote)
	if t.from[c.remote.Addr()]--; t.from[c.remote.Addr()] == 0 {
		delete(t.from, c.remote.Addr())
	}
}

// read brings what comes on a connection.
func (c *tcpConn) read() {
	defer func() {
		c.Close()
		c.owner.Load().lose(c)
	}()
	for {
		b := datagrams.Get().(*[]byte)
		n, err := c.Read(*b)
		if err != nil {
			return
		}
		if !c.bring(tcpDatagram{c.remote, b, n}) {
			return
		}
	}
}

// bring gives a datagram to whose connection it is.
func (c *tcpConn) bring(d tcpDatagram) bool {
	for {
		t := c.owner.Load()
		select {
		case t.in <- d:
			return true
		case <-t.closed:
			if c.owner.Load() == t {
				return false
			}
		}
	}
}

// datagrams are buffers of what comes.
var datagrams = sync.Pool{New: func() any { b := make([]byte, maxDatagram); return &b }}

// ReadFrom implements Carrier.
func (t *TCP) ReadFrom(b []byte) (int, netip.AddrPort, error) {
	select {
	case d := <-t.in:
		n := copy(b, (*d.data)[:d.n])
		datagrams.Put(d.data)
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

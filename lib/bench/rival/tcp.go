package rival

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
)

// tcp is kernel TCP with one of its congestion controls, chosen per socket.
// Buffers are the kernel's own to tune, as tcp(7) advises; Nagle's algorithm is
// off, as it always is in Go.
type tcp struct{ control string }

func newTCP(control string) func(Options) (Transport, error) {
	return func(Options) (Transport, error) { return &tcp{control}, nil }
}

var tcpFound sync.Map // of a control's name: why it is missing, or nil

// hasTCP tries whether the kernel has a congestion control.
func hasTCP(control string) func() error {
	return func() error {
		if v, ok := tcpFound.Load(control); ok {
			err, _ := v.(error)
			return err
		}
		lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error { return setCongestion(c, control) }}
		l, err := lc.Listen(context.Background(), "tcp4", "127.0.0.1:0")
		if err == nil {
			l.Close()
		}
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err // the address says nothing
		}
		tcpFound.Store(control, err)
		return err
	}
}

func (t *tcp) listen(at Place) (l net.Listener, err error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error { return setCongestion(c, t.control) }}
	lc.SetMultipathTCP(false)
	err = at.do(func() (err error) {
		l, err = lc.Listen(context.Background(), "tcp4", at.Addr.String())
		return err
	})
	return l, err
}

func (t *tcp) dial(ctx context.Context, at Place, to Peer) (c net.Conn, err error) {
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error { return setCongestion(c, t.control) }}
	if at.Addr.IsValid() && !at.Addr.Addr().IsUnspecified() {
		d.LocalAddr = net.TCPAddrFromAddrPort(at.Addr)
	}
	d.SetMultipathTCP(false)
	err = at.do(func() (err error) {
		c, err = d.DialContext(ctx, "tcp4", to.Addr.String())
		return err
	})
	return c, err
}

func (t *tcp) Listen(at Place, serve func(Conn)) (Listener, error) {
	l, err := t.listen(at)
	if err != nil {
		return nil, err
	}
	go accept(l, func(c net.Conn) (io.ReadWriter, error) { return c, nil }, serve)
	return &listener{peer: Peer{Addr: l.Addr().(*net.TCPAddr).AddrPort()}, end: func() { l.Close() }}, nil
}

func (t *tcp) Dial(ctx context.Context, at Place, to Peer, request []byte) (Conn, error) {
	c, err := t.dial(ctx, at, to)
	if err != nil {
		return nil, err
	}
	return ask(c, request, func() { reset(c) })
}

// reset ends a connection without a goodbye: what waits in the send buffer is
// thrown away, so that it is in nobody's way in the next run.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	c.Close()
}

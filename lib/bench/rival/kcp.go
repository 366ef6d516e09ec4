package rival

import (
	"context"
	"net"
	"time"

	"github.com/xtaci/kcp-go/v5"
)

// kcpTransport is kcp-go in the mode that it calls fastest ("ikcp_nodelay(kcp, 1,
// 20, 2, 1)" in its source, with the interval of 10 ms that its users know as
// turbo): no congestion control, fast resend after two. Windows of 2048 packets
// carry 2.8 MB in a round trip, and neither cipher nor FEC costs anything. It
// has no handshake.
type kcpTransport struct{}

func newKCP(Options) (Transport, error) { return kcpTransport{}, nil }

const (
	kcpWindow   = 2048 // packets
	kcpInterval = 10   // ms
)

func tuneKCP(s *kcp.UDPSession) {
	s.SetNoDelay(1, kcpInterval, 2, 1)
	s.SetWindowSize(kcpWindow, kcpWindow)
	s.SetWriteDelay(false)
	s.SetACKNoDelay(true)
}

func (kcpTransport) Listen(at Place, serve func(Conn)) (Listener, error) {
	pc, err := udpSocket(at)
	if err != nil {
		return nil, err
	}
	l, err := kcp.ServeConn(nil, 0, 0, pc)
	if err != nil {
		pc.Close()
		return nil, err
	}
	go func() {
		for {
			s, err := l.AcceptKCP()
			if err != nil {
				return
			}
			tuneKCP(s)
			// KCP has no goodbye: who hears nothing more is let go.
			s.SetReadDeadline(time.Now().Add(kcpSilence))
			go answer(s, kcpRepeated(), func() { s.Close() }, func(c Conn) {
				s.SetReadDeadline(time.Time{})
				serve(c)
			})
		}
	}()
	return &listener{peer: Peer{Addr: pc.LocalAddr().(*net.UDPAddr).AddrPort()}, end: func() {
		l.Close()
		pc.Close()
	}}, nil
}

const kcpSilence = 10 * time.Second

func (kcpTransport) Dial(_ context.Context, at Place, to Peer, request []byte) (Conn, error) {
	pc, err := udpSocket(at)
	if err != nil {
		return nil, err
	}
	s, err := kcp.NewConn2(net.UDPAddrFromAddrPort(to.Addr), nil, 0, 0, pc)
	if err != nil {
		pc.Close()
		return nil, err
	}
	tuneKCP(s)
	return ask(s, request, func() {
		s.Close()
		pc.Close()
	})
}

// kcpRepeated counts from now on, in segments: kcp-go counts for the process, not
// for a session.
func kcpRepeated() func() (part, of int64, ok bool) {
	was := kcp.DefaultSnmp.Copy()
	return func() (part, of int64, ok bool) {
		is := kcp.DefaultSnmp.Copy()
		return int64(is.RetransSegs - was.RetransSegs), int64(is.OutSegs - was.OutSegs), is.OutSegs > was.OutSegs
	}
}

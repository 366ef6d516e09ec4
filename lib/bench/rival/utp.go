package rival

import (
	"context"
	"io"
	"net"
	"net/netip"

	"github.com/anacrolix/utp"
)

// utpTransport is anacrolix/utp as it is: it has nothing to set. Its congestion
// control is a window of packets that its source calls incomplete, not LEDBAT.
type utpTransport struct{}

func newUTP(Options) (Transport, error) { return utpTransport{}, nil }

func (utpTransport) Listen(at Place, serve func(Conn)) (Listener, error) {
	s, pc, err := utpSocket(at)
	if err != nil {
		return nil, err
	}
	go accept(s, func(c net.Conn) (io.ReadWriter, error) { return c, nil }, serve)
	return &listener{peer: Peer{Addr: addrOf(pc)}, end: func() {
		s.CloseNow()
		pc.Close()
	}}, nil
}

func (utpTransport) Dial(ctx context.Context, at Place, to Peer, request []byte) (Conn, error) {
	s, pc, err := utpSocket(at)
	if err != nil {
		return nil, err
	}
	end := func() {
		s.CloseNow()
		pc.Close()
	}
	c, err := s.DialContext(ctx, "", to.Addr.String())
	if err != nil {
		end()
		return nil, err
	}
	return ask(c, request, end)
}

func utpSocket(at Place) (*utp.Socket, *net.UDPConn, error) {
	pc, err := udpSocket(at)
	if err != nil {
		return nil, nil, err
	}
	s, err := utp.NewSocketFromPacketConn(pc)
	if err != nil {
		pc.Close()
		return nil, nil, err
	}
	return s, pc, nil
}

func addrOf(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

package rival

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/quic-go/quic-go"
)

// quicTransport is quic-go with its defaults: path MTU discovery, GSO and ECN
// on, its own Reno. Only the first receive windows are larger than its own
// 512 kB, so that flow control is no limit before it has tuned itself. A
// connection is cold: no ticket, no 0-RTT, and one stream.
type quicTransport struct{ server, client *tls.Config }

func newQUIC(Options) (Transport, error) {
	t := &quicTransport{}
	var err error
	t.server, t.client, err = certificates()
	return t, err
}

func quicConfig() *quic.Config {
	return &quic.Config{
		InitialStreamReceiveWindow:     4 << 20,
		MaxStreamReceiveWindow:         16 << 20,
		InitialConnectionReceiveWindow: 4 << 20,
		MaxConnectionReceiveWindow:     16 << 20,
	}
}

func (t *quicTransport) Listen(at Place, serve func(Conn)) (Listener, error) {
	pc, err := udpSocket(at)
	if err != nil {
		return nil, err
	}
	tr := &quic.Transport{Conn: pc}
	l, err := tr.Listen(t.server, quicConfig())
	if err != nil {
		pc.Close()
		return nil, err
	}
	go func() {
		for {
			c, err := l.Accept(context.Background())
			if err != nil {
				return
			}
			go func() {
				s, err := c.AcceptStream(context.Background())
				if err != nil {
					return
				}
				lost := func() (part, of int64, ok bool) { // what is lost is sent again
					i := c.ConnectionStats()
					return int64(i.BytesLost), int64(i.BytesSent), i.BytesSent > 0
				}
				answer(s, lost, func() { c.CloseWithError(0, "") }, serve)
			}()
		}
	}()
	return &listener{peer: Peer{Addr: pc.LocalAddr().(*net.UDPAddr).AddrPort()}, end: func() {
		l.Close()
		tr.Close()
		pc.Close()
	}}, nil
}

func (t *quicTransport) Dial(ctx context.Context, at Place, to Peer, request []byte) (Conn, error) {
	pc, err := udpSocket(at)
	if err != nil {
		return nil, err
	}
	tr := &quic.Transport{Conn: pc}
	end := func() {
		tr.Close()
		pc.Close()
	}
	c, err := tr.Dial(ctx, net.UDPAddrFromAddrPort(to.Addr), t.client, quicConfig())
	if err != nil {
		end()
		return nil, err
	}
	s, err := c.OpenStreamSync(ctx)
	if err != nil {
		end()
		return nil, err
	}
	return ask(s, request, func() {
		c.CloseWithError(0, "")
		end()
	})
}

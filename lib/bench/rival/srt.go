package rival

import (
	"context"
	"encoding/base64"
	"errors"
	"net"
	"net/netip"
	"time"

	srt "github.com/datarhei/gosrt"
)

// srtTransport is gosrt in live mode with its defaults and the latency that was
// asked for on both sides. The request travels as the stream ID. A message is a
// packet: 1316 bytes are seven of an MPEG transport stream, and what SRT's own
// documentation has.
type srtTransport struct{ config srt.Config }

var errSRTBytes = errors.New("gosrt has no file mode: live messages only")

func newSRT(o Options) (Transport, error) {
	if o.Live == 0 {
		return nil, errSRTBytes
	}
	c := srt.DefaultConfig()
	c.Latency, c.ReceiverLatency, c.PeerLatency = o.Live, o.Live, o.Live
	if o.MessageBytes > 0 {
		c.PayloadSize = uint32(o.MessageBytes)
	}
	return &srtTransport{c}, c.Validate()
}

func (t *srtTransport) Listen(at Place, serve func(Conn)) (Listener, error) {
	// gosrt opens its socket itself, and binds it anew: ask which port is free.
	probe, err := udpSocket(at)
	if err != nil {
		return nil, err
	}
	addr := addrOf(probe)
	probe.Close()
	var l srt.Listener
	err = at.do(func() (err error) {
		l, err = srt.Listen("srt", addr.String(), t.config)
		return err
	})
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			ask, err := l.Accept2()
			if err != nil {
				return
			}
			request, err := base64.RawURLEncoding.DecodeString(ask.StreamId())
			if err != nil || len(request) != RequestBytes {
				ask.Reject(srt.REJX_BAD_REQUEST)
				continue
			}
			c, err := ask.Accept()
			if err != nil {
				continue
			}
			go serve(newStream(c, request, func() { c.Close() }))
		}
	}()
	return &listener{peer: Peer{Addr: netip.AddrPortFrom(addr.Addr(), l.Addr().(*net.UDPAddr).AddrPort().Port())}, end: l.Close}, nil
}

func (t *srtTransport) Dial(ctx context.Context, at Place, to Peer, request []byte) (Conn, error) {
	c := t.config
	c.StreamId = base64.RawURLEncoding.EncodeToString(request)
	if until, ok := ctx.Deadline(); ok {
		c.ConnectionTimeout = min(c.ConnectionTimeout, time.Until(until))
	}
	var conn srt.Conn
	err := at.do(func() (err error) {
		conn, err = srt.Dial("srt", to.Addr.String(), c)
		return err
	})
	if err != nil {
		return nil, err
	}
	return newStream(conn, request, func() { conn.Close() }), nil
}

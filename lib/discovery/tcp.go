package discovery

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/xp2p/xp2p/lib/wire"
)

// tcpWithin bounds how long one server is waited for over TCP.
const tcpWithin = 1500 * time.Millisecond

// ObserveTCP asks STUN servers over TCP, one after the other, how they see a port of
// ours, and returns that port, free again, with the token that proves what was seen.
func ObserveTCP(ctx context.Context, servers []netip.AddrPort) (local netip.AddrPort, token wire.Token, err error) {
	err = errors.New("no STUN server")
	for _, s := range servers {
		if local, token, err = observeTCP(ctx, s); err == nil || ctx.Err() != nil {
			return local, token, err
		}
	}
	return local, nil, err
}

func observeTCP(ctx context.Context, server netip.AddrPort) (local netip.AddrPort, token wire.Token, err error) {
	ctx, cancel := context.WithTimeout(ctx, tcpWithin)
	defer cancel()
	// A port that is bound is ours alone; one that connecting chose may serve others of this
	// host to other ends, and would not be free when it is let go.
	d := net.Dialer{LocalAddr: &net.TCPAddr{}}
	conn, err := d.DialContext(ctx, "tcp", server.String())
	if err != nil {
		return local, nil, err
	}
	defer conn.Close()
	// No TIME-WAIT: the port is to be used again at once, to somebody else.
	conn.(*net.TCPConn).SetLinger(0)
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	var id wire.STUNTransaction
	if _, err := rand.Read(id[:]); err != nil {
		return local, nil, err
	}
	if _, err := conn.Write(wire.AppendSTUNRequest(nil, id, true)); err != nil {
		return local, nil, err
	}
	const header = 20
	b := make([]byte, 1472)
	if _, err := io.ReadFull(conn, b[:header]); err != nil {
		return local, nil, err
	}
	n := header + int(binary.BigEndian.Uint16(b[2:]))
	if n > len(b) {
		return local, nil, wire.ErrSTUN
	}
	if _, err := io.ReadFull(conn, b[header:n]); err != nil {
		return local, nil, err
	}
	var m wire.STUN
	if err := m.Parse(b[:n]); err != nil {
		return local, nil, err
	}
	if m.Class != wire.STUNSuccess || m.Transaction != id || len(m.Token) == 0 {
		return local, nil, fmt.Errorf("%v proves nothing over TCP", server)
	}
	at := conn.LocalAddr().(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), append(wire.Token(nil), m.Token...), nil
}

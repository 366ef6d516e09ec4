package main

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/xp2p/xp2p/lib/natprobe"
	"github.com/xp2p/xp2p/lib/wire"
)

// STUN over TCP (RFC 8489 §6.2.2) is there for those who find UDP blocked: that
// somebody answers tells it from being offline.
const (
	stunTCPConns = 64 // at a time; more are closed at once
	stunTCPLimit = 3 * time.Second
)

// answerTCP answers Binding requests over TCP at the responder's addresses, until
// ctx ends. Where HTTP has the port, that is answer enough.
func (s *seed) answerTCP(ctx context.Context) {
	for _, at := range s.o.stunAt {
		ln, err := net.Listen("tcp", at.String())
		if err != nil {
			s.t.Log.Info("no STUN over TCP", "addr", at, "err", err)
			continue
		}
		s.work.Go(func() {
			<-ctx.Done()
			ln.Close()
		})
		s.work.Go(func() { acceptSTUN(ln, s.id.token) })
	}
}

func acceptSTUN(ln net.Listener, key ed25519.PrivateKey) {
	slots := make(chan struct{}, stunTCPConns)
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		select {
		case slots <- struct{}{}:
			go func() {
				serveSTUN(conn, key)
				<-slots
			}()
		default:
			conn.Close()
		}
	}
}

// serveSTUN answers what comes on one connection within its time. Its tokens prove
// addresses of TCP, at which those are met who have no UDP.
func serveSTUN(conn net.Conn, key ed25519.PrivateKey) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(stunTCPLimit))
	from, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return
	}
	from = netip.AddrPortFrom(from.Addr().Unmap().WithZone(""), from.Port())
	const header = 20
	b := make([]byte, 1472)
	for {
		if _, err := io.ReadFull(conn, b[:header]); err != nil {
			return
		}
		n := header + int(binary.BigEndian.Uint16(b[2:]))
		if n > len(b) || !wire.IsSTUN(b[:header]) {
			return
		}
		if _, err := io.ReadFull(conn, b[header:n]); err != nil {
			return
		}
		var m wire.STUN
		if m.Parse(b[:n]) != nil || m.Class != wire.STUNRequest || m.Method != wire.STUNBinding {
			return
		}
		a := wire.STUNAnswer{Mapped: from, Fingerprint: m.Fingerprint}
		if m.WantsToken {
			a.Token = wire.AppendToken(nil, key, from, time.Now().Add(natprobe.TokenLife))
		}
		answer := wire.AppendSTUNAnswer(nil, m.Transaction, a)
		if len(m.Unknown) > 0 {
			answer = wire.AppendSTUNError(nil, m.Transaction, 420, m.Unknown, m.Fingerprint)
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

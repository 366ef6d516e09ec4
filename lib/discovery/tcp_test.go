package discovery

import (
	"crypto/ed25519"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/wire"
)

// The port that a server has seen is free again at once, to connect to somebody else
// from it.
func TestATCPPortIsObservedAndFree(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	answers := make(chan func(net.Conn, *wire.STUN, netip.AddrPort), 2)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 400)
			n, _ := conn.Read(b)
			var m wire.STUN
			m.Parse(b[:n])
			(<-answers)(conn, &m, conn.RemoteAddr().(*net.TCPAddr).AddrPort())
			conn.Close()
		}
	}()
	server := ln.Addr().(*net.TCPAddr).AddrPort()
	// Somebody else on this host may take a port in the moment in which it is nobody's:
	// once, not three times running.
	for try := 1; ; try++ {
		answers <- func(c net.Conn, m *wire.STUN, from netip.AddrPort) {
			c.Write(wire.AppendSTUNAnswer(nil, m.Transaction, wire.STUNAnswer{Mapped: from, Token: wire.AppendToken(nil, key, from, time.Now().Add(time.Minute))}))
			io.Copy(io.Discard, c) // until the other end hangs up
		}
		local, token, err := ObserveTCP(t.Context(), []netip.AddrPort{server})
		if err != nil || wire.VerifyToken(key.Public().(ed25519.PublicKey), token, local, time.Now()) != nil {
			t.Fatalf("%v: %v", local, err)
		}
		again, err := net.Listen("tcp4", local.String())
		if err == nil {
			again.Close()
			break
		}
		if try == 3 {
			t.Fatalf("the port is not free: %v", err)
		}
	}
	answers <- func(c net.Conn, m *wire.STUN, from netip.AddrPort) {
		c.Write(wire.AppendSTUNAnswer(nil, m.Transaction, wire.STUNAnswer{Mapped: from}))
	}
	if _, _, err := ObserveTCP(t.Context(), []netip.AddrPort{server}); err == nil {
		t.Error("without a token")
	}
	if _, _, err := ObserveTCP(t.Context(), nil); err == nil {
		t.Error("without a server")
	}
}

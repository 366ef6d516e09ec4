package main

import (
	"crypto/ed25519"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/wire"
)

func TestStunListenTakesOneAddressOrTwoThatDiffer(t *testing.T) {
	for _, c := range []struct {
		in   []string
		only []string
		want string // of the error; "" is none
	}{
		{nil, nil, ""},
		{[]string{"192.0.2.1:3478"}, nil, ""},
		{[]string{"192.0.2.1:3478", "192.0.2.2:3479"}, nil, ""},
		{[]string{"[2001:db8::1]:3478", "[2001:db8::2]:3479"}, nil, ""},
		{[]string{"192.0.2.1:3478", "192.0.2.2:3478"}, nil, "two IP addresses"},
		{[]string{"192.0.2.1:3478", "192.0.2.1:3479"}, nil, "two IP addresses"},
		{[]string{"192.0.2.1:3478", "[2001:db8::2]:3479"}, nil, "two IP addresses"},
		{[]string{"192.0.2.1:1", "192.0.2.2:2", "192.0.2.3:3"}, nil, "two are all"},
		{[]string{":3478"}, nil, "an address of this machine"},
		{[]string{"0.0.0.0:3478"}, nil, "an address of this machine"},
		{[]string{"192.0.2.1:0"}, nil, "an address of this machine"},
		{[]string{"192.0.2.1:3478"}, []string{"origin"}, "not here"},
	} {
		o := options{stunListen: c.in, only: c.only}
		err := o.checkSTUN()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.in, err, c.want)
		}
	}
}

func TestAResponderAlwaysHasTwoPorts(t *testing.T) {
	udp := netip.MustParseAddrPort("192.0.2.9:8080")
	for _, c := range []struct {
		in   []string
		want string
	}{
		{nil, "192.0.2.9:8080 192.0.2.9:8081"},
		{[]string{"192.0.2.1:3478"}, "192.0.2.1:3478 192.0.2.1:3479"},
		{[]string{"192.0.2.1:3478", "192.0.2.2:3479"}, "192.0.2.1:3478 192.0.2.1:3479 192.0.2.2:3478 192.0.2.2:3479"},
	} {
		o := options{stunListen: c.in}
		if err := o.checkSTUN(); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, a := range o.stunSockets(udp) {
			got = append(got, a.String())
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%v: %v", c.in, got)
		}
	}
}

// RFC 8489 §6.2.2: requests one after another on a connection; whoever says what is
// no STUN is hung up on.
func TestSTUNOverTCP(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	go acceptSTUN(ln, key)
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i := range byte(3) {
		conn.Write(wire.AppendSTUNRequest(nil, wire.STUNTransaction{i}, i == 2))
		b := make([]byte, 400)
		n, err := conn.Read(b)
		var m wire.STUN
		if err != nil || m.Parse(b[:n]) != nil || m.Transaction != (wire.STUNTransaction{i}) || m.Mapped.String() != conn.LocalAddr().String() {
			t.Fatalf("%v: %+v", err, m)
		}
		if proves := wire.VerifyToken(key.Public().(ed25519.PublicKey), m.Token, m.Mapped, time.Now()) == nil; proves != (i == 2) {
			t.Errorf("question %d: proves the address: %v", i, proves)
		}
	}
	conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	if n, err := conn.Read(make([]byte, 10)); err == nil {
		t.Errorf("%d bytes answer what is no STUN", n)
	}
}

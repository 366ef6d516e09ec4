package relay

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v2"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// A site is a relay on loopback, in all its transports.
type site struct {
	*Server
	udp, tcp, tls URI
	fingerprint   string
}

// open starts a relay. member says who is in the room; nil lets in all of loopback,
// as a laboratory.
func open(t *testing.T, cfg Config) *site {
	t.Helper()
	cfg.Public = loopback
	s, err := NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ServeUDP(conn); err != nil {
		t.Fatal(err)
	}
	plain, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := SelfSigned(time.Now(), "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	secure, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{}, 2)
	for _, ln := range []net.Listener{plain, tls.NewListener(secure, &tls.Config{Certificates: []tls.Certificate{cert}})} {
		go func() {
			s.ServeStream(ctx, ln)
			ended <- struct{}{}
		}()
	}
	t.Cleanup(func() {
		cancel()
		<-ended
		<-ended
		s.Close()
	})
	port := func(a net.Addr) uint16 { return addrPortOf(a).Port() }
	return &site{
		s, URI{"127.0.0.1", port(conn.LocalAddr()), UDP}, URI{"127.0.0.1", port(plain.Addr()), TCP}, URI{"127.0.0.1", port(secure.Addr()), TLS},
		Fingerprint(cert.Leaf),
	}
}

// lab lets members of the room "match" on loopback be reached.
func lab() Config {
	return Config{Private: true, Member: func(room string, ip netip.Addr) bool { return room == "match" && ip.IsLoopback() }}
}

func (s *site) dial(t *testing.T, at URI) *Allocation {
	t.Helper()
	user, password := s.Credential(time.Now(), "match")
	a, err := Dial(t.Context(), Access{URI: at, Username: user, Password: password, Fingerprint: s.fingerprint})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

// receive waits for the next datagram.
func receive(t *testing.T, read func([]byte) (int, netip.AddrPort, error)) (string, netip.AddrPort) {
	t.Helper()
	b := make([]byte, 2048)
	n, from, err := read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n]), from
}

func peer(t *testing.T) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

func TestDatagramsPassBothWaysOverEveryTransport(t *testing.T) {
	s := open(t, lab())
	for _, at := range []URI{s.udp, s.tcp, s.tls} {
		t.Run(at.Transport.String(), func(t *testing.T) {
			a, p := s.dial(t, at), peer(t)
			if !s.Relays(a.LocalAddr()) {
				t.Errorf("%v is no relayed address of the server's", a.LocalAddr())
			}
			for i := range 30 { // Send indications at first, then ChannelData
				want := fmt.Sprintf("%d %s", i, strings.Repeat("x", i*40))
				if err := a.WriteTo([]byte(want), addrPortOf(p.LocalAddr())); err != nil {
					t.Fatal(err)
				}
				got, from := receive(t, p.ReadFromUDPAddrPort)
				if got != want || from != a.LocalAddr() {
					t.Fatalf("the peer got %q from %v, want %q from %v", got, from, want, a.LocalAddr())
				}
				p.WriteToUDPAddrPort([]byte(want), from)
				if got, from := receive(t, a.ReadFrom); got != want || from != addrPortOf(p.LocalAddr()) {
					t.Fatalf("the client got %q from %v", got, from)
				}
			}
			if err := a.WriteTo(make([]byte, MaxDatagram+1), addrPortOf(p.LocalAddr())); !errors.Is(err, ErrTooBig) {
				t.Errorf("a datagram that is too big: %v", err)
			}
			a.Close()
			if _, _, err := a.ReadFrom(make([]byte, 2048)); !errors.Is(err, net.ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		})
	}
	if st := s.Stats(); st.In == 0 || st.In != st.Out {
		t.Errorf("bytes in %d, out %d: as many went as came", st.In, st.Out)
	}
}

func TestTwoWithoutUDPMeetAtTheirRelayedAddresses(t *testing.T) {
	// No laboratory: loopback is nobody's address, and yet two relayed addresses of
	// one room reach each other, and no others.
	s := open(t, Config{Member: func(string, netip.Addr) bool { return false }})
	a, b := s.dial(t, s.tcp), s.dial(t, s.tls)
	// Each has to let the other in before it hears it.
	if err := b.WriteTo([]byte("knock"), a.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 1)
	go func() {
		text, _ := receive(t, a.ReadFrom)
		heard <- text
	}()
	for tick := time.Tick(20 * time.Millisecond); ; {
		a.WriteTo([]byte("knock"), b.LocalAddr())
		b.WriteTo([]byte("hello"), a.LocalAddr())
		select {
		case text := <-heard:
			if text != "hello" && text != "knock" {
				t.Errorf("got %q", text)
			}
		case <-tick:
			continue
		case <-t.Context().Done():
			t.Fatal("nothing came")
		}
		break
	}
	user, password := s.Credential(time.Now(), "other")
	c, err := Dial(t.Context(), Access{URI: s.udp, Username: user, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	before := s.Stats().Denied
	c.WriteTo([]byte("of another room"), a.LocalAddr())
	waitFor(t, "the datagram to be denied", func() bool { return s.Stats().Denied > before })
}

// waitFor waits for what another goroutine will have done.
func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for timeout := time.After(20 * time.Second); !done(); {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestAnAllocationReachesNobodyOutsideTheRoom(t *testing.T) {
	s := open(t, Config{Private: true, Member: func(room string, ip netip.Addr) bool { return ip == netip.MustParseAddr("127.0.0.2") }})
	a, p := s.dial(t, s.udp), peer(t)
	a.WriteTo([]byte("let me in"), addrPortOf(p.LocalAddr()))
	waitFor(t, "the peer to be denied", func() bool { return s.Stats().Denied > 0 })
	if st := s.Stats(); st.Out != 0 {
		t.Errorf("%d bytes went to one who is in no room", st.Out)
	}
	p.SetReadDeadline(time.Now())
	if n, _, err := p.ReadFrom(make([]byte, 100)); err == nil {
		t.Errorf("%d bytes came", n)
	}
}

func TestCredentialsThatAreNoneOpenNothing(t *testing.T) {
	s := open(t, lab())
	now := time.Now()
	good, password := s.Credential(now, "match")
	expired, old := s.Credential(now.Add(-CredentialLife-time.Second), "match")
	_, room, peer := cut3(good)
	for name, a := range map[string]Access{
		"a wrong password":    {Username: good, Password: password + "x"},
		"another room":        {Username: strings.Replace(good, room, "other", 1), Password: password},
		"another peer":        {Username: strings.Replace(good, peer, "000000000000", 1), Password: password},
		"a longer life":       {Username: fmt.Sprintf("%d:%s:%s", now.Add(2*CredentialLife).Unix(), room, peer), Password: password},
		"expired":             {Username: expired, Password: old},
		"no user name at all": {Username: "x", Password: password},
	} {
		t.Run(name, func(t *testing.T) {
			a.URI = s.tcp
			if c, err := Dial(t.Context(), a); err == nil {
				c.Close()
				t.Error("an address was allocated")
			}
		})
	}
	if st := s.Stats(); st.Allocated != 0 {
		t.Errorf("%d allocations", st.Allocated)
	}
}

func cut3(username string) (expiry, room, peer string) {
	f := strings.SplitN(username, ":", 3)
	return f[0], f[1], f[2]
}

func TestSecretsRollAndTwoAreAlive(t *testing.T) {
	var s secrets
	now := time.Unix(1_000_000*600, 0) // where an epoch begins
	user, password := s.issue(now, "match", "p")
	if user != fmt.Sprintf("%d:match:p", now.Unix()+600) {
		t.Errorf("user name %q", user)
	}
	check := func(after time.Duration, want error) {
		t.Helper()
		got, room, err := s.password(now.Add(after), user)
		if !errors.Is(err, want) || want == nil && (got != password || room != "match") {
			t.Errorf("after %v: %q, %q, %v; want %v", after, got, room, err, want)
		}
	}
	check(0, nil)
	check(CredentialLife-time.Second, nil)
	check(CredentialLife, nil) // the secret has rolled
	check(CredentialLife+time.Second, errExpired)
	check(3*CredentialLife, errExpired)
	// A server that nobody asked for long has forgotten.
	forged := fmt.Sprintf("%d:match:p", now.Add(6*CredentialLife).Unix()+300)
	if _, _, err := s.password(now.Add(6*CredentialLife), forged); !errors.Is(err, errUsername) {
		t.Errorf("a user name of a secret that never was: %v", err)
	}
}

func TestNoMoreAllocationsThanTheLimits(t *testing.T) {
	s := open(t, lab())
	user, password := s.Credential(time.Now(), "match")
	var all []*Allocation
	for i := range maxPerUser + 1 {
		a, err := Dial(t.Context(), Access{URI: s.udp, Username: user, Password: password})
		if (err == nil) != (i < maxPerUser) {
			t.Fatalf("allocation %d of one user: %v", i, err)
		}
		if err == nil {
			all = append(all, a)
		}
	}
	for i := maxPerUser; i <= maxPerAddress; i++ {
		user, password := s.Credential(time.Now(), "match")
		a, err := Dial(t.Context(), Access{URI: s.tcp, Username: user, Password: password})
		if (err == nil) != (i < maxPerAddress) {
			t.Fatalf("allocation %d of one address: %v", i, err)
		}
		if err == nil {
			all = append(all, a)
		}
	}
	if st := s.Stats(); st.Allocations != maxPerAddress {
		t.Errorf("%d allocations, want %d", st.Allocations, maxPerAddress)
	}
	for _, a := range all {
		a.Close()
	}
	waitFor(t, "the addresses to be given back", func() bool { return s.Stats().Allocations == 0 })
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.users)+len(s.from)+len(s.rooms)+len(s.ports) > 0 {
		t.Errorf("left behind: %v %v %v %v", s.users, s.from, s.rooms, s.ports)
	}
}

func TestAnAllocationIsHeldToItsRate(t *testing.T) {
	cfg := lab()
	cfg.Rate = 1_000_000
	s := open(t, cfg)
	a, p := s.dial(t, s.tcp), peer(t)
	a.WriteTo([]byte("hello"), addrPortOf(p.LocalAddr()))
	_, relayed := receive(t, p.ReadFromUDPAddrPort)
	began := time.Now()
	waitFor(t, "much to be lost", func() bool {
		for range 40 {
			p.WriteToUDPAddrPort(make([]byte, 1000), relayed)
		}
		return s.Stats().Limited > 200_000
	})
	if st, most := s.Stats(), minBurst+125_000*time.Since(began).Seconds(); float64(st.In) > most {
		t.Errorf("%d bytes passed, and the bucket holds %.0f", st.In, most)
	}
}

func TestWhereNothingIsSentTo(t *testing.T) {
	member := func(string, netip.Addr) bool { return true }
	strict, laboratory := &filter{member: member}, &filter{member: member, private: true}
	for _, c := range []struct {
		addr     string
		open     bool
		inTheLab bool
	}{
		{"203.0.113.7", true, true}, {"8.8.8.8", true, true}, {"2a00:1450::1", true, true}, {"::ffff:8.8.8.8", true, true},
		{"0.0.0.0", false, false}, {"0.1.2.3", false, false}, {"::", false, false}, {"::ffff:0.0.0.0", false, false},
		{"127.0.0.1", false, true}, {"127.9.9.9", false, true}, {"::1", false, true}, {"::ffff:127.0.0.1", false, true},
		{"10.0.0.1", false, true}, {"172.16.5.5", false, true}, {"172.31.255.255", false, true}, {"192.168.1.1", false, true},
		{"::ffff:10.0.0.1", false, true}, {"::ffff:192.168.1.1", false, true}, {"::ffff:169.254.169.254", false, true},
		{"169.254.169.254", false, true}, {"fe80::1", false, true}, {"fe80::1%eth0", false, true},
		{"100.64.0.1", false, true}, {"100.127.255.255", false, true}, {"100.128.0.1", true, true},
		{"198.18.0.1", false, true}, {"fc00::1", false, true}, {"fdab::1", false, true},
		{"224.0.0.1", false, false}, {"239.255.255.250", false, false}, {"ff02::1", false, false}, {"::ffff:224.0.0.1", false, false},
		{"240.0.0.1", false, false}, {"255.255.255.255", false, false},
		{"64:ff9b::7f00:1", false, false}, {"64:ff9b:1::1", false, false}, {"2002:7f00:1::", false, false}, {"2001:0:1::1", false, false},
		{"::127.0.0.1", false, false}, {"::7f00:2", false, false}, {"fec0::1", false, false}, {"192.0.0.1", false, false}, {"192.88.99.1", false, false},
	} {
		a, now := netip.MustParseAddr(c.addr), time.Now()
		if got := strict.allows(now, "match", a); got != c.open {
			t.Errorf("%s: %v, want %v", c.addr, got, c.open)
		}
		if got := laboratory.allows(now, "match", a); got != c.inTheLab {
			t.Errorf("%s in a laboratory: %v, want %v", c.addr, got, c.inTheLab)
		}
	}
	nobody := &filter{member: func(string, netip.Addr) bool { return false }, private: true}
	own := &filter{member: member, given: []netip.Addr{netip.MustParseAddr("203.0.113.9")}}
	if a := netip.MustParseAddr("203.0.113.7"); nobody.allows(time.Now(), "match", a) {
		t.Error("one who is not in the room can be reached")
	}
	if a := netip.MustParseAddr("::ffff:203.0.113.9"); own.allows(time.Now(), "match", a) {
		t.Error("the server's own address can be reached")
	}
}

// TestStrangersAreAnsweredLittle floods the relay's socket as 1,000 forged sources
// would: what it answers is bounded by what came.
func TestStrangersAreAnsweredLittle(t *testing.T) {
	var a allowance
	now := time.Unix(1, 0)
	in, out := 0, 0
	for i := range 100_000 { // over 5 s
		now = now.Add(50 * time.Microsecond)
		a.came(28)
		in += 28 + overhead
		if from := netip.AddrFrom4([4]byte{203, byte(i % 1000 >> 8), byte(i % 1000), 7}); a.leaves(now, from, 132) {
			out += 132 + overhead
		}
	}
	if ratio := float64(out) / float64(in); ratio > 1.27 || ratio < 0.5 {
		t.Errorf("%d bytes for %d: %.3f", out, in, ratio)
	}
}

func TestURIs(t *testing.T) {
	for _, c := range []struct{ in, out string }{
		{"turn:relay.example", "turn:relay.example:3478?transport=udp"},
		{"turn:relay.example:99", "turn:relay.example:99?transport=udp"},
		{"TURN:192.0.2.1:3478?transport=UDP", "turn:192.0.2.1:3478?transport=udp"},
		{"turn:[2001:db8::1]:3478?transport=tcp", "turn:[2001:db8::1]:3478?transport=tcp"},
		{"turn:[2001:db8::1]", "turn:[2001:db8::1]:3478?transport=udp"},
		{"turns:relay.example", "turns:relay.example:5349?transport=tcp"},
		{"turns:relay.example:443?transport=tcp", "turns:relay.example:443?transport=tcp"},
		{"turns:relay.example?transport=udp", ""}, {"stun:relay.example", ""}, {"turn:", ""}, {"turn:a:b", ""}, {"turn:a:0", ""},
		{"turn:a:65536", ""}, {"turn:a?x=y", ""}, {"turn:a/b", ""}, {"turn:2001:db8::1", ""}, {"turn:u@h", ""}, {"relay.example", ""}, {"", ""},
	} {
		u, err := ParseURI(c.in)
		switch {
		case c.out == "" && !errors.Is(err, ErrURI):
			t.Errorf("%q: %v, %v", c.in, u, err)
		case c.out != "" && (err != nil || u.String() != c.out):
			t.Errorf("%q: %v, %v; want %s", c.in, u, err, c.out)
		case c.out != "":
			if again, err := ParseURI(u.String()); again != u || err != nil {
				t.Errorf("%q: %v comes back as %v, %v", c.in, u, again, err)
			}
		}
	}
}

func TestAnotherCertificateIsRefused(t *testing.T) {
	s := open(t, lab())
	user, password := s.Credential(time.Now(), "match")
	for _, fingerprint := range []string{"", strings.Repeat("0", 64)} {
		if a, err := Dial(t.Context(), Access{URI: s.tls, Username: user, Password: password, Fingerprint: fingerprint}); err == nil {
			a.Close()
			t.Errorf("fingerprint %q was believed", fingerprint)
		}
	}
}

func TestAMessageThatLibrariesFallOverStopsHere(t *testing.T) {
	header := func(size int) []byte {
		return append([]byte{0, 0x16, byte(size >> 8), byte(size), 0x21, 0x12, 0xa4, 0x42}, make([]byte, 12)...)
	}
	for name, c := range map[string]struct {
		b    []byte
		want bool
	}{
		"no attribute":          {header(0), true},
		"an empty peer address": {append(header(4), 0, 0x12, 0, 0), false},
		"a short one":           {append(header(8), 0, 0x12, 0, 4, 0, 1, 0, 0), false},
		"a whole one":           {append(header(12), 0, 0x12, 0, 8, 0, 1, 0, 0, 0, 0, 0, 0), true},
		"IPv6 in IPv4's length": {append(header(12), 0, 0x12, 0, 8, 0, 2, 0, 0, 0, 0, 0, 0), false},
		"cut off":               {append(header(12), 0, 0x12, 0, 8, 0, 1), false},
		"behind the integrity":  {append(append(header(36), append([]byte{0, 8, 0, 20}, make([]byte, 20)...)...), 0, 0x12, 0, 8, 0, 1, 0, 0, 0, 0, 0, 0), false},
		"channel data":          {[]byte{0x40, 0, 0, 1, 7}, true},
		"nothing":               {nil, false},
	} {
		if got := sound(c.b); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if sound(append(header(0)[:4], bytes.Repeat([]byte{1}, 16)...)) {
		t.Error("a message without the cookie")
	}
}

// FuzzSound holds the guard against what it guards: what it lets through breaks
// neither pion's parser nor what looks at addresses.
func FuzzSound(f *testing.F) {
	for _, set := range [][]stun.Setter{
		{stun.NewType(stun.MethodAllocate, stun.ClassRequest)},
		{stun.NewType(stun.MethodSend, stun.ClassIndication), stun.XORMappedAddress{IP: net.IPv4(192, 0, 2, 1), Port: 4}, stun.NewSoftware("x")},
		{stun.NewType(stun.MethodRefresh, stun.ClassRequest), stun.NewUsername("u"), stun.NewShortTermIntegrity("p"), stun.Fingerprint},
	} {
		m, err := stun.Build(append([]stun.Setter{stun.TransactionID}, set...)...)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(m.Raw)
	}
	f.Add([]byte{0x40, 0, 0, 1, 7})
	f.Fuzz(func(t *testing.T, b []byte) {
		if !sound(b) || b[0] >= 4 {
			return
		}
		m := &stun.Message{Raw: append(make([]byte, 0, len(b)), b...)}
		if m.Decode() != nil {
			return
		}
		for _, kind := range []stun.AttrType{stun.AttrXORMappedAddress, stun.AttrXORPeerAddress, stun.AttrXORRelayedAddress} {
			var a stun.XORMappedAddress
			a.GetFromAs(m, kind)
			m.ForEach(kind, func(m *stun.Message) error { return a.GetFromAs(m, kind) })
		}
		stun.NewShortTermIntegrity("p").Check(m)
		new(stun.ErrorCodeAttribute).GetFrom(m)
	})
}

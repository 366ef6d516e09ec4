package xntp

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

var near = link{delay: 20 * time.Millisecond}

func TestAnEarlyRequestIsAnsweredInOneRoundTrip(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.add("a", near), w.add("b", near)
	start := w.now
	if _, err := a.Dial(w.now, DialOptions{Remote: b.Public(), Addr: b.addr, Early: []byte("GET /start")}); err != nil {
		t.Fatal(err)
	}
	b.step = func(now time.Time) {
		if ev := b.last(EventAccepted); ev.Kind != 0 && b.count(EventWritable) == 0 {
			b.events = append(b.events, Event{Kind: EventWritable}) // once
			if string(ev.Early) != "GET /start" || ev.Key != a.Public() || ev.Addr != a.addr {
				t.Errorf("accepted %+v", ev)
			}
			if _, err := b.Send(now, ev.Conn, Object{Data: [][]byte{[]byte("the answer")}}); err != nil {
				t.Error(err)
			}
		}
	}
	w.until(20*time.Millisecond, func() bool { return b.count(EventAccepted) > 0 })
	b.drain()
	if !w.until(time.Second, func() bool { return a.count(EventObject) > 0 }) || w.now.Sub(start) != 40*time.Millisecond {
		t.Errorf("answer after %v: %v", w.now.Sub(start), a.kinds())
	}
}

func TestSimultaneousOpenLeavesOneConnection(t *testing.T) {
	for _, tc := range []struct {
		name string
		lag  time.Duration // between the two dials
		drop int           // how many of the first datagrams are lost
	}{
		{"at once", 0, 0}, {"first one lost", 0, 1}, {"first two lost", 0, 2}, {"first three lost", 0, 3},
		{"half a trip apart", 10 * time.Millisecond, 0}, {"a trip apart", 20 * time.Millisecond, 0},
		{"one and a half apart", 30 * time.Millisecond, 0}, {"two apart", 40 * time.Millisecond, 0}, {"three apart", 60 * time.Millisecond, 0},
	} {
		for order := range 2 {
			w := newWorld(t, uint64(10+order))
			a, b := w.add("a", near), w.add("b", near)
			if (a.Public().Compare(b.Public()) < 0) != (order == 0) {
				a, b = b, a // once the lower key dials first, once the higher
			}
			n := 0
			w.meddle = func(_, _ *node, p *machine.Packet) {
				if n++; n <= tc.drop {
					p.Data = nil
				}
			}
			ac, err := a.Dial(w.now, DialOptions{Remote: b.Public(), Addr: b.addr, Early: []byte("from a")})
			if err != nil {
				t.Fatal(err)
			}
			var bc ConnID
			w.after(tc.lag, func() {
				bc, err = b.Dial(w.now, DialOptions{Remote: a.Public(), Addr: a.addr, Early: []byte("from b")})
				if err != nil && !errors.Is(err, ErrConnected) {
					t.Errorf("dial: %v", err)
				}
			})
			w.run(15 * time.Second)
			as, bs := a.Conns(nil), b.Conns(nil)
			if len(as) != 1 || len(bs) != 1 {
				t.Errorf("%s, order %d: connections %v and %v\n%v\n%v", tc.name, order, as, bs, a.kinds(), b.kinds())
				continue
			}
			if tc.lag == 0 && (as[0] != ac || bs[0] != bc || a.count(EventConnected) != 1 || b.count(EventConnected) != 1) {
				t.Errorf("%s, order %d: dialed %d and %d, left are %v and %v\n%v\n%v", tc.name, order, ac, bc, as, bs, a.kinds(), b.kinds())
			}
			if tc.lag == 0 && (string(a.last(EventAccepted).Early) != "from b" && a.Public().Compare(b.Public()) > 0) {
				t.Errorf("%s: the early request was lost: %+v", tc.name, a.events)
			}
			if _, err := a.Send(w.now, as[0], Object{Data: [][]byte{[]byte("x")}}); err != nil {
				t.Error(err)
			}
			w.run(time.Second)
			if b.count(EventObject) != 1 || a.count(EventDelivered) != 1 {
				t.Errorf("%s, order %d: the connection does not work: %v", tc.name, order, b.kinds())
			}
		}
	}
}

func TestCrossedDialsWithJitterLeaveOneConnection(t *testing.T) {
	for seed := range uint64(300) {
		w := newWorld(t, seed)
		l := link{delay: 20 * time.Millisecond, reorder: 0.7, loss: 0.1, duplicate: 0.1}
		a, b := w.add("a", l), w.add("b", l)
		a.Dial(w.now, DialOptions{Remote: b.Public(), Addr: b.addr})
		w.after(time.Duration(w.rng.IntN(100))*time.Millisecond, func() {
			b.Dial(w.now, DialOptions{Remote: a.Public(), Addr: a.addr})
		})
		w.run(15 * time.Second) // what is half-open is forgotten after 10 s
		as, bs := a.Conns(nil), b.Conns(nil)
		if len(as) != 1 || len(bs) != 1 {
			t.Errorf("seed %d: connections %v and %v\n%v\n%v", seed, as, bs, a.kinds(), b.kinds())
			continue
		}
		a.Send(w.now, as[0], Object{Data: [][]byte{[]byte("x")}})
		b.Send(w.now, bs[0], Object{Data: [][]byte{[]byte("y")}})
		if !w.until(5*time.Second, func() bool { return a.count(EventObject) == 1 && b.count(EventObject) == 1 }) {
			t.Errorf("seed %d: the ends do not agree\n%v\n%v", seed, a.kinds(), b.kinds())
		}
	}
}

func TestAReplayedInitialDoesNotEndADial(t *testing.T) {
	w := newWorld(t, 10)
	a, b := w.add("a", near), w.add("b", near)
	if a.Public().Compare(b.Public()) > 0 {
		a, b = b, a
	}
	var old []byte
	w.meddle = func(from, _ *node, p *machine.Packet) {
		if from == a && old == nil {
			old = bytes.Clone(p.Data)
		}
	}
	w.dial(a, b)
	w.run(2 * simultaneous)
	// b starts anew and remembers nothing. It dials a, whose key is the lower; an
	// old Initial of a comes from elsewhere.
	again := w.add("b again", near, func(c *Config) { c.Key = b.key })
	b.deaf, b.addr = true, netip.MustParseAddrPort("203.0.113.9:9")
	id, err := again.Dial(w.now, DialOptions{Remote: a.Public(), Addr: a.addr})
	if err != nil {
		t.Fatal(err)
	}
	again.drain()
	again.Receive(w.now, machine.Packet{Remote: netip.MustParseAddrPort("203.0.113.66:6"), Data: old})
	w.run(2 * yieldWait)
	if ev := again.last(EventConnected); ev.Conn != id || ev.Addr != a.addr || again.half != 0 {
		t.Errorf("%v, connected %+v, %d half-open", again.kinds(), ev, again.half)
	}
	again.Send(w.now, id, Object{Data: [][]byte{[]byte("x")}})
	if !w.until(time.Second, func() bool { return a.count(EventObject) == 1 }) {
		t.Error("the connection does not work")
	}
}

func TestSeveralDialsToOnePeerLeaveTheFirstThatIsAnswered(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.add("a", near), w.add("b", near)
	wrong, _ := a.Dial(w.now, DialOptions{Remote: b.Public(), Addr: netip.MustParseAddrPort("203.0.113.9:9")})
	right, _ := a.Dial(w.now, DialOptions{Remote: b.Public(), Addr: b.addr})
	w.run(12 * time.Second)
	if got := a.Conns(nil); len(got) != 1 || got[0] != right {
		t.Errorf("left is %v, want %d", got, right)
	}
	if ev := a.last(EventClosed); ev.Conn != wrong || ev.Reason != ClosedReplaced {
		t.Errorf("closed %+v", ev)
	}
	if id, err := a.Dial(w.now, DialOptions{Remote: b.Public(), Addr: b.addr}); id != right || !errors.Is(err, ErrConnected) {
		t.Errorf("a third dial gave %d, %v", id, err)
	}
}

func TestAPeerThatStartsAnewReplacesItsOldConnection(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.add("a", near), w.add("b", near)
	_, old := w.dial(a, b)
	w.run(5 * time.Second)
	again := w.add("a again", near, func(c *Config) { c.Key = a.key })
	a.deaf, a.addr = true, netip.MustParseAddrPort("203.0.113.9:9")
	if _, err := again.Dial(w.now, DialOptions{Remote: b.Public(), Addr: b.addr}); err != nil {
		t.Fatal(err)
	}
	w.until(time.Second, func() bool { return b.count(EventConnected) == 2 })
	if ev := b.last(EventClosed); ev.Conn != old || ev.Reason != ClosedReplaced {
		t.Errorf("b's events: %v, closed %+v", b.kinds(), ev)
	}
}

func TestNobodyIsSentMoreThanThreeTimesWhatCame(t *testing.T) {
	// RFC 9000 §8: "an endpoint MUST limit the amount of data it sends to the
	// unvalidated address to three times the amount of data received from that
	// address."
	w := newWorld(t, 1)
	a, b := w.add("a", near), w.add("b", near)
	victim := netip.MustParseAddrPort("203.0.113.5:53")
	sent := int64(0)
	w.meddle = func(from, to *node, p *machine.Packet) {
		if from == b && p.Remote == victim {
			sent += int64(len(p.Data))
		}
	}
	if _, err := a.Dial(w.now, DialOptions{Remote: b.Public(), Addr: b.addr}); err != nil {
		t.Fatal(err)
	}
	a.addr = victim // a forges its source
	a.deaf = true
	b.step = func(now time.Time) {
		if ev := b.last(EventAccepted); ev.Kind != 0 {
			for {
				if _, err := b.Send(now, ev.Conn, Object{Data: [][]byte{make([]byte, 16384)}}); err != nil {
					break
				}
			}
		}
	}
	w.run(25 * time.Second)
	if sent == 0 || sent > 3*b.recv {
		t.Errorf("the victim was sent %d bytes for %d", sent, b.recv)
	}
	t.Logf("%d bytes sent for %d", sent, b.recv)
	if ev := b.last(EventClosed); ev.Reason != ClosedHandshake {
		t.Errorf("closed %+v", ev)
	}
}

func TestAnAddressTokenLiftsTheLimit(t *testing.T) {
	w := newWorld(t, 1)
	var asked []ed25519.PublicKey
	a, b := w.add("a", near), w.add("b", near, func(c *Config) {
		c.TokenKeys = []ed25519.PublicKey{{1}}
		c.VerifyToken = func(keys []ed25519.PublicKey, token []byte, addr netip.AddrPort, now time.Time) bool {
			asked = keys
			return string(token) == "seen at "+addr.String()
		}
	})
	if _, err := a.Dial(w.now, DialOptions{Remote: b.Public(), Addr: b.addr, Token: []byte("seen at " + a.addr.String())}); err != nil {
		t.Fatal(err)
	}
	b.step = func(now time.Time) {
		if ev := b.last(EventAccepted); ev.Kind != 0 && b.count(EventConnected) == 0 {
			b.Send(now, ev.Conn, Object{Data: [][]byte{make([]byte, 12000)}})
		}
	}
	w.until(39*time.Millisecond, func() bool { return b.count(EventAccepted) > 0 })
	b.drain()
	if b.sent < 10000 || len(asked) != 1 {
		t.Errorf("first flight of %d bytes", b.sent)
	}
}

func TestUnderLoadAddressesAreProvedByCookie(t *testing.T) {
	w := newWorld(t, 1)
	b := w.add("b", near, func(c *Config) { c.MaxHalf = 8 })
	// Four strangers begin and never confirm.
	for i := range 4 {
		n := w.add(string(rune('c'+i)), near)
		n.deaf = true
		if _, err := n.Dial(w.now, DialOptions{Remote: b.Public(), Addr: b.addr}); err != nil {
			t.Fatal(err)
		}
	}
	w.run(100 * time.Millisecond)
	if b.half != 4 {
		t.Fatalf("%d half-open", b.half)
	}
	a := w.add("a", near)
	start := w.now
	w.dial(a, b)
	if d := w.now.Sub(start); d != 100*time.Millisecond || b.Counts().Retried == 0 {
		t.Errorf("connected after %v, %+v", d, b.Counts())
	}
	// A cookie is good for its address only, and not for long.
	src := wire.CID{1}
	cookie := bytes.Clone(b.gate.bake(epoch(w.now), path{0, a.addr}, src))
	for _, tc := range []struct {
		name string
		now  time.Time
		from path
		src  wire.CID
		want bool
	}{
		{"as it was", w.now, path{0, a.addr}, src, true},
		{"in the next epoch", w.now.Add(cookieLife), path{0, a.addr}, src, true},
		{"too late", w.now.Add(2 * cookieLife), path{0, a.addr}, src, false},
		{"another address", w.now, path{0, b.addr}, src, false},
		{"another socket", w.now, path{1, a.addr}, src, false},
		{"another connection", w.now, path{0, a.addr}, wire.CID{2}, false},
	} {
		if got := b.gate.believes(cookie, tc.now, tc.from, tc.src); got != tc.want {
			t.Errorf("%s: believed %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestAFloodOfInitialsMeetsTheCookie(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.add("a", near), w.add("b", near)
	ac, _ := w.dial(a, b)
	// Well-formed Initials with noise for Noise, from everywhere.
	long := wire.Long{Type: wire.PacketInitial, Version: wire.Version, Noise: make([]byte, 200)}
	for i := range 2000 {
		long.Noise[0], long.Noise[1] = byte(i), byte(i>>8)
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 1)
		b.Receive(w.now, machine.Packet{Remote: addr, Data: padded(long.Append(nil), 0)})
	}
	if got := b.Counts(); got.Forged > freeBurst || got.Retried < 2000-freeBurst {
		t.Errorf("%+v", got)
	}
	if b.replies.n > maxReplies {
		t.Errorf("%d replies queued", b.replies.n)
	}
	a.Send(w.now, ac, Object{Data: [][]byte{[]byte("still here")}})
	if !w.until(time.Second, func() bool { return b.count(EventObject) == 1 }) {
		t.Error("the connection suffered")
	}
}

func TestADialNobodyAnswersEnds(t *testing.T) {
	w := newWorld(t, 1)
	a := w.add("a", near)
	key, _ := GenerateKey(newSource(9, "x"))
	start := w.now
	a.Dial(w.now, DialOptions{Remote: key.Public(), Addr: netip.MustParseAddrPort("203.0.113.9:9")})
	w.until(time.Minute, func() bool { return a.count(EventClosed) > 0 })
	if ev := a.last(EventClosed); ev.Reason != ClosedHandshake || w.now.Sub(start) != DefaultHandshake {
		t.Errorf("%v after %v", ev.Reason, w.now.Sub(start))
	}
	if n := a.sent / wire.HandshakeLen; n < 8 || n > 14 {
		t.Errorf("%d Initials in 10 s", n)
	}
}

func TestOtherVersionsAreToldOurs(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.add("a", near), w.add("b", near)
	w.meddle = func(from, _ *node, p *machine.Packet) {
		if from == a {
			p.Data[4] = 9 // a speaks version 9
		}
	}
	a.Dial(w.now, DialOptions{Remote: b.Public(), Addr: b.addr})
	var got wire.Long
	w.meddle = func(from, _ *node, p *machine.Packet) {
		if from == a {
			p.Data[4] = 9
		} else {
			got, _ = wire.ParseLong(p.Data)
			// To a it must look like the answer of a node that speaks version 7.
			p.Data[len(p.Data)-1] = 7
		}
	}
	w.run(time.Second)
	if got.Type != wire.PacketVersions || !bytes.Equal(got.Versions, []byte{0, 0, 0, 7}) {
		t.Errorf("b answered %+v", got)
	}
	if ev := a.last(EventClosed); ev.Reason != ClosedVersion {
		t.Errorf("a: %v %+v", a.kinds(), ev)
	}
}

func TestTheLargestRequestFitsWithEverythingElse(t *testing.T) {
	for _, token := range []int{0, wire.MaxToken} {
		w := newWorld(t, 1)
		a, b := w.add("a", near), w.add("b", near)
		b.half = b.cfg.MaxHalf / 2 // so that a cookie is asked for as well
		early := pattern(1, MaxEarly)
		if _, err := a.Dial(w.now, DialOptions{Remote: b.Public(), Addr: b.addr, Early: early, Token: make([]byte, token)}); err != nil {
			t.Fatal(err)
		}
		w.run(time.Second)
		if got := b.last(EventAccepted); !bytes.Equal(got.Early, early) || a.count(EventConnected) != 1 || b.Counts().Retried != 1 {
			t.Errorf("with a token of %d bytes: a %v, b %v, %+v", token, a.kinds(), b.kinds(), b.Counts())
		}
	}
}

func TestAVersionsPacketEarnsNothing(t *testing.T) {
	w := newWorld(t, 1)
	b := w.add("b", near)
	stranger := netip.MustParseAddrPort("203.0.113.1:1")
	ask := func(data []byte) int {
		before := b.sent
		b.Receive(w.now, machine.Packet{Remote: stranger, Data: data})
		w.run(time.Second)
		return int(b.sent - before)
	}
	long := wire.Long{Type: wire.PacketInitial, Version: 9, Src: wire.CID{1}}
	short := append(long.Append(nil), make([]byte, 200)...)
	if n := ask(short); n != 0 {
		t.Errorf("an Initial of %d bytes was answered with %d", len(short), n)
	}
	if n := ask(padded(short, 0)); n == 0 || n > 20 {
		t.Errorf("a whole one was answered with %d", n)
	}
	for _, typ := range []wire.PacketType{wire.PacketResponse, wire.PacketRetry, wire.PacketVersions} {
		for _, version := range []uint32{0, 1, 9} {
			p := wire.Long{Type: typ, Version: version, Dst: wire.CID{1}, Noise: make([]byte, 60), Cookie: []byte{1}, Versions: []byte{0, 0, 0, 9}}
			if n := ask(padded(p.Append(nil), 0)); n != 0 {
				t.Errorf("type %d of version %d was answered with %d bytes", typ, version, n)
			}
		}
	}
	// A Versions packet with our version in it is no reason to give up.
	a := w.add("a", near)
	ac, err := a.Dial(w.now, DialOptions{Remote: b.Public(), Addr: b.addr})
	if err != nil {
		t.Fatal(err)
	}
	p := wire.Long{Type: wire.PacketVersions, Dst: a.conns[ac].local, Versions: []byte{0, 0, 0, 9, 0, 0, 0, wire.Version}}
	a.Receive(w.now, machine.Packet{Remote: b.addr, Data: p.Append(nil)})
	w.run(time.Second)
	if a.count(EventConnected) != 1 {
		t.Errorf("%v", a.kinds())
	}
}

func TestTheWrongKeyIsNotAnswered(t *testing.T) {
	w := newWorld(t, 1)
	a, b, c := w.add("a", near), w.add("b", near), w.add("c", near)
	a.Dial(w.now, DialOptions{Remote: c.Public(), Addr: b.addr})
	w.run(time.Second)
	if b.sent != 0 || b.count(EventAccepted) != 0 || b.Counts().Forged == 0 {
		t.Errorf("b sent %d bytes, %v, %+v", b.sent, b.kinds(), b.Counts())
	}
}

func TestChaChaIsTakenWhereEitherEndWantsIt(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.add("a", near), w.add("b", near, func(c *Config) { c.Cipher = ChaCha20Poly1305 })
	ac, _ := w.dial(a, b)
	if a.conns[ac].protect.cipher != ChaCha20Poly1305 {
		t.Error("AES was taken")
	}
	a.Send(w.now, ac, Object{Data: [][]byte{make([]byte, 5000)}})
	if !w.until(time.Second, func() bool { return b.count(EventObject) == 1 }) {
		t.Error("no object arrived")
	}
}

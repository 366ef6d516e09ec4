package xntp

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

// restart gives a node a new endpoint with its old key, as after a crash.
func (n *node) restart() {
	entropy := newSource(99, n.name)
	n.Endpoint = New(Config{Key: n.key, Rand: rand.New(rand.NewPCG(9, 9)), Entropy: entropy})
	n.events = nil
}

func TestAPeerThatForgotAConnectionSaysSo(t *testing.T) {
	for name, v6 := range map[string]bool{"IPv4": false, "IPv6": true} {
		w := newWorld(t, 3)
		l := link{delay: 20 * time.Millisecond}
		a, b := w.add("a", l), w.add("b", l)
		if v6 {
			a.addr, b.addr = netip.MustParseAddrPort("[2001:db8::1]:4000"), netip.MustParseAddrPort("[2001:db8::2]:4000")
		}
		ac, bc := w.dial(a, b)
		w.run(time.Second)
		for _, tc := range []struct {
			forgets, sends *node
			id             *ConnID
		}{{b, a, &ac}, {a, b, &bc}} { // who dialed, and who was dialed
			tc.forgets.restart()
			began := w.now
			if _, err := tc.sends.Send(w.now, *tc.id, Object{Data: [][]byte{make([]byte, 2000)}}); err != nil {
				t.Fatal(name, err)
			}
			if !w.until(time.Second, func() bool { return tc.sends.last(EventClosed).Reason == ClosedReset }) || w.now.Sub(began) != 40*time.Millisecond {
				t.Fatalf("%s: %v after %v", name, tc.sends.kinds(), w.now.Sub(began))
			}
			if tc.sends.Counts().Reset != 1 || len(tc.sends.byReset) != 0 {
				t.Errorf("%s: %+v, %d tokens kept", name, tc.sends.Counts(), len(tc.sends.byReset))
			}
			a.events, b.events = nil, nil
			ac, bc = w.dial(a, b) // and nothing hinders a new one
			w.run(time.Second)
		}
		if w.nodes[0].count(EventClosed)+w.nodes[1].count(EventClosed) > 0 {
			t.Errorf("%s: %v %v", name, a.kinds(), b.kinds())
		}
	}
}

func TestNobodyElseCanResetAConnection(t *testing.T) {
	w, a, b, ac, bc := pair(t, near)
	w.run(time.Second)
	token := a.conns[ac].resetToken
	if token != b.reset.token(b.conns[bc].local, a.addr.Addr()) {
		t.Fatal("a does not know b's token")
	}
	packet := func(token wire.ResetToken) []byte {
		return append(bytes.Repeat([]byte{0x41}, 27), token[:]...)
	}
	evil := netip.MustParseAddrPort("203.0.113.66:6")
	zero, wrong := wire.ResetToken{}, token
	wrong[15] ^= 1
	for name, p := range map[string]machine.Packet{
		"a guess":                   {Remote: b.addr, Data: packet(wrong)},
		"none":                      {Remote: b.addr, Data: packet(zero)},
		"from elsewhere":            {Remote: evil, Data: packet(token)},
		"a's own":                   {Remote: b.addr, Data: packet(a.reset.token(a.conns[ac].local, b.addr.Addr()))},
		"what a stranger can learn": {Remote: b.addr, Data: packet(b.reset.token(b.conns[bc].local, evil.Addr()))},
		"cut":                       {Remote: b.addr, Data: packet(token)[:42]},
		"too short":                 {Remote: b.addr, Data: packet(token)[20:]},
		"another socket":            {Socket: 1, Remote: b.addr, Data: packet(token)},
	} {
		a.Receive(w.now, p)
		w.run(time.Second)
		if a.count(EventClosed) != 0 || a.Counts().Reset != 0 {
			t.Fatalf("%s: %v", name, a.kinds())
		}
	}
	a.Receive(w.now, machine.Packet{Remote: b.addr, Data: packet(token)})
	w.run(time.Second)
	if a.last(EventClosed).Reason != ClosedReset {
		t.Error("the true one does nothing")
	}
}

func TestResetsAreFewAndSmallerThanWhatTheyAnswer(t *testing.T) {
	w := newWorld(t, 3)
	a, b := w.add("a", near), w.add("b", near)
	// Two that know nothing of each other's connections do not go on for ever.
	packets := 0
	w.meddle = func(_, _ *node, p *machine.Packet) { packets++ }
	b.Receive(w.now, machine.Packet{Remote: a.addr, Data: append([]byte{0x40}, make([]byte, 1199)...)})
	w.run(10 * time.Second)
	if packets == 0 || packets > maxReset-wire.MinShortLen+1 {
		t.Errorf("%d resets", packets)
	}
	for n := range 1400 {
		before := b.sent
		d := make([]byte, n)
		if n > 0 {
			d[0] = 0x40
		}
		b.Receive(w.now, machine.Packet{Remote: netip.MustParseAddrPort("203.0.113.66:6"), Data: d})
		w.run(time.Second / resetRate)
		if got := int(b.sent - before); got >= max(n, 1) || got > maxReset || n > wire.MinShortLen && got == 0 {
			t.Errorf("%d bytes answered with %d", n, got)
		}
	}
	before := b.sent
	for range 1000 {
		for range 20 {
			b.Receive(w.now, machine.Packet{Remote: netip.MustParseAddrPort("203.0.113.66:6"), Data: append([]byte{0x40}, make([]byte, 99)...)})
		}
		w.run(time.Millisecond)
	}
	if got := (b.sent - before) / maxReset; got < resetRate || got > resetRate+resetBurst+1 {
		t.Errorf("%d resets in a second of a flood", got)
	}
}

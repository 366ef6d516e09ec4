package natprobe

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

// fourSites is a responder with two addresses and two ports.
var fourSites = []netip.AddrPort{
	netip.MustParseAddrPort("192.0.2.1:3478"), netip.MustParseAddrPort("192.0.2.1:3479"),
	netip.MustParseAddrPort("192.0.2.2:3478"), netip.MustParseAddrPort("192.0.2.2:3479"),
}

// exchange gives a responder a request and returns all that it sends.
func exchange(r *Responder, now time.Time, s machine.Socket, from netip.AddrPort, request []byte) (out []machine.Packet) {
	r.Receive(now, machine.Packet{Socket: s, Remote: from, Data: request})
	for {
		p, ok := r.AppendDatagram(now, nil)
		if !ok {
			return out
		}
		out = append(out, p)
	}
}

// RFC 5780 §6.1: where the answer comes from, for every socket and every wish.
func TestAResponderAnswersFromWhereItIsAskedTo(t *testing.T) {
	for s := range machine.Socket(4) {
		for change, want := range map[wire.STUNChange]machine.Socket{0: s, wire.ChangePort: s ^ 1, wire.ChangeAddr: s ^ 2, wire.ChangeAddr | wire.ChangePort: s ^ 3} {
			r := NewResponder(ResponderConfig{Sites: fourSites})
			out := exchange(r, start, s, outside, wire.AppendSTUNQuery(nil, wire.STUNTransaction{1}, wire.STUNQuery{Change: change, Ports: true}))
			var m wire.STUN
			if len(out) != 1 || out[0].Socket != want || out[0].Remote != outside || m.Parse(out[0].Data) != nil {
				t.Fatalf("socket %d, change %d: %+v", s, change, out)
			}
			if m.Mapped != outside || m.Origin != fourSites[want] || m.Other != fourSites[want^3] || m.OtherPort != fourSites[want^1].Port() {
				t.Errorf("socket %d, change %d: %+v", s, change, m)
			}
		}
	}
}

// RFC 5780 §7.5: to another port, of nobody else.
func TestAnAnswerGoesToThePortThatTheRequestNames(t *testing.T) {
	r := NewResponder(ResponderConfig{Sites: fourSites})
	b := wire.AppendSTUNRequest(nil, wire.STUNTransaction{1}, false)[:20]
	binary.BigEndian.PutUint16(b[2:], 8)
	b = append(b, 0, 0x27, 0, 4, 0x30, 0x39, 0, 0)
	var m wire.STUN
	out := exchange(r, start, 0, outside, b)
	if len(out) != 1 || out[0].Remote != netip.AddrPortFrom(outside.Addr(), 12345) || m.Parse(out[0].Data) != nil || m.Mapped != outside {
		t.Errorf("%+v, %+v", out, m)
	}
}

func TestAResponderWithOneAddressPretendsNothing(t *testing.T) {
	r := NewResponder(ResponderConfig{Sites: fourSites[:2]})
	var m wire.STUN
	out := exchange(r, start, 0, outside, wire.AppendSTUNQuery(nil, wire.STUNTransaction{1}, wire.STUNQuery{Ports: true}))
	if m.Parse(out[0].Data) != nil || m.Other.IsValid() || m.OtherPort != 3479 {
		t.Errorf("%+v", m)
	}
	for _, change := range []wire.STUNChange{wire.ChangeAddr, wire.ChangeAddr | wire.ChangePort} {
		out = exchange(r, start, 0, outside, wire.AppendSTUNQuery(nil, wire.STUNTransaction{1}, wire.STUNQuery{Change: change}))
		if len(out) != 1 || m.Parse(out[0].Data) != nil || m.ErrorCode != 420 {
			t.Errorf("change %d: %+v", change, m)
		}
	}
	out = exchange(r, start, 0, outside, wire.AppendSTUNQuery(nil, wire.STUNTransaction{1}, wire.STUNQuery{Change: wire.ChangePort}))
	if len(out) != 1 || out[0].Socket != 1 {
		t.Errorf("another port: %+v", out)
	}
}

// Other people's clients pay nothing for OTHER-ADDRESS, and are given it all the
// same, so long as they are few.
func TestABareRequestIsToldTheOtherAddressInMeasure(t *testing.T) {
	r := NewResponder(ResponderConfig{Sites: fourSites})
	bare := wire.AppendSTUNRequest(nil, wire.STUNTransaction{1}, false)[:20]
	binary.BigEndian.PutUint16(bare[2:], 0)
	told := 0
	for range 200 {
		for _, p := range exchange(r, start, 0, outside, bare) {
			var m wire.STUN
			if m.Parse(p.Data) == nil && m.Other == fourSites[3] {
				told++
			}
		}
	}
	if told < 16 || told > prefixBurst {
		t.Errorf("%d of 200 at once were told", told)
	}
	out := exchange(r, start.Add(10*time.Second), 0, outside, bare)
	var m wire.STUN
	if len(out) != 1 || m.Parse(out[0].Data) != nil || !m.Other.IsValid() {
		t.Errorf("ten seconds later: %+v", m)
	}
}

// The bound of issue and RFC: a hundred thousand requests from a thousand forged
// sources, at any speed, bring no more than 1.25 bytes for each byte on the wire,
// 1.35 for IPv6; and who comes after is served.
func TestAFloodIsNoGainHoweverFast(t *testing.T) {
	bare := wire.AppendSTUNRequest(nil, wire.STUNTransaction{1}, false)[:20]
	binary.BigEndian.PutUint16(bare[2:], 0)
	forms := [][]byte{
		bare,
		wire.AppendSTUNRequest(nil, wire.STUNTransaction{1}, false),
		wire.AppendSTUNQuery(nil, wire.STUNTransaction{1}, wire.STUNQuery{Change: wire.ChangeAddr | wire.ChangePort}),
		wire.AppendSTUNQuery(nil, wire.STUNTransaction{1}, wire.STUNQuery{Ports: true}),
	}
	for _, c := range []struct {
		name    string
		request []byte
		v6      bool
		gap     time.Duration
		n       int
	}{
		{"bare, as fast as can be", forms[0], false, time.Microsecond, 100_000},
		{"bare, at twice the limit", forms[0], false, 50 * time.Microsecond, 100_000},
		{"bare, at a tenth of it", forms[0], false, time.Millisecond, 100_000},
		{"with fingerprint", forms[1], false, time.Millisecond, 20_000},
		{"CHANGE-REQUEST", forms[2], false, time.Millisecond, 20_000},
		{"padded", forms[3], false, time.Millisecond, 20_000},
		{"bare, IPv6", forms[0], true, time.Millisecond, 20_000},
		{"bare, IPv6, so slow that debts are allowed", forms[0], true, 20 * time.Millisecond, 60_000},
		{"padded, IPv6", forms[3], true, time.Millisecond, 20_000},
	} {
		r := NewResponder(ResponderConfig{TokenKey: tokenKey, Sites: fourSites, Rand: rand.New(rand.NewPCG(1, 1))})
		rng := rand.New(rand.NewPCG(3, 4))
		in, out, over, bound := 0, 0, overhead4, 1.25
		if c.v6 {
			over, bound = overhead6, 1.35
		}
		now := start
		for range fewer(c.n) {
			now = now.Add(c.gap)
			k := rng.IntN(1000)
			from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, byte(k / 250), byte(k), 1}), 1024)
			if c.v6 {
				from = netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(k / 250), byte(k), 15: 1}), 1024)
			}
			in += len(c.request) + over
			for _, p := range exchange(r, now, 0, from, c.request) {
				out += len(p.Data) + over
			}
		}
		debt := 0
		if c.gap > time.Second/quietRate {
			debt = maxDebt
		}
		if got := float64(out-debt) / float64(in); got > bound || out == 0 {
			t.Errorf("%s: %.4f times", c.name, got)
		}
		if exchange(r, now.Add(time.Second), 0, netip.MustParseAddrPort("203.0.113.200:5"), bare) == nil {
			t.Errorf("%s: a newcomer gets no answer", c.name)
		}
	}
}

func TestAPacketForAnotherRespondersClientNeedsItsToken(t *testing.T) {
	friend := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, 32))
	r := NewResponder(ResponderConfig{TokenKey: tokenKey, Trusted: []ed25519.PublicKey{friend.Public().(ed25519.PublicKey)}})
	filtered := netip.MustParseAddrPort("198.51.100.7:40009")
	ask := func(now time.Time, key ed25519.PrivateKey, expiry time.Time) []machine.Packet {
		token := wire.AppendToken(nil, key, filtered, expiry)
		return exchange(r, now, 0, outside, wire.AppendSTUNQuery(nil, wire.STUNTransaction{1}, wire.STUNQuery{AssistFor: wire.STUNTransaction{2}, AssistToken: token}))
	}
	var m wire.STUN
	for i := range 5 {
		out := ask(start, friend, start.Add(TokenLife))
		if i >= favoursPerToken {
			if len(out) != 0 {
				t.Errorf("favour %d: %+v", i, out)
			}
			continue
		}
		if len(out) != 2 || out[0].Remote != filtered || out[1].Remote != outside || m.Parse(out[0].Data) != nil || m.Transaction != (wire.STUNTransaction{2}) {
			t.Fatalf("favour %d: %+v", i, out)
		}
	}
	for name, out := range map[string][]machine.Packet{
		"a stranger's key":  ask(start, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32)), start.Add(TokenLife)),
		"an expired token":  ask(start.Add(time.Hour), friend, start.Add(time.Minute)),
		"a token for years": ask(start, friend, start.Add(10000*time.Hour)),
	} {
		if len(out) != 1 || out[0].Remote != outside || m.Parse(out[0].Data) != nil || m.ErrorCode != 403 {
			t.Errorf("%s: %+v", name, out)
		}
	}
}

func TestALateAnswerNeedsATokenForTheVeryAddress(t *testing.T) {
	r := NewResponder(ResponderConfig{TokenKey: tokenKey})
	ask := func(from netip.AddrPort, wait uint32) []machine.Packet {
		token := wire.AppendToken(nil, tokenKey, outside, start.Add(TokenLife))
		return exchange(r, start, 0, from, wire.AppendSTUNQuery(nil, wire.STUNTransaction{1}, wire.STUNQuery{Delay: wait, DelayToken: token}))
	}
	if out := ask(netip.MustParseAddrPort("198.51.100.8:1"), 30); len(out) != 1 {
		t.Errorf("another address: %+v", out)
	}
	if out := ask(outside, 3000); len(out) != 1 {
		t.Errorf("for an hour: %+v", out)
	}
	if out := ask(outside, 30); len(out) != 0 || !r.NextTimeout().Equal(start.Add(30*time.Second)) {
		t.Errorf("at once: %+v, next %v", out, r.NextTimeout())
	}
	r.Advance(start.Add(29 * time.Second))
	if _, ok := r.AppendDatagram(start.Add(29*time.Second), nil); ok {
		t.Error("too early")
	}
	r.Advance(start.Add(30 * time.Second))
	if p, ok := r.AppendDatagram(start.Add(30*time.Second), nil); !ok || p.Remote != outside || !r.NextTimeout().IsZero() {
		t.Errorf("%+v %v", p, ok)
	}
}

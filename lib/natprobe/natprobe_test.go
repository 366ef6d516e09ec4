package natprobe

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

var (
	_ machine.Machine = (*Responder)(nil)
	_ machine.Machine = (*Binding)(nil)
	_ machine.Machine = (*Prober)(nil)

	start    = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	tokenKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	tokenPub = tokenKey.Public().(ed25519.PublicKey)
	serverA  = netip.MustParseAddrPort("203.0.113.1:3478")
	serverB  = netip.MustParseAddrPort("203.0.113.2:3478")
	outside  = netip.MustParseAddrPort("198.51.100.7:40001")
)

func ms(n int) time.Time { return start.Add(time.Duration(n) * time.Millisecond) }

// A talk is a Binding, seen from the network it sends to.
type talk struct {
	t *testing.T
	*Binding
	now  time.Time
	sent []string // "offset server"
	last map[netip.AddrPort][]byte
}

func newTalk(t *testing.T, cfg BindingConfig) *talk {
	cfg.Entropy = rand.NewChaCha8([32]byte{1})
	return &talk{t: t, Binding: NewBinding(cfg), now: start, last: map[netip.AddrPort][]byte{}}
}

// run lets time pass until end, as a driver would.
func (k *talk) run(end time.Time) {
	k.t.Helper()
	for range 10_000 {
		k.Advance(k.now)
		for {
			p, ok := k.AppendDatagram(k.now, nil)
			if !ok {
				break
			}
			k.sent = append(k.sent, fmt.Sprintf("%d %s", k.now.Sub(start).Milliseconds(), p.Remote))
			k.last[p.Remote] = p.Data
		}
		next := k.NextTimeout()
		if next.IsZero() || next.After(end) {
			k.now = end
			return
		}
		if next.After(k.now) {
			k.now = next
		}
	}
	k.t.Fatal("the machine wants to be called again and again")
}

// answer answers the last try to a server.
func (k *talk) answer(server netip.AddrPort, mapped netip.AddrPort, token wire.Token) {
	k.t.Helper()
	var m wire.STUN
	if err := m.Parse(k.last[server]); err != nil {
		k.t.Fatal(err)
	}
	k.Receive(k.now, machine.Packet{Remote: server, Data: wire.AppendSTUNSuccess(nil, m.Transaction, mapped, token, true)})
}

func (k *talk) event() BindingEvent {
	k.t.Helper()
	e, ok := k.NextEvent()
	if !ok {
		k.t.Fatal("no event")
	}
	return e
}

func TestABindingAsksAllServersAndTellsWhatEachSaw(t *testing.T) {
	k := newTalk(t, BindingConfig{Servers: []netip.AddrPort{serverA, serverB, serverA}, WantToken: true})
	k.run(ms(20))
	if got := strings.Join(k.sent, ", "); got != "0 203.0.113.1:3478, 0 203.0.113.2:3478" {
		t.Fatalf("sent %s", got)
	}
	token := wire.Token(wire.AppendToken(nil, tokenKey, outside, start.Add(TokenLife)))
	k.answer(serverB, outside, token)
	e := k.event()
	if e.Kind != Observed || e.Server != serverB || e.Mapped != outside || e.RTT != 20*time.Millisecond || e.Tries != 1 || e.Moved ||
		wire.VerifyToken(tokenPub, e.Token, outside, k.now) != nil {
		t.Errorf("%+v", e)
	}
	// A's first answer is lost; what comes counts from the try that it answers.
	k.run(ms(200))
	k.answer(serverA, outside, nil)
	if e := k.event(); e.Server != serverA || e.RTT != 50*time.Millisecond || e.Tries != 3 || e.Token != nil {
		t.Errorf("%+v", e)
	}
	// Two minutes later it looks again, and we have moved.
	k.run(ms(121_000))
	moved := netip.MustParseAddrPort("198.51.100.99:7")
	k.answer(serverA, moved, nil)
	if e := k.event(); !e.Moved || e.Mapped != moved {
		t.Errorf("%+v", e)
	}
}

func TestABindingTriesFastThenSlowThenSaysSilent(t *testing.T) {
	k := newTalk(t, BindingConfig{Servers: []netip.AddrPort{serverA}})
	k.run(ms(3_200))
	at := func(n int) string { return fmt.Sprintf("%d %s", n, serverA) }
	if got, want := strings.Join(k.sent, ","), strings.Join([]string{at(0), at(50), at(150), at(350), at(750), at(1550)}, ","); got != want {
		t.Errorf("sent\n%s, want\n%s", got, want)
	}
	if e := k.event(); e.Kind != Silent || e.Tries != maxTries {
		t.Errorf("%+v", e)
	}
	// It comes back to a dead server ever more seldom, and never stops.
	k.run(ms(600_000))
	if n := len(k.sent); n < 60 || n > 100 {
		t.Errorf("%d tries in ten minutes", n)
	}
	k.Probe(k.now)
	k.run(k.now.Add(time.Millisecond))
	k.answer(serverA, outside, nil)
	for {
		e, ok := k.NextEvent()
		if !ok {
			t.Fatal("no answer was heard after a probe")
		}
		if e.Kind == Observed {
			break
		}
	}
}

func TestABindingBelievesOnlyTheServerItAsked(t *testing.T) {
	k := newTalk(t, BindingConfig{Servers: []netip.AddrPort{serverA}})
	k.run(ms(10))
	var m wire.STUN
	if err := m.Parse(k.last[serverA]); err != nil {
		t.Fatal(err)
	}
	good := wire.AppendSTUNSuccess(nil, m.Transaction, outside, nil, true)
	for name, p := range map[string]machine.Packet{
		"another server":      {Remote: serverB, Data: good},
		"another socket":      {Socket: 3, Remote: serverA, Data: good},
		"another transaction": {Remote: serverA, Data: wire.AppendSTUNSuccess(nil, wire.STUNTransaction{9}, outside, nil, true)},
		"our own question":    {Remote: serverA, Data: k.last[serverA]},
		"no address":          {Remote: serverA, Data: wire.AppendSTUNError(nil, m.Transaction, 0, nil, true)[:20]},
		"an address of none":  {Remote: serverA, Data: wire.AppendSTUNSuccess(nil, m.Transaction, netip.MustParseAddrPort("0.0.0.0:0"), nil, true)},
		"noise":               {Remote: serverA, Data: []byte("noise")},
	} {
		k.Receive(k.now, p)
		if e, ok := k.NextEvent(); ok {
			t.Errorf("%s: %+v", name, e)
		}
	}
	// A token for another address than the mapped one is worth nothing.
	k.answer(serverA, outside, wire.AppendToken(nil, tokenKey, serverB, start.Add(TokenLife)))
	if e := k.event(); e.Kind != Observed || e.Token != nil {
		t.Errorf("%+v", e)
	}
	k.answer(serverA, outside, nil) // and the second copy of an answer nothing new
	if e, ok := k.NextEvent(); ok {
		t.Errorf("%+v", e)
	}
}

func TestABindingHearsANo(t *testing.T) {
	k := newTalk(t, BindingConfig{Servers: []netip.AddrPort{serverA}})
	k.run(ms(10))
	var m wire.STUN
	if err := m.Parse(k.last[serverA]); err != nil {
		t.Fatal(err)
	}
	k.Receive(k.now, machine.Packet{Remote: serverA, Data: wire.AppendSTUNError(nil, m.Transaction, 420, []uint16{3}, true)})
	if e := k.event(); e.Kind != Refused || e.Code != 420 {
		t.Errorf("%+v", e)
	}
	k.run(ms(4_000))
	if len(k.sent) != 1 {
		t.Errorf("asked on: %v", k.sent)
	}
}

func TestATokenIsFetchedAnewBeforeItEnds(t *testing.T) {
	k := newTalk(t, BindingConfig{Servers: []netip.AddrPort{serverA}, WantToken: true})
	k.run(ms(1))
	k.answer(serverA, outside, wire.AppendToken(nil, tokenKey, outside, start.Add(time.Minute)))
	k.sent = nil
	k.run(ms(31_000))
	if len(k.sent) == 0 {
		t.Error("half a token's life later nobody asked")
	}
}

// ask gives a responder one datagram and returns its answer.
// A binding that keeps a mapping alive asks every 15 s, and says so only if the mapping
// is another.
func TestABindingKeepsAMappingAlive(t *testing.T) {
	k := newTalk(t, BindingConfig{Servers: []netip.AddrPort{serverA}, WantToken: true})
	k.run(ms(20))
	k.answer(serverA, outside, wire.AppendToken(nil, tokenKey, outside, start.Add(TokenLife)))
	k.event()
	k.SetKeepalive(k.now, 15*time.Second)
	long := len(k.last[serverA])
	var at []time.Duration
	for i := range 4 {
		before := len(k.sent)
		k.run(k.now.Add(15 * time.Second))
		if len(k.sent) != before+1 || len(k.last[serverA]) >= long {
			t.Fatalf("keepalive %d: sent %v, the last with %d bytes", i, k.sent[before:], len(k.last[serverA]))
		}
		at = append(at, k.now.Sub(start))
		k.answer(serverA, outside, nil)
		if e, ok := k.NextEvent(); ok {
			t.Errorf("at %v: %+v", at, e)
		}
	}
	// We have moved: that is asked for with all that proves it.
	k.run(k.now.Add(15 * time.Second))
	moved := netip.AddrPortFrom(outside.Addr(), 999)
	k.answer(serverA, moved, nil)
	if e, ok := k.NextEvent(); ok {
		t.Errorf("%+v", e)
	}
	k.run(k.now.Add(10 * time.Millisecond))
	k.answer(serverA, moved, wire.AppendToken(nil, tokenKey, moved, k.now.Add(TokenLife)))
	if e := k.event(); e.Kind != Observed || !e.Moved || e.Mapped != moved || len(e.Token) == 0 {
		t.Errorf("%+v", e)
	}
	// Without a need for it, it asks when the token wants it.
	k.SetKeepalive(k.now, 0)
	before := len(k.sent)
	k.run(k.now.Add(60 * time.Second))
	if got := len(k.sent) - before; got > 0 {
		t.Errorf("sent %d times without a need", got)
	}
}

func ask(r *Responder, now time.Time, from netip.AddrPort, data []byte) []byte {
	r.Receive(now, machine.Packet{Remote: from, Data: data})
	p, ok := r.AppendDatagram(now, nil)
	if !ok {
		return nil
	}
	if p.Remote != from {
		panic("an answer to somebody else")
	}
	return p.Data
}

func TestAResponderSaysWhatItSees(t *testing.T) {
	r := NewResponder(ResponderConfig{TokenKey: tokenKey, Rand: rand.New(rand.NewPCG(1, 1))})
	id := wire.STUNTransaction{1, 2, 3}
	for _, s := range []string{"198.51.100.7:40001", "[2001:db8::7]:40001", "[::ffff:198.51.100.7]:40001", "127.0.0.1:40001"} {
		from := netip.MustParseAddrPort(s)
		want := netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		for _, padded := range []bool{false, true} {
			var m wire.STUN
			if err := m.Parse(ask(r, start, from, wire.AppendSTUNRequest(nil, id, padded))); err != nil {
				t.Fatal(err)
			}
			if m.Class != wire.STUNSuccess || m.Transaction != id || m.Mapped != want {
				t.Errorf("%s: %+v", s, m)
			}
			if padded != (wire.VerifyToken(tokenPub, m.Token, want, start) == nil) {
				t.Errorf("%s: padded %t, token %x", s, padded, m.Token)
			}
		}
	}
}

func TestAResponderIsNoWeapon(t *testing.T) {
	// Every form of request, from both families: what leaves is bounded by what
	// came, headers included.
	for _, from := range []netip.AddrPort{outside, netip.MustParseAddrPort("[2001:db8::7]:40001")} {
		overhead, limit := overhead4, 1.25
		if from.Addr().Is6() {
			overhead, limit = overhead6, 1.36
		}
		bare := wire.AppendSTUNRequest(nil, wire.STUNTransaction{1}, false)
		noFingerprint := bytes.Clone(bare[:20])
		binary.BigEndian.PutUint16(noFingerprint[2:], 0)
		forms := map[string][]byte{
			"with fingerprint": bare, "bare": noFingerprint, "padded": wire.AppendSTUNRequest(nil, wire.STUNTransaction{1}, true),
		}
		// Asking for a token with less than a token's room.
		for n := 0; n < 100; n += 4 {
			b := bytes.Clone(noFingerprint)
			binary.BigEndian.PutUint16(b[2:], uint16(4+n))
			b = binary.BigEndian.AppendUint16(b, wire.AttrToken)
			b = append(binary.BigEndian.AppendUint16(b, uint16(n)), make([]byte, n)...)
			forms[fmt.Sprintf("room for %d", n)] = b
		}
		for n := 1; n < 20; n++ { // attributes that it does not know
			b := bytes.Clone(noFingerprint)
			binary.BigEndian.PutUint16(b[2:], uint16(4*n))
			for i := range n {
				b = append(b, 0x70, byte(i), 0, 0)
			}
			forms[fmt.Sprintf("%d unknown", n)] = b
		}
		for name, b := range forms {
			r := NewResponder(ResponderConfig{TokenKey: tokenKey})
			answer := ask(r, start, from, b)
			if len(answer) == 0 {
				t.Errorf("%s %s: no answer", from, name)
			}
			if got := float64(len(answer)+overhead) / float64(len(b)+overhead); got > limit {
				t.Errorf("%s %s: %.2f times", from, name, got)
			}
		}
	}
}

func TestAResponderNamesWhatItDoesNotKnow(t *testing.T) {
	r := NewResponder(ResponderConfig{})
	b := wire.AppendSTUNRequest(nil, wire.STUNTransaction{1}, false)[:20]
	binary.BigEndian.PutUint16(b[2:], 8)
	b = append(b, 0, 3, 0, 4, 0, 0, 0, 6) // CHANGE-REQUEST
	var m wire.STUN
	if err := m.Parse(ask(r, start, outside, b)); err != nil || m.Class != wire.STUNError || m.ErrorCode != 420 {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestAResponderSurvivesAFlood(t *testing.T) {
	r := NewResponder(ResponderConfig{TokenKey: tokenKey, Rand: rand.New(rand.NewPCG(1, 1))})
	rng := rand.New(rand.NewPCG(2, 2))
	in, out := 0, 0
	request := wire.AppendSTUNRequest(nil, wire.STUNTransaction{1}, false)
	noise := make([]byte, 200)
	for i := range 100_000 {
		now := start.Add(time.Duration(i) * 10 * time.Microsecond) // a second in all
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(rng.IntN(4)), byte(1 + rng.IntN(250))}), 1024)
		b := request
		if i%3 == 0 {
			for j := range noise {
				noise[j] = byte(rng.Uint32())
			}
			b = noise[:rng.IntN(len(noise))]
			if len(b) > 20 {
				copy(b, request[:8]) // the looks of STUN
			}
		}
		in += len(b) + overhead4
		r.Receive(now, machine.Packet{Remote: from, Data: b})
		for {
			p, ok := r.AppendDatagram(now, nil)
			if !ok {
				break
			}
			out += len(p.Data) + overhead4
		}
	}
	s := r.Stats()
	if s.Limited == 0 || s.Malformed == 0 || out > in {
		t.Errorf("%d bytes in, %d out, %+v", in, out, s)
	}
	// One who is new gets an answer a moment later.
	if ask(r, start.Add(2*time.Second), netip.MustParseAddrPort("192.0.2.1:5"), request) == nil {
		t.Error("a newcomer gets no answer after the flood")
	}
}

func TestAnswersThatNobodyTakesDoNotPileUp(t *testing.T) {
	r := NewResponder(ResponderConfig{})
	request := wire.AppendSTUNRequest(nil, wire.STUNTransaction{1}, false)
	for range 1000 {
		r.Receive(start, machine.Packet{Remote: netip.MustParseAddrPort("127.0.0.1:9"), Data: request})
	}
	if s := r.Stats(); len(r.queue) != maxResponses || s.Overflow != 1000-maxResponses {
		t.Errorf("%d answers wait, %+v", len(r.queue), s)
	}
}

func TestALoopbackFullOfPeersIsNotLimited(t *testing.T) {
	r := NewResponder(ResponderConfig{TokenKey: tokenKey})
	for i := range 500 {
		if ask(r, start, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(1+i)), wire.AppendSTUNRequest(nil, wire.STUNTransaction{1}, true)) == nil {
			t.Fatalf("peer %d got no answer", i)
		}
	}
}

// The bytes are a datagram for each machine: a stranger's, and the answer of a
// server that means ill, who knows the transaction.
func FuzzMachines(f *testing.F) {
	f.Add(wire.AppendSTUNRequest(nil, wire.STUNTransaction{1}, true))
	f.Add(wire.AppendSTUNSuccess(nil, wire.STUNTransaction{1}, outside, nil, true))
	f.Add(wire.AppendSTUNAnswer(nil, wire.STUNTransaction{1}, wire.STUNAnswer{Mapped: outside, Other: serverB, Ports: true, OtherPort: 9, Help: 3}))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewResponder(ResponderConfig{TokenKey: tokenKey, Sites: fourSites})
		sent := 0
		for _, p := range exchange(r, start, 0, outside, b) {
			sent += len(p.Data) + overhead4
		}
		if in := len(b) + overhead4; sent*100 > in*maxAmplification4+100*maxDebt {
			t.Fatalf("%d bytes answer %d", sent, in)
		}
		k := newTalk(t, BindingConfig{Servers: []netip.AddrPort{serverA}})
		k.run(ms(1))
		k.Receive(k.now, machine.Packet{Remote: serverA, Data: b})
		if e, ok := k.NextEvent(); ok {
			t.Fatalf("a stranger's bytes made %+v", e)
		}
		p := NewProber(ProberConfig{Entropy: rand.NewChaCha8([32]byte{1}), Servers: []netip.AddrPort{serverA, serverB}, Ports: make([]uint16, Sockets(false)), MTU: true, Gateway: netip.MustParseAddr("192.168.1.1")})
		now := start
		for range 2000 {
			p.Advance(now)
			for {
				out, ok := p.AppendDatagram(now, nil)
				if !ok {
					break
				}
				answer := bytes.Clone(b)
				if len(answer) >= 20 && len(out.Data) >= 20 {
					copy(answer[8:20], out.Data[8:20])
				}
				p.Receive(now, machine.Packet{Socket: out.Socket, Remote: out.Remote, Data: answer})
			}
			if p.Done() {
				break
			}
			if next := p.NextTimeout(); next.After(now) {
				now = next
			}
		}
		if v := p.Report(now); !p.Done() || len(v.Candidates) == 0 || len(p.list) > maxProbes {
			t.Fatalf("done %t, %d probes, %+v", p.Done(), len(p.list), v)
		}
	})
}

func BenchmarkResponder(b *testing.B) {
	r := NewResponder(ResponderConfig{})
	request := wire.AppendSTUNRequest(nil, wire.STUNTransaction{1}, false)
	from := netip.MustParseAddrPort("127.0.0.1:9")
	buf := make([]byte, 0, 1500)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		now := start.Add(time.Duration(i) * time.Millisecond)
		r.Receive(now, machine.Packet{Remote: from, Data: request})
		r.AppendDatagram(now, buf)
	}
}

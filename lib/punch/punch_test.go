package punch

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/simnet"
	"github.com/xp2p/xp2p/lib/wire"
)

var (
	t0    = simnet.Epoch
	there = netip.MustParseAddrPort("203.0.113.7:5000")
	key   = wire.Key{1, 2, 3}
)

func puncher(k nat.Kind) *Puncher {
	p := New(Config{Rand: rand.New(rand.NewPCG(1, 2)), Entropy: entropy{rand.New(rand.NewPCG(3, 4))}})
	p.SetServers([]netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:3478")})
	p.SetRTT(40 * time.Millisecond)
	_, f := network(k)
	p.SetFacts(f)
	return p
}

// events drains them.
func (p *Puncher) take() (list []Event) {
	for {
		e, ok := p.NextEvent()
		if !ok {
			return list
		}
		list = append(list, e)
	}
}

// sends drains the datagrams of an instant.
func (p *Puncher) sends(now time.Time) (list []machine.Packet) {
	p.Advance(now)
	for {
		d, ok := p.AppendDatagram(now, nil)
		if !ok {
			return list
		}
		list = append(list, d)
	}
}

func say(k nat.Kind) wire.SignalNAT {
	_, f := network(k)
	return *Say(f)
}

// offered has a Puncher answer an offer, and returns what it said.
func offered(t *testing.T, p *Puncher, k nat.Kind) *wire.SignalPunch {
	t.Helper()
	p.Signal(t0, &wire.SignalPunch{Peer: 9, Session: 5, Round: 1, NAT: say(k), RTTms: 40, Addrs: []netip.AddrPort{there}, MAC: key})
	list := p.take()
	if len(list) != 1 || list[0].Kind != EventSignal || !list[0].Signal.Answer || list[0].Signal.Session != 5 || list[0].Signal.Round != 1 {
		t.Fatalf("to an offer: %+v", list)
	}
	return list[0].Signal
}

// Who answers opens its NAT at once with what lives a few hops. What arrives it sends when
// the other side's should have come long ago; or when that has just begun to send, if it
// sends to a port that is not ours.
func TestWhoAnswersOpensItsNATFirst(t *testing.T) {
	for _, c := range []struct {
		ours, theirs nat.Kind
		after        time.Duration
	}{
		{nat.KindPortRestricted, nat.KindPortRestricted, 2*40*time.Millisecond + patience},
		{nat.KindRandom, nat.KindRestricted, 60 * time.Millisecond},
	} {
		p := puncher(c.ours)
		offered(t, p, c.theirs)
		first := p.sends(t0)
		if len(first) != 1 || first[0].TTL < 3 || first[0].TTL > 8 || first[0].Remote != there || first[0].Socket != 0 {
			t.Fatalf("%v, at once: %+v", c.ours, first)
		}
		if at := p.NextTimeout(); at.Sub(t0) != c.after {
			t.Errorf("%v, then after %v", c.ours, at.Sub(t0))
		}
		if list := p.sends(t0.Add(c.after)); len(list) != 1 || list[0].TTL != 0 {
			t.Errorf("%v, then %+v", c.ours, list)
		}
	}
}

// Who offers sends when the answer is there: the other NAT is open.
func TestWhoOffersSendsWhenTheAnswerIsThere(t *testing.T) {
	p := puncher(nat.KindPortRestricted)
	n := say(nat.KindPortRestricted)
	p.Meet(t0, 9, &n, false)
	list := p.take()
	if len(list) != 1 || list[0].Signal == nil || list[0].Signal.Answer || len(p.sends(t0)) != 0 {
		t.Fatalf("%+v", list)
	}
	m := list[0].Signal
	answer := wire.SignalPunch{Peer: 9, Session: m.Session, Round: 1, Answer: true, NAT: n, Addrs: []netip.AddrPort{there}, MAC: key}
	for name, bad := range map[string]func(*wire.SignalPunch){
		"another session": func(m *wire.SignalPunch) { m.Session++ },
		"another round":   func(m *wire.SignalPunch) { m.Round++ },
		"no key":          func(m *wire.SignalPunch) { m.MAC = wire.Key{} },
		"another peer":    func(m *wire.SignalPunch) { m.Peer++ },
	} {
		wrong := answer
		bad(&wrong)
		p.Signal(t0, &wrong)
		if got := p.sends(t0); len(got) > 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	p.Signal(t0, &answer)
	got := p.sends(t0)
	if len(got) != 1 || got[0].TTL != 0 || got[0].Remote != there {
		t.Fatalf("%+v", got)
	}
	check, _ := wire.ParsePunch(got[0].Data)
	reply := wire.Punch{Answer: true, Answerer: true, Session: m.Session, Number: check.Number}
	p.Receive(t0, machine.Packet{Remote: there, Data: reply.Append(nil, &key)})
	if list := p.take(); len(list) != 1 || list[0].Kind != EventPath || list[0].Remote != there || list[0].Way != nat.Direct {
		t.Errorf("%+v", list)
	}
}

// What is not authentic, or comes from where the tracker named nobody, changes nothing
// and is not answered.
func TestStrangersChangeNothing(t *testing.T) {
	p := puncher(nat.KindPortRestricted)
	offered(t, p, nat.KindPortRestricted)
	sent := p.sends(t0)
	other := wire.Key{9}
	good := wire.Punch{Session: 5, Number: 3}
	forged := good.Append(nil, &key)
	forged[len(forged)-1] ^= 1
	session := wire.Punch{Session: 6}
	for name, pkt := range map[string]machine.Packet{
		"another key":        {Remote: there, Data: good.Append(nil, &other)},
		"a changed bit":      {Remote: there, Data: forged},
		"another session":    {Remote: there, Data: session.Append(nil, &key)},
		"our own, come back": {Remote: there, Data: sent[0].Data},
		"another address":    {Remote: netip.MustParseAddrPort("198.51.100.1:5000"), Data: good.Append(nil, &key)},
		"cut short":          {Remote: there, Data: good.Append(nil, &key)[:20]},
		"an answer unasked":  {Remote: there, Data: (&wire.Punch{Answer: true, Session: 5, Number: 77}).Append(nil, &key)},
	} {
		p.Receive(t0, pkt)
		if list := p.sends(t0); len(list) > 0 || len(p.take()) > 0 {
			t.Errorf("%s: %+v", name, list)
		}
	}
	// From another port of the address it is the peer's NAT's doing.
	from := netip.AddrPortFrom(there.Addr(), 6000)
	p.Receive(t0, machine.Packet{Remote: from, Data: good.Append(nil, &key)})
	list := p.sends(t0)
	if len(list) != 2 || list[0].Remote != from || len(list[0].Data) != wire.PunchLen || list[1].Remote != from {
		t.Errorf("a check from another port: %+v", list)
	}
	// The same again and again does not make it send more than it gets.
	for range 100 {
		p.Receive(t0, machine.Packet{Remote: from, Data: good.Append(nil, &key)})
	}
	if list := p.sends(t0); len(list) > 100 {
		t.Errorf("%d datagrams to 100", len(list))
	}
}

// Both may offer at the same time: one session goes on, and both mean the same.
func TestBothMayOffer(t *testing.T) {
	a, b := puncher(nat.KindFullCone), puncher(nat.KindPortRestricted)
	b.cfg.Entropy = entropy{rand.New(rand.NewPCG(8, 8))}
	na, nb := say(nat.KindFullCone), say(nat.KindPortRestricted)
	a.Meet(t0, 2, &nb, false)
	b.Meet(t0, 1, &na, false)
	pass := func(m wire.SignalPunch, from wire.PeerID) *wire.SignalPunch {
		m.Peer, m.MAC, m.Addrs = from, key, []netip.AddrPort{there}
		return &m
	}
	fromA, fromB := *a.take()[0].Signal, *b.take()[0].Signal
	a.Signal(t0, pass(fromB, 2))
	b.Signal(t0, pass(fromA, 1))
	answersA, answersB := a.take(), b.take()
	if len(answersA)+len(answersB) != 1 || a.sessions[0].id != b.sessions[0].id || a.sessions[0].first == b.sessions[0].first {
		t.Errorf("%+v, %+v", answersA, answersB)
	}
}

// Rounds take turns in who offers, and fresh sockets; then it is over.
func TestThreeRoundsThenItIsOver(t *testing.T) {
	p := puncher(nat.KindPortRestricted)
	n := say(nat.KindPortRestricted)
	p.Meet(t0, 9, &n, false)
	m := p.take()[0].Signal
	now := t0
	step := func() {
		for range 10_000 {
			p.sends(now)
			at := p.NextTimeout()
			if at.IsZero() {
				return
			}
			now = at
			p.Advance(now)
			for _, e := range p.take() {
				switch e.Kind {
				case EventOpen:
					p.Opened(now, e.Ref, machine.Socket(e.Ref), netip.MustParseAddrPort("192.168.1.2:7000"), nil)
				case EventSignal:
					m = e.Signal
					return
				case EventFailed:
					m = nil
					return
				}
			}
		}
	}
	word := func(answer bool, round uint8) {
		p.Signal(now, &wire.SignalPunch{Peer: 9, Session: m.Session, Round: round, Answer: answer, NAT: n, Addrs: []netip.AddrPort{there}, MAC: key})
		for _, e := range p.take() {
			if e.Kind == EventOpen {
				p.Opened(now, e.Ref, machine.Socket(e.Ref), netip.MustParseAddrPort("192.168.1.2:7000"), nil)
			}
		}
	}
	word(true, 1) // answers ours
	for p.sessions[0].stage != stageWaiting {
		p.sends(now)
		now = p.NextTimeout()
		p.Advance(now)
	}
	if p.Signal(now, &wire.SignalPunch{Peer: 9, Session: m.Session, Round: 3, NAT: n, Addrs: []netip.AddrPort{there}, MAC: key}); p.sessions[0].round != 1 {
		t.Error("a round was skipped")
	}
	word(false, 2) // the other side offers
	if step(); m == nil || !m.Answer || m.Round != 2 || p.Sockets() != 1 {
		t.Fatalf("to the offer of round two: %+v, %d sockets", m, p.Sockets())
	}
	if step(); m == nil || m.Answer || m.Round != 3 || p.Sockets() != 1 {
		t.Fatalf("round three: %+v, %d sockets", m, p.Sockets())
	}
	word(true, 3)
	for m != nil && now.Sub(t0) < time.Minute {
		step()
	}
	if m != nil || p.Sockets() != 0 || p.Looks(9) {
		t.Errorf("at the end: %+v, %d sockets", m, p.Sockets())
	}
}

// Who meets after a few hundred probes may try again for somebody else, or for the same
// who comes back, with what is left of the minute's thousand.
func TestWhatABirthdayHasNotSpentIsLeftForAnother(t *testing.T) {
	p := puncher(nat.KindPortRestricted)
	n := say(nat.KindRandom)
	attempt := func(peer wire.PeerID, until time.Duration) (sent int, failed *Event) {
		p.Signal(t0, &wire.SignalPunch{Peer: peer, Session: uint64(peer), Round: 1, NAT: n, RTTms: 40, Addrs: []netip.AddrPort{there}, MAC: key})
		for _, e := range p.take() {
			if e.Kind == EventFailed {
				failed = &e
			}
		}
		for ms := time.Duration(0); ms < until; ms += time.Millisecond {
			sent += len(p.sends(t0.Add(ms)))
		}
		p.Stop(peer)
		return sent, failed
	}
	first, failed := attempt(9, 150*time.Millisecond)
	if first < BirthdayProbes/5 || first > BirthdayProbes/2 || failed != nil {
		t.Fatalf("the first sent %d, %v", first, failed)
	}
	second, failed := attempt(10, 3*time.Second)
	if second < BirthdayProbes/2 || first+second > BirthdayProbes || failed != nil {
		t.Errorf("the second sent %d behind %d, %v", second, first, failed)
	}
	if third, failed := attempt(11, time.Second); third > 0 || failed == nil || failed.Retry.Sub(t0) != BirthdayTime {
		t.Errorf("the third sent %d, %+v", third, failed)
	}
}

// Sockets that cannot be opened, or come too late, do no harm; of attempts with hundreds
// there is one at a time, and two in a minute.
func TestABirthdayIsKeptTwiceAMinute(t *testing.T) {
	p := puncher(nat.KindRandom)
	n := say(nat.KindPortRestricted)
	p.Meet(t0, 9, &n, false)
	asked := p.take()
	if len(asked) != BirthdaySockets {
		t.Fatalf("%d sockets", len(asked))
	}
	for i, e := range asked {
		if i%2 == 0 {
			p.Opened(t0, e.Ref, machine.Socket(i+1), there, nil)
		} else {
			p.Opened(t0, e.Ref, 0, netip.AddrPort{}, errors.New("no more"))
		}
	}
	if list := p.take(); len(list) != 1 || list[0].Signal == nil || p.Sockets() != BirthdaySockets/2 {
		t.Fatalf("%+v", list)
	}
	p.Meet(t0, 10, &n, false)
	if list := p.take(); len(list) != 1 || list[0].Kind != EventFailed || list[0].Retry.Sub(t0) != BirthdayTime {
		t.Errorf("a second one at one time: %+v", list)
	}
	p.Stop(9)
	closed := map[machine.Socket]bool{}
	for _, e := range p.take() {
		closed[e.Socket] = e.Kind == EventClose
	}
	if len(closed) != BirthdaySockets/2 || p.Sockets() != 0 {
		t.Errorf("%d were closed", len(closed))
	}
	p.Opened(t0, asked[1].Ref, 1000, there, nil)
	if list := p.take(); len(list) != 1 || list[0].Kind != EventClose || list[0].Socket != 1000 {
		t.Errorf("too late: %+v", list)
	}
	for i, want := range []int{BirthdaySockets, 0, BirthdaySockets} {
		now := t0.Add([]time.Duration{0, time.Second, BirthdayTime}[i])
		p.Meet(now, 9, &n, false)
		opened := 0
		for _, e := range p.take() {
			if e.Kind == EventOpen {
				opened++
			}
		}
		if opened != want {
			t.Errorf("at %v %d sockets, want %d", now.Sub(t0), opened, want)
		}
		p.Stop(9)
		p.take()
	}
}

func TestPortsAreForetold(t *testing.T) {
	for _, c := range []struct {
		port  uint16
		steps int
		want  uint16
	}{{2000, 1, 2001}, {2000, -976, 1024}, {1024, -1, 65535}, {65535, 1, 1024}, {65535, 8, 1031}} {
		if got := portAt(c.port, c.steps); got != c.want {
			t.Errorf("%d steps from %d: %d, want %d", c.steps, c.port, got, c.want)
		}
	}
	s := session{p: puncher(nat.KindSequential), addrs: []netip.AddrPort{there}, theirs: nat.Facts{PortUse: nat.PortUse{Delta: 2}}}
	ports := func() (list []uint16) {
		for _, a := range s.foretell()[:3] {
			list = append(list, a.Port())
		}
		return list
	}
	if got := ports(); !slices.Equal(got, []uint16{5002, 5006, 5010}) {
		t.Errorf("giant steps: %v", got)
	}
	s.offers = true
	if got := ports(); !slices.Equal(got, []uint16{5002, 5004, 5006}) {
		t.Errorf("baby steps: %v", got)
	}
}

func TestAPuncherKeepsTheContract(t *testing.T) {
	good := wire.Punch{Session: 5, Number: 3}
	samples := [][]byte{good.Append(nil, &key), (&wire.Punch{Answer: true, Session: 5}).Append(nil, &key)}
	for _, k := range []nat.Kind{nat.KindPortRestricted, nat.KindSequential, nat.KindRandom} {
		if err := machine.Conform(func() machine.Machine {
			p := puncher(k)
			n := say(nat.KindPortRestricted)
			p.Signal(t0, &wire.SignalPunch{Peer: 9, Session: 5, Round: 1, NAT: n, Addrs: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:1")}, MAC: key})
			for i, e := range p.take() {
				if e.Kind == EventOpen {
					p.Opened(t0, e.Ref, machine.Socket(i+1), there, nil)
				}
			}
			p.Meet(t0, 10, &n, false)
			return p
		}, t0, samples...); err != nil {
			t.Errorf("%v: %v", k, err)
		}
	}
}

// Where UDP does not pass, both connect over TCP from a port that a server has just
// seen, to where the other was seen.
func TestOverTCPBothConnectAtOneTime(t *testing.T) {
	local := netip.MustParseAddrPort("192.168.1.7:40000")
	proof := wire.Token{1}
	for _, offers := range []bool{true, false} {
		p := puncher(nat.KindBlocked)
		n := say(nat.KindPortRestricted)
		if offers {
			p.Meet(t0, 9, &n, false)
		} else {
			p.Signal(t0, &wire.SignalPunch{Peer: 9, Session: 5, Round: 1, NAT: n, Addrs: []netip.AddrPort{there}, MAC: key})
		}
		list := p.take()
		if len(list) != 1 || list[0].Kind != EventObserve {
			t.Fatalf("%+v", list)
		}
		p.Observed(t0, list[0].Ref, local, proof, nil)
		list = p.take()
		if len(list) == 0 || list[0].Kind != EventSignal || len(list[0].Signal.Tokens) != 1 || !slices.Equal(list[0].Signal.Hosts, []netip.AddrPort{local}) {
			t.Fatalf("%+v", list)
		}
		if offers {
			p.Signal(t0, &wire.SignalPunch{Peer: 9, Session: list[0].Signal.Session, Round: 1, Answer: true, NAT: n, Addrs: []netip.AddrPort{there}, MAC: key})
			list = append(list, p.take()...)
		}
		if len(list) != 2 || list[1].Kind != EventOpen || !list[1].TCP || list[1].Local != local || list[1].Remote != there || len(p.sends(t0)) > 0 {
			t.Fatalf("%+v", list)
		}
		p.Opened(t0, list[1].Ref, 3, local, nil)
		list = p.take()
		if offers && (len(list) != 1 || list[0].Kind != EventPath || list[0].Socket != 3 || list[0].Remote != there || list[0].Way != nat.OverTCP) || !offers && len(list) > 0 {
			t.Errorf("offers %v: %+v", offers, list)
		}
		if f, ok := p.Done(t0, 9, 3, there); !ok || f.Way != nat.OverTCP || p.Sockets() > 0 {
			t.Errorf("%+v, %v, %d sockets", f, ok, p.Sockets())
		}
	}
	// Without a server's word there is no way, and it is said at once.
	p := puncher(nat.KindBlocked)
	n := say(nat.KindBlocked)
	p.Meet(t0, 9, &n, false)
	p.Observed(t0, p.take()[0].Ref, local, nil, errors.New("refused"))
	if list := p.take(); len(list) != 1 || list[0].Kind != EventFailed || p.Looks(9) {
		t.Errorf("%+v", list)
	}
}

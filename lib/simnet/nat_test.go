package simnet

import (
	"net/netip"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/nat"
)

// A homeWorld has a server in the open and homes behind boxes.
type homeWorld struct {
	*World
	t      *testing.T
	server *ear
	at     netip.AddrPort
}

// An ear hears, and says what it is told to.
type ear struct {
	burst
	from []netip.AddrPort
}

func (e *ear) Receive(_ time.Time, p machine.Packet) { e.from = append(e.from, p.Remote) }

func newHomeWorld(t *testing.T) *homeWorld {
	w := &homeWorld{World: New(1), t: t, server: &ear{}}
	w.SetDelayFunc(func(_, _ *Host) time.Duration { return 10 * ms })
	w.at = w.AddHost(HostConfig{Addr: netip.MustParseAddr("192.0.2.1")}).Run(w.server, 7, nil).Addr(0)
	return w
}

// say sends one datagram and lets it arrive; it reports who was heard from.
func (w *homeWorld) say(p *Process, e *ear, to netip.AddrPort, hears *ear) (from netip.AddrPort, ok bool) {
	before := len(hears.from)
	p.Do(func(time.Time) { e.to, e.out = to, append(e.out, []byte("word")) })
	w.RunFor(100 * ms)
	if len(hears.from) == before {
		return from, false
	}
	return hears.from[before], true
}

func (w *homeWorld) home(behind *NAT, addr string, port uint16) (*Process, *ear) {
	e := &ear{}
	return w.AddHost(HostConfig{Addr: netip.MustParseAddr(addr), Behind: behind}).Run(e, port, nil), e
}

func TestHomesHaveAddressesOfTheirOwnAndOneInTheWorld(t *testing.T) {
	w := newHomeWorld(t)
	pub := []netip.Addr{netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("203.0.113.2")}
	var procs []*Process
	var ears []*ear
	var seen []netip.AddrPort
	for _, a := range pub {
		box := w.AddNAT(NATConfig{BoxConfig: nat.BoxConfig{Public: []netip.Addr{a}, Filtering: nat.AddressAndPortDependent}})
		p, e := w.home(box, "192.168.1.7", 5000) // the same inside address in each
		from, ok := w.say(p, e, w.at, w.server)
		if !ok || from.Addr() != a {
			t.Fatalf("seen at %v, %t", from, ok)
		}
		procs, ears, seen = append(procs, p), append(ears, e), append(seen, from)
	}
	// The server answers; one home cannot reach the other before that has sent, too.
	if _, ok := w.say(procs[0], ears[0], seen[1], ears[1]); ok {
		t.Error("a stranger came in")
	}
	if from, ok := w.say(procs[1], ears[1], seen[0], ears[0]); !ok || from != seen[1] {
		t.Errorf("after both have sent: %v, %t", from, ok)
	}
	if _, ok := w.say(procs[0], ears[0], netip.MustParseAddrPort("192.168.1.7:5000"), ears[1]); ok {
		t.Error("a private address reached another home")
	}
}

func TestNeighboursMeetInsideAndRoundTheCornerOnlyIfTheBoxTurns(t *testing.T) {
	for _, turns := range []bool{true, false} {
		w := newHomeWorld(t)
		box := w.AddNAT(NATConfig{BoxConfig: nat.BoxConfig{Public: []netip.Addr{netip.MustParseAddr("203.0.113.1")}, Hairpin: turns}})
		p1, e1 := w.home(box, "192.168.1.7", 5000)
		p2, e2 := w.home(box, "192.168.1.8", 6000)
		if from, ok := w.say(p1, e1, p2.Addr(0), e2); !ok || from != p1.Addr(0) {
			t.Errorf("inside: %v, %t", from, ok)
		}
		seen, _ := w.say(p2, e2, w.at, w.server)
		if from, ok := w.say(p1, e1, seen, e2); ok != turns || ok && from.Addr() != seen.Addr() {
			t.Errorf("a box that turns: %t; %v, %t", turns, from, ok)
		}
	}
}

func TestBoxesStandBehindBoxes(t *testing.T) {
	w := newHomeWorld(t)
	carrier := w.AddNAT(NATConfig{BoxConfig: nat.BoxConfig{Public: []netip.Addr{netip.MustParseAddr("203.0.113.1")}, Allocation: nat.Random}})
	home := w.AddNAT(NATConfig{BoxConfig: nat.BoxConfig{Public: []netip.Addr{netip.MustParseAddr("100.64.0.9")}}, Behind: carrier})
	p, e := w.home(home, "192.168.1.7", 5000)
	seen, ok := w.say(p, e, w.at, w.server)
	if !ok || seen.Addr() != netip.MustParseAddr("203.0.113.1") || seen.Port() == 5000 {
		t.Fatalf("seen at %v, %t", seen, ok)
	}
	server := w.HostAt(w.at.Addr()).ports[7].proc
	if from, ok := w.say(server, w.server, seen, e); !ok || from != w.at {
		t.Errorf("the answer came from %v, %t", from, ok)
	}
	// A neighbour in the carrier's network is reached without leaving it.
	p2, e2 := w.home(carrier, "100.64.0.10", 6000)
	if from, ok := w.say(p, e, p2.Addr(0), e2); !ok || from != netip.MustParseAddrPort("100.64.0.9:5000") {
		t.Errorf("within the carrier's network: %v, %t", from, ok)
	}
}

func TestAFirewallLetsInAnswersOnly(t *testing.T) {
	w := newHomeWorld(t)
	wall := w.AddNAT(NATConfig{BoxConfig: nat.BoxConfig{Filtering: nat.AddressAndPortDependent}})
	p, e := w.home(wall, "203.0.113.7", 5000)
	server := w.HostAt(w.at.Addr()).ports[7].proc
	if _, ok := w.say(server, w.server, p.Addr(0), e); ok {
		t.Error("a stranger came in")
	}
	if seen, ok := w.say(p, e, w.at, w.server); !ok || seen != p.Addr(0) {
		t.Errorf("seen at %v, %t", seen, ok)
	}
	if _, ok := w.say(server, w.server, p.Addr(0), e); !ok {
		t.Error("an answer did not come in")
	}
	s := w.Stats()
	if lost := s.LostNobody + s.LostNAT; s.Sent != s.Delivered+lost || lost != 1 {
		t.Errorf("%+v", s)
	}
}

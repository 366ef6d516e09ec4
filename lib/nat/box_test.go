package nat

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

var (
	boxStart = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	boxIn    = netip.MustParseAddrPort("192.168.1.7:5000")
	boxPub   = netip.MustParseAddr("203.0.113.5")
	remotes  = []netip.AddrPort{ // an address with two ports, another, and one that is never sent to
		netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("192.0.2.1:2"), netip.MustParseAddrPort("192.0.2.9:1"),
	}
)

func boxRand() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

func TestABoxMapsAndFiltersAsItIsTold(t *testing.T) {
	for m := EndpointIndependent; m <= AddressAndPortDependent; m++ {
		for f := EndpointIndependent; f <= AddressAndPortDependent; f++ {
			b := NewBox(BoxConfig{Public: []netip.Addr{boxPub}, Mapping: m, Filtering: f, Allocation: Random, Rand: boxRand()})
			var seen []Sighting
			first, ok := b.Out(boxStart, ProtoUDP, boxIn, remotes[0])
			if !ok {
				t.Fatal("dropped")
			}
			// Before anybody else was sent to: who may answer?
			for i, want := range []bool{true, f <= AddressDependent, f == EndpointIndependent} {
				in, ok := b.In(boxStart, ProtoUDP, remotes[i], first)
				if ok != want || ok && in != boxIn {
					t.Errorf("%v, %v: from %v: %v", m, f, remotes[i], ok)
				}
			}
			for _, to := range remotes {
				out, _ := b.Out(boxStart, ProtoUDP, boxIn, to)
				seen = append(seen, Sighting{to, out})
			}
			if got := MappingOf(seen).One(); got != m {
				t.Errorf("a box of %v looks like %v", m, got)
			}
		}
	}
}

func TestABoxForgets(t *testing.T) {
	b := NewBox(BoxConfig{Public: []netip.Addr{boxPub}, Filtering: AddressAndPortDependent, Lifetime: 30 * time.Second})
	out, _ := b.Out(boxStart, ProtoUDP, boxIn, remotes[0])
	if _, ok := b.In(boxStart.Add(30*time.Second), ProtoUDP, remotes[0], out); !ok {
		t.Error("forgotten too early")
	}
	if _, ok := b.In(boxStart.Add(31*time.Second), ProtoUDP, remotes[0], out); ok {
		t.Error("not forgotten")
	}
	if _, ok := b.In(boxStart, ProtoTCP, remotes[0], out); ok {
		t.Error("a mapping of UDP is one of TCP")
	}
}

func TestABoxIsBounded(t *testing.T) {
	b := NewBox(BoxConfig{Public: []netip.Addr{boxPub}, Mapping: AddressAndPortDependent, Allocation: Random, Rand: boxRand()})
	n := 0
	for i := range 2 * maxMappings {
		if _, ok := b.Out(boxStart, ProtoUDP, boxIn, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1)); ok {
			n++
		}
	}
	if n != maxMappings {
		t.Errorf("%d mappings", n)
	}
	if _, ok := b.Out(boxStart.Add(time.Hour), ProtoUDP, boxIn, remotes[0]); !ok {
		t.Error("what is over takes room")
	}
}

func TestAFirewallTranslatesNothing(t *testing.T) {
	open := netip.MustParseAddrPort("203.0.113.7:5000")
	b := NewBox(BoxConfig{Filtering: AddressDependent})
	if _, ok := b.In(boxStart, ProtoUDP, remotes[0], open); ok {
		t.Error("a stranger comes in")
	}
	if out, ok := b.Out(boxStart, ProtoUDP, open, remotes[0]); !ok || out != open {
		t.Errorf("%v, %v", out, ok)
	}
	if in, ok := b.In(boxStart, ProtoUDP, remotes[1], open); !ok || in != open {
		t.Errorf("%v, %v", in, ok)
	}
	if _, ok := b.In(boxStart, ProtoUDP, remotes[2], open); ok {
		t.Error("another address comes in")
	}
}

// A stranger's packet that the box takes for its own spoils the flow to him, and no
// other.
func TestAStrangersPacketTakesThePlaceOfAFlow(t *testing.T) {
	for _, m := range []Behavior{EndpointIndependent, AddressAndPortDependent} {
		b := NewBox(BoxConfig{Public: []netip.Addr{boxPub}, Mapping: m, Filtering: AddressAndPortDependent, Clash: true})
		first, _ := b.Out(boxStart, ProtoUDP, boxIn, remotes[0])
		if _, ok := b.In(boxStart, ProtoUDP, remotes[2], netip.AddrPortFrom(boxPub, boxIn.Port())); ok {
			t.Fatal("the stranger came in")
		}
		moved, ok := b.Out(boxStart, ProtoUDP, boxIn, remotes[2])
		if !ok || moved.Port() == boxIn.Port() {
			t.Errorf("%v: the flow to the stranger leaves with %v", m, moved)
		}
		if again, _ := b.Out(boxStart, ProtoUDP, boxIn, remotes[2]); again != moved {
			t.Errorf("%v: and then with %v", m, again)
		}
		if in, ok := b.In(boxStart, ProtoUDP, remotes[2], moved); !ok || in != boxIn {
			t.Errorf("%v: its answers do not come in", m)
		}
		if out, _ := b.Out(boxStart, ProtoUDP, boxIn, remotes[0]); out != first {
			t.Errorf("%v: the flow to another leaves with %v, and before with %v", m, out, first)
		}
		late := boxStart.Add(clashLife + time.Second)
		b = NewBox(BoxConfig{Public: []netip.Addr{boxPub}, Mapping: m, Filtering: AddressAndPortDependent, Clash: true})
		b.In(boxStart, ProtoUDP, remotes[2], netip.AddrPortFrom(boxPub, boxIn.Port()))
		if out, _ := b.Out(late, ProtoUDP, boxIn, remotes[2]); out.Port() != boxIn.Port() {
			t.Errorf("%v: not forgotten", m)
		}
	}
}

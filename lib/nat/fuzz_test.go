package nat

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// FuzzBox drives a box of any kind with any packets, and holds it to what RFC 4787
// says of its mapping and filtering: who is inside keeps an outside port, nobody else
// has it, and of those outside only they come in whom the filter lets.
func FuzzBox(f *testing.F) {
	f.Add([]byte{1, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8})
	f.Add([]byte{3, 3, 3, 1, 0x80, 1, 0x81, 2, 9, 9})
	f.Add([]byte{2, 1, 2, 0, 1, 1, 2, 2, 0x90, 0xA0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 4 {
			return
		}
		m, fl := Behavior(b[0]%3)+EndpointIndependent, Behavior(b[1]%3)+EndpointIndependent
		box := NewBox(BoxConfig{Public: []netip.Addr{boxPub}, Mapping: m, Filtering: fl, Allocation: Allocation(b[2]) % (Random + 1), Step: int(b[3] % 8),
			Clash: b[3]&8 != 0, Rand: rand.New(rand.NewPCG(1, 2))})
		clash := b[3]&8 != 0
		type flow struct{ in, scope netip.AddrPort }
		outside := map[flow]netip.AddrPort{}
		owner := map[netip.AddrPort]netip.AddrPort{}
		sent := map[netip.AddrPort]map[netip.AddrPort]bool{} // outside port: to whom
		host := func(x byte) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 168, 1, 1 + x%4}), 5000+uint16(x/4%4))
		}
		remote := func(x byte) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1 + x%3}), 1+uint16(x/4%3))
		}
		now := boxStart
		for i := 4; i+1 < len(b); i += 2 {
			now = now.Add(time.Millisecond)
			if b[i]&0x80 == 0 {
				in, to := host(b[i]), remote(b[i+1])
				out, ok := box.Out(now, ProtoUDP, in, to)
				if !ok {
					continue // full
				}
				key := flow{in, m.scope(to)}
				if was, known := outside[key]; known && was != out && !clash {
					t.Fatalf("%v to %v left from %v, and now from %v", in, to, was, out)
				}
				if who, taken := owner[out]; taken && who != in {
					t.Fatalf("%v is both %v's and %v's", out, who, in)
				}
				outside[key], owner[out] = out, in
				if sent[out] == nil {
					sent[out] = map[netip.AddrPort]bool{}
				}
				sent[out][to] = true
				continue
			}
			from := remote(b[i])
			to := netip.AddrPortFrom(boxPub, uint16(b[i+1]))
			for out := range owner {
				if out.Port()%8 == uint16(b[i+1]%8) {
					to = out
				}
			}
			in, ok := box.In(now, ProtoUDP, from, to)
			may := false
			for peer := range sent[to] {
				may = may || fl.scope(peer) == fl.scope(from)
			}
			if ok && (!may || in != owner[to]) {
				t.Fatalf("%v came in at %v, to %v", from, to, in)
			}
			if !ok && may && !clash {
				t.Fatalf("%v did not come in at %v, where %v sends", from, to, owner[to])
			}
		}
	})
}

// FuzzPortUse reads how a NAT gives out ports from any burst, and has MappingOf read the
// same sightings.
func FuzzPortUse(f *testing.F) {
	f.Add([]byte{0, 1, 4, 0, 0, 2, 4, 2, 0, 3, 4, 4})
	f.Add([]byte{255, 255, 0, 0, 0, 0, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		var local []uint16
		var mapped []netip.AddrPort
		var seen []Sighting
		for ; len(b) >= 4 && len(local) < 1024; b = b[4:] {
			at := netip.AddrPortFrom(boxPub, uint16(b[2])<<8|uint16(b[3]))
			local, mapped = append(local, uint16(b[0])<<8|uint16(b[1])), append(mapped, at)
			seen = append(seen, Sighting{netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, b[0]}), uint16(b[1])), at})
		}
		u := PortUseOf(local, mapped)
		if u.Low > u.High || u.Allocation > Random {
			t.Fatalf("%+v", u)
		}
		for _, a := range mapped {
			if u.High > 0 && a.Port() != 0 && (a.Port() < u.Low || a.Port() > u.High) {
				t.Fatalf("%v is not between %d and %d", a, u.Low, u.High)
			}
		}
		if len(MappingOf(seen).List()) == 0 {
			t.Fatal("no mapping is possible")
		}
	})
}

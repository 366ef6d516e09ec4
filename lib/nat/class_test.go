package nat

import (
	"net/netip"
	"slices"
	"testing"
)

func TestEveryCombinationOfFactsHasAClass(t *testing.T) {
	const eim, adm, apdm = EndpointIndependent, AddressDependent, AddressAndPortDependent
	for _, c := range []struct {
		v    Verdict
		want []Class
	}{
		{Verdict{UDP: No, TCP: Yes}, []Class{UDPBlocked}},
		{Verdict{UDP: No, TCP: No}, []Class{Offline}},
		{Verdict{UDP: No}, []Class{UDPBlocked, Offline}},
		{Verdict{UDP: Yes, Translated: No, Filtering: Only(eim)}, []Class{Public}},
		{Verdict{UDP: Yes, Translated: No, Filtering: Only(adm)}, []Class{SymmetricFirewall}},
		{Verdict{UDP: Yes, Translated: No}, []Class{Public, SymmetricFirewall}},
		{Verdict{UDP: Yes, Translated: Yes, Mapping: Only(eim), Filtering: Only(eim)}, []Class{FullCone}},
		{Verdict{UDP: Yes, Translated: Yes, Mapping: Only(eim), Filtering: Only(eim, adm)}, []Class{FullCone, RestrictedCone}},
		{Verdict{UDP: Yes, Translated: Yes, Mapping: Only(eim)}, []Class{FullCone, RestrictedCone, PortRestrictedCone}},
		{Verdict{UDP: Yes, Translated: Yes, Mapping: Only(eim, adm), Filtering: Only(apdm)}, []Class{PortRestrictedCone, Symmetric}},
		{Verdict{UDP: Yes, Translated: Yes, Mapping: Only(adm, apdm)}, []Class{Symmetric}},
		{Verdict{}, []Class{Public, UDPBlocked, SymmetricFirewall, FullCone, RestrictedCone, PortRestrictedCone, Symmetric, Offline}},
	} {
		if got := c.v.Candidates(); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.v, got, c.want)
		}
		if got := c.v.Class(); (got == Unclassified) != (len(c.want) > 1) {
			t.Errorf("%+v: class %v", c.v, got)
		}
	}
	for c := Public; c <= Offline; c++ {
		if back, ok := ParseClass(c.String()); !ok || back != c {
			t.Errorf("%q is read as %v", c, back)
		}
	}
	if _, ok := ParseClass(""); ok {
		t.Error("no name is a class")
	}
}

func TestMappingIsReadFromWhatServersSaw(t *testing.T) {
	const eim, adm, apdm = EndpointIndependent, AddressDependent, AddressAndPortDependent
	at := func(server, mapped string) Sighting {
		return Sighting{netip.MustParseAddrPort(server), netip.MustParseAddrPort(mapped)}
	}
	const a1, a2, b1 = "192.0.2.1:1", "192.0.2.1:2", "192.0.2.9:1"
	const x, y, z = "203.0.113.5:10", "203.0.113.5:20", "203.0.113.5:30"
	for _, c := range []struct {
		seen []Sighting
		want []Behavior
	}{
		{nil, []Behavior{eim, adm, apdm}},
		{[]Sighting{at(a1, x)}, []Behavior{eim, adm, apdm}},
		{[]Sighting{at(a1, x), at(a2, x)}, []Behavior{eim, adm}},
		{[]Sighting{at(a1, x), at(a2, y)}, []Behavior{apdm}},
		{[]Sighting{at(a1, x), at(b1, x)}, []Behavior{eim}},
		{[]Sighting{at(a1, x), at(b1, y)}, []Behavior{adm, apdm}},
		{[]Sighting{at(a1, x), at(a2, x), at(b1, y)}, []Behavior{adm}},
		{[]Sighting{at(a1, x), at(a2, y), at(b1, z)}, []Behavior{apdm}},
		// A server in the LAN sees another side of us.
		{[]Sighting{at(a1, x), at("192.168.1.1:1", "192.168.1.7:10")}, []Behavior{eim, adm, apdm}},
		{[]Sighting{at(a1, x), at("[2001:db8::1]:1", "[2001:db8::7]:10")}, []Behavior{eim, adm, apdm}},
		{[]Sighting{at(a1, x), at(b1, "203.0.113.6:10")}, []Behavior{adm, apdm}}, // another public address is another mapping
	} {
		if got := MappingOf(c.seen).List(); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.seen, got, c.want)
		}
	}
}

func TestBehavioursThatContradictEachOtherLeaveTheFirst(t *testing.T) {
	a := Only(EndpointIndependent)
	if got := a.And(Only(AddressDependent)); got.One() != EndpointIndependent {
		t.Errorf("%v", got.List())
	}
	if got := Behaviors(0).And(a); got.One() != EndpointIndependent || Behaviors(0).One() != Unknown {
		t.Errorf("%v", got.List())
	}
}

func TestPortUseIsReadFromABurst(t *testing.T) {
	local := []uint16{50001, 41234, 33333, 60000, 45678, 39999, 52525, 47474, 36363, 58585}
	for _, c := range []struct {
		name       string
		ports      []int // 0: no answer
		want       Allocation
		delta      int
		preserving Tri
	}{
		{"silence", make([]int, 10), AllocationUnknown, 0, Maybe},
		{"three answers", []int{1, 2, 3, 0, 0, 0, 0, 0, 0, 0}, AllocationUnknown, 0, Maybe},
		{"kept", []int{50001, 41234, 33333, 60000, 45678, 39999, 52525, 47474, 36363, 58585}, PortPreserving, 0, Yes},
		{"kept but where taken", []int{50001, 41234, 1025, 60000, 45678, 39999, 52525, 47474, 36363, 58585}, PortPreserving, 0, Yes},
		{"one by one", []int{5000, 5001, 5002, 5003, 5004, 5005, 5006, 5007, 5008, 5009}, Sequential, 1, No},
		{"foreign allocations between", []int{5000, 5001, 5003, 5004, 5005, 5007, 5008, 5009, 5010, 5012}, Sequential, 1, No},
		{"by twos, downwards, one lost", []int{5018, 5016, 0, 5012, 5010, 5008, 5006, 5004, 5002, 5000}, Sequential, -2, No},
		{"a block", []int{2048, 2500, 2300, 2111, 2400, 2222, 2350, 2450, 2175, 2280}, Block, 0, No},
		{"anywhere", []int{2048, 60500, 12300, 32111, 22400, 52222, 42350, 12450, 62175, 32280}, Random, 0, No},
	} {
		var mapped []netip.AddrPort
		for _, p := range c.ports {
			if p == 0 {
				mapped = append(mapped, netip.AddrPort{})
				continue
			}
			mapped = append(mapped, netip.AddrPortFrom(netip.MustParseAddr("203.0.113.5"), uint16(p)))
		}
		if u := PortUseOf(local, mapped); u.Allocation != c.want || u.Delta != c.delta || u.Preserving != c.preserving {
			t.Errorf("%s: %+v", c.name, u)
		}
	}
}

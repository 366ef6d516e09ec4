package nat

import (
	"net/netip"
	"time"
)

// A Specimen is a kind of network that a viewer may be in: boxes, and what a probe
// must say of it. Simulated networks build it from the tables, the lab from
// kernels where they can be made to do the same.
type Specimen struct {
	Name string
	// Boxes stand between the host and the world, the innermost first; none is a
	// host in the open. Their public addresses are filled in by who builds them: each
	// has Addrs of them, or none if that is 0.
	Boxes     []BoxConfig
	Addrs     []int
	Class     Class
	Mapping   Behavior
	Filtering Behavior
}

// Zoo returns the kinds of network that are told apart (RFC 4787, and what
// carriers, home routers and firewalls make of it).
func Zoo() []Specimen {
	const eim, adm, apdm = EndpointIndependent, AddressDependent, AddressAndPortDependent
	one := func(name string, c Class, b BoxConfig) Specimen {
		n := 1
		if c == SymmetricFirewall || c == UDPBlocked {
			n = 0
		}
		return Specimen{name, []BoxConfig{b}, []int{n}, c, b.Mapping, b.Filtering}
	}
	return []Specimen{
		{Name: "public", Class: Public, Mapping: eim, Filtering: eim},
		one("udp-blocked", UDPBlocked, BoxConfig{DropUDP: true}),
		one("symmetric-firewall", SymmetricFirewall, BoxConfig{Mapping: eim, Filtering: apdm}),
		one("restricted-firewall", SymmetricFirewall, BoxConfig{Mapping: eim, Filtering: adm}),
		one("full-cone", FullCone, BoxConfig{Mapping: eim, Filtering: eim}),
		one("restricted-cone", RestrictedCone, BoxConfig{Mapping: eim, Filtering: adm}),
		one("port-restricted-cone", PortRestrictedCone, BoxConfig{Mapping: eim, Filtering: apdm}),
		one("port-restricted-random", PortRestrictedCone, BoxConfig{Mapping: eim, Filtering: apdm, Allocation: Random}),
		one("hairpin", PortRestrictedCone, BoxConfig{Mapping: eim, Filtering: apdm, Hairpin: true}),
		one("short-lived", PortRestrictedCone, BoxConfig{Mapping: eim, Filtering: apdm, Lifetime: 30 * time.Second}),
		one("symmetric-random", Symmetric, BoxConfig{Mapping: apdm, Filtering: apdm, Allocation: Random}),
		one("symmetric-sequential", Symmetric, BoxConfig{Mapping: apdm, Filtering: apdm, Allocation: Sequential}),
		one("symmetric-step", Symmetric, BoxConfig{Mapping: apdm, Filtering: apdm, Allocation: Sequential, Step: 4}),
		one("symmetric-address", Symmetric, BoxConfig{Mapping: adm, Filtering: apdm, Allocation: Random}),
		{
			Name: "carrier", Class: Symmetric, Mapping: apdm, Filtering: apdm, Addrs: []int{1, 1},
			Boxes: []BoxConfig{{Mapping: eim, Filtering: apdm}, {Mapping: apdm, Filtering: apdm, Allocation: Block}},
		},
	}
}

// Build returns the boxes with their addresses: the outermost has its own of the
// world, those further in have a carrier's inside ones (RFC 6598).
func (s Specimen) Build(world netip.Addr) (boxes []BoxConfig) {
	inside := netip.MustParseAddr("100.64.7.1")
	for i, c := range s.Boxes {
		at := inside
		if i == len(s.Boxes)-1 {
			at = world
		}
		c.Public = nil
		for range s.Addrs[i] {
			c.Public = append(c.Public, at)
			at = at.Next()
		}
		inside = inside.Next()
		boxes = append(boxes, c)
	}
	return boxes
}

package nat

import "net/netip"

// A Sighting is what one server saw of one socket: asked at Server, it saw Mapped.
type Sighting struct {
	Server, Mapped netip.AddrPort
}

// MappingOf returns the mapping behaviours that sightings of one socket leave
// possible (RFC 5780 §4.3). Sightings from different sides of a NAT, such as from
// a server in the LAN, are not compared.
func MappingOf(seen []Sighting) Behaviors {
	var samePort, otherPort, sameAddr, otherAddr bool // same or other mapping, for another port of one address or another address
	for i, a := range seen {
		for _, b := range seen[:i] {
			if a.Server == b.Server || a.Mapped.Addr().Is4() != b.Mapped.Addr().Is4() || ReachOf(a.Mapped.Addr()) != ReachOf(b.Mapped.Addr()) {
				continue
			}
			same, port := a.Mapped == b.Mapped, a.Server.Addr() == b.Server.Addr()
			samePort = samePort || same && port
			otherPort = otherPort || !same && port
			sameAddr = sameAddr || same && !port
			otherAddr = otherAddr || !same && !port
		}
	}
	switch {
	case otherPort:
		return Only(AddressAndPortDependent)
	case otherAddr && samePort:
		return Only(AddressDependent)
	case otherAddr:
		return Only(AddressDependent, AddressAndPortDependent)
	case sameAddr:
		return Only(EndpointIndependent)
	case samePort:
		return Only(EndpointIndependent, AddressDependent)
	}
	return 0
}

// Package nat holds facts about addresses and their translation, in the words
// of RFC 4787 and RFC 5780.
package nat

import "net/netip"

// A Reach says how far an address means the same machine.
type Reach uint8

const (
	Machine Reach = iota // loopback
	Link                 // link-local
	Site                 // private (RFC 1918, RFC 4193)
	Carrier              // behind a carrier's NAT (RFC 6598)
	World                // anywhere
)

// String returns the field's word.
func (r Reach) String() string {
	return [...]string{"loopback", "link-local", "private", "carrier", "public"}[min(r, World)]
}

var carrier = netip.MustParsePrefix("100.64.0.0/10")

// ReachOf returns how far a unicast address reaches.
func ReachOf(a netip.Addr) Reach {
	a = a.Unmap()
	switch {
	case a.IsLoopback():
		return Machine
	case a.IsLinkLocalUnicast():
		return Link
	case a.IsPrivate():
		return Site
	case carrier.Contains(a):
		return Carrier
	}
	return World
}

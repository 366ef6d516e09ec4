package discovery

import (
	"net/netip"
	"testing"

	"github.com/xp2p/xp2p/lib/natprobe"
)

// A port from which another address was asked a moment ago has a filter that is
// open, if it is used again to test the filter.
func TestSocketsThatTestFiltersHavePortsOfTheirOwn(t *testing.T) {
	seen := map[uint16]bool{}
	for i, at := range sockets([]netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:3478")}, true) {
		filter := i >= natprobe.FilterSocket && i < natprobe.FilterSocket+natprobe.FilterSockets
		if at.Port() == 0 || at.Port()%2 == 1 != filter || seen[at.Port()] {
			t.Errorf("socket %d at %v", i, at)
		}
		seen[at.Port()] = true
	}
}

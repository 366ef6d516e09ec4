package nat

import (
	"net/netip"
	"testing"
)

func TestReach(t *testing.T) {
	for s, want := range map[string]Reach{
		"127.0.0.1": Machine, "127.8.0.1": Machine, "::1": Machine, "::ffff:127.0.0.1": Machine,
		"169.254.1.1": Link, "fe80::1": Link,
		"10.1.2.3": Site, "172.16.0.1": Site, "172.32.0.1": World, "192.168.0.1": Site, "fd00::1": Site, "::ffff:10.0.0.1": Site,
		"100.64.0.1": Carrier, "100.127.255.255": Carrier, "100.128.0.1": World,
		"203.0.113.1": World, "2001:db8::1": World,
	} {
		if got := ReachOf(netip.MustParseAddr(s)); got != want {
			t.Errorf("%s reaches %s, want %s", s, got, want)
		}
	}
}

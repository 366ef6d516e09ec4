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

func TestPortsTellWhetherDestinationsMatter(t *testing.T) {
	for _, c := range []struct {
		seen []string
		want bool
	}{
		{nil, false},
		{[]string{"203.0.113.1:5000"}, false},
		{[]string{"203.0.113.1:5000", "203.0.113.1:5000"}, false},
		{[]string{"203.0.113.1:5000", "10.0.0.7:4000"}, false}, // the second server is on our side of the NAT
		{[]string{"203.0.113.1:5000", "[2001:db8::1]:4000"}, false},
		{[]string{"203.0.113.1:5000", "203.0.113.1:5001"}, true},
	} {
		var seen []netip.AddrPort
		for _, s := range c.seen {
			seen = append(seen, netip.MustParseAddrPort(s))
		}
		if got := PerDestination(seen); got != c.want {
			t.Errorf("seen at %v: %v", c.seen, got)
		}
	}
}

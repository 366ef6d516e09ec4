package endpoint

import (
	"net/netip"
	"slices"
	"testing"
)

func TestHostsAreWhereASocketCanBeReached(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "0.0.0.0:0"} {
		e, err := New(&duet{}, Config{Listen: []netip.AddrPort{netip.MustParseAddrPort(at)}})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		port := e.LocalAddr(0).Port()
		hosts := e.Hosts(0)
		if !slices.Contains(hosts, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)) {
			t.Errorf("%s: %v, want 127.0.0.1:%d among them", at, hosts, port)
		}
		for _, h := range hosts {
			if h.Addr().IsUnspecified() || h.Port() != port {
				t.Errorf("%s: nobody reaches %v", at, h)
			}
		}
	}
}

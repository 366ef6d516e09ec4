//go:build linux

package netlab

import (
	"net/netip"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/nat"
)

var zooServers = [2]netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}

// Every network of the zoo does what its name says, seen by plain datagrams and
// not by STUN; and a kernel's box and the table of the same name do the same,
// which is what makes simulations of the tables worth something.
func TestKernelsAndTablesDoTheSame(t *testing.T) {
	if err := Available(); err != nil {
		t.Skip(err)
	}
	for _, n := range Zoo() {
		for _, tables := range []bool{false, true} {
			if tables && (!n.Kernel || len(n.Boxes) == 0) {
				continue // it was the table, or there is none
			}
			name := n.Name + map[bool]string{true: " as a table", false: ""}[tables]
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				hosts := append(n.Hosts(Link{}, Link{}, tables), Host{Name: "server", Addr: zooServers[0], More: zooServers[1:]})
				l := open(t, Config{Hosts: hosts, Delay: ms})
				v, err := l.Truth(Client, "server", zooServers, 250*time.Millisecond)
				if err != nil {
					t.Fatal(err)
				}
				if v.Class() != n.Class || v.UDP == nat.Yes && (v.Filtering.One() != n.Filtering || v.Mapping.One() != n.Mapping) {
					t.Errorf("it is %v: %v, %v", v.Class(), v.Mapping.List(), v.Filtering.List())
				}
			})
		}
	}
}

//go:build linux

package main

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/endpoint"
	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/natprobe"
	"github.com/xp2p/xp2p/lib/netlab"
	"github.com/xp2p/xp2p/lib/tool"
)

// The tool as a process behind real NATs, one run each; scripts/natlab has the
// long version. Half of the runs use what other systems have.
func TestRealNetworksAreNamed(t *testing.T) {
	if err := netlab.Available(); err != nil {
		t.Skip(err)
	}
	some := []string{"public", "udp-blocked", "symmetric-firewall", "full-cone", "restricted-cone", "port-restricted-cone", "symmetric-random", "symmetric-sequential", "carrier"}
	for i, n := range netlab.Zoo() {
		if !slices.Contains(some, n.Name) {
			continue
		}
		t.Run(n.Name, func(t *testing.T) {
			t.Parallel()
			a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
			l, err := netlab.New(netlab.Config{
				Hosts: append(n.Hosts(netlab.Link{}, netlab.Link{}, false), netlab.Host{Name: "server", Addr: a, More: []netip.Addr{b}}),
				Delay: 5 * time.Millisecond,
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(l.Close)
			serveIn(t, l, a, b)
			args := []string{"--json", a.String()}
			if i%2 == 1 {
				args = append(args, "--plain")
			}
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			mapping, filtering := n.Mapping.String(), n.Filtering.String()
			if n.Class == nat.UDPBlocked {
				mapping, filtering = "", ""
			}
			// Silence is proof only where nobody stands still for long: on a machine
			// that is busy with other tests a second look is fair.
			for tries := 3; ; tries-- {
				c := l.Command(netlab.Client, self, args...)
				c.Env = append(os.Environ(), asNatprobe+"=1")
				out, err := c.Output()
				var r nat.Report
				if jsonErr := json.Unmarshal(out, &r); jsonErr != nil {
					t.Fatalf("%v, %v: %s", err, jsonErr, out)
				}
				carrier := n.Name != "carrier" || r.CGNAT != nil && *r.CGNAT
				if err == nil && carrier && r.Class == n.Class.String() && r.Mapping == mapping && r.Filtering == filtering {
					return
				}
				if t.Logf("%v: %s", err, strings.TrimSpace(string(out))); tries == 1 {
					t.Fatal("three times not what it is")
				}
			}
		})
	}
}

// serveIn runs a responder on two addresses of the lab's server, and a listener
// for TCP.
func serveIn(t *testing.T, l *netlab.Lab, a, b netip.Addr) {
	t.Helper()
	r := natprobe.NewResponder(natprobe.ResponderConfig{TokenKey: ed25519.NewKeyFromSeed(make([]byte, 32))})
	var sites []netip.AddrPort
	for _, ip := range []netip.Addr{a, b} {
		sites = append(sites, netip.AddrPortFrom(ip, 3478), netip.AddrPortFrom(ip, 3479))
	}
	var e *endpoint.Endpoint
	var ln net.Listener
	if err := l.Do("server", func() (err error) {
		if e, err = endpoint.New(r, endpoint.Config{Listen: sites}); err == nil {
			ln, err = net.Listen("tcp4", sites[0].String())
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	r.SetSites(sites)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); e.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done; ln.Close() })
}

func TestWhoIsOfflineIsToldSo(t *testing.T) {
	if err := netlab.Available(); err != nil {
		t.Skip(err)
	}
	l, err := netlab.New(netlab.Config{Hosts: []netlab.Host{{Name: netlab.Client}}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := l.Command(netlab.Client, self, "-q", "192.0.2.1")
	c.Env = append(os.Environ(), asNatprobe+"=1")
	out, _ := c.Output()
	if string(out) != "offline\n" || c.ProcessState.ExitCode() != tool.ExitUnreachable {
		t.Errorf("code %d: %q", c.ProcessState.ExitCode(), out)
	}
}

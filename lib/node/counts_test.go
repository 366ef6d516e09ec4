package node

import (
	"crypto/ed25519"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/wire"
	"github.com/xp2p/xp2p/lib/xntp"
)

// Addresses that are known only when there is a socket are in the hello.
func TestTheHelloNamesTheHosts(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	entropy := rand.NewChaCha8([32]byte{1})
	key, err := xntp.GenerateKey(entropy)
	if err != nil {
		t.Fatal(err)
	}
	n := New(Config{Key: key, Rand: rand.New(rand.NewPCG(1, 2)), Entropy: entropy})
	hosts := []netip.AddrPort{netip.MustParseAddrPort("10.0.0.7:4000")}
	n.SetHosts(hosts)
	if err := n.Join(now, Room{Name: "match", Key: make(ed25519.PublicKey, ed25519.PublicKeySize), NoSignal: true}); err != nil {
		t.Fatal(err)
	}
	if err := n.Meet(now, "match", Meeting{}); err != nil {
		t.Fatal(err)
	}
	for e, ok := n.NextEvent(); ok; e, ok = n.NextEvent() {
		if h, ok := e.Signal.(*wire.SignalHello); ok {
			if !slices.Equal(h.Hosts, hosts) {
				t.Errorf("hosts %v, want %v", h.Hosts, hosts)
			}
			if c := n.Counts(); c != (Counts{}) {
				t.Errorf("a node that has done nothing counts %+v", c)
			}
			return
		}
	}
	t.Error("no hello")
}

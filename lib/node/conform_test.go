package node

import (
	"crypto/ed25519"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/simnet"
	"github.com/xp2p/xp2p/lib/wire"
	"github.com/xp2p/xp2p/lib/xntp"
)

// A node that dials a seed which never answers, asks a STUN server and waits
// for its origin keeps the contract whatever strangers send it.
func TestNodeKeepsTheContract(t *testing.T) {
	// True datagrams of our own protocols: the first flight of another node.
	var samples [][]byte
	x := newWorld(t, 1, "balanced")
	x.w.Tap(func(_ time.Time, _, _ netip.AddrPort, data []byte) bool {
		if len(samples) < 64 {
			samples = append(samples, append([]byte(nil), data...))
		}
		return true
	})
	x.broadcast(1_000_000, time.Second, time.Second)
	x.join(0, "sample", hostOptions{})
	x.run(2 * time.Second)

	for _, role := range []wire.Role{wire.RolePeer, wire.RoleSeed} {
		err := machine.Conform(func() machine.Machine {
			e := entropy{rand.New(rand.NewPCG(3, 4))}
			key, err := xntp.GenerateKey(e)
			if err != nil {
				t.Fatal(err)
			}
			_, facts := home(nat.KindPortRestricted)
			n := New(Config{Key: key, Rand: rand.New(rand.NewPCG(1, 2)), Entropy: e, Role: role, NAT: facts})
			room := ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)
			if err := n.Join(simnet.Epoch, Room{Name: "match", Key: room, STUN: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.9:3478")},
				Seeds: []wire.RoomSeed{{Key: wire.Key{1}, Addrs: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.9:3478")}}}}); err != nil {
				t.Fatal(err)
			}
			// Somebody behind a NAT is looked for meanwhile.
			member := wire.SignalMember{Key: wire.Key{2}, Role: wire.RolePeer, Addrs: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:1")},
				NAT: &wire.SignalNAT{Classes: []string{"port-restricted-cone"}}}
			member.ID = wire.PeerIDOf(member.Key)
			n.Signal(simnet.Epoch, "match", &wire.SignalNeighbours{Version: 1, Topology: "balanced", Group: 1, Members: []wire.SignalMember{member}})
			n.Signal(simnet.Epoch, "match", &wire.SignalPunch{Peer: member.ID, Session: 1, Round: 1, NAT: *member.NAT, Addrs: member.Addrs, MAC: wire.Key{3}})
			return n
		}, simnet.Epoch, samples...)
		if err != nil {
			t.Errorf("%s: %v", role, err)
		}
	}
}

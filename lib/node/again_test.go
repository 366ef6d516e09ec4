package node

import (
	"crypto/ed25519"
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
	"github.com/xp2p/xp2p/lib/xntp"
)

// A wire between two nodes that can be cut in one direction.
type pairOfNodes struct {
	now   time.Time
	n     [2]*Node
	addrs [2]netip.AddrPort
	cut   [2]bool // what this one sends is lost
}

func newPair(t *testing.T) *pairOfNodes {
	x := &pairOfNodes{now: time.Unix(1e9, 0)}
	pub, _, err := ed25519.GenerateKey(rand.NewChaCha8([32]byte{9}))
	if err != nil {
		t.Fatal(err)
	}
	var seeds []wire.RoomSeed
	for i := range x.n {
		ent := rand.NewChaCha8([32]byte{byte(i + 1)})
		key, err := xntp.GenerateKey(ent)
		if err != nil {
			t.Fatal(err)
		}
		role := wire.RoleSeed
		if i == 1 {
			role = wire.RolePeer
		}
		x.addrs[i] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), 1000)
		x.n[i] = New(Config{Key: key, Rand: rand.New(rand.NewPCG(1, uint64(i))), Entropy: ent, Role: role})
		if err := x.n[i].Join(x.now, Room{Name: "match", Key: pub, NoSignal: true, NoOrigin: true, Seeds: seeds}); err != nil {
			t.Fatal(err)
		}
		seeds = append(seeds, wire.RoomSeed{Key: wire.Key(x.n[0].Public()), Addrs: []netip.AddrPort{x.addrs[0]}})
	}
	return x
}

func (x *pairOfNodes) run(d time.Duration) {
	var buf [2048]byte
	for end := x.now.Add(d); x.now.Before(end); x.now = x.now.Add(5 * time.Millisecond) {
		for i, n := range x.n {
			n.Advance(x.now)
			for {
				p, ok := n.AppendDatagram(x.now, buf[:0])
				if !ok {
					break
				}
				if !x.cut[i] {
					x.n[1-i].Receive(x.now, machine.Packet{Remote: x.addrs[i], Data: p.Data})
				}
			}
			for {
				if _, ok := n.NextEvent(); !ok {
					break
				}
			}
		}
	}
}

func (x *pairOfNodes) ready(i int) bool {
	list := x.n[i].rooms[0].sw.Neighbours()
	return len(list) == 1 && list[0].Ready
}

func TestANeighbourThatLostUsAndCameBackIsGreetedAgain(t *testing.T) {
	x := newPair(t)
	x.run(3 * time.Second)
	if !x.ready(0) || !x.ready(1) {
		t.Fatal("they did not meet")
	}
	// The viewer hears nothing and gives the connection up; the seed hears it all
	// the while and does not.
	x.cut[0] = true
	for range 60 {
		if x.run(time.Second); len(x.n[1].rooms[0].sw.Neighbours()) == 0 {
			break
		}
	}
	if len(x.n[1].rooms[0].sw.Neighbours()) != 0 || !x.ready(0) {
		t.Fatal("want a viewer that gave up and a seed that did not")
	}
	x.cut[0] = false
	x.run(10 * time.Second)
	if !x.ready(1) || !x.ready(0) {
		t.Errorf("ready: seed %v, viewer %v; want both", x.ready(0), x.ready(1))
	}
	if c := x.n[0].peers[0].conn; c == nil || !c.up || len(x.n[0].conns.list) != 1 {
		t.Errorf("the seed has %d connections", len(x.n[0].conns.list))
	}
}

func TestASeedSetsLittleMemoryAsideForWhatStrangersSend(t *testing.T) {
	x := newPair(t)
	x.run(time.Second)
	big := xntp.Object{Data: [][]byte{make([]byte, maxObject-100)}}
	if _, err := x.n[1].xn.Send(x.now, x.n[1].peers[0].conn.id, big); !errors.Is(err, xntp.ErrTooLarge) {
		t.Errorf("a piece of the largest size, sent to a seed: %v", err)
	}
	if _, err := x.n[0].xn.Send(x.now, x.n[0].peers[0].conn.id, big); err != nil {
		t.Errorf("and sent by it: %v", err)
	}
}

package xntp

import (
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
)

// crowd is an endpoint with many connections that have carried something each and
// are silent now.
func crowd(t testing.TB, n int) (hub *Endpoint, all []*Endpoint) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 4000)
	}
	end := func(name byte, i int) *Endpoint {
		entropy := newSource(uint64(i), string(name))
		key, err := GenerateKey(entropy)
		if err != nil {
			t.Fatal(err)
		}
		return New(Config{Key: key, Rand: rand.New(rand.NewPCG(uint64(i), 1)), Entropy: entropy, Keepalive: -1, Idle: time.Hour})
	}
	hub = end('h', 0)
	var buf [maxMTU]byte
	settle := func(e *Endpoint, i int) {
		for moved := true; moved; {
			moved = false
			for {
				p, ok := e.AppendDatagram(now, buf[:0])
				if !ok {
					break
				}
				moved = true
				hub.Receive(now, machine.Packet{Remote: at(i), Data: p.Data})
			}
			for {
				p, ok := hub.AppendDatagram(now, buf[:0])
				if !ok {
					break
				}
				moved = true
				e.Receive(now, machine.Packet{Remote: at(0), Data: p.Data})
			}
			for _, x := range []*Endpoint{e, hub} {
				for _, ok := x.NextEvent(); ok; _, ok = x.NextEvent() {
				}
			}
		}
	}
	for i := 1; i <= n; i++ {
		now = now.Add(10 * time.Millisecond)
		e := end('e', i)
		all = append(all, e)
		c, err := e.Dial(now, DialOptions{Remote: hub.Public(), Addr: at(0)})
		if err != nil {
			t.Fatal(err)
		}
		settle(e, i)
		ids := hub.Conns(nil)
		id := ids[len(ids)-1]
		for _, x := range []struct {
			e  *Endpoint
			id ConnID
		}{{e, c}, {hub, id}} {
			if _, err := x.e.Send(now, x.id, Object{Data: [][]byte{make([]byte, 40), make([]byte, 16384)}}); err != nil {
				t.Fatal(err)
			}
		}
		for range 40 {
			settle(e, i)
			now = now.Add(5 * time.Millisecond)
			e.Advance(now)
			hub.Advance(now)
		}
		if s, _ := hub.Stats(id); s.QueuedObjects > 0 || s.InFlight > 0 || s.ReceivedBytes < 16384 {
			t.Fatalf("connection %d is not idle: %+v", i, s)
		}
	}
	return hub, all
}

func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestAnIdleConnectionTakesLittleMemory(t *testing.T) {
	const n, most = 1000, 16 << 10
	if brief() {
		t.Skip("a thousand handshakes")
	}
	hub, all := crowd(t, n)
	if got := len(hub.Conns(nil)); got != n {
		t.Fatalf("%d connections", got)
	}
	with := heapInUse()
	for _, id := range hub.Conns(nil) {
		hub.conns[id].gone(time.Time{}, ClosedIdle, 0)
	}
	for _, ok := hub.NextEvent(); ok; _, ok = hub.NextEvent() {
	}
	hub.AppendDatagram(time.Time{}, nil)
	without := heapInUse()
	runtime.KeepAlive(all)
	each := float64(with-without) / n
	t.Logf("%.0f bytes for each of %d idle connections", each, n)
	if each > most {
		t.Errorf("%.0f bytes for each of %d idle connections, want %d", each, n, most)
	}
	if each < 1000 {
		t.Errorf("%.0f bytes for each: the measurement is wrong", each)
	}
	runtime.KeepAlive(hub)
}

func TestAConnectionThatWasBusyGivesItsMemoryBack(t *testing.T) {
	w, a, b, ac, _ := pair(t, link{delay: 50 * time.Millisecond, rate: 100e6, queue: 1 << 20})
	bulk(w, a, ac)
	w.run(time.Second)
	l := &a.conns[ac].loss
	if len(l.ring) <= firstRing {
		t.Fatalf("it was not busy: %d and %d packets", len(l.ring), len(l.free))
	}
	a.step = nil
	w.run(30 * time.Second)
	if len(l.ring) != firstRing || len(l.free) > firstRing || len(a.conns[ac].in.free) > 0 {
		t.Errorf("%d places for packets and %d records are kept", len(l.ring), len(l.free))
	}
	b.took()
	a.Send(w.now, ac, Object{Data: [][]byte{make([]byte, 1<<20)}})
	w.run(5 * time.Second)
	if b.count(EventObject) != 1 {
		t.Error("and it does not go on")
	}
}

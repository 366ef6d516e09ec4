package xntp

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// storm plays one seed: two nodes, a bad link, objects of all classes both
// ways, and addresses that change under way. It returns the trace.
func storm(t *testing.T, seed uint64) uint64 {
	w := newWorld(t, seed)
	r := rand.New(rand.NewPCG(seed, 2))
	bad := func() link {
		return link{
			delay: time.Duration(1+r.IntN(100)) * time.Millisecond, rate: float64(1+r.IntN(50)) * 1e6, queue: 20000 + r.IntN(200000),
			loss: r.Float64() * 0.15, reorder: r.Float64() * 0.3, duplicate: r.Float64() * 0.1, corrupt: r.Float64() * 0.05,
		}
	}
	a, b := w.add("a", bad()), w.add("b", bad(), func(c *Config) { c.Window = 1 << 20; c.MaxObject = 1 << 18 })
	ac, err := a.Dial(w.now, DialOptions{Remote: b.Public(), Addr: b.addr, Early: []byte("hello")})
	if err != nil {
		t.Fatal(err)
	}
	if !w.until(10*time.Second, func() bool { return a.count(EventConnected) == 1 && b.count(EventConnected) == 1 }) {
		t.Fatalf("no connection: %v %v", a.kinds(), b.kinds())
	}
	bc := b.last(EventConnected).Conn
	if ev := b.last(EventAccepted); string(ev.Early) != "hello" || ev.Key != a.Public() {
		t.Errorf("early %q from %v", ev.Early, ev.Key)
	}
	type sentObject struct {
		data     []byte
		class    Class
		arrived  int
		reported int // delivered or expired
		expired  bool
		// cancelled objects may have arrived, and nothing is reported of them
		cancelled bool
	}
	sent := map[*node]map[ObjectID]*sentObject{a: {}, b: {}}
	conn := map[*node]ConnID{a: ac, b: bc}
	peer := map[*node]*node{a: b, b: a}
	for i := range 60 {
		w.after(time.Duration(r.IntN(4000))*time.Millisecond, func() {
			n := a
			if r.IntN(3) == 0 {
				n = b
			}
			size := r.IntN(20000)
			if r.IntN(10) == 0 {
				size = r.IntN(1 << 18)
			}
			o := Object{Class: Class(r.IntN(3)), Priority: uint8(r.IntN(4))}
			if o.Class == Deadline || r.IntN(2) == 0 {
				o.Deadline = w.now.Add(time.Duration(r.IntN(3000)) * time.Millisecond)
			}
			data := pattern(seed<<8+uint64(i), size)
			cut := r.IntN(size + 1)
			o.Data = [][]byte{data[:cut], data[cut:]}
			id, err := n.Send(w.now, conn[n], o)
			if err == ErrBlocked {
				return
			}
			if err != nil {
				t.Errorf("send: %v", err)
				return
			}
			sent[n][id] = &sentObject{data: data, class: o.Class}
			if r.IntN(8) == 0 {
				w.after(time.Duration(r.IntN(300))*time.Millisecond, func() {
					if s := sent[n][id]; n.conns[conn[n]].out.all[uint64(id)] != nil {
						n.Cancel(w.now, conn[n], id)
						s.reported, s.expired, s.cancelled = s.reported+1, true, true
					}
				})
			}
		})
	}
	for i := range 4 {
		w.after(time.Duration(500+r.IntN(4000))*time.Millisecond, func() {
			// One of them only: two that move at once cannot find each other.
			n := w.nodes[seed%2]
			n.addr = netip.AddrPortFrom(n.addr.Addr(), uint16(5000+i))
			if r.IntN(2) == 0 {
				n.addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), 1000)
			}
			n.Probe(w.now)
		})
	}
	// And a stream, written in bits.
	stream := pattern(seed, r.IntN(100_000))
	sid, err := a.OpenStream(w.now, ac, uint8(r.IntN(4)))
	if err != nil {
		t.Fatal(err)
	}
	written := 0
	for range 20 {
		w.after(time.Duration(r.IntN(4000))*time.Millisecond, func() {
			n, _ := a.Write(w.now, ac, sid, stream[written:min(len(stream), written+r.IntN(10_000))])
			written += n
		})
	}
	w.after(4500*time.Millisecond, func() { a.CloseStream(w.now, ac, sid) })
	quiet := func() bool {
		for _, n := range w.nodes {
			c := n.conns[conn[n]]
			if c == nil || len(c.out.all) > 0 || len(c.out.gone) > 0 || c.loss.flying > 0 {
				return false
			}
		}
		return true
	}
	w.run(5 * time.Second)
	if !w.until(120*time.Second, quiet) {
		sa, _ := a.Stats(ac)
		sb, _ := b.Stats(bc)
		t.Errorf("still busy\na %+v\nb %+v\n%v\n%v", sa, sb, a.last(EventClosed), b.last(EventClosed))
	}
	var read []byte
	for _, ev := range b.events {
		if ev.Kind == EventStream {
			read = append(read, ev.Data...)
		}
	}
	if !bytes.Equal(read, stream[:written]) || !b.last(EventStream).Fin {
		t.Errorf("%d bytes of the stream of %d arrived", len(read), written)
	}
	sent[a][sid] = &sentObject{arrived: 1}
	for _, n := range w.nodes {
		for _, ev := range peer[n].events {
			if ev.Kind == EventObject {
				o := sent[n][ev.Object]
				if o == nil || !bytes.Equal(o.data, ev.Data) || o.class != ev.Class {
					t.Errorf("%s received a wrong object %d", peer[n].name, ev.Object)
					continue
				}
				o.arrived++
			}
		}
		for _, ev := range n.events {
			switch ev.Kind {
			case EventDelivered, EventExpired:
				sent[n][ev.Object].reported++
				sent[n][ev.Object].expired = ev.Kind == EventExpired
			case EventClosed:
				t.Errorf("%s closed: %v %d", n.name, ev.Reason, ev.Code)
			}
		}
		for id, o := range sent[n] {
			switch {
			case o.arrived > 1:
				t.Errorf("%s's object %d arrived %d times", n.name, id, o.arrived)
			case o.reported != 1:
				t.Errorf("%s's object %d was reported %d times", n.name, id, o.reported)
			case !o.expired && o.arrived != 1:
				t.Errorf("%s's object %d (%v, %d bytes) was reported delivered and did not arrive", n.name, id, o.class, len(o.data))
			case o.class == Reliable && o.expired && !o.cancelled:
				t.Errorf("%s's reliable object %d expired", n.name, id)
			}
		}
		c := n.conns[conn[n]]
		if c != nil && (c.out.charged != peer[n].conns[conn[peer[n]]].in.charged || c.out.held != 0 || c.out.waiting != 0 || c.loss.bytes != 0) {
			t.Errorf("%s's books do not balance: charged %d, held %d, waiting %d; the peer counts %d",
				n.name, c.out.charged, c.out.held, c.out.waiting, peer[n].conns[conn[peer[n]]].in.charged)
		}
	}
	return w.trace
}

func TestEveryObjectArrivesOnceWholeOrIsReportedExpired(t *testing.T) {
	seeds := uint64(500)
	if brief() {
		seeds = 20
	}
	for seed := range seeds {
		storm(t, seed)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func TestSameSeedSameTrace(t *testing.T) {
	for seed := uint64(1000); seed < 1010; seed++ {
		if one, two := storm(t, seed), storm(t, seed); one != two {
			t.Errorf("seed %d: traces %x and %x", seed, one, two)
		}
	}
}

package xntp

import (
	"bytes"
	"container/heap"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
)

// brief says that long tests are to be cut. The race detector makes them ten times
// as long and has little to look for: a machine has no goroutine.
func brief() bool { return testing.Short() || raceBuild }

// A world is a few endpoints and the links between them under a virtual clock:
// the smallest thing that a transport can be tried on.
type world struct {
	t     testing.TB
	now   time.Time
	rng   *rand.Rand
	nodes []*node
	queue arrivals
	seq   uint64
	trace uint64 // hash of all that happened
	// meddle may change, drop (nil) or see each datagram.
	meddle func(from, to *node, p *machine.Packet)
}

// A link is one direction out of a node.
type link struct {
	delay     time.Duration
	rate      float64 // bits per second; zero is infinite
	queue     int     // bytes
	loss      float64
	reorder   float64 // share of datagrams that take up to twice the delay more
	duplicate float64
	corrupt   float64
	mtu       int // of IP packets; zero is no bound
	free      time.Time
	drops     int
	tooBig    int
	maxQueue  time.Duration
}

type node struct {
	*Endpoint
	w      *world
	name   string
	key    PrivateKey
	addr   netip.AddrPort
	other  netip.AddrPort // of a second, faster way, which socket 1 stands for
	link   link
	events []Event
	sent   int64 // bytes
	recv   int64
	step   func(now time.Time)
	deaf   bool
}

type arrival struct {
	at   time.Time
	seq  uint64
	from netip.AddrPort
	dst  netip.AddrPort
	data []byte
	sock machine.Socket
	ecn  machine.ECN
	call func()
}

type arrivals []*arrival

func (q arrivals) Len() int { return len(q) }
func (q arrivals) Less(i, j int) bool {
	return q[i].at.Before(q[j].at) || q[i].at.Equal(q[j].at) && q[i].seq < q[j].seq
}
func (q arrivals) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *arrivals) Push(x any)   { *q = append(*q, x.(*arrival)) }
func (q *arrivals) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}

// source is entropy that can be repeated.
type source struct{ *rand.ChaCha8 }

func newSource(seed uint64, name string) source {
	var s [32]byte
	binary.LittleEndian.PutUint64(s[:], seed)
	copy(s[8:], name)
	return source{rand.NewChaCha8(s)}
}

func newWorld(t testing.TB, seed uint64) *world {
	return &world{
		t: t, now: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), rng: rand.New(rand.NewPCG(seed, 1)), trace: seed,
	}
}

func (w *world) add(name string, l link, change ...func(*Config)) *node {
	w.t.Helper()
	entropy := newSource(w.trace, name)
	key, err := GenerateKey(entropy)
	if err != nil {
		w.t.Fatal(err)
	}
	cfg := Config{Key: key, Rand: rand.New(rand.NewPCG(7, uint64(len(w.nodes)))), Entropy: entropy}
	for _, f := range change {
		f(&cfg)
	}
	n := &node{
		Endpoint: New(cfg), w: w, name: name, key: key, link: l,
		addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(len(w.nodes) + 1)}), 4000),
	}
	w.nodes = append(w.nodes, n)
	return n
}

func (w *world) note(format string, args ...any) {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %d ", w.trace, w.now.UnixNano())
	fmt.Fprintf(h, format, args...)
	w.trace = h.Sum64()
}

func (w *world) push(a *arrival) {
	w.seq++
	a.seq = w.seq
	heap.Push(&w.queue, a)
}

func (w *world) after(d time.Duration, f func()) { w.push(&arrival{at: w.now.Add(d), call: f}) }

// drain is the rhythm of a driver.
func (n *node) drain() {
	w := n.w
	if n.step != nil {
		n.step(w.now)
	}
	var buf [maxMTU]byte
	for i := 0; ; i++ {
		if i > 100000 {
			w.t.Fatalf("%s sends without end", n.name)
		}
		p, ok := n.AppendDatagram(w.now, buf[:0])
		if !ok {
			break
		}
		if len(p.Data) > maxMTU {
			w.t.Fatalf("%s sent %d bytes", n.name, len(p.Data))
		}
		n.sent += int64(len(p.Data))
		w.transmit(n, p)
	}
	for {
		ev, ok := n.NextEvent()
		if !ok {
			break
		}
		w.note("%s %v %d %d %d %v", n.name, ev.Kind, ev.Conn, ev.Object, len(ev.Data), ev.Reason)
		n.events = append(n.events, ev)
	}
	if n.turn.n > 0 { // taking events may have opened the window
		n.drainMore()
	}
}

func (n *node) drainMore() {
	var buf [maxMTU]byte
	for {
		p, ok := n.AppendDatagram(n.w.now, buf[:0])
		if !ok {
			return
		}
		n.sent += int64(len(p.Data))
		n.w.transmit(n, p)
	}
}

func (w *world) nodeAt(a netip.AddrPort) *node {
	for _, n := range w.nodes {
		if n.addr == a || n.other == a {
			return n
		}
	}
	return nil
}

func (w *world) transmit(n *node, p machine.Packet) {
	l := &n.link
	p.Data = bytes.Clone(p.Data)
	if w.meddle != nil {
		if w.meddle(n, w.nodeAt(p.Remote), &p); p.Data == nil {
			return
		}
	}
	if l.loss > 0 && w.rng.Float64() < l.loss {
		return
	}
	if l.mtu > 0 && len(p.Data)+ipHeaders(p.Remote.Addr()) > l.mtu {
		l.tooBig++
		return
	}
	at := w.now
	if l.rate > 0 {
		if l.free.Before(w.now) {
			l.free = w.now
		}
		size := len(p.Data) + 28
		backlog := l.free.Sub(w.now)
		l.maxQueue = max(l.maxQueue, backlog)
		if l.queue > 0 && backlog.Seconds()*l.rate/8+float64(size) > float64(l.queue) {
			l.drops++
			return
		}
		l.free = l.free.Add(time.Duration(float64(size) * 8 / l.rate * 1e9))
		at = l.free
	}
	copies := 1
	if l.duplicate > 0 && w.rng.Float64() < l.duplicate {
		copies = 2
	}
	for range copies {
		data, arrive := p.Data, at.Add(l.delay)
		if l.reorder > 0 && w.rng.Float64() < l.reorder {
			arrive = arrive.Add(time.Duration(w.rng.Float64() * 2 * float64(l.delay)))
		}
		if l.corrupt > 0 && w.rng.Float64() < l.corrupt {
			data = bytes.Clone(data)
			data[w.rng.IntN(len(data))] ^= 1 << w.rng.IntN(8)
		}
		a := &arrival{at: arrive, from: n.addr, dst: p.Remote, data: data, ecn: p.ECN}
		if p.Socket == 1 {
			a.from, a.sock, a.at = n.other, 1, arrive.Add(-3*l.delay/4)
		}
		w.push(a)
	}
}

func ipHeaders(a netip.Addr) int {
	if a.Is4() {
		return 20 + 8
	}
	return 40 + 8
}

// run lets d pass.
func (w *world) run(d time.Duration) { w.until(d, func() bool { return false }) }

// until lets time pass until cond holds, at most d, and reports whether it did.
func (w *world) until(d time.Duration, cond func() bool) bool {
	end := w.now.Add(d)
	for _, n := range w.nodes {
		n.drain()
	}
	still := 0
	for !cond() {
		next := end
		var who *node
		for _, n := range w.nodes {
			if t := n.NextTimeout(); !t.IsZero() && t.Before(next) {
				next, who = t, n
			}
		}
		if len(w.queue) > 0 && !w.queue[0].at.After(next) {
			a := heap.Pop(&w.queue).(*arrival)
			if a.at.After(w.now) {
				w.now, still = a.at, 0
			}
			if a.call != nil {
				a.call()
				for _, n := range w.nodes {
					n.drain()
				}
				continue
			}
			n := w.nodeAt(a.dst)
			if n == nil || n.deaf {
				continue
			}
			n.recv += int64(len(a.data))
			h := fnv.New64a()
			h.Write(a.data)
			w.note("%s < %v %x", n.name, a.from, h.Sum64())
			n.Receive(w.now, machine.Packet{Socket: a.sock, Remote: a.from, Data: a.data, Stamp: a.at, ECN: a.ecn})
			n.drain()
			continue
		}
		if who == nil {
			w.now = end
			return cond()
		}
		if next.After(w.now) {
			w.now, still = next, 0
		} else if still++; still > 10000 {
			w.t.Fatalf("%s wants to be woken without end", who.name)
		}
		who.Advance(w.now)
		who.drain()
	}
	return true
}

// dial connects a to b and waits for both to say so.
func (w *world) dial(a, b *node) (ac, bc ConnID) {
	w.t.Helper()
	ac, err := a.Dial(w.now, DialOptions{Remote: b.Public(), Addr: b.addr})
	if err != nil {
		w.t.Fatal(err)
	}
	if !w.until(10*time.Second, func() bool { return a.count(EventConnected) > 0 && b.count(EventConnected) > 0 }) {
		w.t.Fatalf("no connection: %v %v", a.kinds(), b.kinds())
	}
	for _, ev := range b.events {
		if ev.Kind == EventConnected && ev.Key == a.Public() {
			bc = ev.Conn
		}
	}
	return ac, bc
}

func (n *node) count(k EventKind) (c int) {
	for _, ev := range n.events {
		if ev.Kind == k {
			c++
		}
	}
	return c
}

func (n *node) last(k EventKind) Event {
	for i := len(n.events) - 1; i >= 0; i-- {
		if n.events[i].Kind == k {
			return n.events[i]
		}
	}
	return Event{}
}

func (n *node) kinds() (k []string) {
	for _, ev := range n.events {
		k = append(k, ev.Kind.String())
	}
	return k
}

// pattern is content that shows where it came from.
func pattern(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewPCG(seed, 99)
	for i := 0; i+8 <= n; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], r.Uint64())
	}
	return b
}

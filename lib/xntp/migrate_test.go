package xntp

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
)

// A transfer is pieces on their way from one node to another: all are reliable,
// and each must arrive once and whole.
type transfer struct {
	w        *world
	from, to *node
	sent     map[ObjectID][]byte
	arrived  map[ObjectID]bool
	last     time.Time
	pause    time.Duration // the longest time without a piece
}

func (w *world) transfer(from, to *node, id ConnID) *transfer {
	x := &transfer{w: w, from: from, to: to, sent: map[ObjectID][]byte{}, arrived: map[ObjectID]bool{}, last: w.now}
	from.step = func(now time.Time) {
		for len(x.sent) < 900 {
			data := pattern(uint64(len(x.sent)), 16384)
			o, err := from.Send(now, id, Object{Data: [][]byte{data}})
			if err != nil {
				return
			}
			x.sent[o] = data
			if s, _ := from.Stats(id); s.QueuedBytes > 1<<18 {
				return
			}
		}
	}
	to.step = func(now time.Time) { x.take(now) }
	return x
}

func (x *transfer) take(now time.Time) {
	for _, ev := range x.to.events {
		if ev.Kind != EventObject {
			continue
		}
		if want := x.sent[ev.Object]; !bytes.Equal(ev.Data, want) || x.arrived[ev.Object] {
			x.w.t.Errorf("object %d arrived twice or changed", ev.Object)
		}
		x.arrived[ev.Object] = true
		x.pause, x.last = max(x.pause, now.Sub(x.last)), now
	}
	x.to.events = x.to.events[:0]
}

// RFC 9000 §9, under a transfer: no byte lost, less than two round trips of pause,
// and no more than three times what came from the new address to it before it is
// proved.
func TestATransferGoesOnThroughAMove(t *testing.T) {
	const way, rate = 20 * time.Millisecond, 20e6
	port, address := "192.0.2.%d:4999", "198.51.100.%d:1234"
	for name, tc := range map[string]struct {
		addr             string
		receiver, notice bool // who moves; whether it knows
	}{
		"the sender's port":                    {addr: port},
		"the sender's port, and it knows":      {addr: port, notice: true},
		"the sender's address":                 {addr: address},
		"the sender's address, and it knows":   {addr: address, notice: true},
		"the receiver's port":                  {addr: port, receiver: true},
		"the receiver's port, and it knows":    {addr: port, receiver: true, notice: true},
		"the receiver's address":               {addr: address, receiver: true},
		"the receiver's address, and it knows": {addr: address, receiver: true, notice: true},
	} {
		if brief() && !(tc.receiver && tc.addr == address) {
			continue
		}
		l := link{delay: way, rate: rate, queue: 100_000}
		w, a, b, ac, bc := pair(t, l)
		x := w.transfer(a, b, ac)
		w.run(2 * time.Second)
		mover, other, oc, last := a, b, bc, "1"
		if tc.receiver {
			mover, other, oc, last = b, a, ac, "2"
		}
		rtt, _ := other.Stats(oc)
		x.pause = 0
		moved := w.now
		var in, out int64
		w.meddle = func(from, to *node, p *machine.Packet) {
			switch _, at := other.Remote(oc); {
			case at == mover.addr:
			case from == other && p.Remote == mover.addr:
				if out += int64(len(p.Data)); out > 3*in {
					t.Errorf("%s: %d bytes to where %d came from", name, out, in)
				}
			case from == mover:
				n := int64(len(p.Data))
				w.after(mover.link.delay, func() { in += n })
			}
		}
		mover.addr = netip.MustParseAddrPort(string(bytes.ReplaceAll([]byte(tc.addr), []byte("%d"), []byte(last))))
		if tc.notice {
			mover.Probe(w.now)
		}
		w.run(2 * time.Second)
		if _, at := other.Remote(oc); at != mover.addr {
			t.Errorf("%s: the other end sends to %v", name, at)
		}
		if !w.until(30*time.Second, func() bool { x.take(w.now); return len(x.arrived) == 900 }) {
			t.Errorf("%s: %d of %d pieces arrived", name, len(x.arrived), len(x.sent))
		}
		s, _ := a.Stats(ac)
		trip := max(s.MinRTT, rtt.SRTT)
		w.meddle = nil
		t.Logf("%s: the longest pause was %v, %.1f round trips of %v; done after %v, %d bytes sent again", name, x.pause, float64(x.pause)/float64(trip), trip, w.now.Sub(moved), s.RepeatedBytes)
		if x.pause >= 2*trip {
			t.Errorf("%s: a pause of %v at round trips of %v", name, x.pause, trip)
		}
	}
}

func TestAMoveWithinASilenceIsFound(t *testing.T) {
	// The receiver's NAT forgets it while nobody has anything to say; what the
	// other end sends then goes astray until a keepalive shows the way.
	w, a, b, ac, _ := pair(t, near)
	w.run(3 * time.Second)
	b.addr = netip.MustParseAddrPort("192.0.2.2:4999")
	a.Send(w.now, ac, Object{Data: [][]byte{make([]byte, 5000)}})
	if !w.until(DefaultKeepalive, func() bool { return b.count(EventObject) == 1 }) {
		t.Errorf("a %v, b %v", a.kinds(), b.kinds())
	}
}

func TestTheReceiverMoves(t *testing.T) {
	l := link{delay: 20 * time.Millisecond, rate: 20e6, queue: 100000}
	w, a, b, ac, _ := pair(t, l)
	bulk(w, a, ac)
	w.run(2 * time.Second)
	b.took()
	moved := w.now
	b.addr = netip.MustParseAddrPort("198.51.100.7:1234")
	b.Probe(w.now)
	if !w.until(time.Second, func() bool { return a.count(EventMigrated) == 1 }) {
		t.Fatal("no migration")
	}
	if ev := a.last(EventMigrated); ev.Addr != b.addr || w.now.Sub(moved) > 80*time.Millisecond+near.delay {
		t.Errorf("migrated to %v after %v", ev.Addr, w.now.Sub(moved))
	}
	if !w.until(time.Second, func() bool { return b.count(EventObject) > 0 }) {
		t.Error("nothing arrives at the new address")
	}
	t.Logf("first object at the new address after %v", w.now.Sub(moved))
}

// A path that is better is taken on purpose: nobody waits, and next to nothing is sent
// twice, although both ends are reached by other addresses then.
func TestAConnectionMovesOnPurpose(t *testing.T) {
	relayed := link{delay: 60 * time.Millisecond, rate: 20e6, queue: 200_000}
	for name, both := range map[string]bool{"one end asks for it": false, "both do": true} {
		w, a, b, ac, bc := pair(t, relayed)
		x := w.transfer(a, b, ac)
		w.run(2 * time.Second)
		before, _ := a.Stats(ac)
		x.pause = 0
		a.other, b.other = netip.MustParseAddrPort("198.51.100.1:7"), netip.MustParseAddrPort("198.51.100.2:7")
		moved := w.now
		if err := a.Move(w.now, ac, 1, b.other); err != nil {
			t.Fatal(err)
		}
		if both {
			b.Move(w.now, bc, 1, a.other)
		}
		there := func() bool {
			_, x := a.Remote(ac)
			_, y := b.Remote(bc)
			return x == b.other && y == a.other
		}
		if !w.until(2*time.Second, there) {
			t.Fatalf("%s: they have not moved", name)
		}
		t.Logf("%s: both have moved after %v", name, w.now.Sub(moved))
		w.run(3 * time.Second)
		s, _ := a.Stats(ac)
		again := s.RepeatedBytes - before.RepeatedBytes
		t.Logf("%s: the longest pause was %v; %d bytes sent again; round trip %v", name, x.pause, again, s.MinRTT)
		if x.pause > 60*time.Millisecond || again > 50_000 || s.MinRTT > 35*time.Millisecond {
			t.Errorf("%s: a pause of %v, %d bytes sent again, a round trip of %v", name, x.pause, again, s.MinRTT)
		}
		if a.count(EventMigrated) != 1 || a.count(EventStayed) != 0 || !there() {
			t.Errorf("%s: it moved %d times", name, a.count(EventMigrated))
		}
		if !w.until(30*time.Second, func() bool { x.take(w.now); return len(x.arrived) == 900 }) {
			t.Errorf("%s: %d of %d pieces arrived", name, len(x.arrived), len(x.sent))
		}
	}
}

func TestAMoveToWhereNobodyAnswersChangesNothing(t *testing.T) {
	w, a, b, ac, _ := pair(t, link{delay: 20 * time.Millisecond, rate: 20e6, queue: 100_000})
	x := w.transfer(a, b, ac)
	w.run(time.Second)
	x.pause = 0
	nowhere := netip.MustParseAddrPort("203.0.113.9:9")
	sent := 0
	w.meddle = func(from, to *node, p *machine.Packet) {
		if p.Remote == nowhere {
			sent++
		}
	}
	a.Move(w.now, ac, 0, nowhere)
	if !w.until(10*time.Second, func() bool { return a.count(EventStayed) > 0 }) {
		t.Fatal("nobody says that it has failed")
	}
	if _, at := a.Remote(ac); at != b.addr || a.last(EventStayed).Addr != nowhere || sent > probeTries || x.pause > 40*time.Millisecond {
		t.Errorf("at %v, %d packets to nowhere, a pause of %v", at, sent, x.pause)
	}
}

package xntp

import (
	"bytes"
	"net/netip"
	"testing"
	"time"
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

// RFC 9000 §9, under a transfer: no byte lost, and two round trips of pause with the
// time of the first object on top: the new address is shown, and proved, before
// data goes there. A receiver that does not know that it has moved shows it with its
// next acknowledgement, which it may hold back.
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
		t.Logf("%s: the longest pause was %v, %.1f round trips of %v; done after %v, %d bytes sent again", name, x.pause, float64(x.pause)/float64(trip), trip, w.now.Sub(moved), s.RepeatedBytes)
		most := 2*trip + 10*time.Millisecond
		if tc.receiver && !tc.notice {
			most += maxAckDelay
		}
		if x.pause > most {
			t.Errorf("%s: a pause of %v, want %v at round trips of %v", name, x.pause, most, trip)
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

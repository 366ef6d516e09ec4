package xntp

import (
	"bytes"
	"container/heap"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/congestion"
	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

func TestTwoNodesConnectAndExchangeObjects(t *testing.T) {
	w := newWorld(t, 1)
	l := link{delay: 20 * time.Millisecond}
	a, b := w.add("a", l), w.add("b", l)
	start := w.now
	ac, bc := w.dial(a, b)
	if d := w.now.Sub(start); d != 60*time.Millisecond {
		t.Errorf("connected after %v, want one round trip and a half", d)
	}
	body := pattern(1, 16384)
	head := []byte("header of a piece")
	id, err := a.Send(w.now, ac, Object{Data: [][]byte{head, body}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Send(w.now, bc, Object{Data: [][]byte{[]byte("and back")}}); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	if got := b.last(EventObject); !bytes.Equal(got.Data, append(head, body...)) || got.Object != id {
		t.Errorf("b got object %d of %d bytes", got.Object, len(got.Data))
	}
	if got := a.last(EventObject); string(got.Data) != "and back" {
		t.Errorf("a got %q", got.Data)
	}
	if got := a.last(EventDelivered); got.Object != id || got.Conn != ac {
		t.Errorf("a was told %+v", got)
	}
	s, _ := a.Stats(ac)
	if s.SRTT < 40*time.Millisecond || s.SRTT > 50*time.Millisecond || s.HeldBytes != 0 || s.QueuedBytes != 0 || s.InFlight != 0 || s.LostPackets != 0 {
		t.Errorf("stats %+v", s)
	}
}

// pair is two connected nodes.
func pair(t testing.TB, l link, change ...func(*Config)) (w *world, a, b *node, ac, bc ConnID) {
	w = newWorld(t, 3)
	a, b = w.add("a", l, change...), w.add("b", l, change...)
	ac, bc = w.dial(a, b)
	return w, a, b, ac, bc
}

func TestReplayedAndForgedPacketsChangeNothing(t *testing.T) {
	w := newWorld(t, 3)
	a, b := w.add("a", near), w.add("b", near)
	var seen [][]byte
	w.meddle = func(from, _ *node, p *machine.Packet) {
		if from == a {
			seen = append(seen, bytes.Clone(p.Data))
		}
	}
	ac, bc := w.dial(a, b)
	for range 5 {
		a.Send(w.now, ac, Object{Data: [][]byte{make([]byte, 16384)}})
	}
	w.run(time.Second)
	w.meddle = nil
	before, _ := b.Stats(bc)
	events, sent := len(b.events), b.sent
	evil := netip.MustParseAddrPort("203.0.113.66:6")
	r := w.rng
	for _, p := range seen {
		b.Receive(w.now, machine.Packet{Remote: evil, Data: p}) // verbatim
		b.Receive(w.now, machine.Packet{Remote: a.addr, Data: p})
		for range 20 {
			q := bytes.Clone(p)
			q[r.IntN(len(q))] ^= 1 << r.IntN(8)
			b.Receive(w.now, machine.Packet{Remote: evil, Data: q})
			b.Receive(w.now, machine.Packet{Remote: a.addr, Data: q[:r.IntN(len(q)+1)]})
		}
	}
	b.drain()
	after, _ := b.Stats(bc)
	if after != before || len(b.events) != events {
		t.Errorf("before %+v\nafter  %+v\n%v", before, after, b.kinds())
	}
	// A changed Initial may earn a Retry or nothing, never a connection.
	if got := b.Conns(nil); len(got) != 1 {
		t.Errorf("connections %v", got)
	}
	if b.sent-sent > 0 {
		t.Logf("%d bytes of answers", b.sent-sent)
	}
	a.Send(w.now, ac, Object{Data: [][]byte{make([]byte, 16384)}})
	w.run(time.Second)
	if b.count(EventObject) != 6 || b.count(EventMigrated) != 0 {
		t.Errorf("b's events: %v", b.kinds())
	}
}

func TestAReplayedInitialFindsNothingAfterTheConnectionIsGone(t *testing.T) {
	w := newWorld(t, 3)
	a, b := w.add("a", near), w.add("b", near)
	var first []byte
	w.meddle = func(from, _ *node, p *machine.Packet) {
		if from == a && first == nil {
			first = bytes.Clone(p.Data)
		}
	}
	ac, _ := w.dial(a, b)
	a.Close(w.now, ac, 7)
	w.run(time.Second)
	b.events = nil
	b.Receive(w.now, machine.Packet{Remote: a.addr, Data: first})
	w.run(time.Second)
	if len(b.events) != 0 || b.Counts().Replayed == 0 {
		t.Errorf("%v, %+v", b.kinds(), b.Counts())
	}
}

func TestAForgedAddressIsNotBelieved(t *testing.T) {
	w, a, b, ac, bc := pair(t, near)
	// Somebody on the path sends a's packets on from his own address, first.
	evil := netip.MustParseAddrPort("203.0.113.66:6")
	a.Send(w.now, ac, Object{Data: [][]byte{make([]byte, 3000)}})
	toEvil := int64(0)
	w.meddle = func(from, _ *node, p *machine.Packet) {
		if from == a {
			w.push(&arrival{at: w.now.Add(5 * time.Millisecond), from: evil, dst: b.addr, data: bytes.Clone(p.Data)})
		} else if p.Remote == evil {
			toEvil += int64(len(p.Data))
		}
	}
	w.run(10 * time.Second)
	if _, at := b.Remote(bc); at != a.addr || b.count(EventMigrated) != 0 || b.count(EventObject) != 1 {
		t.Errorf("b thinks that a is at %v: %v", at, b.kinds())
	}
	if toEvil == 0 || toEvil > 3*(b.recv) {
		t.Errorf("%d bytes of challenges", toEvil)
	}
}

func TestDeadlinesExpire(t *testing.T) {
	l := link{delay: 20 * time.Millisecond, rate: 2e6, queue: 50000}
	w, a, b, ac, _ := pair(t, l)
	// 2 Mbit/s carry 15 pieces in a second; 60 are offered, due after a second.
	for range 60 {
		a.Send(w.now, ac, Object{Class: Deadline, Deadline: w.now.Add(time.Second), Data: [][]byte{make([]byte, 16384)}})
	}
	late, _ := a.Send(w.now, ac, Object{Data: [][]byte{[]byte("reliable, after all that")}, Priority: 9})
	end := w.now.Add(time.Second)
	w.run(3 * time.Second)
	delivered, expired := a.count(EventDelivered), a.count(EventExpired)
	if delivered < 10 || delivered+expired != 61 || a.last(EventDelivered).Object != late {
		t.Errorf("%d delivered, %d expired", delivered, expired)
	}
	if got := b.count(EventObject); got != delivered {
		t.Errorf("%d arrived, %d reported", got, delivered)
	}
	if _, err := a.Send(w.now, ac, Object{Class: Deadline, Deadline: end, Data: [][]byte{{1}}}); err != ErrExpired {
		t.Errorf("a late object was taken: %v", err)
	}
}

func TestOfAQuietObjectNothingIsHeardAfterwards(t *testing.T) {
	w, a, b, ac, _ := pair(t, link{delay: 20 * time.Millisecond, rate: 1e6, queue: 50000})
	send := func(o Object) ObjectID {
		id, err := a.Send(w.now, ac, o)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	send(Object{Quiet: true, Data: [][]byte{make([]byte, 500)}})
	send(Object{Quiet: true, Class: Deadline, Deadline: w.now.Add(300 * time.Millisecond), Data: [][]byte{make([]byte, 200_000)}})
	loud := send(Object{Data: [][]byte{make([]byte, 500)}})
	w.run(5 * time.Second)
	if a.count(EventDelivered) != 1 || a.last(EventDelivered).Object != loud || a.count(EventExpired) != 0 || b.count(EventObject) != 2 {
		t.Errorf("%d delivered, %d expired, %d arrived", a.count(EventDelivered), a.count(EventExpired), b.count(EventObject))
	}
}

func TestEarliestDeadlineFirstWithinPriority(t *testing.T) {
	l := link{delay: 20 * time.Millisecond, rate: 5e6, queue: 100000}
	w, a, b, ac, _ := pair(t, l)
	send := func(priority uint8, deadline time.Duration) ObjectID {
		o := Object{Priority: priority, Data: [][]byte{make([]byte, 40000)}}
		if deadline > 0 {
			o.Deadline = w.now.Add(deadline)
		}
		id, err := a.Send(w.now, ac, o)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	want := make([]ObjectID, 6)
	want[5] = send(2, time.Second)
	want[4] = send(1, 0)
	want[2] = send(1, 3*time.Second)
	want[1] = send(1, 2*time.Second)
	want[3] = send(1, 4*time.Second)
	want[0] = send(0, 0)
	w.run(5 * time.Second)
	var got []ObjectID
	for _, ev := range b.events {
		if ev.Kind == EventObject {
			got = append(got, ev.Object)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("arrived in the order %v, want %v", got, want)
	}
}

func TestBestEffortIsSentOnce(t *testing.T) {
	w, a, b, ac, _ := pair(t, near)
	drop := 2
	w.meddle = func(from, _ *node, p *machine.Packet) {
		if from == a && len(p.Data) > 1000 && drop > 0 {
			drop--
			p.Data = nil
		}
	}
	lost, _ := a.Send(w.now, ac, Object{Class: BestEffort, Data: [][]byte{make([]byte, 16384)}})
	whole, _ := a.Send(w.now, ac, Object{Class: BestEffort, Data: [][]byte{make([]byte, 16384)}})
	w.run(time.Second)
	if a.last(EventExpired).Object != lost || a.last(EventDelivered).Object != whole || b.last(EventObject).Object != whole {
		t.Errorf("a %v, b %v", a.kinds(), b.kinds())
	}
	if in := b.conns[b.last(EventConnected).Conn].in; len(in.open) != 0 {
		t.Errorf("b still keeps %d objects", len(in.open))
	}
}

func TestAReceiverThatDoesNotReadMakesTheSenderWait(t *testing.T) {
	small := func(c *Config) { c.Window, c.MaxObject = 200_000, 50_000 }
	w, a, b, ac, bc := pair(t, near, small)
	for {
		if _, err := a.Send(w.now, ac, Object{Data: [][]byte{make([]byte, 20_000)}}); err != nil {
			break
		}
	}
	// b is run without anybody taking its events.
	taken := func() (n int) {
		for i := range b.Endpoint.events.n {
			n += len(b.Endpoint.events.ring[(b.Endpoint.events.first+i)%len(b.Endpoint.events.ring)].Data)
		}
		return n
	}
	var buf [maxMTU]byte
	// Run by hand, so that events stay.
	for range 400 {
		for _, n := range w.nodes {
			if t := n.NextTimeout(); !t.IsZero() && !t.After(w.now) {
				n.Advance(w.now)
			}
			for {
				p, ok := n.AppendDatagram(w.now, buf[:0])
				if !ok {
					break
				}
				w.transmit(n, p)
			}
		}
		w.now = w.now.Add(5 * time.Millisecond)
		for len(w.queue) > 0 && !w.queue[0].at.After(w.now) {
			p := heap.Pop(&w.queue).(*arrival)
			w.nodeAt(p.dst).Receive(w.now, machine.Packet{Remote: p.from, Data: p.data})
		}
	}
	held := taken()
	if held < 150_000 || held > 200_000 {
		t.Errorf("b holds %d bytes, its window is 200000", held)
	}
	if s, _ := a.Stats(ac); s.QueuedBytes < 1_000_000 {
		t.Errorf("a has %d bytes left", s.QueuedBytes)
	}
	if c := b.conns[bc]; c.in.charged > c.in.limit {
		t.Errorf("b counts %d of %d", c.in.charged, c.in.limit)
	}
	// Now it reads.
	if !w.until(20*time.Second, func() bool { s, _ := a.Stats(ac); return s.QueuedObjects == 0 }) {
		t.Error("a's queue does not empty")
	}
}

func TestASenderThatIgnoresTheWindowIsCutOff(t *testing.T) {
	_, _, b, _, bc := pair(t, near, func(c *Config) { c.Window, c.MaxObject = 100_000, 50_000 })
	c := b.conns[bc]
	open := func(id uint64, o wire.Open) uint64 {
		f := wire.Frame{Type: wire.FrameOpen, ID: id, Open: o}
		_, _, _, code := c.handleFrames(b.w.now, f.Append(nil), path{}, 100)
		return code
	}
	if code := open(0, wire.Open{Size: 50_001}); code != codeObject {
		t.Errorf("an object above the limit: code %d", code)
	}
	if code := open(0, wire.Open{Size: 50_000}); code != codeNone {
		t.Errorf("an object within the window: code %d", code)
	}
	if code := open(1, wire.Open{Size: 50_000}); code != codeFlow {
		t.Errorf("an object beyond the window: code %d", code)
	}
}

func TestPartsMayComeBeforeTheirOpen(t *testing.T) {
	w, a, b, ac, bc := pair(t, near)
	w.run(time.Second)
	drop := true
	w.meddle = func(from, _ *node, p *machine.Packet) {
		if from == a && drop {
			drop, p.Data = false, nil
		}
	}
	want := pattern(1, 12_000)
	if _, err := a.Send(w.now, ac, Object{Class: Deadline, Priority: 3, Deadline: w.now.Add(time.Second), Data: [][]byte{want}}); err != nil {
		t.Fatal(err)
	}
	w.run(near.delay)
	in := b.conns[bc].in.open[0]
	if in == nil || in.known || !in.ended || in.size != 12_000 || b.conns[bc].in.charged != 12_000+objectOverhead {
		t.Errorf("of an object without its OPEN b has %+v", in)
	}
	w.run(time.Second)
	if got := b.last(EventObject); !bytes.Equal(got.Data, want) || got.Class != Deadline || got.Priority != 3 {
		t.Errorf("%d bytes arrived as %v, %d", len(got.Data), got.Class, got.Priority)
	}
	if s, _ := a.Stats(ac); s.RepeatedBytes > 1400 || b.conns[bc].in.returned != 12_000+objectOverhead {
		t.Errorf("%d bytes were sent again, %d came back to the window", s.RepeatedBytes, b.conns[bc].in.returned)
	}
	// An OPEN that contradicts what has come breaks the connection.
	part := wire.Frame{Type: wire.FrameObj, ID: 1, Offset: 90, Data: []byte("0123456789")}
	for name, tc := range map[string]struct {
		fin  bool
		open wire.Open
		code uint64
	}{
		"as large":           {false, wire.Open{Size: 100}, codeNone},
		"larger":             {false, wire.Open{Size: 1000}, codeNone},
		"too small":          {false, wire.Open{Size: 99}, codeObject},
		"another end":        {true, wire.Open{Size: 101}, codeObject},
		"the end":            {true, wire.Open{Size: 100}, codeNone},
		"endless":            {false, wire.Open{Endless: true}, codeNone},
		"beyond what I take": {false, wire.Open{Size: DefaultMaxObject + 1}, codeObject},
	} {
		_, _, b, _, bc := pair(t, near)
		c := b.conns[bc]
		part.Fin = tc.fin
		open := wire.Frame{Type: wire.FrameOpen, ID: 1, Open: tc.open}
		if _, _, _, code := c.handleFrames(b.w.now, open.Append(part.Append(nil)), path{}, 100); code != tc.code {
			t.Errorf("%s: code %d, want %d", name, code, tc.code)
		}
	}
}

func TestASenderOfCrumbsIsCutOff(t *testing.T) {
	for _, endless := range []bool{false, true} {
		_, _, b, _, bc := pair(t, near)
		c := b.conns[bc]
		const size = 1 << 20
		f := wire.Frame{Type: wire.FrameOpen, Open: wire.Open{Size: size, Endless: endless}}
		if _, _, _, code := c.handleFrames(b.w.now, f.Append(nil), path{}, 100); code != codeNone {
			t.Fatalf("code %d", code)
		}
		// Every other byte, from the end: each part would move all parts before.
		n, code := 0, uint64(0)
		for at := uint64(size - 1); at > 1 && code == codeNone; at -= 2 {
			f = wire.Frame{Type: wire.FrameObj, Offset: at, Data: []byte{1}}
			_, _, _, code = c.handleFrames(b.w.now, f.Append(nil), path{}, 100)
			n++
		}
		if code != codeObject || n > maxParts+1 {
			t.Errorf("endless %v: %d parts were taken, then code %d", endless, n, code)
		}
	}
}

func TestAnEndlessObjectIsAStream(t *testing.T) {
	l := link{delay: 20 * time.Millisecond, rate: 10e6, queue: 50000, loss: 0.03, reorder: 0.1, duplicate: 0.02}
	w, a, b, ac, _ := pair(t, l, func(c *Config) { c.Window, c.MaxObject, c.QueueBytes = 100_000, 50_000, 64_000 })
	data := pattern(4, 1<<20)
	id, err := a.OpenStream(w.now, ac, 3)
	if err != nil {
		t.Fatal(err)
	}
	rest := data
	a.step = func(now time.Time) {
		for len(rest) > 0 {
			n, err := a.Write(now, ac, id, rest[:min(len(rest), 10_000)])
			rest = rest[n:]
			if err != nil {
				return
			}
		}
		a.CloseStream(now, ac, id)
	}
	if !w.until(60*time.Second, func() bool { return a.count(EventDelivered) == 1 }) {
		s, _ := a.Stats(ac)
		t.Fatalf("not delivered: %d left, %+v", len(rest), s)
	}
	var got []byte
	fin := 0
	for _, ev := range b.events {
		if ev.Kind == EventStream {
			got = append(got, ev.Data...)
			if ev.Fin {
				fin++
			}
		}
	}
	if !bytes.Equal(got, data) || fin != 1 {
		t.Errorf("%d bytes of %d, %d ends", len(got), len(data), fin)
	}
	if a.count(EventWritable) == 0 {
		t.Error("a was never told that it may write again")
	}
}

func TestASilentConnectionIsKeptAliveAndADeadOneEnds(t *testing.T) {
	w, a, b, ac, _ := pair(t, near)
	a.events, b.events = nil, nil
	sent := a.sent + b.sent
	w.run(5 * time.Minute)
	if len(a.events)+len(b.events) != 0 {
		t.Errorf("%v %v", a.kinds(), b.kinds())
	}
	if n := a.sent + b.sent - sent; n == 0 || n > 5*4*2*2*60 {
		t.Errorf("%d bytes of keepalive in 5 minutes", n)
	}
	w.meddle = func(_, _ *node, p *machine.Packet) { p.Data = nil }
	silent := w.now
	w.until(time.Minute, func() bool { return a.count(EventClosed) == 1 })
	if d := w.now.Sub(silent); d > DefaultIdle+time.Second {
		t.Errorf("noticed after %v", d)
	}
	if _, err := a.Send(w.now, ac, Object{}); err != ErrClosed {
		t.Errorf("send: %v", err)
	}
}

// Who goes on sending small things to one who is gone does not put off the probes
// by which it finds out.
func TestTalkingToTheDeadDoesNotKeepThemAlive(t *testing.T) {
	w, a, _, ac, _ := pair(t, near)
	w.meddle = func(_, _ *node, p *machine.Packet) { p.Data = nil }
	silent := w.now
	for a.count(EventClosed) == 0 && w.now.Sub(silent) < DefaultIdle {
		_, _ = a.Send(w.now, ac, Object{Data: [][]byte{make([]byte, 100)}})
		w.run(100 * time.Millisecond)
	}
	if d := w.now.Sub(silent); d > lostAfter+5*time.Second || a.last(EventClosed).Reason != ClosedLost {
		t.Errorf("after %v: %v", d, a.last(EventClosed).Reason)
	}
}

func TestCloseTellsThePeer(t *testing.T) {
	w, a, b, ac, bc := pair(t, near)
	a.Close(w.now, ac, 42)
	w.run(20 * time.Millisecond)
	if ev := b.last(EventClosed); ev.Conn != bc || ev.Reason != ClosedByPeer || ev.Code != 42 || ev.Key != a.Public() {
		t.Errorf("b: %+v", ev)
	}
	w.run(5 * time.Second)
	if ev := a.last(EventClosed); ev.Reason != ClosedByUs || len(a.Conns(nil)) != 0 || len(b.Conns(nil)) != 0 {
		t.Errorf("a: %+v, left %v %v", ev, a.Conns(nil), b.Conns(nil))
	}
	if t1 := a.NextTimeout(); !t1.IsZero() {
		t.Errorf("a wants to be woken at %v", t1)
	}
}

func TestALostCloseIsRepeated(t *testing.T) {
	w, a, b, ac, bc := pair(t, near)
	dropped := false
	w.meddle = func(from, _ *node, p *machine.Packet) {
		if from == a && !dropped {
			dropped = true
			p.Data = nil
		}
	}
	a.Close(w.now, ac, 42)
	a.drain()
	b.Send(w.now, bc, Object{Data: [][]byte{make([]byte, 10)}})
	w.run(time.Second)
	if ev := b.last(EventClosed); ev.Reason != ClosedByPeer || ev.Code != 42 {
		t.Errorf("b: %v", b.kinds())
	}
}

func TestKeysRollUnderWay(t *testing.T) {
	l := link{delay: 20 * time.Millisecond, rate: 20e6, queue: 100000, loss: 0.01, reorder: 0.05}
	w, a, b, ac, bc := pair(t, l, func(c *Config) { c.KeyLife = 300 })
	bulk(w, a, ac)
	w.run(5 * time.Second)
	if got := b.took(); got < 1e6 {
		t.Errorf("%d bytes", got)
	}
	if b.Counts().Forged > 0 || a.Counts().Forged > 0 {
		t.Errorf("a %+v, b %+v", a.Counts(), b.Counts())
	}
	if s := a.conns[ac].protect.sealed; s > 600 {
		t.Errorf("%d packets under one key", s)
	}
	_ = bc
}

func TestObjectsOfAllSizes(t *testing.T) {
	w, a, b, ac, _ := pair(t, near)
	want := map[ObjectID][]byte{}
	for _, n := range []int{0, 1, 2, 63, 64, 65, 1000, 1300, 1340, 1341, 1342, 1350, 1360, 1400, 2700, 16384, 1 << 20} {
		data := pattern(uint64(n), n)
		id, err := a.Send(w.now, ac, Object{Data: [][]byte{nil, data[:n/3], nil, data[n/3:]}})
		if err != nil {
			t.Fatal(n, err)
		}
		want[id] = data
	}
	if _, err := a.Send(w.now, ac, Object{Data: [][]byte{make([]byte, 1<<20+1)}}); err != ErrTooLarge {
		t.Errorf("too large: %v", err)
	}
	w.run(5 * time.Second)
	for _, ev := range b.events {
		if ev.Kind == EventObject {
			if !bytes.Equal(ev.Data, want[ev.Object]) {
				t.Errorf("object %d: %d bytes, want %d", ev.Object, len(ev.Data), len(want[ev.Object]))
			}
			delete(want, ev.Object)
		}
	}
	if len(want) != 0 || a.count(EventDelivered) != 17 {
		t.Errorf("%d did not arrive, %d delivered", len(want), a.count(EventDelivered))
	}
}

func TestTheQueueIsBoundedAndSaysWhenItHasRoom(t *testing.T) {
	l := link{delay: 20 * time.Millisecond, rate: 20e6, queue: 50000}
	w, a, _, ac, _ := pair(t, l, func(c *Config) { c.QueueLen = 10 })
	for i := range 11 {
		_, err := a.Send(w.now, ac, Object{Data: [][]byte{make([]byte, 16384)}})
		if (err == ErrBlocked) != (i == 10) {
			t.Errorf("object %d: %v", i, err)
		}
	}
	if !w.until(time.Second, func() bool { return a.count(EventWritable) == 1 }) || a.count(EventDelivered) != 5 {
		t.Errorf("%v", a.kinds())
	}
	for range 100 { // cancelled ones count until the peer is told
		if id, err := a.Send(w.now, ac, Object{Data: [][]byte{{1}}}); err == nil {
			a.Cancel(w.now, ac, id)
		}
	}
	if n := len(a.conns[ac].out.gone); n > 10 {
		t.Errorf("%d words about cancelled objects", n)
	}
}

func TestRandomDatagramsBreakAndAllocateNothing(t *testing.T) {
	w, a, b, ac, _ := pair(t, near)
	r := w.rng
	buf := make([]byte, 1400)
	cid := a.conns[ac].remote
	n := testing.AllocsPerRun(20_000, func() {
		for i := range buf[:40] {
			buf[i] = byte(r.Uint32())
		}
		if r.IntN(2) == 0 {
			buf[0] = 0x40 | buf[0]&0x3f // a data packet, half of them for a connection
			copy(buf[1:], cid[:])
		}
		b.Receive(w.now, machine.Packet{Remote: a.addr, Data: buf[:r.IntN(len(buf))]})
	})
	if n > 0 {
		t.Errorf("%v allocations for each", n)
	}
	b.drain()
	a.Send(w.now, ac, Object{Data: [][]byte{make([]byte, 1000)}})
	if !w.until(time.Second, func() bool { return b.count(EventObject) == 1 }) {
		t.Errorf("the connection suffered: %v", b.kinds())
	}
}

func TestConnectionsTakeTurns(t *testing.T) {
	w := newWorld(t, 3)
	hub := w.add("hub", near, func(c *Config) { c.NewController = func(time.Time) congestion.Controller { return wideOpen{} } })
	for i := range 4 {
		n := w.add(string(rune('a'+i)), near)
		w.dial(hub, n)
		hub.events = nil
	}
	w.run(time.Second)
	for i, id := range hub.Conns(nil) {
		for range 1 + 3*i { // more to send for some does not mean more turns
			if _, err := hub.Send(w.now, id, Object{Data: [][]byte{make([]byte, 100_000)}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	turns := map[netip.AddrPort]int{}
	var buf [maxMTU]byte
	const rounds = 2
	for range rounds * 4 * turnDatagrams {
		p, ok := hub.AppendDatagram(w.now, buf[:0])
		if !ok {
			break
		}
		turns[p.Remote]++
	}
	for _, n := range w.nodes[1:] {
		if got := turns[n.addr]; got != rounds*turnDatagrams {
			t.Errorf("%s got %d datagrams in %d rounds", n.name, got, rounds)
		}
	}
}

func TestOneBodyGoesToManyWithoutACopy(t *testing.T) {
	w := newWorld(t, 3)
	hub := w.add("hub", near)
	for i := range 10 {
		w.dial(hub, w.add(string(rune('a'+i)), near))
		hub.events = nil
	}
	body := pattern(1, 16384)
	for _, id := range hub.Conns(nil) {
		if _, err := hub.Send(w.now, id, Object{Data: [][]byte{[]byte("head"), body}}); err != nil {
			t.Fatal(err)
		}
		for _, o := range hub.conns[id].out.all {
			if &o.data[1][0] != &body[0] {
				t.Error("the body was copied")
			}
		}
	}
	w.run(time.Second)
	for _, n := range w.nodes[1:] {
		if got := n.last(EventObject).Data; !bytes.Equal(got, append([]byte("head"), body...)) {
			t.Errorf("%s got %d bytes", n.name, len(got))
		}
	}
}

func TestCloseAll(t *testing.T) {
	w := newWorld(t, 3)
	hub := w.add("hub", near)
	for i := range 3 {
		w.dial(hub, w.add(string(rune('a'+i)), near))
		hub.events = nil
	}
	hub.CloseAll(w.now)
	w.run(time.Second)
	if got := hub.Conns(nil); len(got) != 0 || hub.count(EventClosed) != 3 {
		t.Errorf("left %v, %v", got, hub.kinds())
	}
	for _, n := range w.nodes[1:] {
		if ev := n.last(EventClosed); ev.Reason != ClosedByPeer {
			t.Errorf("%s: %v", n.name, n.kinds())
		}
	}
}

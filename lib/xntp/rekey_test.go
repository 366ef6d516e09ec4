package xntp

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
)

func TestKeysRollEveryTenMinutesWhoeverBegins(t *testing.T) {
	w, a, b, ac, bc := pair(t, link{delay: 30 * time.Millisecond, loss: 0.02})
	var until func()
	n := 0
	until = func() { // a message each way every few seconds
		a.Send(w.now, ac, Object{Data: [][]byte{{1}}})
		w.after(3*time.Second, func() { b.Send(w.now, bc, Object{Data: [][]byte{{2}}}) })
		n++
		w.after(7*time.Second, until)
	}
	until()
	for i := range 6 {
		w.run(10 * time.Minute)
		// Each end has its clock; a second update of one phase would be one too many.
		for _, c := range []*conn{a.conns[ac], b.conns[bc]} {
			if got := c.protect.rolls; got > uint64(i)+1 || got < uint64(i) {
				t.Errorf("%d updates after %d minutes", got, 10*(i+1))
			}
			if c.protect.haveOld && w.now.Sub(c.keyedAt) > time.Second {
				t.Error("an old key is still there")
			}
		}
	}
	if a.conns[ac].protect.phase != b.conns[bc].protect.phase {
		t.Error("the ends are in different phases")
	}
	if got := b.count(EventObject); got < n-1 || a.count(EventObject) < n-1 || b.Counts().Forged+a.Counts().Forged > 0 {
		t.Errorf("%d of %d messages; a %+v, b %+v", got, n, a.Counts(), b.Counts())
	}
}

func TestAKeySealsSoManyPacketsAndNoMore(t *testing.T) {
	w, a, b, ac, _ := pair(t, near)
	c := a.conns[ac]
	if a.cfg.KeyLife != 1<<24 {
		t.Fatalf("a key lasts %d packets", a.cfg.KeyLife)
	}
	c.protect.sealed = a.cfg.KeyLife - 3
	for i := range 10 {
		a.Send(w.now, ac, Object{Data: [][]byte{{byte(i)}}})
		w.run(200 * time.Millisecond)
		if c.protect.sealed > a.cfg.KeyLife {
			t.Errorf("%d packets under one key", c.protect.sealed)
		}
	}
	if c.protect.rolls != 1 || b.count(EventObject) != 10 {
		t.Errorf("%d updates, %d messages", c.protect.rolls, b.count(EventObject))
	}
}

func TestBothEndsBeginAnUpdateAtOnce(t *testing.T) {
	w, a, b, ac, bc := pair(t, link{delay: 30 * time.Millisecond, rate: 20e6, queue: 100_000})
	bulk(w, a, ac)
	bulk(w, b, bc)
	w.run(500 * time.Millisecond)
	for i := range 5 {
		x, y := a.conns[ac], b.conns[bc]
		if !x.protect.update() || !y.protect.update() {
			t.Fatal("an end would not begin")
		}
		if x.protect.update() || y.protect.update() {
			t.Error("an end began again before the other had followed")
		}
		w.run(300 * time.Millisecond)
		if x.protect.rolls != uint64(i)+1 || y.protect.rolls != uint64(i)+1 {
			t.Fatalf("%d and %d updates, want %d", x.protect.rolls, y.protect.rolls, i+1)
		}
	}
	if a.Counts().Forged+b.Counts().Forged > 0 || a.took() < 2e6 || b.took() < 2e6 {
		t.Errorf("a %+v, b %+v", a.Counts(), b.Counts())
	}
}

func TestForgedAndReplayedPacketsRollNoKey(t *testing.T) {
	w, a, b, ac, bc := pair(t, near)
	var seen [][]byte
	w.meddle = func(from, _ *node, p *machine.Packet) {
		if from == a {
			seen = append(seen, bytes.Clone(p.Data))
		}
	}
	send := func() {
		a.Send(w.now, ac, Object{Data: [][]byte{make([]byte, 4000)}})
		w.run(time.Second)
	}
	x, y := a.conns[ac], b.conns[bc]
	evil := netip.MustParseAddrPort("203.0.113.66:6")
	attack := func(phases string) {
		t.Helper()
		rolls, events, addr := y.protect.rolls, len(b.events), y.path.addr
		for _, p := range seen {
			for flags := range byte(64) { // the phase and the length of the number, as if they were another's
				q := bytes.Clone(p)
				q[0] ^= flags
				b.Receive(w.now, machine.Packet{Remote: evil, Data: q})
			}
		}
		b.drain()
		if y.protect.rolls != rolls || len(b.events) != events || y.path.addr != addr || y.probe.active {
			t.Errorf("%s: %d updates more, events %v", phases, y.protect.rolls-rolls, b.kinds()[events:])
		}
		send()
		if x.protect.phase != y.protect.phase || b.Endpoint.conns[bc] == nil {
			t.Errorf("%s: the connection suffered", phases)
		}
	}
	send()
	attack("packets of this phase")
	x.protect.update()
	send()
	attack("packets of this phase and the one before")
	x.protect.update()
	send()
	attack("packets whose phase bit is today's and whose key was forgotten")
	if got := b.count(EventObject); got != 6 || y.protect.rolls != 2 {
		t.Errorf("%d objects, %d updates", got, y.protect.rolls)
	}
}

func TestPacketsThatAnUpdateOvertookAreOpenedForAWhile(t *testing.T) {
	w, a, b, ac, bc := pair(t, link{delay: 10 * time.Millisecond})
	y := b.conns[bc]
	var late [][]byte
	w.meddle = func(from, _ *node, p *machine.Packet) {
		if from == a {
			late, p.Data = append(late, bytes.Clone(p.Data)), nil
		}
	}
	for range 2 {
		a.Send(w.now, ac, Object{Class: BestEffort, Data: [][]byte{make([]byte, 100)}})
		a.drain()
	}
	w.meddle = nil
	a.conns[ac].protect.update()
	a.Send(w.now, ac, Object{Data: [][]byte{{1}}})
	w.run(30 * time.Millisecond)
	if y.protect.rolls != 1 || len(late) != 2 {
		t.Fatalf("%d updates, %d packets held back", y.protect.rolls, len(late))
	}
	b.Receive(w.now, machine.Packet{Remote: a.addr, Data: late[0]})
	b.drain()
	if b.count(EventObject) != 2 || b.Counts().Forged != 0 {
		t.Errorf("a late packet was not opened: %v", b.kinds())
	}
	w.run(20 * time.Second) // keepalives pass
	b.Receive(w.now, machine.Packet{Remote: a.addr, Data: late[1]})
	b.drain()
	if b.count(EventObject) != 2 || b.Counts().Forged != 1 {
		t.Errorf("a packet of a key that should be gone was opened: %v, %+v", b.kinds(), b.Counts())
	}
}

func TestAConnectionUnderEndlessForgeryEnds(t *testing.T) {
	w, a, b, ac, bc := pair(t, near)
	b.conns[bc].protect.forged = maxForged - 2
	var p []byte
	w.meddle = func(from, _ *node, d *machine.Packet) {
		if from == a {
			p = bytes.Clone(d.Data)
		}
	}
	a.Send(w.now, ac, Object{Data: [][]byte{{1}}})
	w.run(time.Second)
	p[len(p)-1] ^= 1
	for i := range 2 {
		if b.count(EventClosed) != 0 {
			t.Fatalf("closed after %d", i)
		}
		b.Receive(w.now, machine.Packet{Remote: a.addr, Data: p})
		w.run(time.Second)
	}
	if ev := b.last(EventClosed); ev.Reason != ClosedProtocol || ev.Code != codeForged || a.last(EventClosed).Code != codeForged {
		t.Errorf("b %+v, a %+v", ev, a.last(EventClosed))
	}
}

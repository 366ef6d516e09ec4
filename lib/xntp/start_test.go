package xntp

import (
	"crypto/ed25519"
	"net/netip"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/congestion"
	"github.com/xp2p/xp2p/lib/machine"
)

// askFor dials from a with a request, which b answers with size bytes at once, and
// returns how long it took. before is what b sent, and got, until it heard from a
// again.
func askFor(t *testing.T, a, b *node, o DialOptions, size int) (took time.Duration, sent, heard int64) {
	w := a.w
	start := w.now
	o.Remote, o.Addr, o.Early = b.Public(), b.addr, []byte("GET")
	if _, err := a.Dial(w.now, o); err != nil {
		t.Fatal(err)
	}
	asked := false
	b.step = func(now time.Time) {
		if ev := b.last(EventAccepted); ev.Kind != 0 && !asked {
			asked = true
			for left := size; left > 0; left -= 16384 {
				if _, err := b.Send(now, ev.Conn, Object{Data: [][]byte{make([]byte, min(left, 16384))}}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	proved := false
	other := w.meddle
	w.meddle = func(from, to *node, p *machine.Packet) {
		if other != nil {
			other(from, to, p)
		}
		switch {
		case proved || p.Data == nil:
		case from == b:
			sent += int64(len(p.Data))
		case from == a && p.Data[0]&0x80 == 0:
			proved = true // its first data packet
		case from == a:
			heard += int64(len(p.Data))
		}
	}
	got := 0
	if !w.until(20*time.Second, func() bool { got += a.took(); return got >= size }) {
		t.Fatalf("%d of %d bytes", got, size)
	}
	w.meddle = nil
	return w.now.Sub(start), sent, heard
}

func TestTheRequestFlightEarnsTheAnswersTrain(t *testing.T) {
	times := map[string]time.Duration{}
	for name, o := range map[string]DialOptions{"bare": {}, "earning": {Earn: 67200}, "greedy": {Earn: 1 << 30}} {
		w := newWorld(t, 9)
		l := link{delay: 20 * time.Millisecond, rate: 100e6, queue: 500e3}
		a, b := w.add("a", l), w.add("b", l)
		took, sent, heard := askFor(t, a, b, o, 256<<10)
		times[name] = took
		if sent > 3*heard {
			t.Errorf("%s: %d bytes to an address that is not proved, which had sent %d", name, sent, heard)
		}
		if heard > 64*1200 {
			t.Errorf("%s: %d bytes of Initials", name, heard)
		}
	}
	t.Log(times)
	if times["earning"] > times["bare"]-15*time.Millisecond {
		t.Errorf("earning took %v, a bare dial %v", times["earning"], times["bare"])
	}
}

// A train that left as it is earned, two or three packets for each Initial that comes,
// would measure the way of the question.
func TestTheTrainOfAnAnswerWaitsUntilItIsEarned(t *testing.T) {
	for name, drop := range map[string]func(n int) bool{
		"all of the flight comes":   func(int) bool { return false },
		"all but its first is lost": func(n int) bool { return n > 1 },
	} {
		w := newWorld(t, 9)
		l := link{delay: 20 * time.Millisecond, rate: 20e6, queue: 500e3}
		a, b := w.add("a", l), w.add("b", l)
		start := w.now
		asked, together := 0, 0
		var first time.Time
		w.meddle = func(from, _ *node, p *machine.Packet) {
			switch long := p.Data[0]&0x80 != 0; {
			case from == b && !long:
				if first.IsZero() {
					first = w.now
				}
				if w.now.Equal(first) {
					together++
				}
			case from == a && long:
				if asked++; drop(asked) {
					p.Data = nil
				}
			}
		}
		if _, err := a.Dial(w.now, DialOptions{Remote: b.Public(), Addr: b.addr, Early: []byte("GET"), Earn: 1 << 20}); err != nil {
			t.Fatal(err)
		}
		b.step = func(now time.Time) {
			if ev := b.last(EventAccepted); ev.Kind != 0 {
				b.step = nil
				b.Send(now, ev.Conn, Object{Data: [][]byte{make([]byte, 256<<10)}})
			}
		}
		if !w.until(time.Second, func() bool { return !first.IsZero() && w.now.After(first) }) {
			t.Fatalf("%s: no answer", name)
		}
		t.Logf("%s: %d packets together, after %v", name, together, first.Sub(start))
		least := 16
		if drop(2) {
			least = 1 // what one Initial earns beside the Response
		}
		if together < least {
			t.Errorf("%s: a train of %d", name, together)
		}
		if late := first.Sub(start) - 20*time.Millisecond; late > 12*time.Millisecond {
			t.Errorf("%s: it waited for %v", name, late)
		}
	}
}

// Who asks with a flight shows what the way carries, if only in the other direction.
func TestAnAnswerBeginsAsFastAsTheQuestionCame(t *testing.T) {
	run := func(up, down float64) (time.Duration, int) {
		w := newWorld(t, 9)
		a := w.add("a", link{delay: 20 * time.Millisecond, rate: up, queue: 500e3})
		b := w.add("b", link{delay: 20 * time.Millisecond, rate: down, queue: int(down / 8 * 0.04)})
		took, _, _ := askFor(t, a, b, DialOptions{Earn: 1 << 20}, 256<<10)
		return took, b.link.drops
	}
	fast, _ := run(100e6, 100e6)
	slow, _ := run(20e6, 100e6)
	t.Logf("256 KiB over 100 Mbit/s: %v, and %v behind an uplink of 20", fast, slow)
	if fast > slow-5*time.Millisecond {
		t.Error("the question told nothing")
	}
	// Where the way back is much slower, it costs part of one flight.
	wrong, drops := run(1e9, 20e6)
	right, _ := run(20e6, 20e6)
	t.Logf("over 20 Mbit/s: %v, and %v when asked at 1000, with %d packets lost", right, wrong, drops)
	if drops > 64 || wrong > right+60*time.Millisecond {
		t.Error("it was believed too much")
	}
}

// Without the Response an answer cannot be read, and of twenty one is lost where paths
// are bad.
func TestALostResponseIsRepeatedInTheFirstFlight(t *testing.T) {
	run := func(lose bool) time.Duration {
		w := newWorld(t, 9)
		l := link{delay: 100 * time.Millisecond, rate: 50e6, queue: 1 << 20}
		a, b := w.add("a", l), w.add("b", l)
		w.meddle = func(from, _ *node, p *machine.Packet) {
			if lose && from == b && p.Data[0]&0x80 != 0 {
				p.Data, lose = nil, false
			}
		}
		took, _, _ := askFor(t, a, b, DialOptions{Earn: 1 << 20}, 1<<20)
		return took
	}
	whole, lost := run(false), run(true)
	t.Logf("%v, and %v where it is lost", whole, lost)
	if lost > whole+60*time.Millisecond {
		t.Error("it was missed for too long")
	}
}

// A token is as good as a flight, but one that does not fit beside the request is not sent.
func TestATokenThatDoesNotFitIsNoReasonNotToEarn(t *testing.T) {
	for early, want := range map[int]int{3: 1, MaxEarly: 11} {
		w := newWorld(t, 9)
		a, b := w.add("a", link{delay: time.Millisecond}), w.add("b", link{delay: time.Millisecond})
		initials := 0
		w.meddle = func(from, _ *node, p *machine.Packet) {
			if from == a && p.Data[0]&0x80 != 0 {
				initials++
			}
		}
		o := DialOptions{Remote: b.Public(), Addr: b.addr, Token: make([]byte, 100), Early: make([]byte, early), Earn: 10 * 3600}
		if _, err := a.Dial(w.now, o); err != nil {
			t.Fatal(err)
		}
		w.run(100 * time.Millisecond)
		if initials != want {
			t.Errorf("%d Initials with a token and a request of %d bytes, want %d", initials, early, want)
		}
	}
}

func TestOneResponseAnswersInitialsOfOneFlight(t *testing.T) {
	w := newWorld(t, 9)
	l := link{delay: 20 * time.Millisecond}
	a, b := w.add("a", l), w.add("b", l)
	responses := 0
	w.meddle = func(from, _ *node, p *machine.Packet) {
		if from == b && p.Data[0]&0x80 != 0 {
			responses++
		}
	}
	if _, err := a.Dial(w.now, DialOptions{Remote: b.Public(), Addr: b.addr, Earn: 30000}); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	if responses != 1 || a.count(EventConnected) != 1 {
		t.Errorf("%d responses; %v", responses, a.kinds())
	}
}

func TestBothEndsLinksAreAHint(t *testing.T) {
	token := func(c *Config) {
		c.VerifyToken = func([]ed25519.PublicKey, []byte, netip.AddrPort, time.Time) bool { return true }
	}
	run := func(up, down int64) (time.Duration, float64) {
		w := newWorld(t, 9)
		l := link{delay: 20 * time.Millisecond, rate: 100e6, queue: 500e3}
		a := w.add("a", l, func(c *Config) { c.Downlink = down })
		var m *congestion.Model
		b := w.add("b", l, token, func(c *Config) {
			c.Uplink = up
			c.NewController = func(time.Time) congestion.Controller { m = congestion.NewModel(DefaultMTU); return m }
		})
		took, _, _ := askFor(t, a, b, DialOptions{Token: []byte("t")}, 256<<10)
		return took, m.Rate(time.Second)
	}
	none, _ := run(0, 0)
	both, _ := run(100e6, 120e6)
	one, _ := run(100e6, 0)
	t.Logf("no hint %v, one end's %v, both ends' %v", none, one, both)
	if both > none-25*time.Millisecond || one > none-10*time.Millisecond {
		t.Error("they are no help")
	}
	// A downlink that is not what was said costs a queue, and no more.
	if wrong, _ := run(1e9, 1e9); wrong > none+50*time.Millisecond {
		t.Errorf("with ten times too high a hint: %v", wrong)
	}
}

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
	w.meddle = func(from, to *node, p *machine.Packet) {
		switch {
		case proved:
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
		if heard > 32*1200 {
			t.Errorf("%s: %d bytes of Initials", name, heard)
		}
	}
	t.Log(times)
	if times["earning"] > times["bare"]-15*time.Millisecond {
		t.Errorf("earning took %v, a bare dial %v", times["earning"], times["bare"])
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

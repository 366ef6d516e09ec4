package xntp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/congestion"
	"github.com/xp2p/xp2p/lib/machine"
)

// probes counts datagrams above the MTU that their sender uses.
func (w *world) probes(from *node, id ConnID) *int {
	n := 0
	w.meddle = func(x, _ *node, p *machine.Packet) {
		if s, ok := from.Stats(id); x == from && ok && len(p.Data) > s.MTU {
			n++
		}
	}
	return &n
}

func TestTheLargestDatagramThatAPathCarriesIsFound(t *testing.T) {
	for name, tc := range map[string]struct {
		mtu, v6   int
		loss      float64
		min, max  int // UDP payload
		maxProbes int
	}{
		"Ethernet":                   {mtu: 1500, min: 1472, max: 1472, maxProbes: 1},
		"no bound":                   {mtu: 0, min: 1472, max: 1472, maxProbes: 1},
		"Ethernet, IPv6":             {mtu: 1500, v6: 1, min: 1452, max: 1452, maxProbes: 1},
		"Ethernet, every 30th lost":  {mtu: 1500, loss: 0.03, min: 1472, max: 1472, maxProbes: 3},
		"PPPoE":                      {mtu: 1492, min: 1464 - mtuStep, max: 1464, maxProbes: 8},
		"PPPoE, IPv6":                {mtu: 1492, v6: 1, min: 1444 - mtuStep, max: 1444, maxProbes: 8},
		"what packets begin with":    {mtu: 1428, min: 1400, max: 1400, maxProbes: 12},
		"WireGuard":                  {mtu: 1420, min: 1392 - mtuStep, max: 1392, maxProbes: 12},
		"the least of IPv6":          {mtu: 1280, v6: 1, min: 1232 - mtuStep, max: 1232, maxProbes: 16},
		"as small as a handshake is": {mtu: 1228, min: 1200, max: 1200, maxProbes: 18},
	} {
		if brief() && name != "PPPoE" {
			continue
		}
		w := newWorld(t, 3)
		l := link{delay: 10 * time.Millisecond, rate: 10e6, queue: 100_000, mtu: tc.mtu, loss: tc.loss}
		a, b := w.add("a", l), w.add("b", l)
		if tc.v6 > 0 {
			a.addr, b.addr = netip.MustParseAddrPort("[2001:db8::1]:4000"), netip.MustParseAddrPort("[2001:db8::2]:4000")
		}
		ac, _ := w.dial(a, b)
		probes := w.probes(a, ac)
		bulk(w, a, ac)
		w.run(6 * time.Second)
		s, _ := a.Stats(ac)
		if s.MTU < tc.min || s.MTU > tc.max {
			t.Errorf("%s: datagrams of %d bytes, want %d to %d", name, s.MTU, tc.min, tc.max)
		}
		if *probes > tc.maxProbes || *probes == 0 {
			t.Errorf("%s: %d probes, want at most %d", name, *probes, tc.maxProbes)
		}
		if got := b.took(); got < 6e6*6/8*0.9 && tc.loss == 0 {
			t.Errorf("%s: %d bytes in 6 s", name, got)
		}
		before := *probes
		w.run(2 * time.Second)
		if *probes != before {
			t.Errorf("%s: %d more probes", name, *probes-before)
		}
		if s.MTU == 1472 || tc.v6 > 0 {
			continue
		}
		// Ten minutes later the path may be another.
		a.link.mtu, a.step = 0, nil
		w.run(mtuRaise)
		bulk(w, a, ac)
		w.run(2 * time.Second)
		if s, _ := a.Stats(ac); s.MTU != 1472 {
			t.Errorf("%s: MTU %d on a path that carries more now", name, s.MTU)
		}
	}
}

func TestAProbeOfTheMTUIsNoCongestionAndNobodyWaitsForIt(t *testing.T) {
	w := newWorld(t, 3)
	l := link{delay: 10 * time.Millisecond, mtu: 1492}
	cc := map[string]*counting{"a": {}, "b": {}}
	a := w.add("a", l, func(c *Config) {
		c.NewController = func(time.Time) congestion.Controller { return cc["a"] }
	})
	b := w.add("b", l)
	ac, _ := w.dial(a, b)
	probes := w.probes(a, ac)
	for range 120 {
		a.Send(w.now, ac, Object{Data: [][]byte{make([]byte, 16384)}})
		w.run(50 * time.Millisecond)
	}
	s, _ := a.Stats(ac)
	if a.link.tooBig == 0 || *probes == 0 {
		t.Fatalf("%d of %d probes were lost: nothing is shown", a.link.tooBig, *probes)
	}
	if c := cc["a"]; c.losses != 0 || s.LostPackets != 0 || s.RepeatedBytes != 0 || s.InFlight != 0 || a.count(EventDelivered) != 120 {
		t.Errorf("controller %+v, stats %+v", c, s)
	}
}

func TestMessagesAndOtherTrickleProbeNothing(t *testing.T) {
	w, a, b, ac, bc := pair(t, link{delay: 10 * time.Millisecond})
	probes := 0
	w.meddle = func(_, _ *node, p *machine.Packet) {
		if len(p.Data) > 1200 {
			probes++
		}
	}
	for range 3000 { // 3 MB both ways
		a.Send(w.now, ac, Object{Data: [][]byte{make([]byte, 900)}})
		b.Send(w.now, bc, Object{Data: [][]byte{make([]byte, 100)}})
		w.run(20 * time.Millisecond)
	}
	if b.count(EventObject) != 3000 || probes != 0 {
		t.Errorf("%d messages, %d probes", b.count(EventObject), probes)
	}
}

func TestABlackHoleIsNoticed(t *testing.T) {
	// A path that never carried what packets begin with; one that ceases to; and
	// one that ceases to carry anything for two seconds.
	for name, tc := range map[string]struct {
		first, then int
		outage      time.Duration
		min, max    int
		pause       time.Duration // the longest time without an object
	}{
		"from the start": {first: 1300, then: 1300, min: 1200, max: 1272, pause: time.Second},
		"on the way":     {first: 1500, then: 1400, min: 1372 - mtuStep, max: 1372, pause: time.Second},
		"an outage":      {first: 1500, then: 1500, outage: 2 * time.Second, min: 1472, max: 1472, pause: 6 * time.Second},
	} {
		w := newWorld(t, 3)
		l := link{delay: 20 * time.Millisecond, rate: 5e6, queue: 50_000, mtu: tc.first}
		a, b := w.add("a", l), w.add("b", l)
		ac, _ := w.dial(a, b)
		last, pause := w.now, time.Duration(0)
		b.step = func(now time.Time) {
			if n := b.count(EventObject); n > 0 {
				b.took()
				pause, last = max(pause, now.Sub(last)), now
			}
		}
		bulk(w, a, ac)
		w.run(5 * time.Second)
		if s, _ := a.Stats(ac); tc.first == 1500 && s.MTU != 1472 {
			t.Errorf("%s: MTU %d before", name, s.MTU)
		}
		a.link.mtu = tc.then
		if tc.outage > 0 {
			a.deaf, b.deaf = true, true
			w.after(tc.outage, func() { a.deaf, b.deaf = false, false })
		}
		w.run(10 * time.Second)
		s, _ := a.Stats(ac)
		if s.MTU < tc.min || s.MTU > tc.max || pause > tc.pause {
			t.Errorf("%s: MTU %d, want %d to %d; the longest pause %v, want %v", name, s.MTU, tc.min, tc.max, pause, tc.pause)
		}
	}
}

func TestAPeerThatTakesLessIsObeyed(t *testing.T) {
	w := newWorld(t, 3)
	l := link{delay: 10 * time.Millisecond, rate: 10e6, queue: 50_000}
	a, b := w.add("a", l), w.add("b", l, func(c *Config) { c.MTU = 1300 })
	most := 0
	w.meddle = func(_, _ *node, p *machine.Packet) { most = max(most, len(p.Data)) }
	ac, _ := w.dial(a, b)
	bulk(w, a, ac)
	w.run(2 * time.Second)
	if s, _ := a.Stats(ac); s.MTU != 1300 || most != 1300 {
		t.Errorf("MTU %d, the largest datagram had %d", s.MTU, most)
	}
}

func TestANewPathIsMeasuredAnew(t *testing.T) {
	l := link{delay: 10 * time.Millisecond, rate: 10e6, queue: 100_000, mtu: 1500}
	w, a, b, ac, _ := pair(t, l)
	bulk(w, a, ac)
	w.run(3 * time.Second)
	if s, _ := a.Stats(ac); s.MTU != 1472 {
		t.Errorf("MTU %d", s.MTU)
	}
	b.addr = netip.MustParseAddrPort("[2001:db8::2]:4000")
	b.Probe(w.now)
	w.run(3 * time.Second)
	if s, _ := a.Stats(ac); s.MTU != 1452 || a.link.tooBig > 0 {
		t.Errorf("MTU %d over IPv6, %d too big", s.MTU, a.link.tooBig)
	}
}

func TestANearNetworkMayCarryJumboFrames(t *testing.T) {
	for name, c := range map[string]struct {
		l      link
		mtu    int
		tooBig int
	}{
		"it does":              {link{delay: 200 * time.Microsecond, rate: 500e6, queue: 1 << 20, mtu: 9000}, 8848, 0},
		"it does not":          {link{delay: 200 * time.Microsecond, rate: 500e6, queue: 1 << 20, mtu: 1500}, 1472, mtuTries},
		"it is not near":       {link{delay: 5 * time.Millisecond, rate: 500e6, queue: 4 << 20, mtu: 9000}, 1472, 0},
		"not much is sent":     {link{delay: 200 * time.Microsecond, rate: 20e6, queue: 1 << 20, mtu: 9000}, 1472, 0},
		"less than Ethernet's": {link{delay: 200 * time.Microsecond, rate: 500e6, queue: 1 << 20, mtu: 1450}, 1422, 27},
	} {
		t.Run(name, func(t *testing.T) {
			w, a, b, ac, _ := pair(t, c.l)
			bulk(w, a, ac)
			w.run(2 * time.Second)
			s, _ := a.Stats(ac)
			if s.MTU < c.mtu-mtuStep || s.MTU > c.mtu || a.link.tooBig > c.tooBig {
				t.Errorf("MTU %d, want %d; %d packets were too big", s.MTU, c.mtu, a.link.tooBig)
			}
			if s.MTU == 8848 { // and it goes on when a way is taken that does not carry them
				before := b.recv
				a.link.mtu = 1500
				w.run(2 * time.Second)
				if s, _ := a.Stats(ac); s.MTU > 1472 || b.recv-before < 60e6 {
					t.Errorf("MTU %d, %d MB in 2 s", s.MTU, (b.recv-before)/1e6)
				}
			}
		})
	}
}

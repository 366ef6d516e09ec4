package xntp

import (
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/congestion"
)

// bulk keeps a connection supplied with pieces.
func bulk(w *world, n *node, id ConnID) {
	piece := [][]byte{make([]byte, 40), make([]byte, 16384)}
	n.step = func(now time.Time) {
		for {
			s, ok := n.Stats(id)
			if !ok || s.QueuedBytes > 1<<18 {
				return
			}
			if _, err := n.Send(now, id, Object{Data: piece, Priority: 2}); err != nil {
				return
			}
		}
	}
}

// took is how many object bytes arrived, and forgets them.
func (n *node) took() (bytes int) {
	for _, ev := range n.events {
		if ev.Kind == EventObject {
			bytes += len(ev.Data)
		}
	}
	n.events = n.events[:0]
	return bytes
}

func TestBulkFillsTheLink(t *testing.T) {
	const rate = 20e6
	for name, make := range map[string]func(time.Time) congestion.Controller{
		"model": func(time.Time) congestion.Controller { return congestion.NewModel(DefaultMTU) },
		"cubic": func(time.Time) congestion.Controller { return congestion.NewCUBIC(DefaultMTU) },
		"bbr":   func(time.Time) congestion.Controller { return congestion.NewBBR(DefaultMTU) },
		"tfrc":  func(time.Time) congestion.Controller { return congestion.NewTFRC(DefaultMTU) },
	} {
		w := newWorld(t, 5)
		l := link{delay: 20 * time.Millisecond, rate: rate, queue: rate / 8 * 40 / 1000}
		c := func(c *Config) { c.NewController = make }
		a, b := w.add("a", l, c), w.add("b", l, c)
		ac, _ := w.dial(a, b)
		bulk(w, a, ac)
		b.took()
		const d = 10
		w.run(d * time.Second)
		share := float64(b.took()) * 8 / d / rate
		s, _ := a.Stats(ac)
		t.Logf("%s: %.1f %% of the link, start included; %d of %d packets lost, %d spurious; longest queue %v; delivery rate %.1f Mbit/s, srtt %v",
			name, 100*share, s.LostPackets, s.SentPackets, s.SpuriousPackets, a.link.maxQueue, s.DeliveryRate*8/1e6, s.SRTT)
		if share < 0.90 {
			t.Errorf("%s: goodput is %.1f %% of the link, want 90", name, 100*share)
		}
	}
}

func TestTwoFlowsShareFairly(t *testing.T) {
	const rate = 20e6
	w := newWorld(t, 6)
	l := link{delay: 20 * time.Millisecond, rate: rate, queue: rate / 8 * 40 / 1000}
	// One node sends to two, so that both flows meet at its link.
	a, b, c := w.add("a", l), w.add("b", l), w.add("c", l)
	ab, _ := w.dial(a, b)
	bulk(w, a, ab)
	stepB := a.step
	w.run(5 * time.Second)
	ac, err := a.Dial(w.now, DialOptions{Remote: c.Public(), Addr: c.addr})
	if err != nil {
		t.Fatal(err)
	}
	bulk(w, a, ac)
	stepC := a.step
	a.step = func(now time.Time) { stepB(now); stepC(now) }
	w.run(10 * time.Second)
	b.took()
	c.took()
	w.run(30 * time.Second)
	x, y := float64(b.took()), float64(c.took())
	jain := (x + y) * (x + y) / (2 * (x*x + y*y))
	t.Logf("%.2f and %.2f Mbit/s, Jain %.3f", x*8/30e6, y*8/30e6, jain)
	if jain < 0.95 {
		t.Errorf("Jain's index is %.3f, want 0.95", jain)
	}
	if x+y < 0.9*rate/8*30 {
		t.Errorf("both together use %.0f %% of the link", 100*(x+y)*8/30/rate)
	}
}

func TestAColdObject(t *testing.T) {
	for _, tc := range []struct {
		rate float64
		size int
		most float64 // times the least that one round trip takes
	}{{20e6, 256 << 10, 2.2}, {20e6, 1 << 20, 1.5}, {100e6, 256 << 10, 4.5}, {100e6, 1 << 20, 3.5}} {
		w := newWorld(t, 9)
		l := link{delay: 20 * time.Millisecond, rate: tc.rate, queue: int(tc.rate / 8 * 40 / 1000)}
		a, b := w.add("a", l), w.add("b", l)
		start := w.now
		if _, err := a.Dial(w.now, DialOptions{Remote: b.Public(), Addr: b.addr, Early: []byte("GET")}); err != nil {
			t.Fatal(err)
		}
		asked := false
		b.step = func(now time.Time) {
			if ev := b.last(EventAccepted); ev.Kind != 0 && !asked {
				asked = true
				for left := tc.size; left > 0; left -= 16384 {
					if _, err := b.Send(now, ev.Conn, Object{Data: [][]byte{make([]byte, min(left, 16384))}}); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		w.until(21*time.Millisecond, func() bool { return b.count(EventAccepted) > 0 })
		b.drain()
		n := 0
		w.until(20*time.Second, func() bool { n += a.took(); return n >= tc.size })
		limit := 0.040 + float64(tc.size)*8*1.05/tc.rate
		ratio := w.now.Sub(start).Seconds() / limit
		var s Stats
		for _, c := range b.order {
			s, _ = b.Stats(c.id)
		}
		t.Logf("%d KiB at %v Mbit/s, 40 ms: %v, %.2f of the least; %d of %d packets lost, queue %v", tc.size>>10, tc.rate/1e6, w.now.Sub(start), ratio, s.LostPackets, s.SentPackets, b.link.maxQueue)
		if ratio > tc.most {
			t.Errorf("want at most %v", tc.most)
		}
	}
}

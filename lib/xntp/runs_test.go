package xntp

import (
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
)

// spoil loses what leaves a node as one with other packets: as a kernel does that
// cuts runs wrongly.
func spoil(w *world, sender *node) (spoilt *int) {
	spoilt = new(int)
	var last time.Time
	w.meddle = func(from, _ *node, p *machine.Packet) {
		if from != sender {
			return
		}
		behind := w.now.Equal(last)
		last = w.now
		if behind && !p.Alone {
			p.Data = nil
			*spoilt++
		}
	}
	return spoilt
}

func TestWhereRunsAreSpoiltPacketsLeaveAlone(t *testing.T) {
	w, a, b, ac, _ := pair(t, link{delay: 10 * time.Millisecond, rate: 300e6, queue: 1 << 20})
	spoilt := spoil(w, a)
	bulk(w, a, ac)
	w.run(2 * time.Second)
	before := b.recv
	w.run(time.Second)
	if rate := float64(b.recv-before) * 8; rate < 0.8*300e6 {
		t.Errorf("%.1f of 300 Mbit/s, and %d packets were spoilt", rate/1e6, *spoilt)
	}
	if *spoilt > 1500 { // two windows and more
		t.Errorf("%d packets were spoilt before that was noticed", *spoilt)
	}
	// It is tried again, some time.
	r := a.conns[ac].runs
	later := r.until.Add(time.Second)
	if r.next(later); r.next(later) != runJoined {
		t.Error("runs are not tried again")
	}
}

func TestLossByItselfIsNoReasonToLeaveAlone(t *testing.T) {
	for name, l := range map[string]link{
		"random":      {delay: 10 * time.Millisecond, rate: 300e6, queue: 1 << 20, loss: 0.2},
		"short queue": {delay: 10 * time.Millisecond, rate: 300e6, queue: 16 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			w, a, _, ac, _ := pair(t, l)
			bulk(w, a, ac)
			for range 15 {
				w.run(time.Second)
				if c := a.conns[ac]; w.now.Before(c.runs.until) {
					t.Fatalf("packets leave alone after %v", w.now.Sub(c.began))
				}
			}
		})
	}
}

// The 48 packets that tell the capacity, and all that leaves at the rates of video, leaves
// packet by packet.
func TestPacketsLeaveAloneWherePathsAreMeasured(t *testing.T) {
	for _, c := range []struct {
		rate   float64
		joined bool
	}{{20e6, false}, {40e6, false}, {400e6, true}} {
		w, a, _, ac, _ := pair(t, link{delay: 5 * time.Millisecond, rate: c.rate, queue: 1 << 20})
		joined, first := 0, -1
		sent := 0
		w.meddle = func(from, _ *node, p *machine.Packet) {
			if from != a {
				return
			}
			if sent++; !p.Alone && len(p.Data) > 1000 {
				if joined++; first < 0 {
					first = sent
				}
			}
		}
		bulk(w, a, ac)
		w.run(2 * time.Second)
		if c.joined && joined < 9*sent/10 || !c.joined && joined > sent/100 || joined > 0 && first <= 48 {
			t.Errorf("%.0f Mbit/s: %d of %d packets may leave as one, the first is number %d", c.rate/1e6, joined, sent, first)
		}
	}
}

// Within a machine, or a network as near, what leaves in one piece anyway may leave as
// one packet: there are many such connections, and no path to be measured. Who has more
// to say measures there, too.
func TestWhatLeavesAtOnceToAPeerNearByLeavesAsOne(t *testing.T) {
	for _, c := range []struct {
		delay  time.Duration
		size   int
		joined bool
	}{{200 * time.Microsecond, 12_500, true}, {200 * time.Microsecond, 400_000, false}, {5 * time.Millisecond, 12_500, false}} {
		w, a, _, ac, _ := pair(t, link{delay: c.delay, rate: 1e9, queue: 1 << 20})
		joined, sent := 0, 0
		w.meddle = func(from, _ *node, p *machine.Packet) {
			if from == a && len(p.Data) > 1000 && sent < 9 {
				if sent++; !p.Alone {
					joined++
				}
			}
		}
		if _, err := a.Send(w.now, ac, Object{Data: [][]byte{make([]byte, c.size)}}); err != nil {
			t.Fatal(err)
		}
		w.run(time.Second)
		if sent < 9 || c.joined != (joined == sent) || !c.joined && joined > 0 {
			t.Errorf("%d bytes over %v: %d of %d packets may leave as one", c.size, c.delay, joined, sent)
		}
	}
}

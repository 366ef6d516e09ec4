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
	w, a, b, ac, _ := pair(t, link{delay: 10 * time.Millisecond, rate: 20e6, queue: 100 << 10})
	spoilt := spoil(w, a)
	bulk(w, a, ac)
	w.run(5 * time.Second)
	before := b.recv
	w.run(5 * time.Second)
	if rate := float64(b.recv-before) * 8 / 5; rate < 0.8*20e6 {
		t.Errorf("%.1f of 20 Mbit/s, and %d packets were spoilt", rate/1e6, *spoilt)
	}
	if *spoilt > 200 {
		t.Errorf("%d packets were spoilt before that was noticed", *spoilt)
	}
	// When it is tried again and runs are fine, they are used.
	w.meddle = nil
	w.run(3 * time.Minute)
	if c := a.conns[ac]; w.now.Before(c.runs.until) {
		t.Error("runs are not tried again")
	}
}

func TestLossByItselfIsNoReasonToLeaveAlone(t *testing.T) {
	for name, l := range map[string]link{
		"random":      {delay: 10 * time.Millisecond, rate: 20e6, queue: 100 << 10, loss: 0.2},
		"short queue": {delay: 10 * time.Millisecond, rate: 20e6, queue: 8 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			w, a, _, ac, _ := pair(t, l)
			bulk(w, a, ac)
			for range 60 {
				w.run(time.Second)
				if c := a.conns[ac]; w.now.Before(c.runs.until) {
					t.Fatalf("packets leave alone after %v", w.now.Sub(c.began))
				}
			}
		})
	}
}

package main

import (
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/abr"
)

// The other rendition begins at the last keyframe that is here of the one that is
// played, or at one that is still to come.
func TestWhereAnotherRenditionBegins(t *testing.T) {
	for _, c := range []struct {
		keys               []int64
		written, end, want int64
	}{
		{[]int64{0, 2000, 4000, 6000}, 1500, 7000, 6000},
		{[]int64{0, 2000, 4000, 6000}, 1500, 6100, 4000}, // the old one has to reach beyond it
		{[]int64{0, 2000, 4000, 6000}, 4100, 6100, 6000}, // written already: the next
		{[]int64{0, 2000, 4000, 6000}, 6900, 7000, 8000},
		{[]int64{23, 5023}, 5100, 6000, 10023}, // a GOP of five seconds
		{nil, 3000, 3500, 5000},
	} {
		if got := placeOf(c.keys, c.written, c.end); got != c.want {
			t.Errorf("keyframes %v, written to %d, here to %d: at %d, want %d", c.keys, c.written, c.end, got, c.want)
		}
	}
	for _, c := range []struct {
		keys               []int64
		written, end, want int64
	}{
		{[]int64{0, 2000, 4000, 6000, 8000}, 1000, 8900, 4000}, // however much is in the buffer
		{[]int64{0, 2000, 4000, 6000, 8000}, 1600, 8900, 6000},
		{[]int64{0, 2000, 4000}, 1600, 4300, 2000}, // it has to be there of the old one
	} {
		if got := placeUp(c.keys, c.written, c.end); got != c.want {
			t.Errorf("up: keyframes %v, written to %d, here to %d: at %d, want %d", c.keys, c.written, c.end, got, c.want)
		}
	}
	for _, c := range []struct {
		keys          []int64
		written, want int64
	}{
		{[]int64{0, 2000, 4000}, 1500, 2000}, // the one that ended waits there
		{[]int64{0, 2000, 4000}, 5960, 6000},
		{[]int64{0, 5000}, 9960, 10000},
		{nil, 3000, 3001},
	} {
		if got := placeAfter(c.keys, c.written); got != c.want {
			t.Errorf("keyframes %v, written to %d: at %d, want %d", c.keys, c.written, got, c.want)
		}
	}
	for dts, want := range map[int64]int64{0: 0, 999: 0, 1000: 1, -1: -1, -1000: -1, -1001: -2} {
		if got := segmentOf(dts); got != want {
			t.Errorf("%d ms is in segment %d, want %d", dts, got, want)
		}
	}
}

// A rendition that failed is not gone over to; the next lower one is, where there is.
func TestRenditionsThatFailedAreNotTried(t *testing.T) {
	now := time.Now()
	l := &ladder{barred: make([]time.Time, 4), playing: 1}
	l.barred[3] = now.Add(rest)
	for want, got := range map[int]int{2: l.allowed(now, 3), 3: l.allowed(now.Add(rest), 3), 0: l.allowed(now, 0), 1: l.allowed(now, 1)} {
		if got != want {
			t.Errorf("%d is gone over to, want %d", got, want)
		}
	}
	l.barred[0], l.barred[2] = l.barred[3], l.barred[3]
	for _, m := range []int{0, 2, 3} {
		if got := l.allowed(now, m); got != 1 {
			t.Errorf("for %d, %d is gone over to", m, got)
		}
	}
}

// What comes as it is made says nothing about the links; what waits for what came
// before it does. A broadcaster that is late is not held against them.
func TestLinksAreMeasuredByWhatWaits(t *testing.T) {
	zero := time.Now()
	at := func(ms int) time.Time { return zero.Add(time.Duration(ms) * time.Millisecond) }
	l := &links{zero: zero}
	for n := range 10 {
		l.piece(at(100*n+30), int64(100*n), at(100*n), 12_500, abr.Peers, true, false)
	}
	if len(l.samples) > 0 || l.late {
		t.Errorf("at the live edge: %v", l.samples)
	}
	for n := 10; n < 20; n++ { // the broadcaster stands for three seconds
		l.piece(at(3000+100*n+30), int64(100*n), at(3000+100*n), 12_500, abr.Peers, true, false)
	}
	if len(l.samples) > 0 || l.late {
		t.Errorf("behind a late broadcaster: %v", l.samples)
	}
	for n := range 20 { // half as fast as it is made
		l.piece(at(5000+200*n+30), int64(2000+100*n), at(5000+100*n), 12_500, abr.Peers, true, false)
	}
	if len(l.samples) < 15 || !l.late {
		t.Fatalf("on a full link: %v", l.samples)
	}
	rule, err := abr.NewRule(abr.RuleConfig{Rates: []int64{300_000, 1_000_000}, Segment: time.Second, Buffer: 8 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	rule.Playing(1)
	l.take(rule)
	c := rule.Choose(at(9000), time.Second)
	if c.Rendition != 0 || c.Throughput < 450_000 || c.Throughput > 550_000 {
		t.Errorf("half a megabit a second is told as %+v", c)
	}
}

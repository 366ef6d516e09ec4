package main

import (
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/abr"
	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/segment"
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
	rule, err := abr.NewRule(abr.RuleConfig{Rates: []int64{300_000, 1_000_000}, Segment: time.Second, Buffer: 8 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	rule.Playing(1)
	l := &links{zero: zero}
	// come has pieces of 100 ms come and be put out, one each 100 ms or so, and says
	// after how many looks the links were full.
	come := func(from, every, n int, dts, ingest func(i int) int) (full int) {
		for i := range n {
			now := at(from + every*i)
			o := node.Output{Record: segment.Record{Kind: segment.KindPiece, Piece: &segment.Piece{DTS: int64(dts(i))}, Body: make([]byte, 12_500)}, Source: measure.Peer, Ingest: at(ingest(i))}
			l.came(now, &o, true, false)
			l.put(now, &o)
			if l.take(now, rule) {
				full++
			}
		}
		return full
	}
	measured := func() int64 {
		r := *rule
		return r.Choose(at(9000), time.Second).Throughput
	}
	if full := come(30, 100, 10, func(i int) int { return 100 * i }, func(i int) int { return 100 * i }); full > 0 || measured() > 0 {
		t.Errorf("at the live edge the links are full %d times, at %d bit/s", full, measured())
	}
	// The broadcaster stands for three seconds.
	if full := come(4030, 100, 10, func(i int) int { return 1000 + 100*i }, func(i int) int { return 4000 + 100*i }); full > 1 || measured() > 0 {
		t.Errorf("behind a late broadcaster the links are full %d times, at %d bit/s", full, measured())
	}
	// One piece is missing, and nothing is put out; but all others come as ever.
	for i := range 10 {
		o := node.Output{Record: segment.Record{Kind: segment.KindPiece, Piece: &segment.Piece{DTS: int64(2000 + 100*i)}, Body: make([]byte, 12_500)}, Source: measure.Peer, Ingest: at(5000 + 100*i)}
		l.came(at(5030+100*i), &o, true, false)
		if l.take(at(5030+100*i), rule) {
			t.Fatalf("a piece is missing, and the links are said to be full")
		}
	}
	// Half as fast as it is made.
	if full := come(6030, 200, 15, func(i int) int { return 3000 + 100*i }, func(i int) int { return 6000 + 100*i }); full < 10 {
		t.Fatalf("on a full link it is full %d times of 15", full)
	}
	c := rule.Choose(at(9000), time.Second)
	if c.Rendition != 0 || c.Throughput < 450_000 || c.Throughput > 550_000 {
		t.Errorf("half a megabit a second is told as %+v", c)
	}
}

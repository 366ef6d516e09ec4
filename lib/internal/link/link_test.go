package link

import (
	"math/rand/v2"
	"testing"
	"time"
)

func line(l Link) *Line {
	n := &Line{Rand: rand.New(rand.NewPCG(1, 2))}
	n.Set(l)
	return n
}

func TestAPacketLeavesWhenThoseBeforeItHaveLeft(t *testing.T) {
	l := line(Link{Rate: 12 * Mbps, Queue: 4500, Delay: 10 * time.Millisecond})
	const packet = time.Millisecond // 1500 bytes at 12 Mbit/s
	for i, c := range []struct {
		at, want time.Duration
		v        Verdict
	}{
		{0, 11 * packet, Passed},
		{0, 12 * packet, Passed},
		{0, 13 * packet, Passed},
		{0, 0, LostQueue}, // three are waiting
		{packet / 2, 0, LostQueue},
		{packet, 14 * packet, Passed}, // one has left
		{50 * packet, 61 * packet, Passed},
	} {
		exit, _, v := l.Pass(int64(c.at), 1500)
		if v != c.v || v == Passed && time.Duration(exit) != c.want {
			t.Errorf("packet %d: out at %v (%d), want %v (%d)", i, time.Duration(exit), v, c.want, c.v)
		}
	}
	l.Set(Link{Rate: 120 * Mbps, Delay: 10 * time.Millisecond})
	if exit, _, _ := l.Pass(int64(50*packet), 1500); time.Duration(exit) != 61*packet+packet/10 {
		t.Errorf("at ten times the rate, behind a packet that came before: out at %v", time.Duration(exit))
	}
}

func TestAPerfectLinkAsksNoDice(t *testing.T) {
	l := line(Link{})
	l.Rand = nil
	if exit, mark, v := l.Pass(42, 1500); exit != 42 || mark || v != Passed || !l.Perfect() {
		t.Errorf("out at %d, marked %v, verdict %d", exit, mark, v)
	}
	for _, l := range []Link{{Rate: 1}, {Delay: 1}, {Jitter: 1}, {Loss: 1}, {Reorder: 1}, {Burst: Burst{Enter: 1}}, {Steps: []Step{{}}}} {
		if line(l).Perfect() {
			t.Errorf("%+v is not perfect", l)
		}
	}
}

func TestAQueueHasRoomByDefault(t *testing.T) {
	for rate, want := range map[Rate]int{Mbps: 24000, 8 * Mbps: 100_000, 800 * Mbps: 10_000_000} {
		if got := line(Link{Rate: rate}).limit; got != want {
			t.Errorf("%d bit/s: a queue of %d bytes, want %d", rate, got, want)
		}
	}
}

func TestTheRateFollowsItsStepsFromTheFirstPacketOn(t *testing.T) {
	const ms = time.Millisecond
	l := line(Link{Rate: 12 * Mbps, Queue: 1 << 20, Steps: []Step{{10 * ms, 1200 * Kbps}, {20 * ms, 0}, {40 * ms, 12 * Mbps}}})
	begin := int64(5 * time.Second)
	at := func(d time.Duration) int64 { return begin + int64(d) }
	for i, c := range []struct{ come, out time.Duration }{
		{0, 1 * ms},                // 1500 bytes at 12 Mbit/s
		{9 * ms, 10 * ms},          // and again
		{9*ms + ms/2, 15 * ms},     // 10 to 15: half of one at a tenth
		{16 * ms, 26 * ms},         // ten times slower
		{16 * ms, 36 * ms},         // queued
		{16 * ms, 40*ms + 6*ms/10}, // four tenths before the step, the rest after it
		{16 * ms, 41*ms + 6*ms/10}, // as fast as at first
		{100 * ms, 101 * ms},       //
		{100*ms + ms/4, 102 * ms},  //
		{time.Minute, time.Minute + ms},
	} {
		size := 1500
		if i == 2 {
			size = 750
		}
		exit, _, v := l.Pass(at(c.come), size)
		if got := time.Duration(exit - begin); v != Passed || (got-c.out).Abs() > time.Microsecond {
			t.Errorf("packet %d: out at %v, want %v", i, got, c.out)
		}
	}
}

func TestAQueueIsCountedInBytesWhateverTheRateWillBe(t *testing.T) {
	// 3000 bytes wait; that they take long to leave does not make them more.
	l := line(Link{Rate: 12 * Mbps, Queue: 4500, Steps: []Step{{time.Millisecond, 12 * Kbps}}})
	for i, want := range []Verdict{Passed, Passed, Passed, LostQueue} {
		if _, _, v := l.Pass(0, 1500); v != want {
			t.Errorf("packet %d: %d", i, v)
		}
	}
}

func TestLossInBurstsIsAsMuchAndAsLongAsItSays(t *testing.T) {
	b := Burst{Enter: 0.01, Leave: 0.25, Loss: 1}
	l := line(Link{Burst: b})
	const n = 200_000
	lost, bursts, in := 0, 0, false
	for i := range int64(n) {
		_, _, v := l.Pass(i, 100)
		if v == LostRandom {
			lost++
			if !in {
				bursts++
			}
		}
		in = v == LostRandom
	}
	share, length := float64(lost)/n, float64(lost)/float64(bursts)
	if share < 0.9*b.Share() || share > 1.1*b.Share() || length < 3.6 || length > 4.4 {
		t.Errorf("%.4f lost in bursts of %.2f, want %.4f of 4", share, length, b.Share())
	}
}

func TestDelaysHaveQuantiles(t *testing.T) {
	var l Delays
	if l.Quantile(0.99) != 0 {
		t.Error("late without a packet")
	}
	for i := range 1000 {
		l.Add(time.Duration(i) * time.Microsecond)
	}
	l.Add(-time.Second)
	l.Add(time.Hour)
	if p50, p99 := l.Quantile(0.5), l.Quantile(0.99); p50 < 490*time.Microsecond || p50 > 520*time.Microsecond || p99 < 980*time.Microsecond || p99 > 1010*time.Microsecond {
		t.Errorf("p50 %v, p99 %v", p50, p99)
	}
	if l.Worst != time.Hour || l.Quantile(1) != time.Hour || l.N() != 1002 {
		t.Errorf("worst %v of %d", l.Worst, l.N())
	}
}

func TestAMeterTellsHowLongAQueueWas(t *testing.T) {
	const ms = time.Millisecond
	l := line(Link{Rate: 12 * Mbps, Queue: 30_000})
	var m Meter
	for i := range 40 { // 20 fit
		_, _, v := l.Pass(int64(7*ms), 1500)
		m.Note(l, int64(7*ms), 1500, v)
		if (v == Passed) != (i < 20) {
			t.Fatalf("packet %d: %d", i, v)
		}
	}
	_, _, v := l.Pass(int64(257*ms), 1500)
	m.Note(l, int64(257*ms), 1500, v)
	m.TooBig()
	c := m.Count()
	if c.Packets != 21 || c.Bytes != 21*1500 || c.LostQueue != 20 || c.LostTooBig != 1 {
		t.Errorf("%+v", c)
	}
	if c.QueueMax != 19*ms || (c.QueueP50-9*ms).Abs() > ms || (c.QueueP95-18*ms).Abs() > ms {
		t.Errorf("queue p50 %v p95 %v max %v", c.QueueP50, c.QueueP95, c.QueueMax)
	}
	if len(c.Tenths) != 3 || c.Tenths[0] != (Tenth{20 * 1500, 19 * ms}) || c.Tenths[1] != (Tenth{}) || c.Tenths[2] != (Tenth{1500, 0}) {
		t.Errorf("%+v", c.Tenths)
	}
}

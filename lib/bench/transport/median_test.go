package transport

import (
	"testing"
	"time"
)

func TestAMedianHasTheIntervalOfItsOrderStatistics(t *testing.T) {
	values := func(n int) (v []float64) {
		for i := range n {
			v = append(v, float64((i*7)%n+1)) // 1 to n, in disorder: 7 divides none of them
		}
		return v
	}
	for _, tc := range []struct {
		n                int
		value, low, high float64
	}{
		{1, 1, 1, 1},
		{2, 1.5, 1, 2},
		{5, 3, 1, 5},
		// The binomial distribution: P(X ≤ 1) is 0.0107 of 10, P(X ≤ 2) is 0.0547;
		// P(X ≤ 5) is 0.0207 of 20.
		{10, 5.5, 2, 9},
		{20, 10.5, 6, 15},
	} {
		m := MedianOf(values(tc.n))
		if m != (Median{tc.value, tc.low, tc.high, tc.n}) {
			t.Errorf("of %d: %+v", tc.n, m)
		}
	}
	if m := MedianOf(nil); m.N != 0 {
		t.Errorf("of none: %+v", m)
	}
}

func TestSharesAreCountedWithoutTheStart(t *testing.T) {
	flow := func(start, rest int64) counted {
		c := counted{}
		for i := range 60 {
			b := rest
			if i < 10 {
				b = start
			}
			c.tenths = append(c.tenths, b)
		}
		return c
	}
	var s Sample
	// Whoever began with ten times as much: from the first second on it is 3 to 1.
	s.share([]counted{flow(9000, 300)}, []counted{flow(10, 100)}, time.Second, 6*time.Second)
	if s.Share != 0.75 || s.Jain != 0.8 || len(s.Each) != 2 || s.Each[0] != 24_000 || len(s.TheirTenths) != 60 {
		t.Errorf("share %v, Jain %v, %v", s.Share, s.Jain, s.Each)
	}
	var alone Sample
	alone.share([]counted{flow(1, 1), flow(1, 1)}, nil, 0, time.Second)
	if alone.Share != 1 || alone.Jain != 1 {
		t.Errorf("%+v", alone)
	}
}

func TestTheTimeToARateIsThatOfTwoTenthsInARow(t *testing.T) {
	tenths := make([]int64, 40)
	for i := range tenths {
		tenths[i] = 1000
	}
	tenths[22] = 9000 // a burst is not a rate
	for i := 27; i < 40; i++ {
		tenths[i] = 10_000
	}
	if d := timeTo(tenths, 2*time.Second, 750_000); d != 700*time.Millisecond {
		t.Error(d)
	}
	if d := timeTo(tenths, 2*time.Second, 1e9); d != 2*time.Second {
		t.Errorf("never: %v", d)
	}
}

func TestLiveMessagesAreCountedOnceAndHeldAgainstWhatWasSent(t *testing.T) {
	m := &messages{}
	write := func(i int64, sent time.Duration) []byte {
		b := make([]byte, 0, 100)
		b = append(b, 0, 0, 0, 0, 0, 0, 0, byte(i))
		b = append(b, 0, 0, 0, 0, byte(sent>>24), byte(sent>>16), byte(sent>>8), byte(sent))
		return append(b, content(i, 100-minMessage)...)
	}
	for i := range int64(100) {
		if !m.add(write(i, time.Second), time.Second+time.Duration(i+1)*time.Millisecond) {
			t.Fatal("refused")
		}
	}
	m.add(write(7, time.Second), time.Minute)
	p50, _ := m.quantile(0.5)
	p99, ok := m.quantile(0.99)
	if m.count() != 100 || p50 != 51*time.Millisecond || p99 != 100*time.Millisecond || !ok {
		t.Errorf("%d, p50 %v, p99 %v", m.count(), p50, p99)
	}
	bad := write(3, 0)
	bad[50] ^= 1
	if m.add(bad, 0) {
		t.Error("corrupt, and taken")
	}
}

package main

import (
	"testing"
	"time"
)

// While a link is too slow pieces come ever later. Those of a viewer who has stood, or
// of a swarm that is further from the source, are late too, but evenly: they have not
// waited for each other, and say nothing of the link.
func TestWhatComesEvenlyHasNotWaited(t *testing.T) {
	var u usual
	now := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	// arrive has a piece arrive every 100 ms for some seconds, and says in how many of
	// the last ten cases it was late.
	arrive := func(seconds int, behind func(at time.Duration) time.Duration) (late int) {
		began := now
		for i := range seconds * 10 {
			if u.late(now, behind(now.Sub(began))) && i >= seconds*10-10 {
				late++
			}
			now = now.Add(100 * time.Millisecond)
		}
		return late
	}
	evenly := func(d time.Duration) func(time.Duration) time.Duration {
		return func(time.Duration) time.Duration { return d }
	}
	if n := arrive(20, evenly(200*time.Millisecond)); n > 0 {
		t.Errorf("on a fast link %d of 10 are late", n)
	}
	ever := func(at time.Duration) time.Duration { return 200*time.Millisecond + at/3 }
	if n := arrive(20, ever); n < 10 {
		t.Errorf("where they come ever later %d of 10 are late", n)
	}
	if n := arrive(1, evenly(7*time.Second)); n < 10 {
		t.Errorf("when it is over %d of 10 are late", n)
	}
	if n := arrive(20, evenly(7*time.Second)); n > 0 {
		t.Errorf("evenly seven seconds behind %d of 10 are late", n)
	}
}

func TestProbesFollowEachOtherSoonWhereALinkGetsFaster(t *testing.T) {
	const kB = 1000
	for _, tc := range []struct {
		name         string
		took         time.Duration
		rate, before float64
		want         time.Duration
	}{
		{"narrow: it is in the way", 600 * time.Millisecond, 100 * kB, 100 * kB, probeLast},
		{"a little faster", 200 * time.Millisecond, 110 * kB, 100 * kB, 800 * time.Millisecond},
		{"a step", 300 * time.Millisecond, 200 * kB, 100 * kB, probeFirst},
		{"wide", 50 * time.Millisecond, 1000 * kB, 1000 * kB, probeFirst},
	} {
		if got := restAfter(tc.took, tc.rate, tc.before); got != tc.want {
			t.Errorf("%s: the next comes after %v, want %v", tc.name, got, tc.want)
		}
	}
}

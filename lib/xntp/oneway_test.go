package xntp

import (
	"testing"
	"time"
)

func TestTheSenderLearnsWhenAnObjectHadLeftItsLink(t *testing.T) {
	const rate = 1e6
	w := newWorld(t, 1)
	a := w.add("a", link{delay: 30 * time.Millisecond, rate: rate, queue: 1 << 20})
	b := w.add("b", link{delay: 30 * time.Millisecond, rate: rate, queue: 1 << 20})
	ac, bc := w.dial(a, b)
	// What goes the other way fills that way's queue, and acknowledgements wait.
	for range 4 {
		if _, err := b.Send(w.now, bc, Object{Data: [][]byte{pattern(2, 100_000)}}); err != nil {
			t.Fatal(err)
		}
	}
	w.run(300 * time.Millisecond)
	for i := range 3 {
		began := w.now
		if _, err := a.Send(w.now, ac, Object{Data: [][]byte{pattern(1, 12_000)}}); err != nil {
			t.Fatal(err)
		}
		if !w.until(5*time.Second, func() bool { return a.count(EventDelivered) == i+1 }) {
			t.Fatal("it was not delivered")
		}
		left := a.last(EventDelivered).Left
		if left.IsZero() {
			t.Fatal("nobody knows when it left")
		}
		// 12 kB in eleven packets, of which the last one waited for the others.
		took, want := left.Sub(began), time.Duration(12_000*8/rate*1e9)
		if took < want*85/100 || took > want*125/100 {
			t.Errorf("object %d had left after %v, want about %v; acknowledged after %v", i, took, want, w.now.Sub(began))
		}
	}
}

func TestTheWayWithoutQueuesIsTheLeastOfLate(t *testing.T) {
	epoch := time.Unix(1000, 0)
	const ms = time.Millisecond
	var x wayState
	// The receiver's clock is an hour ahead; the way takes 20 ms, and then 50.
	for _, c := range []struct{ at, way, waited time.Duration }{
		{0, 20 * ms, 0},
		{time.Second, 35 * ms, 15 * ms},
		{2 * time.Second, 20 * ms, 0},
		{61 * time.Second, 50 * ms, 30 * ms},
		{62 * time.Second, 55 * ms, 35 * ms},
		{122 * time.Second, 50 * ms, 0}, // by now that is how long it is
		{123 * time.Second, 60 * ms, 10 * ms},
	} {
		sent := epoch.Add(c.at)
		if got := x.queued(epoch, sent, time.Hour+c.at+c.way); got != c.waited {
			t.Errorf("at %v: waited %v, want %v", c.at, got, c.waited)
		}
	}
}

// An upload of the user's may take long. The way is not believed to have become
// longer before ten minutes have passed.
func TestAQueueThatStandsIsNotTakenForTheWay(t *testing.T) {
	epoch := time.Unix(1000, 0)
	const ms = time.Millisecond
	var x wayState
	queued := func(at, way time.Duration) time.Duration {
		return x.queued(epoch, epoch.Add(at), at+way)
	}
	var at time.Duration
	for ; at < 90*time.Second; at += time.Second {
		queued(at, 20*ms)
	}
	for ; at < 10*time.Minute; at += time.Second {
		if got := queued(at, 220*ms); got != 200*ms {
			t.Fatalf("after %v: waited %v", at, got)
		}
	}
	for ; at < 14*time.Minute; at += time.Second {
		queued(at, 220*ms)
	}
	if got := queued(at, 220*ms); got != 0 {
		t.Errorf("after %v of it: waited %v", at, got)
	}
	// And one that ends is forgotten with it.
	for ; at < 15*time.Minute; at += time.Second {
		queued(at, 20*ms)
	}
	for ; at < 16*time.Minute; at += time.Second {
		queued(at, 220*ms)
	}
	for ; at < 20*time.Minute; at += time.Second {
		queued(at, 20*ms)
	}
	if got := queued(at, 30*ms); got != 10*ms {
		t.Errorf("after its end: waited %v", got)
	}
}

package fifo

import (
	"math/rand/v2"
	"testing"
)

func TestWhatGoesInComesOutInOrderOnce(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var q Queue[int]
	in, out := 0, 0
	for step := range 10_000 {
		grow := 4 + 2*(step/1000%2)
		if rng.IntN(10) < grow {
			in++
			q.Push(in)
		} else if v, ok := q.Pop(); ok {
			if out++; v != out {
				t.Fatalf("popped %d, want %d", v, out)
			}
		} else if in != out {
			t.Fatalf("empty, with %d in and %d out", in, out)
		}
		if q.Len() != in-out {
			t.Fatalf("%d items, want %d", q.Len(), in-out)
		}
	}
}

func TestAQueueLetsGoOfWhatWasTakenAndOfABurst(t *testing.T) {
	var q Queue[*int]
	for range 3 {
		q.Push(new(int))
	}
	q.Pop()
	if q.items[0] != nil {
		t.Error("holds what was taken")
	}
	for range 10 * kept {
		q.Push(new(int))
	}
	if cap(q.items) > 40*kept {
		t.Errorf("room for %d", cap(q.items))
	}
	for q.Len() > 0 {
		q.Pop()
	}
	if cap(q.items) != 0 {
		t.Errorf("empty, it keeps room for %d", cap(q.items))
	}
	q.Push(nil)
	q.Pop()
	if n := testing.AllocsPerRun(100, func() { q.Push(nil); q.Pop() }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

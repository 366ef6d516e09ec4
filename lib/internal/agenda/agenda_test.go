package agenda

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestEventsComeInOrderOfTimeAndThenOfArrival(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var a Agenda
	var want, got []Event
	for range 2000 {
		if rng.IntN(3) == 0 && a.Len() > 0 {
			at, ok := a.Next()
			e := a.Pop()
			if !ok || e.At != at {
				t.Fatalf("next at %d, popped %d", at, e.At)
			}
			i := slices.Index(want, e)
			if i < 0 || e != slices.MinFunc(want, order) {
				t.Fatalf("popped %v out of turn", e)
			}
			want = slices.Delete(want, i, i+1)
			continue
		}
		at, ref := int64(rng.IntN(50)), rng.Uint32()
		want = append(want, Event{At: at, seq: a.Push(at, 1, ref), Ref: ref, Kind: 1})
	}
	for a.Len() > 0 {
		got = append(got, a.Pop())
	}
	slices.SortFunc(want, order)
	if !slices.Equal(got, want) {
		t.Error("the rest is out of order")
	}
	if _, ok := a.Next(); ok {
		t.Error("an empty agenda has a next event")
	}
}

func order(x, y Event) int {
	return cmp.Or(cmp.Compare(x.At, y.At), cmp.Compare(x.seq, y.seq))
}

package main

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// What is done is told at once, in whatever order, and stays told when the rest is
// interrupted.
func TestLabsThatAreDoneAreToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		interrupted := errors.New("interrupted")
		ctx, stop := context.WithCancelCause(t.Context())
		began := time.Now()
		takes := []time.Duration{9 * time.Second, time.Second, 2 * time.Second, time.Hour, time.Hour}
		var told []int
		var at []time.Duration
		time.AfterFunc(time.Minute, func() { stop(interrupted) })
		err := eachLab(ctx, 2, len(takes), func(ctx context.Context, i int) (int, error) {
			select {
			case <-time.After(takes[i]):
				return 10 * i, nil
			case <-ctx.Done():
				return 0, context.Cause(ctx)
			}
		}, func(i, r int) error {
			if r != 10*i {
				t.Errorf("of %d came %d", i, r)
			}
			told, at = append(told, i), append(at, time.Since(began))
			return nil
		})
		want := []time.Duration{labApart + time.Second, labApart + 3*time.Second, 9 * time.Second}
		if !errors.Is(err, interrupted) || !slices.Equal(told, []int{1, 2, 0}) || !slices.Equal(at, want) {
			t.Errorf("%v: %v at %v, want at %v", err, told, at, want)
		}
	})
}

// Of a case that was cut short the tries stand that were made.
func TestTriesAreSummedUp(t *testing.T) {
	c := punchCase{share: 0.5, p50: 250 * time.Millisecond, p90: 800 * time.Millisecond}
	r := punchResult{Paths: map[string]int{}}
	r.judge(c)
	if !r.Good || r.P50MS != 0 {
		t.Errorf("without tries: %+v", r)
	}
	for i := range 10 {
		y := tryResult{path: "birthday", ms: float64(100 + 10*i), rounds: 1, sockets: 512, probes: 300 + i}
		if i == 9 {
			y = tryResult{}
		}
		r.add(y)
	}
	r.judge(c)
	if !r.Good || r.Tries != 10 || r.Met != 9 || r.P50MS != 140 || r.P90MS != 180 || r.WorstMS != 180 || r.Probes != (manner{304, 308}) || r.Paths["none"] != 1 {
		t.Errorf("%+v", r)
	}
	c.cold = time.Second
	if r.judge(c); !r.Good {
		t.Error("none was slow")
	}
	for i := range r.met {
		r.met[i].coldMS = 1000 + i
	}
	if r.judge(c); r.Good {
		t.Error("all but one were slow")
	}
	c.cold = 0
	r.add(tryResult{path: "birthday", ms: 100, rounds: 1, sockets: 513, probes: 300})
	if r.judge(c); r.Good {
		t.Error("513 sockets are too many")
	}
}

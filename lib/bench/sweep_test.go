package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
)

func sweep(t *testing.T, seeds int) *Sweep {
	t.Helper()
	s, err := Load("steady")
	if err != nil {
		t.Fatal(err)
	}
	if s, err = s.Resized(20); err != nil {
		t.Fatal(err)
	}
	s.Seconds = 30
	return &Sweep{Scenario: s, Topologies: Topologies, Seed: 3, Seeds: seeds, Link: "flow", Jobs: 1, Run: canned}
}

func runName(r *Run) string { return fmt.Sprintf("%d %s", r.Seed, r.Topology) }

func TestASweepComesOutInOneOrderHoweverManyJobs(t *testing.T) {
	want := []string{"3 mesh", "3 tree", "3 balanced", "4 mesh", "4 tree", "4 balanced"}
	for _, jobs := range []int{0, 1, 3, 100} {
		w := sweep(t, 2)
		w.Jobs = jobs
		told := 0
		w.Progress = func(p Progress) {
			if told++; p.Of != 6 || p.Done >= 6 || p.Seed < 3 || p.Topology == "" {
				t.Errorf("%+v", p)
			}
		}
		var heard []string
		runs, err := w.Do(t.Context(), func(r *Run) error { heard = append(heard, runName(r)); return nil })
		var got []string
		for _, r := range runs {
			got = append(got, runName(r))
		}
		if err != nil || !slices.Equal(got, want) || !slices.Equal(heard, want) {
			t.Errorf("%d jobs: %v, heard %v, %v", jobs, got, heard, err)
		}
		if told != 6*2 {
			t.Errorf("%d jobs: told %d times", jobs, told)
		}
	}
}

func TestARunMayChangeItsScenarioAndNoOther(t *testing.T) {
	w := sweep(t, 2)
	w.Run = func(ctx context.Context, s *Scenario, topology string, seed uint64, link string, p func(float64, int)) (*Run, error) {
		if s.Uplinks[0].Low != 1 {
			t.Error("the run before left its mark")
		}
		s.Uplinks[0].Low = 0.5
		return canned(ctx, s, topology, seed, link, p)
	}
	if _, err := w.Do(t.Context(), func(*Run) error { return nil }); err != nil {
		t.Error(err)
	}
}

func TestARunThatFailsEndsTheSweepAndLeavesWhatWasDone(t *testing.T) {
	broken := errors.New("no route")
	w := sweep(t, 2)
	w.Run = func(ctx context.Context, s *Scenario, topology string, seed uint64, link string, p func(float64, int)) (*Run, error) {
		if topology == "balanced" {
			return nil, broken
		}
		return canned(ctx, s, topology, seed, link, p)
	}
	var heard []string
	runs, err := w.Do(t.Context(), func(r *Run) error { heard = append(heard, runName(r)); return nil })
	if !errors.Is(err, broken) || err.Error() != "steady, balanced, seed 3: no route" || len(runs) != 2 || len(heard) != 2 {
		t.Errorf("%v, %d runs, heard %v", err, len(runs), heard)
	}
}

func TestARunBehindOneThatFailedIsNotLost(t *testing.T) {
	w := sweep(t, 1)
	w.Jobs = 2
	treeDone := make(chan bool)
	w.Run = func(ctx context.Context, s *Scenario, topology string, seed uint64, link string, p func(float64, int)) (*Run, error) {
		if topology == "mesh" {
			<-treeDone
			return nil, errors.New("late failure")
		}
		if topology == "balanced" { // the second worker comes here when it is through with the tree
			close(treeDone)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return canned(ctx, s, topology, seed, link, p)
	}
	var heard []string
	runs, err := w.Do(t.Context(), func(r *Run) error { heard = append(heard, runName(r)); return nil })
	if err == nil || len(runs) != 1 || !slices.Equal(heard, []string{"3 tree"}) {
		t.Errorf("%v, %d runs, heard %v", err, len(runs), heard)
	}
}

func TestAnInterruptEndsASweepWithItsCause(t *testing.T) {
	wish := errors.New("the wish of whoever runs it")
	ctx, cancel := context.WithCancelCause(t.Context())
	w := sweep(t, 5)
	var n atomic.Int32
	w.Run = func(ctx context.Context, s *Scenario, topology string, seed uint64, link string, p func(float64, int)) (*Run, error) {
		if n.Add(1) == 5 {
			cancel(wish)
			return nil, ctx.Err()
		}
		return canned(ctx, s, topology, seed, link, p)
	}
	runs, err := w.Do(ctx, func(*Run) error { return nil })
	if !errors.Is(err, wish) || len(runs) != 4 {
		t.Errorf("%v, %d runs", err, len(runs))
	}
}

func TestASweepEndsWhenNobodyWantsItsRuns(t *testing.T) {
	gone := errors.New("the reader has gone")
	calls := 0
	_, err := sweep(t, 5).Do(t.Context(), func(*Run) error { calls++; return gone })
	if !errors.Is(err, gone) || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

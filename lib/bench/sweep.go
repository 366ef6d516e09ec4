package bench

import (
	"context"
	"fmt"
	"sync"
)

// Topologies are those that a sweep of "all" compares, in the order of reports.
var Topologies = []string{"mesh", "tree", "balanced"}

// A Runner carries out one run. It calls progress, if that is not nil, with the
// seconds of the stream that have passed and the number of viewers, from any
// goroutine; it ends early with the context's error. The scenario is filled.
type Runner func(ctx context.Context, sc *Scenario, topology string, seed uint64, link string, progress func(atSeconds float64, viewers int)) (*Run, error)

// A Sweep is one scenario in several topologies and seeds.
type Sweep struct {
	Scenario   *Scenario // filled and checked
	Topologies []string
	Seed       uint64 // the first
	Seeds      int    // how many, one after another
	Link       string
	Jobs       int // runs at the same time, at least 1
	Run        Runner

	// Progress hears of runs that go on, one call at a time; it may be nil.
	Progress func(Progress)
}

// Progress is where a sweep is.
type Progress struct {
	Done, Of  int // runs
	Topology  string
	Seed      uint64
	AtSeconds float64
	Viewers   int
}

// Count is the number of runs.
func (s *Sweep) Count() int { return s.Seeds * len(s.Topologies) }

// Do carries out the runs and hands them to each in their order, which is that
// of seeds and within a seed that of topologies, as soon as all before are done:
// what comes out does not depend on Jobs. It returns the runs that were
// finished, in that order, and the first error, which ends the others; each may
// return one too.
func (s *Sweep) Do(ctx context.Context, each func(*Run) error) ([]*Run, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		mu   sync.Mutex
		done = make([]*Run, s.Count())
		out  int // runs before this one were handed over
		n    int // finished
		next int
		deaf error // what each answered; it is not called again
	)
	tell := func(p Progress) {
		mu.Lock()
		defer mu.Unlock()
		if p.Done, p.Of = n, len(done); s.Progress != nil {
			s.Progress(p)
		}
	}
	finish := func(i int, r *Run) {
		mu.Lock()
		defer mu.Unlock()
		done[i] = r
		n++
		for deaf == nil && out < len(done) && done[out] != nil {
			if deaf = each(done[out]); deaf != nil {
				cancel(deaf)
			}
			out++
		}
	}
	take := func() (i int, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		if next == len(done) || ctx.Err() != nil {
			return 0, false
		}
		next++
		return next - 1, true
	}
	var workers sync.WaitGroup
	for range min(max(s.Jobs, 1), len(done)) {
		workers.Go(func() {
			for i, ok := take(); ok; i, ok = take() {
				p := Progress{Topology: s.Topologies[i%len(s.Topologies)], Seed: s.Seed + uint64(i/len(s.Topologies))}
				tell(p)
				r, err := s.Run(ctx, s.Scenario.clone(), p.Topology, p.Seed, s.Link, func(at float64, viewers int) {
					p := p
					p.AtSeconds, p.Viewers = at, viewers
					tell(p)
				})
				if err != nil {
					cancel(fmt.Errorf("%s, %s, seed %d: %w", s.Scenario.Name, p.Topology, p.Seed, err))
					return
				}
				finish(i, r)
			}
		})
	}
	workers.Wait()
	err := context.Cause(ctx)
	var runs []*Run
	for i, r := range done {
		if r == nil {
			continue
		}
		runs = append(runs, r)
		if i >= out && deaf == nil { // it stands behind a gap that a failure left
			if deaf = each(r); deaf != nil {
				err = deaf
			}
		}
	}
	return runs, err
}

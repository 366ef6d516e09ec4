package transport

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/bench/rival"
)

// A Result is what the runs of one transport came to. Of what is not known the
// Median has N 0.
type Result struct {
	Plan      *Plan
	Transport string
	Samples   []Sample // those that count
	Rejected  int      // those in which the emulator was not on time
	LateWorst time.Duration
	Skipped   error // why there are none at all

	ElapsedMS, FirstMS, LimitRatio        Median
	Goodput, Utilisation                  Median
	QueueP95MS, Drops, CPUPerGB           Median
	Jain, Share                           Median
	LatencyP50MS, LatencyP99MS, Delivered Median
	Repeated, LateP50MS, LateP99MS        Median
	Failed                                int   // of Samples
	Failure                               error // of the last of them
}

// A Progress is how far a Plan is.
type Progress struct {
	Transport     string
	Round, Rounds int // runs of each transport
	Rejected      int // so far, of all
}

// Do carries out a plan. With an error, the results are of the runs before it.
func (p *Plan) Do(ctx context.Context, progress func(Progress)) ([]Result, error) {
	return p.do(ctx, p.run, progress)
}

// A runner carries out one run of one transport.
type runner func(ctx context.Context, s rival.Spec, seed uint64) (Sample, error)

func (p *Plan) do(ctx context.Context, run runner, progress func(Progress)) ([]Result, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	all := make([]Result, len(p.Only))
	tries := make([]int, len(p.Only))
	for i, name := range p.Only {
		spec, err := rival.Find(name)
		if err != nil {
			return nil, err
		}
		all[i] = Result{Plan: p, Transport: name, Skipped: p.Lacks(spec)}
	}
	err := p.rounds(ctx, all, tries, run, progress)
	for i := range all {
		all[i].sum()
	}
	return all, err
}

// rounds runs every transport that lacks runs, again and again.
func (p *Plan) rounds(ctx context.Context, all []Result, tries []int, run runner, progress func(Progress)) error {
	rejected := 0
	for more := true; more; {
		more = false
		for i := range all {
			r := &all[i]
			if r.Skipped != nil || len(r.Samples) == p.Runs || tries[i] == p.attempts() {
				continue
			}
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			if progress != nil {
				progress(Progress{r.Transport, min(p.Runs, len(r.Samples)+1), p.Runs, rejected})
			}
			spec, err := rival.Find(r.Transport)
			if err != nil {
				return err
			}
			s, err := run(ctx, spec, p.Link.Seed+uint64(tries[i]))
			tries[i]++
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", r.Transport, err)
			}
			r.LateWorst = max(r.LateWorst, s.Late)
			if s.Rejected != nil {
				r.Rejected++
				rejected++
			} else {
				r.Samples = append(r.Samples, s)
			}
			more = more || len(r.Samples) < p.Runs && tries[i] < p.attempts()
		}
	}
	return nil
}

// sum works out the medians.
func (r *Result) sum() {
	p := r.Plan
	of := func(value func(*Sample) (float64, bool)) Median {
		var v []float64
		for i := range r.Samples {
			if x, ok := value(&r.Samples[i]); ok {
				v = append(v, x)
			}
		}
		return MedianOf(v)
	}
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	is := func(workloads ...string) bool { return slices.Contains(workloads, p.Workload) }
	for i := range r.Samples {
		if err := r.Samples[i].Failed; err != nil {
			r.Failed, r.Failure = r.Failed+1, err
		}
	}
	r.ElapsedMS = of(func(s *Sample) (float64, bool) { return ms(s.Elapsed), is(Cold) })
	r.FirstMS = of(func(s *Sample) (float64, bool) { return ms(s.First), s.First > 0 && !is(Live) })
	r.LimitRatio = of(func(s *Sample) (float64, bool) {
		limit := p.Link.Limit(p.Size)
		return float64(s.Elapsed) / float64(max(1, limit)), is(Cold) && limit > 0
	})
	r.Goodput = of(func(s *Sample) (float64, bool) { return s.Goodput, s.Over > 0 })
	r.Utilisation = of(func(s *Sample) (float64, bool) {
		c := p.Link.capacity(s.Over)
		return s.Goodput / cmp.Or(c, 1), is(Bulk) && c > 0
	})
	r.QueueP95MS = of(func(s *Sample) (float64, bool) { return ms(s.Link.QueueP95), s.Emulated && p.Link.Rate > 0 })
	r.Drops = of(func(s *Sample) (float64, bool) { return s.drops(), s.Emulated && p.Link.Rate > 0 })
	r.CPUPerGB = of(func(s *Sample) (float64, bool) {
		v, ok := s.cpuPerGB()
		return v, ok && is(Bulk, CPU, Loopback)
	})
	r.Jain = of(func(s *Sample) (float64, bool) { return s.Jain, is(Fair) && s.Jain > 0 })
	r.Share = of(func(s *Sample) (float64, bool) { return s.Share, is(Fair) && s.Jain > 0 && p.Others > 0 })
	r.LatencyP50MS = of(func(s *Sample) (float64, bool) { return ms(s.LatencyP50), is(Live) && s.Messages > 0 })
	r.LatencyP99MS = of(func(s *Sample) (float64, bool) { return ms(s.LatencyP99), is(Live) && s.Messages > 0 })
	r.Delivered = of(func(s *Sample) (float64, bool) { return s.Delivered, is(Live) })
	r.Repeated = of(func(s *Sample) (float64, bool) { return s.Repeated, s.KnowsRepeated })
	r.LateP50MS = of(func(s *Sample) (float64, bool) { return ms(s.Late50), s.Emulated })
	r.LateP99MS = of(func(s *Sample) (float64, bool) { return ms(s.Late), s.Emulated })
}

// Known says whether there is anything to report.
func (r *Result) Known() bool { return len(r.Samples) > 0 }

package transport

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/xp2p/xp2p/lib/bench/rival"
)

// run carries out one run of one transport. An error is the machinery's; what the
// transport did wrong is in the Sample.
func (p *Plan) run(ctx context.Context, spec rival.Spec, seed uint64) (s Sample, err error) {
	st, err := newStage(&p.Link, seed)
	if err != nil {
		return s, err
	}
	defer st.close()
	ctx, cancel := context.WithTimeout(ctx, p.patience())
	defer cancel()
	own, err := st.open(spec, p.options(), 0)
	if err != nil {
		return s, err
	}
	before, _ := cpuTime()
	switch p.Workload {
	case Cold:
		s.Failed = p.cold(ctx, own, &s)
	case Bulk, Loopback:
		s.Failed = p.bulk(ctx, own, &s)
	case CPU:
		s.Failed = p.paced(ctx, own, &s)
	case Live:
		s.Failed = p.live(ctx, own, &s)
	case Fair:
		s.Failed = p.fair(ctx, own, &s)
	}
	after, ok := cpuTime()
	s.CPU, s.KnowsCPU = after-before, ok && p.Link.Kind != UDP
	r := st.bed.report() // before the goodbyes
	s.Emulated, s.Rejected, s.Late50, s.Late, s.Link = r.known, r.trusted, r.late50, r.late, r.data
	st.close()
	if part, of := st.serve.part, st.serve.of; of > 0 {
		s.Repeated, s.KnowsRepeated = float64(part)/float64(of), true
	}
	s.Capacity, s.CapacityAfter = st.serve.knows, st.serve.after
	if errors.Is(s.Failed, context.DeadlineExceeded) {
		s.Failed = fmt.Errorf("not done after %v", p.patience())
	}
	return s, nil
}

// patience is how long a run may take.
func (p *Plan) patience() time.Duration {
	if p.Workload == Cold {
		return p.Timeout
	}
	return p.Duration + p.Timeout
}

// cold is from the dial to the last byte of an object.
func (p *Plan) cold(ctx context.Context, own *party, s *Sample) error {
	start := time.Now()
	s.Elapsed = p.Timeout
	f, err := own.dial(ctx, request{kind: askObject, size: p.Size}, start)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { f.conn.Close() })()
	err = f.take(p.Size)
	c := f.tally.count()
	s.First, s.Bytes, s.Tenths = c.first, c.bytes, c.tenths
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	s.Elapsed, s.Over = c.last, c.last
	s.Goodput = float64(c.bytes) * 8 / c.last.Seconds()
	return nil
}

// A crowd is flows that are counted for the same time.
type crowd struct {
	ctx   context.Context
	start time.Time
	flows []*flow
	errs  chan error
}

// gather dials n flows at once. Those that cannot be dialed are an error that
// ends the others.
func gather(ctx context.Context, p *party, r request, n int, start time.Time) (*crowd, error) {
	c := &crowd{ctx: ctx, start: start, flows: make([]*flow, n), errs: make(chan error, n)}
	var wg sync.WaitGroup
	failed := make([]error, n)
	for i := range n {
		wg.Go(func() { c.flows[i], failed[i] = p.dial(ctx, r, start) })
	}
	wg.Wait()
	if err := errors.Join(failed...); err != nil {
		return nil, err
	}
	for _, f := range c.flows {
		go func() { c.errs <- f.take(0) }()
	}
	return c, nil
}

// until waits for a time after the start; a flow that ends before is an error.
func (c *crowd) until(d time.Duration) error {
	t := time.NewTimer(time.Until(c.start.Add(d)))
	defer t.Stop()
	select {
	case err := <-c.errs:
		return err
	case <-t.C:
		return nil
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
}

// counts are what the flows have now.
func (c *crowd) counts() (all []counted) {
	for _, f := range c.flows {
		all = append(all, f.tally.count())
	}
	return all
}

// bulk is as much as gets through: from the dial on, the start included.
func (p *Plan) bulk(ctx context.Context, own *party, s *Sample) error {
	n := max(1, p.Parallel)
	start := time.Now()
	c, err := gather(ctx, own, request{kind: askBulk}, n, start)
	if err != nil {
		return err
	}
	err = c.until(p.Duration)
	all := c.counts()
	s.Over = time.Since(start)
	return errors.Join(err, s.sum(all))
}

// sum adds flows up.
func (s *Sample) sum(all []counted) (err error) {
	for i, c := range all {
		s.Bytes += c.bytes
		s.Tenths = addTenths(s.Tenths, c.tenths)
		if i == 0 || c.first < s.First {
			s.First = c.first
		}
		if c.wrong {
			err = errCorrupt
		}
	}
	if s.Over > 0 {
		s.Goodput = float64(s.Bytes) * 8 / s.Over.Seconds()
	}
	return err
}

func addTenths(a, b []int64) []int64 {
	for len(a) < len(b) {
		a = append(a, 0)
	}
	for i, v := range b {
		a[i] += v
	}
	return a
}

// paced is what a bitrate costs: pieces, written one after another.
func (p *Plan) paced(ctx context.Context, own *party, s *Sample) error {
	start := time.Now()
	c, err := gather(ctx, own, request{kind: askPaced, rate: p.Bitrate, last: p.Duration}, 1, start)
	if err != nil {
		return err
	}
	err = c.until(p.Duration)
	all := c.counts()
	s.Over = time.Since(start)
	return errors.Join(err, s.sum(all))
}

// live is how late messages are.
func (p *Plan) live(ctx context.Context, own *party, s *Sample) error {
	st := own.stage
	f, err := own.dial(ctx, request{kind: askLive, rate: p.Bitrate, last: p.Duration, message: messageBytes}, st.start)
	if err != nil {
		return err
	}
	m := &messages{}
	ended := make(chan error, 1)
	go func() { ended <- f.takeLive(m, messageBytes) }()
	sent := func() int {
		st.serve.mu.Lock()
		defer st.serve.mu.Unlock()
		return int(st.serve.sent)
	}
	// All have been written when the last was due; what is on its way has the
	// latency and four round trips more to come.
	last := time.NewTimer(p.Duration + max(p.Latency, time.Second) + 4*p.Link.RTT)
	defer last.Stop()
	look := time.NewTicker(tenth / 2)
	defer look.Stop()
	for done := false; !done; {
		select {
		case err = <-ended:
			done = true
		case <-look.C:
			done = time.Since(st.start) > p.Duration+tenth && m.count() == sent()
		case <-last.C:
			done = true
		case <-ctx.Done():
			err, done = ctx.Err(), true
		}
	}
	s.Over, s.Bytes = p.Duration, f.tally.count().bytes
	s.Tenths = f.tally.count().tenths
	s.Goodput = float64(s.Bytes) * 8 / s.Over.Seconds()
	s.Messages = m.count()
	if n := sent(); n > 0 {
		s.Delivered = float64(s.Messages) / float64(n)
	}
	s.LatencyP50, _ = m.quantile(0.5)
	s.LatencyP99, _ = m.quantile(0.99)
	if f.tally.count().wrong {
		return errCorrupt
	}
	return err
}

// fairWarm is the share of a fairness run that is not counted: the start.
const fairWarm = 1.0 / 6

// fair is who gets what where flows of two transports share a link.
func (p *Plan) fair(ctx context.Context, own *party, s *Sample) error {
	start := time.Now()
	var others *party
	if p.Others > 0 {
		spec, err := rival.Find(p.Against)
		if err != nil {
			return err
		}
		if others, err = own.stage.open(spec, p.options(), 1); err != nil {
			return err
		}
	}
	var crowds [2]*crowd
	var errs [2]error
	var wg sync.WaitGroup
	for i, x := range []struct {
		p *party
		n int
	}{{own, p.Flows}, {others, p.Others}} {
		if x.n > 0 {
			wg.Go(func() { crowds[i], errs[i] = gather(ctx, x.p, request{kind: askBulk}, x.n, start) })
		}
	}
	wg.Wait()
	err := errors.Join(errs[:]...)
	for _, c := range crowds {
		if c != nil && err == nil {
			err = c.until(p.Duration)
		}
	}
	s.Over = time.Since(start)
	var all, theirs []counted
	if crowds[0] != nil {
		all = crowds[0].counts()
	}
	if crowds[1] != nil {
		theirs = crowds[1].counts()
	}
	err = errors.Join(err, s.sum(all))
	s.share(all, theirs, time.Duration(float64(p.Duration)*fairWarm), p.Duration)
	return err
}

// share works out who got what between two times.
func (s *Sample) share(own, theirs []counted, from, to time.Duration) {
	var mine, sum, squares float64
	for i, c := range append(append([]counted(nil), own...), theirs...) {
		var bytes int64
		for t, b := range c.tenths {
			if at := time.Duration(t) * tenth; at >= from && at < to {
				bytes += b
			}
		}
		rate := float64(bytes) * 8 / (to - from).Seconds()
		s.Each = append(s.Each, rate)
		sum += rate
		squares += rate * rate
		if i < len(own) {
			mine += rate
		} else {
			s.TheirTenths = addTenths(s.TheirTenths, c.tenths)
		}
	}
	if squares > 0 {
		s.Jain = sum * sum / (float64(len(s.Each)) * squares)
		s.Share = mine / sum
	}
}

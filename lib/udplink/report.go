package udplink

import (
	"fmt"
	"time"

	"github.com/xp2p/xp2p/lib/internal/link"
)

// A Report is what a path measured about itself and its bottleneck.
type Report struct {
	// Lateness is how long after its time a packet was written, of the direction
	// in which it was worse.
	LateP50, LateP99, LateWorst time.Duration
	Up, Down                    link.Count
	// Overrun counts packets that were lost because the relay did not fetch them
	// in time: with any, a measurement is not to be believed. Where the system
	// does not say what it drops (all but Linux) only the relay's own are known.
	Overrun uint64
}

// Report says what the path has done so far.
func (p *Path) Report() Report {
	r := Report{Overrun: p.overrun.Load()}
	for _, l := range []*lane{&p.up, &p.down} {
		l.mu.Lock()
		r.LateP50 = max(r.LateP50, l.late.Quantile(0.5))
		r.LateP99 = max(r.LateP99, l.late.Quantile(0.99))
		r.LateWorst = max(r.LateWorst, l.late.Worst)
		l.mu.Unlock()
	}
	p.up.mu.Lock()
	r.Up = p.up.meter.Count()
	p.up.mu.Unlock()
	p.down.mu.Lock()
	r.Down = p.down.meter.Count()
	p.down.mu.Unlock()
	return r
}

// Trusted says whether the relay kept up well enough to measure with, and if not,
// why. The bound is that of package netlab: 1 ms at the 99th percentile.
func (r Report) Trusted() error {
	if r.LateP99 > time.Millisecond {
		return fmt.Errorf("udplink: the relay was %v late at the 99th percentile", r.LateP99)
	}
	if r.Overrun > 0 {
		return fmt.Errorf("udplink: %d packets were not fetched in time", r.Overrun)
	}
	return nil
}

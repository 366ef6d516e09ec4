package link

import "time"

// Delays is a histogram of durations in steps of 10 µs, for what should be far
// below a millisecond (the lateness of an emulator) and for what may be seconds
// (a queue). The zero Delays is empty.
type Delays struct {
	count []uint64
	n     uint64
	Worst time.Duration
}

const (
	delayStep = 10 * time.Microsecond
	// delaySteps bounds the memory: what took 4 s or more is counted together.
	delaySteps = 400_000
)

// Add counts a duration; negative ones count as zero.
func (l *Delays) Add(d time.Duration) {
	d = max(0, d)
	i := int(min(d/delayStep, delaySteps))
	if i >= len(l.count) {
		l.count = append(l.count, make([]uint64, i+1-len(l.count))...)
	}
	l.count[i]++
	l.n++
	l.Worst = max(l.Worst, d)
}

// N is how many were counted.
func (l *Delays) N() uint64 { return l.n }

// Quantile returns the upper edge of the step in which it lies.
func (l *Delays) Quantile(q float64) time.Duration {
	rank, seen := uint64(q*float64(l.n)), uint64(0)
	for i, c := range l.count {
		if seen += c; seen > rank {
			return min(l.Worst, time.Duration(i+1)*delayStep)
		}
	}
	return l.Worst
}

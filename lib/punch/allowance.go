package punch

import (
	"slices"
	"time"
)

// Bounds on what birthdays cost: home routers' tables are small, and keep what was
// sent through them for a minute, more or less.
const (
	// BirthdaySockets and BirthdayProbes are what may be opened and sent in
	// BirthdayTime, by one attempt or several.
	BirthdaySockets = 512
	BirthdayProbes  = 1024
	BirthdayTime    = time.Minute
	// With so few an attempt is hardly worth what it costs: it fails in one of eight
	// cases, where the other side has all of its sockets.
	leastSockets = BirthdaySockets / 2
	leastProbes  = BirthdayProbes / 4
)

// An allowance is what birthdays may still cost.
type allowance struct {
	spent []*cost // of the last minute, oldest first
}

// A cost is that of one attempt.
type cost struct {
	at              time.Time
	sockets, probes int
}

// left returns what may be spent now.
func (a *allowance) left(now time.Time) (sockets, probes int) {
	a.spent = slices.DeleteFunc(a.spent, func(c *cost) bool { return now.Sub(c.at) >= BirthdayTime })
	sockets, probes = BirthdaySockets, BirthdayProbes
	for _, c := range a.spent {
		sockets, probes = sockets-c.sockets, probes-c.probes
	}
	return max(0, sockets), max(0, probes)
}

// begin sets aside what an attempt may cost. When it is over, what it has not spent is
// given back.
func (a *allowance) begin(now time.Time, sockets, probes int) *cost {
	c := &cost{at: now, sockets: sockets, probes: probes}
	a.spent = append(a.spent, c)
	return c
}

// again is when there will be more; zero: now.
func (a *allowance) again() time.Time {
	if len(a.spent) == 0 {
		return time.Time{}
	}
	return a.spent[0].at.Add(BirthdayTime)
}

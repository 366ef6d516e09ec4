package punch

import (
	"slices"
	"time"
)

// Bounds on what birthdays cost. Home routers' tables are small, and keep for a minute,
// more or less, what was sent through them: an entry for each socket of the one, for
// each probe of the other.
const (
	BirthdaySockets = 512  // of one attempt
	BirthdayProbes  = 1024 // of one attempt
	// BirthdayEntries are those of BirthdayTime, by one attempt or several.
	BirthdayEntries = 1024
	BirthdayTime    = time.Minute
	// With so few an attempt is hardly worth what it costs: it fails in one of eight
	// cases, where the other side has all of its own.
	leastEntries = BirthdayEntries / 4
)

// An allowance is what birthdays may still cost.
type allowance struct {
	spent []*cost // of the last minute, oldest first
	busy  bool    // an attempt is under way: a process may not have that many sockets twice
}

// A cost is that of one attempt.
type cost struct {
	at      time.Time
	entries int
}

// left returns how many entries may be made now.
func (a *allowance) left(now time.Time) int {
	a.spent = slices.DeleteFunc(a.spent, func(c *cost) bool { return now.Sub(c.at) >= BirthdayTime })
	left := BirthdayEntries
	for _, c := range a.spent {
		left -= c.entries
	}
	return left
}

// begin sets aside what an attempt may cost. When it is over, what it has not spent is
// given back.
func (a *allowance) begin(now time.Time, entries int) *cost {
	c := &cost{now, entries}
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

package origin

import "time"

// An Admission keeps an origin within an uplink that others use too: a bucket of
// bytes that fills at Rate. A start is admitted while there is something in it,
// so that the newcomers whom it has no room for begin with what other viewers
// have; what a player is about to lack may overdraw it by a second's worth. What
// was let in is not cut off, and may overdraw it for long. It is a value without
// a clock, and not safe for concurrent use. The zero Admission admits everything.
type Admission struct {
	Rate   int64 // bits per second; 0: no bound
	tokens float64
	filled time.Time
}

// burst is how much of Rate may be saved up, and overdrawn, in seconds.
const burst = 1

// debt is how much of Rate is remembered as overdrawn at most, in seconds: three
// players who shared an uplink for two do not keep out for half an hour who comes
// when they have left.
const debt = 3

func (a *Admission) fill(now time.Time) float64 {
	most := float64(a.Rate) / 8 * burst
	if a.filled.IsZero() {
		a.tokens = most
	} else {
		a.tokens = min(most, a.tokens+now.Sub(a.filled).Seconds()*float64(a.Rate)/8)
	}
	a.filled = now
	return a.tokens
}

// Start reports whether a newcomer may be given a stream.
func (a *Admission) Start(now time.Time) bool { return a.Rate == 0 || a.fill(now) > 0 }

// Pieces reports whether a viewer may be given what its player is about to lack.
func (a *Admission) Pieces(now time.Time) bool {
	return a.Rate == 0 || a.fill(now) > -float64(a.Rate)/8*burst
}

// Spend takes n bytes that were given out of the bucket.
func (a *Admission) Spend(now time.Time, n int) {
	if a.Rate > 0 {
		a.fill(now)
		a.tokens = max(a.tokens-float64(n), -float64(a.Rate)/8*debt)
	}
}

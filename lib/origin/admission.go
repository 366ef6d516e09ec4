package origin

import "time"

// An Admission keeps an origin within an uplink that others use too: a bucket of
// bytes that fills at Rate. A start is admitted while there is something in it,
// so that the newcomers whom it has no room for begin with what other viewers
// have. What was let in is not cut off, and may overdraw it for long.
//
// What a player is about to lack is admitted while little of such is on its way:
// what waits in the queue of an uplink comes too late and holds up the rest, and
// what waits here does neither. So much of Rate is kept for it as those who are
// fed leave, and at least a part.
//
// It is a value without a clock, and not safe for concurrent use. The zero
// Admission admits everything.
type Admission struct {
	Rate   int64 // bits per second; 0: no bound
	tokens float64
	pieces float64 // bytes of pieces that were given and are not carried yet
	others float64 // bytes of all else
	filled time.Time
}

const (
	burst     = 1    // how much of Rate may be saved up, in seconds
	overdraft = 0.1  // how much of it may be on its way to players that lack something, in seconds
	kept      = 0.25 // what part of it is kept for these
	// debt is how much of Rate is remembered as overdrawn at most, in seconds: three
	// players who shared an uplink for two do not keep out for half an hour who comes
	// when they have left.
	debt = 3
)

// Patience is how long a request for pieces waits for its turn at most: by then
// its player needs to know that others must help.
const Patience = 400 * time.Millisecond

func (a *Admission) fill(now time.Time) float64 {
	most := float64(a.Rate) / 8 * burst
	if a.filled.IsZero() {
		a.tokens = most
	} else {
		carried := now.Sub(a.filled).Seconds() * float64(a.Rate) / 8
		a.tokens = min(most, a.tokens+carried)
		others := min(a.others, carried*(1-kept))
		a.others -= others
		a.pieces = max(0, a.pieces-(carried-others))
	}
	a.filled = now
	return a.tokens
}

// Start reports whether a newcomer may be given a stream.
func (a *Admission) Start(now time.Time) bool { return a.Rate == 0 || a.fill(now) > 0 }

// Pieces returns when to ask again whether a viewer may be given what its player
// is about to lack; 0: it may.
func (a *Admission) Pieces(now time.Time) time.Duration {
	if a.Rate == 0 {
		return 0
	}
	a.fill(now)
	rate := float64(a.Rate) / 8
	if over := a.pieces - overdraft*rate; over > 0 {
		return time.Duration(over/rate*float64(time.Second)) + time.Millisecond
	}
	return 0
}

// Spend takes n bytes that were given out of the bucket; pieces says that they
// were what a player was about to lack.
func (a *Admission) Spend(now time.Time, n int, pieces bool) {
	if a.Rate == 0 {
		return
	}
	a.fill(now)
	most := float64(a.Rate) / 8 * debt
	a.tokens = max(a.tokens-float64(n), -most)
	if pieces {
		a.pieces = min(max(0, a.pieces+float64(n)), most)
	} else {
		// What the swarm gives waits at home, and not in the uplink.
		a.others = min(max(0, a.others+float64(n)), float64(a.Rate)/8*overdraft)
	}
}

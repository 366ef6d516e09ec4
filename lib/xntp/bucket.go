package xntp

import "time"

// A bucket bounds how often something is done for strangers: it holds most
// tokens, and gets rate more a second.
type bucket struct {
	most, rate, tokens float64
	last               time.Time
}

func newBucket(most, rate float64) bucket { return bucket{most: most, rate: rate, tokens: most} }

// take takes a token; false if there is none.
func (b *bucket) take(now time.Time) bool {
	if !b.last.IsZero() {
		b.tokens = min(b.most, b.tokens+b.rate*now.Sub(b.last).Seconds())
	}
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

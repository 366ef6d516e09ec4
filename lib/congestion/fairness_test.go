package congestion

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// arrive lets flows come one by one, at moments that the seed says, to a link of 20
// Mbit/s whose queue is one round trip long, and returns what part each has of a fair
// share once they have found it.
func arrive(seed uint64, rtt, d time.Duration, controllers ...Controller) []float64 {
	p := newPath(0)
	p.link.delay, p.queue = rtt/2, rtt
	p.rng = rand.New(rand.NewPCG(seed, 3))
	p.run(time.Duration(p.rng.IntN(24000)) * time.Millisecond) // the clock shows any time
	for _, c := range controllers {
		p.flows = append(p.flows, &pathFlow{Controller: c})
		p.run(time.Duration(50+p.rng.IntN(900)) * time.Millisecond)
	}
	p.run(10 * time.Second)
	parts := p.use(d)
	sum := 0.0
	for _, v := range parts {
		sum += v
	}
	for i := range parts {
		parts[i] *= float64(len(parts)) / sum
	}
	return parts
}

func TestNobodyStarvesBesideCUBICAndFourOfOurs(t *testing.T) {
	seeds := uint64(8)
	if testing.Short() {
		seeds = 1
	}
	for _, rtt := range []time.Duration{20 * time.Millisecond, 25 * time.Millisecond, 40 * time.Millisecond, 80 * time.Millisecond} {
		for seed := range seeds {
			parts := arrive(seed, rtt, 20*time.Second, NewCUBIC(mtu), NewModel(mtu), NewModel(mtu), NewModel(mtu), NewModel(mtu))
			if slices.Min(parts) < 0.5 {
				t.Errorf("%v, seed %d: CUBIC and ours have %.2f of fair shares", rtt, seed, parts)
			}
		}
	}
}

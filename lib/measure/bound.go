package measure

import "math"

// ShareBound returns the peer share that no swarm of n viewers can pass: one
// copy must come from a server, and peers cannot give more than their uplinks
// carry (Kumar, Liu and Ross 2007): min(1 - 1/n, sum of uplinks / (n·rate)).
func ShareBound(n int, uplinks, rate float64) float64 {
	if n <= 0 || rate <= 0 {
		return 0
	}
	return max(0, min(1-1/float64(n), uplinks/(float64(n)*rate)))
}

// LagBound returns the added lag in seconds that the last viewers cannot get
// below in store and forward: with pieces of d seconds and uplinks of m times
// the stream's rate the copies double every d/m, and servers gave the share p of
// them. Hop times come on top.
func LagBound(d, p, m float64) float64 {
	if p <= 0 || m <= 0 || d < 0 {
		return math.Inf(1)
	}
	return max(0, d*math.Log2(1/p)/m)
}

// Jain returns Jain's fairness index of x: 1 if all are equal, 1/n if one has
// all; 1 of nothing.
func Jain(x []float64) float64 {
	var sum, squares float64
	for _, v := range x {
		sum += v
		squares += v * v
	}
	if squares == 0 {
		return 1
	}
	return sum * sum / (float64(len(x)) * squares)
}

// Offload returns 1 - server egress / delivered payload; zero of nothing.
func Offload(egress, delivered int64) float64 {
	if delivered <= 0 {
		return 0
	}
	return 1 - float64(egress)/float64(delivered)
}

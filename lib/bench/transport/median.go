package transport

import (
	"math"
	"slices"
)

// A Median is the middle of some values, and an interval that holds the median
// of all values there could be with 95 % confidence, as far as so few can say: two
// order statistics (the binomial distribution; no shape is assumed). Of five or
// fewer it is the least and the most, which is 94 % of five.
type Median struct {
	Value     float64
	Low, High float64
	N         int
}

// MedianOf returns the median of the values; N is 0 of none.
func MedianOf(values []float64) Median {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	if n == 0 {
		return Median{}
	}
	mid := v[n/2]
	if n%2 == 0 {
		mid = (v[n/2-1] + mid) / 2
	}
	// The chance that the median lies below the k-th smallest is that of fewer than
	// k heads in n throws.
	k := 0
	for below := 0.0; k < n/2; k++ {
		if below += binomial(n, k) * math.Pow(0.5, float64(n)); below > 0.025 {
			break
		}
	}
	k = max(0, k-1)
	return Median{mid, v[k], v[n-1-k], n}
}

func binomial(n, k int) float64 {
	b := 1.0
	for i := range k {
		b = b * float64(n-i) / float64(i+1)
	}
	return b
}

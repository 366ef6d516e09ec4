package bench

import "math"

// An Interval is a mean and its 95 % interval, by Student's t over seeds. Our
// choice: t and not the bootstrap, because with ten seeds or fewer the
// bootstrap's intervals are too narrow, and with two they mean nothing.
type Interval struct {
	Mean      float64
	Low, High float64 // Mean of a single value
	N         int
}

// Around returns the interval of the values; N is 0 of none.
func Around(values []float64) Interval {
	n := len(values)
	if n == 0 {
		return Interval{}
	}
	var sum float64
	for _, v := range values {
		sum += v
	}
	mean := sum / float64(n)
	if n == 1 {
		return Interval{mean, mean, mean, 1}
	}
	var squares float64
	for _, v := range values {
		squares += (v - mean) * (v - mean)
	}
	half := student95(n-1) * math.Sqrt(squares/float64(n-1)/float64(n))
	return Interval{mean, mean - half, mean + half, n}
}

// Half is the number behind ±: half of the width, before it was kept to what can
// be.
func (i Interval) Half() float64 { return max(i.High-i.Mean, i.Mean-i.Low) }

// student95 is the two-sided 95 % point of Student's distribution with df
// degrees of freedom. Beyond the table it is the expansion around the normal
// distribution (Abramowitz and Stegun 26.7.5), good to four digits there.
func student95(df int) float64 {
	table := [...]float64{
		12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281,
		2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860,
		2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423,
	}
	if df <= len(table) {
		return table[df-1]
	}
	const z = 1.959964
	n := float64(df)
	return z + (z*z*z+z)/(4*n) + (5*z*z*z*z*z+16*z*z*z+3*z)/(96*n*n)
}

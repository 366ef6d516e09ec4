package measure

import "math/bits"

// subBits is the resolution of a Histogram: 32 buckets for every power of two,
// so a quantile is at most 1/32 above the truth. maxBucketBits bounds it to
// values below 2^40 (of milliseconds: 35 years).
const (
	subBits       = 5
	maxBucketBits = 40
)

// A Histogram counts values in buckets whose width grows with the value. Its
// size is bounded whatever is added: a few kilobytes. The zero value is ready.
// Negative values count as zero.
type Histogram struct {
	buckets []uint32
	count   int64
	sum     int64
	low     int64
	high    int64
}

func bucketOf(v int64) int {
	if v < 1<<subBits {
		return int(v)
	}
	shift := bits.Len64(uint64(v)) - 1 - subBits
	return shift<<subBits + int(v>>shift)
}

// bucketTop is the largest value of a bucket.
func bucketTop(i int) int64 {
	if i < 2<<subBits {
		return int64(i)
	}
	shift := i>>subBits - 1
	return int64(i-shift<<subBits+1)<<shift - 1
}

// Add counts v.
func (h *Histogram) Add(v int64) {
	v = min(max(v, 0), 1<<maxBucketBits-1)
	i := bucketOf(v)
	if i >= len(h.buckets) {
		h.buckets = append(h.buckets, make([]uint32, i+1-len(h.buckets))...)
	}
	if h.buckets[i] == 1<<32-1 {
		return // full: four billion equal values say enough
	}
	h.buckets[i]++
	if h.count == 0 || v < h.low {
		h.low = v
	}
	h.high = max(h.high, v)
	h.count++
	h.sum += v
}

// Merge adds all that o counted.
func (h *Histogram) Merge(o *Histogram) {
	if o.count == 0 {
		return
	}
	if len(o.buckets) > len(h.buckets) {
		h.buckets = append(h.buckets, make([]uint32, len(o.buckets)-len(h.buckets))...)
	}
	for i, n := range o.buckets {
		h.buckets[i] = uint32(min(uint64(h.buckets[i])+uint64(n), 1<<32-1))
	}
	if h.count == 0 || o.low < h.low {
		h.low = o.low
	}
	h.high = max(h.high, o.high)
	h.count += o.count
	h.sum += o.sum
}

// Count returns how many values were added.
func (h *Histogram) Count() int64 { return h.count }

// Mean returns the exact mean; zero of nothing.
func (h *Histogram) Mean() float64 {
	if h.count == 0 {
		return 0
	}
	return float64(h.sum) / float64(h.count)
}

// Min and Max return the exact extremes; zero of nothing.
func (h *Histogram) Min() int64 { return h.low }
func (h *Histogram) Max() int64 { return h.high }

// Quantile returns a value that a share q of the values do not exceed, at most
// 1/32 above the least such; zero of nothing.
func (h *Histogram) Quantile(q float64) int64 {
	if h.count == 0 {
		return 0
	}
	want := int64(q * float64(h.count))
	if float64(want) < q*float64(h.count) {
		want++
	}
	want = min(max(want, 1), h.count)
	var seen int64
	for i, n := range h.buckets {
		seen += int64(n)
		if seen >= want {
			return max(min(bucketTop(i), h.high), h.low)
		}
	}
	return h.high
}

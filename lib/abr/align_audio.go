package abr

import (
	"slices"
	"time"
)

// rounded is what times may be off, in microseconds, whatever the timescale:
// servers round to FLV's milliseconds and give that in ticks of 90 kHz.
const rounded = 2000

// minHeard is how many audio frames must be found again.
const minHeard = 8

// alignAudio lets frames that occur once in either line vote.
func alignAudio(a, b *Line) (al Alignment, ok bool) {
	if a == nil || b == nil {
		return al, false
	}
	type key struct {
		sum  uint32
		size int
	}
	once := func(l *Line) map[key]int64 {
		frames := l.Frames[:min(len(l.Frames), maxLine)]
		m := make(map[key]int64, len(frames))
		twice := map[key]bool{}
		for _, f := range frames {
			k := key{f.Sum, f.Size}
			if _, again := m[k]; again {
				twice[k] = true
			}
			m[k] = l.micros(f.PTS)
		}
		for k := range twice {
			delete(m, k)
		}
		delete(m, key{0, 0})
		return m
	}
	in := once(b)
	var votes []int64
	for k, pts := range once(a) {
		if q, both := in[k]; both && k.sum != 0 {
			votes = append(votes, pts-q)
		}
	}
	if len(votes) < minHeard {
		return al, false
	}
	slices.Sort(votes)
	middle := votes[len(votes)/2]
	tol := max(rounded, a.tickMicros()+b.tickMicros())
	var sum float64
	var n int
	for _, v := range votes {
		if d := v - middle; d >= -tol && d <= tol {
			sum += float64(d)
			n++
		}
	}
	if n < minHeard || n*10 < len(votes)*9 {
		return al, false
	}
	al.Offset = time.Duration(middle)*time.Microsecond + time.Duration(sum/float64(n)*1000)
	// Each of them could be a chance in 2^32; that they agree is none.
	al.By, al.Matched, al.Of, al.Confidence = ByAudio, n, len(votes), 1
	return al, true
}

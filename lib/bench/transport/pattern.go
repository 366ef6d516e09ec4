package transport

import (
	"bytes"
	"math/rand/v2"
	"sync"
)

// What is sent is a pattern whose period is a prime near 64 KiB: whatever a
// transport loses, repeats or moves by less than that shows, and writing and
// checking it costs little more than reading memory once.
const (
	patternPeriod = 65521
	patternRun    = 4 << 20 // the most that is asked for at once
)

var pattern = sync.OnceValue(func() []byte {
	table := make([]byte, patternPeriod, patternPeriod+patternRun)
	r := rand.New(rand.NewPCG(4, 2))
	for i := range table {
		table[i] = byte(r.Uint32())
	}
	for len(table) < cap(table) {
		table = append(table, table[:min(patternPeriod, cap(table)-len(table))]...)
	}
	return table
})

// content is n bytes of the pattern from an offset on; n is at most patternRun.
func content(offset int64, n int) []byte {
	return pattern()[offset%patternPeriod:][:n:n]
}

// matches tells whether these are the bytes at an offset.
func matches(offset int64, p []byte) bool {
	for len(p) > 0 {
		n := min(len(p), patternRun)
		if !bytes.Equal(p[:n], content(offset, n)) {
			return false
		}
		offset, p = offset+int64(n), p[n:]
	}
	return true
}

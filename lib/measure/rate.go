package measure

// rateSpan is over how much of a stream's time a Rate is taken, in seconds: some
// keyframes long, so that their size is no matter.
const rateSpan = 10

// A Rate is the bit rate of a stream by its own clock, over the last ten seconds
// of it: what comes in a burst, like what a room has already when it is joined,
// is no faster for that. The zero value is ready.
type Rate struct {
	bytes  [rateSpan + 1]int64 // by second of the stream, modulo
	first  int64               // the second that counting began with
	newest int64
	begun  bool
}

// Add counts n bytes of the stream's time dts, in milliseconds. A clock that
// jumps begins anew.
func (r *Rate) Add(dts int64, n int) {
	s := dts / 1000
	if dts%1000 < 0 {
		s-- // rounded down, below zero too
	}
	if !r.begun || s < r.newest-1 || s > r.newest+rateSpan {
		*r = Rate{first: s, newest: s, begun: true}
	}
	for r.newest < s {
		r.newest++
		r.bytes[r.slot(r.newest)] = 0
	}
	if s >= r.first {
		r.bytes[r.slot(s)] += int64(n)
	}
}

func (r *Rate) slot(s int64) int {
	const n = rateSpan + 1
	return int((s%n + n) % n)
}

// BPS returns bits per second over the last whole seconds, at most ten; zero
// until there are two, for the first may have begun in its middle.
func (r *Rate) BPS() int64 {
	from := max(r.first+1, r.newest-rateSpan)
	whole := r.newest - from // the newest is not over
	if !r.begun || whole < 1 {
		return 0
	}
	var sum int64
	for s := from; s < r.newest; s++ {
		sum += r.bytes[r.slot(s)]
	}
	return 8 * sum / whole
}

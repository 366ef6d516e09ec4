package abr

import "time"

// A Source is where bytes came from.
type Source uint8

const (
	Origin Source = iota // an origin or an edge of it
	Peers                // other viewers
)

// A meter keeps 30 s, in slots.
const (
	slot  = 125 * time.Millisecond
	slots = 240
	// Less busy time than this says nothing; then older slots are added.
	evidence = 100 * time.Millisecond
)

// A meter measures bytes over the time that they took. Idle time does not
// count: a live stream is fetched faster than it is played.
type meter struct {
	bytes [slots]int64
	busy  [slots]time.Duration
	at    int64     // slot of the newest entry, counted from the zero time of the rule
	until time.Time // busy up to here: what overlaps counts once
	last  float64   // the newest estimate, for when all slots are empty
	any   bool
	// What came so much faster than what was before that the link may be another.
	risen  time.Time // since when; zero: it did not
	before float64
}

// A link has changed where samples in a row, half a second apart or more, say riseOf
// times as much as what was known.
const (
	riseOf  = 2.0
	riseFor = 500 * time.Millisecond
)

// rise forgets what was before a link became faster, when bytes come that took d.
// Else what took long would be remembered for longest.
func (m *meter) rise(zero, now time.Time, n int64, d, window time.Duration) {
	if d <= 0 || !m.any {
		return
	}
	if m.risen.IsZero() {
		m.before, _ = m.rate(zero, now, window)
	}
	switch start := now.Add(-d); {
	case float64(n)*8/d.Seconds() < riseOf*m.before:
		m.risen = time.Time{}
	case m.risen.IsZero():
		m.risen = start
	case now.Sub(m.risen) >= riseFor:
		m.forget(zero, m.risen)
		m.risen = time.Time{}
	}
}

// forget drops the slots before a time.
func (m *meter) forget(zero, t time.Time) {
	for i := int64(t.Sub(zero)/slot) - 1; i >= 0 && i > m.at-slots; i-- {
		m.bytes[i%slots], m.busy[i%slots] = 0, 0
	}
}

// turn moves the ring on to slot n.
func (m *meter) turn(n int64) {
	if n-m.at >= slots {
		m.bytes, m.busy = [slots]int64{}, [slots]time.Duration{}
		m.at = n
	}
	for m.at < n {
		m.at++
		m.bytes[m.at%slots], m.busy[m.at%slots] = 0, 0
	}
}

// feed adds n bytes that took d and ended at now, spread over the slots that
// d covers.
func (m *meter) feed(zero, now time.Time, n int64, d time.Duration) {
	start := now.Add(-d)
	if start.Before(m.until) {
		start = m.until
	}
	if start.Before(zero) {
		start = zero
	}
	if now.Before(start) {
		start = now
	}
	m.any = true
	if now.After(m.until) {
		m.until = now
	}
	end := int64(now.Sub(zero) / slot)
	m.turn(end)
	total := now.Sub(start)
	if total <= 0 {
		m.bytes[m.at%slots] += n
		return
	}
	left := n
	for i := max(int64(start.Sub(zero)/slot), m.at-slots+1); i <= m.at; i++ {
		lo, hi := zero.Add(time.Duration(i)*slot), zero.Add(time.Duration(i+1)*slot)
		if lo.Before(start) {
			lo = start
		}
		if hi.After(now) {
			hi = now
		}
		part := min(left, int64(float64(n)*float64(hi.Sub(lo))/float64(total)))
		if i == m.at {
			part = left
		}
		m.bytes[i%slots] += part
		m.busy[i%slots] += hi.Sub(lo)
		left -= part
	}
}

// rate returns bit/s over the newest window, longer if there is no evidence
// in it; ok is false if nothing was ever measured.
func (m *meter) rate(zero, now time.Time, window time.Duration) (bps float64, ok bool) {
	if !m.any {
		return 0, false
	}
	m.turn(max(m.at, int64(now.Sub(zero)/slot)))
	var n int64
	var busy time.Duration
	for i := int64(0); i < slots && i <= m.at; i++ {
		if time.Duration(i)*slot >= window && busy >= evidence {
			break
		}
		n += m.bytes[(m.at-i)%slots]
		busy += m.busy[(m.at-i)%slots]
	}
	if busy > 0 {
		m.last = float64(n) * 8 / busy.Seconds()
	}
	return m.last, m.last > 0
}

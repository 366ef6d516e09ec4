package xntp

import "time"

// wayState finds out how long packets waited at our end of the path: the receiver's
// stamps say when they arrived, on its clock. The least difference between
// arriving and sending is the way without queues, whatever the clocks say, as
// in LEDBAT (RFC 6817 §2.1); what a packet took beyond it, it waited, and most
// of that in the queue of our own access link. A round trip would not tell: it
// counts the queues of the way back, and how long acknowledgements were held.
type wayState struct {
	low, was time.Duration // the least of this wayTime and of that before
	have     bool
	turned   time.Time
	stands   int // for how many wayTimes there has been a queue
}

const (
	// wayTime is for how long a minimum counts, one to two times: routes change, and
	// clocks drift by a few milliseconds in it.
	wayTime = time.Minute
	// But while there is a queue all the time, of more than a drift or most other
	// routes would bring, it is not forgotten what the way is without it, for ten
	// minutes, as LEDBAT's base history does (RFC 6817 §3.4.2): somebody's upload may
	// take so long.
	wayStands = 50 * time.Millisecond
	wayKept   = 10
)

// queued returns for how long a packet, which was sent at one time and arrived at
// another by the receiver's clock, stood in queues. epoch is any fixed time.
func (w *wayState) queued(epoch, sent time.Time, stamp time.Duration) time.Duration {
	way := stamp - sent.Sub(epoch)
	switch {
	case !w.have:
		w.have, w.low, w.was, w.turned = true, way, way, sent
	case sent.Sub(w.turned) >= wayTime:
		if w.stands++; w.low-w.was < wayStands || w.stands >= wayKept {
			w.was, w.stands = w.low, 0
		}
		w.low, w.turned = way, sent
	}
	w.low = min(w.low, way)
	return way - min(w.low, w.was)
}

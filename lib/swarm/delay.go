package swarm

import (
	"slices"
	"time"
)

// delay makes room for whoever else uses the uplink: the user, who sends
// something himself, and for whom the transport is but one more competitor.
// When the round trips to several neighbours grow at once, what they have in
// common has a queue: our own access. So the swarm gives less until it is gone,
// as LEDBAT does (RFC 6817): down by a factor, up by steps. A round trip has two
// ways, so a full downlink looks the same; there, giving less does no harm.
type delay struct {
	less   float64 // how much of the upload is given up: 0 to 1 - factorMin
	at     time.Time
	queued bool // as it was found last
	extras []time.Duration
}

// A queue is what one neighbour's round trips say of the queues on the way.
type queue struct {
	low, was time.Duration // the least round trip of this baseTime and of that before; 0: none
	turned   time.Time     // when this one began
	least    time.Duration // MinRTT as it was told last

	acked         int64 // bytes of pieces, when it was looked at last
	lately, prior int64 // of these, in this busyTime and that before
	counted       time.Time
}

// RFC 6817 §2.4.2 and §2.5 say why: the delay that one adds to others' packets
// should be no more than 100 ms; and below that, giving more is safe. The rest
// are our choices.
const (
	extraTarget = 100 * time.Millisecond
	extraOwn    = 300 * time.Millisecond // a piece of our own takes that long at 450 kbit/s
	delayStep   = 500 * time.Millisecond // an SRTT needs a few acknowledgements to show what a step has done
	factorDown  = 0.7                    // one step too many is undone by six up
	factorUp    = 0.05                   // from the floor to all in 9 s
	factorMin   = 0.1                    // the group's stripe must not starve: it would be handed to others, and back
	manySteps   = 20                     // up at once, after a time in which nothing happened

	// Only neighbours that are sent something have a fresh round trip, and only
	// what is sent a lot feels the queue: a fellow's part of a stream of 1 Mbit/s
	// in a group of ten is 12.5 kB/s.
	busyTime  = 5 * time.Second // the last one to two of these are looked at
	busyBytes = 64 << 10
	// One neighbour's queue is his own.
	busyPeers = 2

	// The least round trip is that of the last 30 to 60 s, so that a longer way
	// is not taken for a queue for ever. But while there is a queue it is not
	// forgotten what the way is without it, for ten minutes, as LEDBAT's base
	// history does (§3.4.2): the user's own upload may take so long.
	baseTime = 30 * time.Second
	baseKept = 10 * time.Minute
)

// politeFactor returns how much of its rate the swarm should use now, 0.1 to 1.
func (s *Swarm) politeFactor() float64 { return 1 - s.delay.less }

// runDelay takes a step, when it is time for one.
func (s *Swarm) runDelay(now time.Time) {
	d := &s.delay
	passed := now.Sub(d.at)
	if s.cfg.Seed || passed < delayStep {
		return
	}
	d.at = now
	d.extras = d.extras[:0]
	for _, n := range s.peers {
		if x, ok := n.queue.look(now, n.path, n.out, d.queued); ok && n.ready() {
			d.extras = append(d.extras, x)
		}
	}
	slices.Sort(d.extras)
	// The lower of two middles: of two neighbours both must see it.
	d.queued = len(d.extras) >= busyPeers && d.extras[(len(d.extras)-1)/2] > extraTarget+min(s.up.takes(typicalSize), extraOwn)
	if d.queued {
		d.less = min(1-factorMin, 1-(1-d.less)*factorDown)
	} else {
		steps := min(passed/delayStep, manySteps)
		d.less = max(0, d.less-factorUp*float64(steps))
	}
}

// look takes note of a path, and returns how much longer than its least its
// round trip is now; false if that says nothing of our uplink.
func (q *queue) look(now time.Time, p Path, acked int64, queued bool) (extra time.Duration, ok bool) {
	busy := q.busy(now, acked)
	if p.SRTT <= 0 || p.MinRTT == 0 && q.least > 0 {
		q.low, q.was, q.least = 0, 0, 0 // the path is another, and was not measured yet
		return 0, false
	}
	switch age := now.Sub(q.turned); {
	case q.low == 0, q.least > 0 && p.MinRTT > q.least, age >= baseKept: // a minimum that grows is another path's
		q.was, q.low, q.turned = 0, p.SRTT, now
	case age >= baseTime && !queued:
		q.was, q.low, q.turned = q.low, p.SRTT, now
	}
	q.low = min(q.low, p.SRTT)
	if p.MinRTT > 0 && p.MinRTT != q.least {
		q.low = min(q.low, p.MinRTT) // it is news
	}
	q.least = p.MinRTT
	base := q.low
	if q.was > 0 {
		base = min(base, q.was)
	}
	return p.SRTT - base, busy
}

// busy reports whether a lot was sent lately.
func (q *queue) busy(now time.Time, acked int64) bool {
	if now.Sub(q.counted) >= busyTime {
		q.prior = q.lately
		if now.Sub(q.counted) >= 2*busyTime {
			q.prior = 0
		}
		q.lately, q.counted = 0, now
	}
	q.lately += acked - q.acked
	q.acked = acked
	return q.lately+q.prior >= busyBytes
}

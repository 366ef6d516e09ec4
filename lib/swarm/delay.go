package swarm

import (
	"cmp"
	"slices"
	"time"
)

// delay makes room for whoever else uses the uplink: the user, who sends
// something himself, and for whom the transport is but one more competitor.
// When what goes to several neighbours stands in queues for long, what the ways to
// them have in common has one: our own access. So the swarm gives less until it is
// gone, as LEDBAT does (RFC 6817): down by a factor, up by steps. A round trip would
// not tell: where uplinks are short, acknowledgements wait in those of all
// neighbours, and who gave less because of that would make them all the shorter.
type delay struct {
	less float64 // how much of the upload is given up: 0 to 1 - factorMin
	at   time.Time
	seen []stood // since then, one a neighbour
}

// stood is for how long the pieces that a neighbour has had stood in queues, at
// the least: a burst of our own is soon gone.
type stood struct {
	peer Peer
	time time.Duration
}

// RFC 6817 §2.4.2 and §2.5 say why: the delay that one adds to others' packets
// should be no more than 100 ms; and below that, giving more is safe. The rest
// are our choices.
const (
	extraTarget = 100 * time.Millisecond
	extraOwn    = 300 * time.Millisecond // a piece of our own takes that long at 450 kbit/s
	delayStep   = 500 * time.Millisecond // several pieces show what a step has done
	factorDown  = 0.7                    // one step too many is undone by six up
	factorUp    = 0.05                   // from the floor to all in 9 s
	factorMin   = 0.1                    // the group's stripe must not starve: it would be handed to others, and back
	manySteps   = 20                     // up at once, after a time in which nothing was given

	// One neighbour's queue is his own. Where little is given it takes a while until
	// two have had something.
	busyPeers = 2
	busyTime  = 5 * time.Second
)

// politeFactor returns how much of its rate the swarm should use now, 0.1 to 1.
func (s *Swarm) politeFactor() float64 { return 1 - s.delay.less }

// saw notes how long a piece had stood in queues when it left.
func (d *delay) saw(p Peer, queued time.Duration) {
	for i := range d.seen {
		if v := &d.seen[i]; v.peer == p {
			v.time = min(v.time, queued)
			return
		}
	}
	d.seen = append(d.seen, stood{p, queued})
}

// runDelay takes a step, when it is time for one and enough was seen.
func (s *Swarm) runDelay(now time.Time) {
	d := &s.delay
	passed := now.Sub(d.at)
	if s.cfg.Seed || passed < delayStep || len(d.seen) < busyPeers && passed < busyTime {
		return
	}
	slices.SortFunc(d.seen, func(a, b stood) int { return cmp.Compare(a.time, b.time) })
	// The lower of two middles: of two neighbours both must see it.
	switch n := len(d.seen); {
	case n >= busyPeers && d.seen[(n-1)/2].time > extraTarget+min(s.up.takes(typicalSize), extraOwn):
		d.less = min(1-factorMin, 1-(1-d.less)*factorDown)
	case n > 0:
		d.less = max(0, d.less-factorUp)
	default:
		d.less = max(0, d.less-factorUp*float64(min(passed/delayStep, manySteps)))
	}
	d.at, d.seen = now, d.seen[:0]
}

package swarm

import "time"

// load tells whether an uplink is short all the time: more is to be sent than it
// carries, and not only for a moment, as with a keyframe. Then what would wait
// long would come when the origin has brought it already, and messages about who
// could send what cost more than they bring.
type load struct {
	short, seen            bool
	began                  time.Time
	offered, refused, gave int // bytes since then: to be sent, of these never sent, and sent
}

// Our choices.
const (
	loadTime    = 2 * time.Second // a usual GOP
	loadFull    = 0.9             // of what the uplink carries
	loadFree    = 0.8
	loadRefused = 0.10 // of what was to be sent
)

// run looks back every loadTime, and reports whether it did.
func (l *load) run(now time.Time, pace float64) bool {
	past := now.Sub(l.began)
	if past < loadTime {
		return false
	}
	if pace > 0 && !l.began.IsZero() && past < 2*loadTime {
		l.seen = true
		used := float64(l.gave) / (pace * past.Seconds())
		refused := float64(l.refused) > loadRefused*float64(l.offered)
		l.short = used > loadFull && refused || l.short && used > loadFree
	}
	*l = load{short: l.short, seen: l.seen, began: now}
	return true
}

// spared reports whether a neighbour need not be told that a piece will not come:
// it expects no better, and has it from the origin in time.
func (s *Swarm) spared(now time.Time, n *neighbour, h *held) bool {
	return (s.give.load.short || s.view.Short) && n.need.backed(now, h.piece)
}

// told takes the tracker's word for whether the room is short, as long as we have
// not seen it ourselves.
func (l *load) told(short bool) {
	if !l.seen {
		l.short = short
	}
}

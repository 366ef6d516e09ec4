package xntp

import (
	"time"

	"github.com/xp2p/xp2p/lib/congestion"
)

// Parts of what is known of a path to start with. Where both ends vouch for their own
// links, what is left out is error. Of what one says, or of what the path carried
// lately, it is half (RFC 9959: the jump is half of what was saved).
const (
	hintOfBoth = 0.99
	hintOfPart = 0.5
)

// asked tells the controller when a packet of the flight that asks us came: how fast
// that came through is a word about the way back.
func (c *conn) asked(stamp time.Time, size int) {
	if m, ok := c.cc.(*congestion.Model); ok && !c.path.proved {
		m.Asked(stamp.Sub(c.began), size)
	}
}

// hint tells the controller what the path should carry: the narrower of our uplink
// and the peer's downlink, and what was carried to that network lately, shared with
// those of our connections that are sending just now.
func (c *conn) hint(now time.Time, downlink uint64) {
	m, ok := c.cc.(*congestion.Model)
	if !ok {
		return
	}
	up, down := float64(c.e.cfg.Uplink)/8, float64(downlink)/8
	past := c.e.past.recall(now, c.path.path)
	// RFC 9959: another round trip is another path.
	if c.rtt.have && (c.rtt.min < past.rtt/2 || c.rtt.min > 2*past.rtt) {
		past.rate = 0
	}
	var rate float64
	var rtt time.Duration // that it is known to be good for
	switch {
	case up > 0 && down > 0:
		rate = hintOfBoth * min(up, down)
	case past.rate > 0:
		rate, rtt = hintOfPart*past.rate, past.rtt
		if link := max(up, down); link > 0 {
			rate = min(rate, hintOfPart*link)
		}
	case up > 0 || down > 0:
		rate = hintOfPart * max(up, down)
	default:
		return
	}
	flows := 1
	for _, other := range c.e.order {
		if other != c && other.loss.bytes > 0 {
			flows++
		}
	}
	m.Hint(rate/float64(flows), rtt)
}

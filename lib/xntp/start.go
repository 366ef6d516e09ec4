package xntp

import "github.com/xp2p/xp2p/lib/congestion"

// Parts of what the ends know of their links to start with: RFC 9959 (Careful
// Resume) jumps to half of what it remembers; where both ends vouch for their own
// links, what is left out is error.
const (
	hintOfBoth = 0.95
	hintOfOne  = 0.5
)

// hint tells the controller what the path should carry: the narrower of our uplink
// and the peer's downlink, shared with those of our connections that are sending
// just now.
func (c *conn) hint(downlink uint64) {
	m, ok := c.cc.(*congestion.Model)
	up, down := float64(c.e.cfg.Uplink)/8, float64(downlink)/8
	if !ok || up <= 0 && down <= 0 {
		return
	}
	rate := hintOfBoth * min(up, down)
	if up <= 0 || down <= 0 {
		rate = hintOfOne * max(up, down)
	}
	flows := 1
	for _, other := range c.e.order {
		if other != c && other.loss.bytes > 0 {
			flows++
		}
	}
	m.Hint(rate / float64(flows))
}

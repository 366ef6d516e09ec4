package xntp

import (
	"time"

	"github.com/xp2p/xp2p/lib/wire"
)

// silenceState notices that the peer has fallen silent in the middle of an object.
// It may be that a NAT has given us another address, which the peer has not seen
// yet: what it sends goes astray, and nothing of ours is due that would show it.
type silenceState struct {
	bytes int  // that came since we spoke up the last time
	over  bool // it was noticed
}

const (
	// silenceLeast and a quarter of a round trip is how long the peer is silent then.
	silenceLeast = 10 * time.Millisecond
	// silenceCredit is how many bytes come for each time that we speak up, so that
	// it is a 256th of them at most.
	silenceCredit = 256 * maxEarned * wire.HandshakeLen
)

func (s *silenceState) heard(n int) { s.bytes, s.over = min(s.bytes+n, silenceCredit), false }

// silentAt is when the silence is noticed.
func (c *conn) silentAt() time.Time {
	if c.silence.over || c.silence.bytes < silenceCredit || len(c.in.open) == 0 || c.state != stateOpen {
		return time.Time{}
	}
	return c.heard.Add(max(silenceLeast, c.rtt.smoothed/4))
}

func (c *conn) silent() {
	c.silence.over = true
	if c.in.lacking() > 0 {
		c.silence.bytes = 0
		c.show()
	}
}

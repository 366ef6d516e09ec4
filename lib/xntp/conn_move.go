package xntp

import (
	"io"
	"time"

	"github.com/xp2p/xp2p/lib/wire"
)

const (
	// probeTries is how often a new address is challenged before it is given up.
	probeTries = 5
	// maxEarned is how many full packets show a new address of ours at once: three
	// times that is a piece of 16 KiB with its headers.
	maxEarned = 5
)

// probeState is the validation of an address that the peer was seen at, or that
// our owner would rather have (RFC 9000 §8.2), and the answer that we owe to a
// challenge.
type probeState struct {
	path
	active   bool
	ours     bool // our owner asked for it
	shown    bool // the peer speaks from it, and not only to prove it
	provedAt time.Time
	token    [8]byte
	received int64
	sent     int64
	tries    int
	asked    time.Time // when it was challenged last
	at       time.Time // when to challenge again
	due      bool      // a CHALLENGE is to be sent now
	ahead    aheadState

	owed       bool // a RESPONSE is to be sent
	owedPath   path
	owedToken  [8]byte
	owedPadded bool

	// What comes from the address that we have left on purpose was sent before the
	// peer knew, until then.
	left      path
	leftUntil time.Time
}

// room is how many bytes may go to the address: three times what came from it,
// until it is proved (RFC 9000 §8.1). An address that our owner names is not
// somebody else's word; it gets probeTries challenges.
func (p *probeState) room() int64 {
	if p.ours || !p.provedAt.IsZero() {
		return 1 << 30
	}
	return 3*p.received - p.sent
}

func (p *probeState) stop() {
	p.active, p.ours, p.shown, p.due, p.at, p.provedAt = false, false, false, false, time.Time{}, time.Time{}
}

// challenge begins to validate another path than the one in use.
func (c *conn) challenge(now time.Time, to path) bool {
	p := &c.probe
	if p.active && p.ours {
		c.event(Event{Kind: EventStayed, Socket: p.socket, Addr: p.addr})
	}
	p.stop()
	if _, err := io.ReadFull(c.e.cfg.Entropy, p.token[:]); err != nil {
		return false
	}
	p.path, p.active, p.received, p.sent, p.tries, p.ahead = to, true, 0, 0, 0, aheadState{packet: c.loss.first}
	c.challengeAgain(now)
	return true
}

// challengeAgain makes the next challenge due, or gives up.
func (c *conn) challengeAgain(now time.Time) {
	p := &c.probe
	if p.tries >= probeTries {
		if p.ours {
			c.event(Event{Kind: EventStayed, Socket: p.socket, Addr: p.addr})
		}
		p.stop()
		return
	}
	p.due, p.asked, p.at = true, now, now.Add(backoff(c.rtt.pto(), p.tries))
	p.tries++
}

// moveTo begins to move the connection to another path, because our owner says so.
func (c *conn) moveTo(now time.Time, to path) {
	p := &c.probe
	switch {
	case to == c.path.path:
		c.event(Event{Kind: EventMigrated, Socket: to.socket, Addr: to.addr})
	case p.active && p.path == to && !p.provedAt.IsZero():
		p.ours = true
		c.move(now)
	case p.active && p.path == to:
		p.ours = true
	case c.challenge(now, to):
		p.ours = true
	}
}

// seenAt notes that an authentic packet came from a path that is not the one in
// use. If it only proves a path, so do we, and stay. If it is any other, the
// highest so far, the peer may have a new address; that is not taken for granted
// before it has answered a challenge, because whoever copies packets could forge
// it (RFC 9000 §9.3).
func (c *conn) seenAt(now time.Time, from path, n int, proving, highest bool) {
	p := &c.probe
	moved := highest && !proving
	switch {
	case from == p.left && now.Before(p.leftUntil):
	case p.active && p.path == from:
		p.received += int64(n)
		if !moved {
			return
		}
		p.shown = true
		if !p.provedAt.IsZero() {
			c.move(now)
		} else if now.Sub(p.asked) > c.rtt.pto() {
			p.tries = 0 // it is there and lacks an answer: do not wait for the backoff
			c.challengeAgain(now)
		}
	case moved || proving && !(p.active && (p.shown || p.ours)):
		if c.challenge(now, from) {
			p.received, p.shown = int64(n), moved
		}
	}
}

// proved handles a RESPONSE.
func (c *conn) proved(now time.Time, token [8]byte) {
	p := &c.probe
	if !p.active || token != p.token || !p.provedAt.IsZero() {
		return
	}
	p.provedAt, p.due, p.at = now, false, time.Time{}
	if p.ours || p.shown {
		c.move(now)
	}
}

// move takes the path that was proved.
func (c *conn) move(now time.Time) {
	p := &c.probe
	old := c.path.path
	c.path = pathState{path: p.path, proved: true}
	// A peer that moved because it had to has left its old address; else both
	// paths carry what is on its way.
	lost := p.shown && !p.ours && p.provedAt.Equal(now)
	c.loss.patience = 0
	if !lost {
		c.loss.patience = c.loss.lossDelay(&c.rtt) + c.rtt.pto()/2
		p.left, p.leftUntil = old, now.Add(3*c.rtt.pto())
	}
	if old.addr.Addr() != c.path.addr.Addr() || old.socket != c.path.socket {
		// RFC 9000 §9.4: reset both "unless the only change in the peer's address
		// is its port number".
		c.notePast(old)
		c.rtt.init()
		if p.tries == 1 {
			c.rtt.sample(p.provedAt.Sub(p.asked), 0)
		}
		c.way, c.runs = wayState{}, runState{}
		c.cc = c.e.newController(now)
		c.cc.SetMTU(c.mtu)
		c.startMTU()
		c.pacer = pacerState{}
		c.loss.threshold, c.loss.timeThreshold = packetThreshold, minTimeThreshold
	}
	c.movedAt = now
	p.stop()
	c.loss.ptoCount = 0
	c.ping = true
	if c.acks.have {
		c.acks.owe(now) // what was acknowledged lately, the peer may not have heard
	}
	if lost {
		c.leaveBehind(now)
	}
	c.note(now, Trace{Kind: TraceMoved, Addr: c.path.addr})
	c.event(Event{Kind: EventMigrated, Socket: c.path.socket, Addr: c.path.addr})
}

// leaveBehind gives up the packets in flight when the peer has moved: what was
// sent to its old address since then is gone, and waiting for proof would cost a
// round trip or two. What did arrive is sent once more in vain. No controller is
// told, and nothing is learnt of reordering if it turns out so. What was sent
// ahead to the new address is in flight from now on.
func (c *conn) leaveBehind(now time.Time) {
	l := &c.loss
	c.judgeAll(now)
	for n := l.first; n < l.next; n++ {
		p := l.get(n)
		if p == nil || p.state != packetInFlight {
			continue
		}
		p.state = packetLeft
		l.flying--
		l.bytes -= p.size
		l.lostCount++
		for i := range p.frames {
			c.onLost(now, &p.frames[i], false)
		}
	}
	for n := l.first; n < l.next; n++ {
		if p := l.get(n); p != nil && p.state == packetAhead {
			p.state = packetInFlight
			l.flying++
			l.bytes += p.size
			for i := range p.frames {
				c.onSent(&p.frames[i])
			}
		}
	}
	l.lossTime, l.blockTime = time.Time{}, time.Time{}
}

// onSent takes back that a frame is due: it is in flight already.
func (c *conn) onSent(f *sentFrame) {
	x := &c.out
	o := x.all[f.id]
	if o == nil {
		return
	}
	before := o.waiting()
	switch f.kind {
	case wire.FrameOpen:
		o.openLost = false
	case wire.FrameObj:
		o.took(f.offset, int(f.n))
		o.finSent = o.finSent || f.fin
	}
	x.waiting -= before - o.waiting()
	if o.queued && !o.pending() {
		x.dequeue(o)
	}
}

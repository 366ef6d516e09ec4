package xntp

import (
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

// closeState is a connection's end on our side.
type closeState struct {
	code  uint64
	due   bool
	until time.Time
	heard int // packets since; the answer is repeated at powers of two
}

// close ends the connection and tells the peer.
func (c *conn) close(now time.Time, reason Reason, code uint64) {
	if c.state == stateGone || c.state == stateClosing {
		return
	}
	tell := c.protect.ready && (c.state == stateOpen || reason == ClosedProtocol)
	c.closed(now, reason, code)
	c.drop()
	if !tell {
		c.e.remove(c)
		return
	}
	if c.state == stateHalf {
		c.e.half--
	}
	// RFC 9000 §10.2: the closing state persists "for at least three times the
	// current PTO interval".
	c.state = stateClosing
	c.closing = closeState{code: code, due: true, until: now.Add(3 * c.rtt.pto())}
}

// closed tells the owner.
func (c *conn) closed(now time.Time, reason Reason, code uint64) {
	c.note(now, Trace{Kind: TraceClosed, Reason: reason, Code: code})
	c.event(Event{Kind: EventClosed, Key: c.key, Reason: reason, Code: code})
}

// gone ends the connection without a word.
func (c *conn) gone(now time.Time, reason Reason, code uint64) {
	if c.state != stateClosing {
		c.closed(now, reason, code)
	}
	c.drop()
	c.e.remove(c)
}

// drop lets go of everything that is queued.
func (c *conn) drop() {
	clear(c.out.all)
	c.out = outbox{}
	clear(c.in.open)
	c.in = inbox{}
}

// heardClosing answers a peer that has not understood yet, less and less often
// (RFC 9000 §10.2.1 asks to limit the rate).
func (c *conn) heardClosing() {
	c.closing.heard++
	if n := c.closing.heard; n&(n-1) == 0 {
		c.closing.due = true
	}
}

func (c *conn) appendClose(now time.Time, dst []byte) (machine.Packet, bool) {
	if !c.closing.due || c.path.room() < 64 {
		return machine.Packet{}, false
	}
	c.closing.due = false
	start := len(dst)
	b := c.appendHeader(dst, c.loss.next)
	f := &c.e.frame
	f.Type, f.Value, f.Data = wire.FrameClose, c.closing.code, nil
	b = c.sealPacket(now, c.path.path, f.Append(b), start, c.loss.next)
	c.loss.next++
	return c.packet(now, b, start, c.path.path), true
}

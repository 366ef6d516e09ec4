package xntp

import (
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

// appendProbe appends a packet that belongs to another path than the one in use:
// an answer to a challenge, a challenge, or both. None counts as in flight.
func (c *conn) appendProbe(now time.Time, dst []byte) (machine.Packet, bool) {
	p := &c.probe
	if !c.protect.ready || !p.owed && !p.due {
		return machine.Packet{}, false
	}
	f := &c.e.frame
	to, padded := p.path, p.room() >= wire.HandshakeLen
	if p.owed {
		to, padded = p.owedPath, p.owedPadded
	}
	// RFC 9000 §8.2.1: the datagram is expanded, "unless the anti-amplification
	// limit for the path does not permit".
	asks := p.due && to == p.path && p.room() >= 64
	if !p.owed && !asks {
		p.due = false
		return machine.Packet{}, false
	}
	start := len(dst)
	b := c.appendHeader(dst, c.loss.next)
	if p.owed {
		p.owed = false
		f.Type, f.Token = wire.FrameResponse, p.owedToken
		b = f.Append(b)
	}
	if asks {
		p.due = false
		f.Type, f.Token = wire.FrameChallenge, p.token
		b = f.Append(b)
		if c.acks.have {
			// If it is there, acknowledgements that went to its old address are lost.
			c.acks.fill(now, f, 3*c.rtt.pto())
			if with := f.Append(b); int64(len(with)-start+wire.TagLen) <= min(p.room(), wire.HandshakeLen) {
				b = with
			}
		}
	}
	if padded {
		b = append(b, make([]byte, max(0, wire.HandshakeLen-wire.TagLen-(len(b)-start)))...)
	}
	b = c.sealPacket(now, to, b, start, c.loss.next)
	c.loss.sent(c.loss.begin(), now, len(b)-start, false)
	if to == p.path {
		p.sent += int64(len(b) - start)
	}
	return c.packet(now, b, start, to), true
}

// appendAhead repeats, to the address that the peer seems to have moved to, what
// is in flight to its old one, the most urgent of the oldest first, as far as three
// times what came from there allows (RFC 9000 §9.3.1). It is sent beside everything
// else: if nobody has moved, nothing has changed.
func (c *conn) appendAhead(now time.Time, dst []byte) (machine.Packet, bool) {
	p := &c.probe
	if !p.active || !p.shown || p.ours || !p.provedAt.IsZero() {
		return machine.Packet{}, false
	}
	l := &c.loss
	room := int(min(p.room(), wire.HandshakeLen)) // what every path carries
	if room < wire.MinShortLen+openRoom+partRoom {
		return machine.Packet{}, false
	}
	start := len(dst)
	q := l.begin()
	b := c.appendHeader(dst, q.number)
	for end := start + room - wire.TagLen; p.ahead.packet < q.number && end-len(b) >= openRoom+partRoom; {
		if s := l.get(p.ahead.packet); s != nil && s.state == packetInFlight && p.ahead.frame < len(s.frames) {
			b = c.appendAgain(now, b, end, s.frames[p.ahead.frame], q)
		} else {
			p.ahead = aheadState{packet: p.ahead.packet + 1}
		}
	}
	if len(q.frames) == 0 {
		l.abandon(q)
		return machine.Packet{}, false
	}
	b = c.sealPacket(now, p.path, b, start, q.number)
	q.state = packetAhead
	l.track(q, now, len(b)-start)
	p.sent += int64(len(b) - start)
	return c.packet(now, b, start, p.path), true
}

// aheadState is what was sent ahead: all packets below one, so many of its frames,
// and so many bytes of the next.
type aheadState struct {
	packet uint64
	frame  int
	bytes  uint64
}

// appendAgain appends as much of a frame that is in flight as there is room for, if
// it is of an object that is wanted still, and notes it in q.
func (c *conn) appendAgain(now time.Time, b []byte, end int, f sentFrame, q *sentPacket) []byte {
	at := &c.probe.ahead
	o := c.out.all[f.id]
	start, stop := f.offset+at.bytes, f.offset+uint64(f.n)
	at.frame, at.bytes = at.frame+1, 0
	switch {
	case o == nil || o.class == BestEffort || c.late(now, o):
	case f.kind == wire.FrameOpen && !o.openAcked:
		b = c.appendOpen(now, b, o, q)
	case f.kind == wire.FrameObj && start >= o.base && !o.acked.covers(start, stop):
		n := min(int(stop-start), end-len(b)-3-wire.SizeVarint(o.id)-wire.SizeVarint(start))
		if start+uint64(n) < stop {
			at.frame, at.bytes = at.frame-1, start+uint64(n)-f.offset
			f.fin = false
		}
		b = wire.AppendObjHeader(b, f.id, start, n, f.fin, false)
		b = o.copyTo(b, start, n)
		q.frames = append(q.frames, sentFrame{kind: f.kind, fin: f.fin, n: uint32(n), id: f.id, offset: start})
		c.stats.objectBytes += int64(n)
		c.stats.repeatedBytes += int64(n)
	}
	return b
}

// show makes known that our address may have changed: with full packets, because the
// peer sends no more than three times as much before the new one is proved.
func (c *conn) show() {
	c.ping = true
	c.loss.probes = max(c.loss.probes, 1)
	c.silence.bytes = 0
	const each = 3 * wire.HandshakeLen
	c.earn = min((c.in.lacking()+each-1)/each, maxEarned)
}

// appendEarning appends a packet that only earns room at an address of ours that the
// peer does not know yet. It does not count as in flight.
func (c *conn) appendEarning(now time.Time, dst []byte) (machine.Packet, bool) {
	if c.earn == 0 || c.ping || c.state != stateOpen { // PING brings an acknowledgement along, and goes first
		return machine.Packet{}, false
	}
	c.earn--
	start := len(dst)
	b := append(c.appendHeader(dst, c.loss.next), byte(wire.FramePing))
	b = append(b, make([]byte, wire.HandshakeLen-wire.TagLen-(len(b)-start))...)
	b = c.sealPacket(now, c.path.path, b, start, c.loss.next)
	c.loss.sent(c.loss.begin(), now, len(b)-start, false)
	return c.packet(now, b, start, c.path.path), true
}

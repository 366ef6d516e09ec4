package xntp

import (
	"io"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

// probeTries is how often a new address is challenged before it is given up.
const probeTries = 5

// probeState is the validation of an address that the peer was seen at (RFC
// 9000 §8.2), and the answer that we owe to a challenge.
type probeState struct {
	path
	active   bool
	token    [8]byte
	received int64
	sent     int64
	tries    int
	asked    time.Time // when it was challenged last
	at       time.Time // when to challenge again
	due      bool      // a CHALLENGE is to be sent now

	owed       bool // a RESPONSE is to be sent
	owedPath   path
	owedToken  [8]byte
	owedPadded bool
}

func (p *probeState) stop() { p.active, p.due, p.at = false, false, time.Time{} }

func (p *probeState) retry(now time.Time, r *rttState) {
	if p.tries >= probeTries {
		p.stop()
		return
	}
	p.due, p.asked, p.at = true, now, now.Add(backoff(r.pto(), p.tries))
	p.tries++
}

// seenAt notes that an authentic packet, the highest so far, came from a path
// that is not the one in use: the peer may have a new address. The address is
// not used before it has answered a challenge, because whoever copies packets
// could forge it (RFC 9000 §9.3).
func (c *conn) seenAt(now time.Time, from path, n int) {
	p := &c.probe
	if p.active && p.path == from {
		p.received += int64(n)
		if now.Sub(p.asked) > c.rtt.pto() {
			p.tries = 0 // it is there and lacks an answer: do not wait for the backoff
			p.retry(now, &c.rtt)
		}
		return
	}
	if _, err := io.ReadFull(c.e.cfg.Entropy, p.token[:]); err != nil {
		return
	}
	p.path, p.active, p.received, p.sent, p.tries = from, true, int64(n), 0, 0
	p.retry(now, &c.rtt)
}

// proved handles a RESPONSE.
func (c *conn) proved(now time.Time, token [8]byte) {
	p := &c.probe
	if !p.active || token != p.token {
		return
	}
	moved := p.addr.Addr() != c.path.addr.Addr()
	c.path = pathState{path: p.path, proved: true}
	p.stop()
	if moved {
		// RFC 9000 §9.4: reset both "unless the only change in the peer's address
		// is its port number".
		c.rtt.init()
		c.way = wayState{}
		c.cc = c.e.newController(now)
		c.cc.SetMTU(c.mtu)
		c.startMTU()
		c.pacer = pacerState{}
		c.loss.threshold, c.loss.timeThreshold = packetThreshold, minTimeThreshold
		c.movedAt = now
	}
	c.loss.ptoCount = 0
	c.ping = true
	if c.acks.have {
		c.acks.owe(now) // what was acknowledged lately, the peer may not have heard
	}
	c.leaveBehind(now)
	c.note(now, Trace{Kind: TraceMoved, Addr: c.path.addr})
	c.event(Event{Kind: EventMigrated, Socket: c.path.socket, Addr: c.path.addr})
}

// leaveBehind gives up the packets in flight when the peer has moved: what was
// sent to its old address since then is gone, and waiting for proof would cost a
// round trip or two. What did arrive is sent once more in vain. No controller is
// told, and nothing is learnt of reordering if it turns out so.
func (c *conn) leaveBehind(now time.Time) {
	l := &c.loss
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
	l.lossTime = time.Time{}
}

// appendProbe appends a packet that belongs to another path than the one in
// use: an answer to a challenge, or a challenge. Neither counts as in flight.
func (c *conn) appendProbe(now time.Time, dst []byte) (machine.Packet, bool) {
	p := &c.probe
	f := &c.e.frame
	to, padded := p.owedPath, p.owedPadded
	switch {
	case !c.protect.ready:
		return machine.Packet{}, false
	case p.owed:
		p.owed = false
		f.Type, f.Token = wire.FrameResponse, p.owedToken
	case p.due:
		p.due = false
		to = p.path
		// RFC 9000 §8.2.1: the datagram is expanded, "unless the anti-amplification
		// limit for the path does not permit".
		padded = 3*p.received-p.sent >= wire.HandshakeLen
		if 3*p.received-p.sent < 64 {
			return machine.Packet{}, false
		}
		f.Type, f.Token = wire.FrameChallenge, p.token
	default:
		return machine.Packet{}, false
	}
	start := len(dst)
	b := c.appendHeader(dst, c.loss.next)
	b = f.Append(b)
	if f.Type == wire.FrameChallenge && c.acks.have {
		// If it is there, acknowledgements that went to its old address are lost.
		c.acks.fill(now, f, 3*c.rtt.pto())
		if with := f.Append(b); int64(len(with)-start+wire.TagLen) <= 3*p.received-p.sent {
			b = with
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

// appendHeader begins a data packet.
func (c *conn) appendHeader(b []byte, number uint64) []byte {
	acked := uint64(0)
	if c.loss.acked {
		acked = c.loss.largest + 1
	}
	return wire.AppendShort(b, c.protect.phase, c.remote, number, wire.NumberLen(number, acked))
}

// sealPacket ends a data packet.
func (c *conn) sealPacket(now time.Time, to path, b []byte, start int, number uint64) []byte {
	if c.e.trace.on() {
		c.notePacket(now, TraceSent, wire.PacketShort, to.addr, number, max(len(b)-start+wire.TagLen, wire.MinShortLen), b[start+wire.ShortHeaderLen(b[start]):])
	}
	return c.protect.seal(b, start, number)
}

// packet wraps what was appended to dst behind start.
func (c *conn) packet(now time.Time, b []byte, start int, to path) machine.Packet {
	n := int64(len(b) - start)
	c.spoke = now
	c.stats.sentBytes += n
	if to == c.path.path && !c.path.proved {
		c.path.sent += n
	}
	ecn := machine.ECT0
	if c.ecnOff {
		ecn = machine.NotECT
	}
	return machine.Packet{Socket: to.socket, Remote: to.addr, Data: b, ECN: ecn, DontFragment: true}
}

package xntp

import (
	"time"

	"github.com/xp2p/xp2p/lib/congestion"
	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

// receive handles a data packet that carries our connection ID.
func (c *conn) receive(now time.Time, p *machine.Packet, data []byte) {
	if !c.protect.ready || c.state == stateGone {
		c.e.counts.Early++
		return
	}
	frames, number, ok := c.protect.open(c.e.scratch, data, c.acks.next())
	if !ok {
		c.e.counts.Forged++
		return
	}
	if c.state == stateClosing {
		c.heardClosing()
		return
	}
	if c.acks.duplicate(number) {
		c.e.counts.Replayed++
		return
	}
	c.heard = now
	c.stats.receivedBytes += int64(len(data))
	c.stats.receivedPackets++
	from := path{p.Socket, p.Remote}
	highest := number >= c.acks.next()
	if c.state == stateHalf {
		c.confirmed(now, from)
		if c.state == stateGone || c.state == stateClosing {
			return
		}
	}
	if !c.path.proved && from == c.path.path {
		c.path.received += int64(len(data))
	}
	eliciting, urgent, code := c.handleFrames(now, frames, from, len(data))
	if c.state != stateOpen && c.state != stateHalf {
		return
	}
	if code != codeNone {
		c.close(now, ClosedProtocol, code)
		return
	}
	if highest && from != c.path.path {
		c.seenAt(now, from, len(data))
	} else if c.probe.active && from == c.path.path && highest {
		c.probe.stop() // it speaks from the old address again
	}
	c.acks.receive(now, p.Stamp, number, p.ECN, eliciting, urgent, c.ackHold())
}

// ackHold is how long an acknowledgement may wait: eight in a round trip are
// enough for any controller, and each one wakes a machine.
func (c *conn) ackHold() time.Duration {
	if !c.rtt.have {
		return maxAckDelay / 5
	}
	return min(max(c.rtt.smoothed/8, granularity), maxAckDelay)
}

// handleFrames does what the frames of a packet say. urgent asks for an
// acknowledgement at once.
func (c *conn) handleFrames(now time.Time, b []byte, from path, size int) (eliciting, urgent bool, code uint64) {
	f := &c.e.frame
	if len(b) == 0 {
		return false, false, codeFrame // RFC 9000 §12.4 forbids a packet without frames
	}
	for len(b) > 0 {
		var err error
		if b, err = f.Parse(b); err != nil {
			return false, false, codeFrame
		}
		eliciting = eliciting || f.Type.AckEliciting()
		switch f.Type {
		case wire.FrameAck, wire.FrameAckECN:
			code = c.onAck(now, &f.Ack, f.Type == wire.FrameAckECN)
		case wire.FrameOpen:
			var in *inbound
			if in, code = c.in.opened(f.ID, &f.Open); in != nil && code == codeNone {
				c.arrived(in)
			}
			if len(c.in.done) > maxDone {
				code = codeObject
			}
		case wire.FrameObj:
			var in *inbound
			if in, code = c.in.part(f); in != nil && code == codeNone {
				urgent = c.arrived(in) && in.class == Deadline || urgent
			}
		case wire.FrameCancel, wire.FrameExpired:
			if code = c.in.gone(f.ID, f.Value); len(c.in.done) > maxDone {
				code = codeObject
			}
			c.announce()
		case wire.FrameWindow:
			c.out.limit = max(c.out.limit, f.Value)
		case wire.FrameChallenge:
			p := &c.probe
			p.owed, p.owedPath, p.owedToken, p.owedPadded = true, from, f.Token, size >= wire.HandshakeLen
		case wire.FrameResponse:
			c.proved(now, f.Token)
		case wire.FrameClose:
			c.gone(ClosedByPeer, f.Value)
			return false, false, codeNone
		}
		if code != codeNone {
			return false, false, code
		}
	}
	return eliciting, urgent, codeNone
}

// arrived hands out what is complete of an object and reports whether it is
// finished.
func (c *conn) arrived(in *inbound) bool {
	switch {
	case in.endless:
		before := in.out
		data, fin := in.take()
		if len(data) == 0 && !fin {
			return false
		}
		credit := in.out - before
		if fin {
			credit += c.in.finish(in)
		}
		c.e.events.push(queuedEvent{Event{Kind: EventStream, Conn: c.id, Object: ObjectID(in.id), Priority: in.priority, Data: data, Fin: fin}, credit})
		return fin
	case in.whole():
		data := in.buf
		credit := c.in.finish(in)
		c.e.events.push(queuedEvent{Event{Kind: EventObject, Conn: c.id, Object: ObjectID(in.id), Class: in.class, Priority: in.priority, Data: data}, credit})
		return true
	}
	return false
}

// taken returns the charge of an event that the owner took.
func (c *conn) taken(credit uint64) {
	c.in.returned += credit
	c.announce()
}

func (c *conn) announce() {
	if _, ok := c.in.announce(); ok && !c.windowDue {
		c.windowDue = true
	}
}

// onAck handles an ACK (RFC 9002 appendix A.7).
func (c *conn) onAck(now time.Time, a *wire.Ack, ecn bool) (code uint64) {
	l := &c.loss
	ranges := a.Ranges()
	largest := ranges[0].Last
	if largest >= l.next {
		return codeAck // RFC 9000 §13.1: acknowledges what was not sent
	}
	var newest *sentPacket
	var newestAt time.Time
	var bytes int
	var appLimited, largestNew bool
	for _, r := range ranges {
		if r.Last < l.first {
			break
		}
		for n := r.Last; n >= max(r.First, l.first); n-- {
			p := l.get(n)
			if p != nil {
				if newest == nil {
					newest, newestAt, appLimited = p, p.at, p.appLimited
					largestNew = n == largest
				}
				if p.state == packetLost {
					l.learn(p, max(largest, l.largest))
					if l.episodeLost--; l.episodeLost == 0 {
						c.cc.OnSpurious(now)
					}
				} else {
					l.flying--
					l.bytes -= p.size
					bytes += p.size
				}
				if p.size > wire.HandshakeLen {
					c.bigAcked = true
				}
				for i := range p.frames {
					c.onAcked(&p.frames[i])
				}
				l.drop(p)
			}
			if n == 0 {
				break
			}
		}
	}
	if newest == nil {
		return codeNone
	}
	if !l.acked || largest > l.largest {
		l.acked, l.largest = true, largest
	}
	c.protect.acked(largest)
	var sample time.Duration
	if largestNew {
		sample = now.Sub(newestAt)
		c.rtt.sample(sample, a.Delay)
	}
	l.ptoCount, l.progress = 0, now
	l.retire()
	c.rate.onAck(a, bytes, &c.rtt)
	c.detectLoss(now)
	if ecn && a.ECN.CE > c.ceSeen {
		c.ceSeen = a.ECN.CE
		c.cc.OnLoss(congestion.Loss{Now: now, Sent: newestAt, InFlight: l.bytes, CE: true})
	} else if !ecn && l.largest > 32 {
		c.ecnOff = true // RFC 9000 §13.4.2: marks are not reported, so none are asked for
	}
	round := largest >= c.roundEnd
	if round {
		c.roundEnd = l.next
	}
	if bytes > 0 {
		c.cc.OnAck(congestion.Ack{
			Now: now, Sent: newestAt, Bytes: bytes, InFlight: l.bytes, RTT: sample, SRTT: c.rtt.smoothed, MinRTT: c.rtt.min,
			DeliveryRate: c.rate.bps, AppLimited: appLimited, RoundEnd: round,
		})
	}
	l.forget(now.Add(-3 * c.rtt.pto()))
	return codeNone
}

// detectLoss finds packets that must be taken for lost (RFC 9002 §6.1).
func (c *conn) detectLoss(now time.Time) {
	l := &c.loss
	l.lossTime = time.Time{}
	if !l.acked {
		return
	}
	delay := l.lossDelay(&c.rtt)
	var bytes, count int
	var oldest, newest time.Time
	for n := l.first; n < l.largest; n++ {
		p := l.get(n)
		if p == nil || p.state != packetInFlight {
			continue
		}
		at := p.at.Add(delay)
		if now.Before(at) && l.largest-n < l.threshold {
			if l.lossTime.IsZero() || at.Before(l.lossTime) {
				l.lossTime = at
			}
			continue
		}
		p.state = packetLost
		l.flying--
		l.bytes -= p.size
		l.lostCount++
		bytes += p.size
		count++
		if oldest.IsZero() {
			oldest = p.at
		}
		newest = p.at
		for i := range p.frames {
			c.onLost(now, &p.frames[i], false)
		}
	}
	if count == 0 {
		return
	}
	l.episodeLost = max(l.episodeLost, 0) + count
	c.cc.OnLoss(congestion.Loss{
		Now: now, Sent: newest, Bytes: bytes, InFlight: l.bytes,
		// RFC 9002 §7.6.2 without its search for acknowledged packets in between:
		// a run of this length that is detected at once has none.
		Persistent: c.rtt.have && count >= 2 && l.flying == 0 && newest.Sub(oldest) > persistentPTOs*c.rtt.pto(),
	})
}

// lossTimer handles the timer of loss detection (RFC 9002 appendix A.9).
func (c *conn) lossTimer(now time.Time) {
	l := &c.loss
	if !l.lossTime.IsZero() {
		c.detectLoss(now)
		return
	}
	if l.flying == 0 {
		return
	}
	l.ptoCount++
	if l.ptoCount > maxPTOs && now.Sub(c.loss.progress) > lostAfter {
		c.gone(ClosedLost, 0)
		return
	}
	// RFC 8899 §4.3: a black hole swallows large packets only.
	if l.ptoCount >= 2 && !c.bigAcked && c.mtu > wire.HandshakeLen {
		c.setMTU(wire.HandshakeLen)
	}
	// RFC 9002 §6.2.4: one packet must leave, two may; with the timer backed off
	// one is enough.
	l.probes = 1
	if l.ptoCount == 1 {
		l.probes = 2
	}
	c.requeueUrgent(now)
	l.lastEliciting = now // the next probe counts from here even if this one cannot leave
}

const (
	// maxPTOs and lostAfter together say when a peer that does not answer is
	// given up before the idle timeout.
	maxPTOs   = 6
	lostAfter = 15 * time.Second
)

// requeueUrgent makes the frames of the packets in flight that hold the most
// urgent object due again, without taking the packets for lost. If there is
// nothing to repeat a PING will do.
func (c *conn) requeueUrgent(now time.Time) {
	l := &c.loss
	c.ping = true
	if len(c.out.queue) > 0 && c.out.queue[0].next == 0 && len(c.out.gone) > 0 {
		return
	}
	for range l.probes {
		var best *sentPacket
		var bestObject *object
		for n := l.first; n < l.next; n++ {
			p := l.get(n)
			if p == nil || p.state != packetInFlight || p.at.Equal(now) {
				continue
			}
			for i := range p.frames {
				f := &p.frames[i]
				if f.kind != wire.FrameObj {
					if best == nil && f.kind != wire.FramePing {
						best = p
					}
					continue
				}
				o := c.out.all[f.id]
				if o == nil || o.acked.covers(f.offset, f.offset+uint64(f.n)) && f.n > 0 || o.lost.covers(f.offset, f.offset+uint64(f.n)) && f.n > 0 {
					continue
				}
				if bestObject == nil || o.before(bestObject) {
					best, bestObject = p, o
				}
			}
		}
		if best == nil {
			return
		}
		for i := range best.frames {
			c.onLost(now, &best.frames[i], true)
		}
	}
}

package xntp

import (
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

// receive handles a data packet that carries our connection ID.
func (c *conn) receive(now time.Time, p *machine.Packet, data []byte) {
	if !c.protect.ready || c.state == stateGone {
		c.e.counts.Early++
		c.keepEarly(p, data)
		return
	}
	frames, number, ok := c.protect.open(c.e.scratch, data, c.acks.next())
	if !ok {
		c.e.counts.Forged++
		c.note(now, Trace{Kind: TraceDropped, Bytes: len(data), Dropped: "does not open"})
		if c.protect.forged >= maxForged {
			c.close(now, ClosedProtocol, codeForged)
		}
		return
	}
	if c.protect.rolls != c.keyRolls {
		c.rekey(now)
	}
	if c.state == stateClosing {
		c.heardClosing()
		return
	}
	if c.acks.duplicate(number) {
		c.e.counts.Replayed++
		c.note(now, Trace{Kind: TraceDropped, Bytes: len(data), Dropped: "duplicate"})
		return
	}
	c.heard = now
	c.silence.heard(len(data))
	c.e.shard = shardPacket{}
	c.stats.receivedBytes += int64(len(data))
	c.stats.receivedPackets++
	from := path{p.Socket, p.Remote}
	c.notePacket(now, TraceReceived, wire.PacketShort, from.addr, number, len(data), frames)
	highest := number >= c.acks.next()
	if c.state == stateHalf {
		c.confirmed(now)
		if c.state == stateGone || c.state == stateClosing {
			return
		}
	}
	if !c.path.proved && from == c.path.path {
		c.path.received += int64(len(data))
	}
	eliciting, urgent, proving, code := c.handleFrames(now, frames, from, len(data))
	if c.state != stateOpen && c.state != stateHalf {
		return
	}
	if code == codeNone {
		code = c.keepShard(now, number, from)
	}
	if code != codeNone {
		c.close(now, ClosedProtocol, code)
		return
	}
	if c.state != stateOpen && c.state != stateHalf {
		return
	}
	if from != c.path.path {
		c.seenAt(now, from, len(data), proving, highest)
	} else if c.probe.active && c.probe.shown && !c.probe.ours && highest && !proving {
		c.probe.stop() // it speaks from the old address again
	}
	c.acks.receive(now, p.Stamp, number, p.ECN, eliciting, urgent, c.ackHold())
}

// ackHold is how long an acknowledgement may wait: eight in a round trip are
// enough for any controller, and each one wakes a machine. Of a few packets it
// may come later: on a narrow link they would have one each, and that costs more
// of the way back than it tells. The peer's probe timeout counts from the last
// packet that it sent, so each one that comes may put off the acknowledgement of
// those before it.
func (c *conn) ackHold() ackHold {
	if !c.rtt.have {
		return ackHold{maxAckDelay / 5, maxAckDelay / 5, maxAckDelay / 5}
	}
	half := max(c.rtt.smoothed/2, granularity)
	return ackHold{another: min(half, maxAckDelay), few: half, several: min(max(c.rtt.smoothed/8, granularity), maxAckDelay)}
}

// handleFrames does what the frames of a packet say. urgent asks for an
// acknowledgement at once, proving that the packet is only about a path (RFC 9000
// §9.1: a "probing packet").
func (c *conn) handleFrames(now time.Time, b []byte, from path, size int) (eliciting, urgent, proving bool, code uint64) {
	f := &c.e.frame
	other := false
	if len(b) == 0 {
		return false, false, false, codeFrame // RFC 9000 §12.4 forbids a packet without frames
	}
	for len(b) > 0 {
		var err error
		if b, err = f.Parse(b); err != nil {
			return false, false, false, codeFrame
		}
		eliciting = eliciting || f.Type.AckEliciting()
		switch f.Type {
		case wire.FrameChallenge, wire.FrameResponse:
			proving = true
		case wire.FramePadding, wire.FrameAck, wire.FrameAckECN:
		default:
			other = true
		}
		switch f.Type {
		case wire.FrameAck, wire.FrameAckECN:
			code = c.onAck(now, &f.Ack, f.Type == wire.FrameAckECN)
		case wire.FrameOpen:
			var in *inbound
			if in, code = c.in.opened(f.ID, &f.Open); in != nil && code == codeNone {
				urgent = c.arrived(in) && in.class == Deadline || urgent
			}
			if len(c.in.done) > maxDone {
				code = codeObject
			}
		case wire.FrameObj:
			var in *inbound
			if in, code = c.in.part(f); in != nil && code == codeNone {
				// The end of what came in several packets is what its sender waits for.
				urgent = c.arrived(in) && (in.class == Deadline || uint64(len(f.Data)) < in.size) || urgent
			}
			if len(c.in.done) > maxDone {
				code = codeObject
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
		case wire.FrameShard:
			c.e.shard = shardPacket{shard: true, id: f.ID, index: f.Index, data: b}
		case wire.FrameParity:
			c.e.shard = shardPacket{parity: true, id: f.ID, index: f.Index, shards: f.Shards, data: f.Data}
		case wire.FrameRecovered:
			code = c.onRecovered(f.Numbers())
		case wire.FrameClose:
			c.gone(now, ClosedByPeer, f.Value)
			return false, false, false, codeNone
		}
		if code != codeNone {
			return false, false, false, code
		}
	}
	return eliciting, urgent, proving && !other, codeNone
}

// arrived hands out what is complete of an object and reports whether it is
// finished.
func (c *conn) arrived(in *inbound) bool {
	switch {
	case !in.known:
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

package xntp

import (
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

// Room that a frame must have left in the packet to be worth beginning.
const (
	openRoom = 64 // OPEN and the header of an OBJ, with something behind it
	partRoom = 64 // bytes of an object
)

// wantsData reports whether there is something to send that counts as in
// flight.
func (c *conn) wantsData() bool {
	return c.ping || c.windowDue || len(c.out.gone) > 0 || c.parity.owed() || c.sendable() != nil
}

// sendable is the most urgent object that the peer's window lets us send of.
func (c *conn) sendable() *object {
	x := &c.out
	for _, o := range x.queue {
		if o.opened {
			if !o.endless || o.openLost || len(o.lost) > 0 || o.next < o.limit(x) || o.closed && !o.finSent && o.next == o.size {
				return o
			}
			continue
		}
		if x.charged+o.cost() <= x.limit {
			return o
		}
	}
	return nil
}

// cost is what opening the object takes of the peer's window.
func (o *object) cost() uint64 {
	if o.endless {
		return objectOverhead
	}
	return o.size + objectOverhead
}

// limit is how far an opened object may be sent now.
func (o *object) limit(x *outbox) uint64 {
	if !o.endless {
		return o.size
	}
	return min(o.size, o.next+x.limit-min(x.charged, x.limit))
}

func (c *conn) windowOpen() bool {
	return c.loss.probes > 0 || c.loss.bytes+c.mtu <= c.cc.Window()
}

func (c *conn) pacingRate() float64 { return max(c.cc.Rate(c.rtt.smoothed), 1000) }

// appendDatagram appends the next datagram.
func (c *conn) appendDatagram(now time.Time, dst []byte) (machine.Packet, bool) {
	switch c.state {
	case stateDialing:
		return c.appendInitial(now, dst)
	case stateClosing:
		return c.appendClose(now, dst)
	case stateGone:
		return machine.Packet{}, false
	}
	if p, ok := c.appendResponse(now, dst); ok {
		return p, true
	}
	if p, ok := c.appendProbe(now, dst); ok {
		return p, true
	}
	if p, ok := c.appendAhead(now, dst); ok {
		return p, true
	}
	if p, ok := c.appendEarning(now, dst); ok {
		return p, true
	}
	if p, ok := c.appendMTUProbe(now, dst); ok {
		return p, true
	}
	if c.repeatResponse() {
		return c.appendResponse(now, dst)
	}
	return c.appendData(now, dst)
}

// maySpeak reports that the anti-amplification limit lets a packet through
// that is worth sending.
func (c *conn) maySpeak() bool {
	return c.protect.ready && c.path.room() >= wire.MinShortLen+openRoom
}

// appendData appends a data packet: acknowledgements, then what the peer must
// know, then objects.
func (c *conn) appendData(now time.Time, dst []byte) (machine.Packet, bool) {
	mtu := c.mtu
	if c.loss.probes > 0 {
		mtu = min(mtu, wire.HandshakeLen) // the reason may be that nothing larger passes
	}
	room := int(min(c.path.room(), int64(mtu)))
	if c.holds(now) || !c.maySpeak() {
		return machine.Packet{}, false
	}
	ackDue := !c.acks.due.IsZero() && !now.Before(c.acks.due)
	data := c.wantsData() && c.windowOpen()
	if data && c.loss.probes == 0 && !c.pacer.ready(now, c.pacingRate(), c.mtu, c.cc.Burst()) {
		data = false
	}
	if !ackDue && !data {
		return machine.Packet{}, false
	}
	if c.protect.sealed >= c.e.cfg.KeyLife {
		c.rekey(now)
	}
	start := len(dst)
	p := c.loss.begin()
	b := c.appendHeader(dst, p.number)
	body := len(b)
	end := start + room - wire.TagLen
	if c.acks.have && (ackDue || c.acks.eliciting > 0) {
		f := &c.e.frame
		b = c.appendRecovered(b, end)
		c.acks.fill(now, f, 3*c.rtt.pto())
		if with := f.Append(b); len(with) <= end {
			b = with
			c.acks.sent()
		}
	}
	if data && c.parity.owed() && c.loss.probes == 0 {
		b = c.appendParity(now, b, end, p)
	}
	if data && len(p.frames) == 0 {
		before, shard := len(b), -1
		if !c.parity.owed() && c.protects(now) && end-len(b) > 2*openRoom+parityRoom {
			b = c.appendShard(now, b)
			shard = len(b)
			end -= parityRoom
		}
		b = c.appendControl(b, end, p)
		b = c.appendObjects(now, b, end, p)
		if len(p.frames) == 0 {
			b = c.appendControl(b, end, p) // every object was late
		}
		if shard >= 0 {
			if len(b) == shard {
				b = b[:before]
			} else {
				c.keepSent(now, p, b[shard:])
			}
		}
		if len(p.frames) == 0 && (c.ping || c.loss.probes > 0) {
			b = append(b, byte(wire.FramePing))
			p.frames = append(p.frames, sentFrame{kind: wire.FramePing})
		}
	}
	if len(b) == body {
		c.loss.abandon(p)
		return machine.Packet{}, false
	}
	eliciting := len(p.frames) > 0
	b = c.sealPacket(now, c.path.path, b, start, p.number)
	size := len(b) - start
	if size >= c.mtu-parityRoom {
		c.mtuSearch.full(size)
	}
	if eliciting {
		c.ping = false
		c.loss.probes = max(c.loss.probes-1, 0)
		if c.state == stateHalf {
			c.answer.data++
		}
		p.appLimited = c.sendable() == nil && c.loss.bytes+size+c.mtu <= c.cc.Window()
	}
	var alone bool
	p.run, alone = c.company(now)
	c.loss.sent(p, now, size, eliciting)
	if p.block != 0 {
		c.fill(now)
	}
	if eliciting {
		// RFC 9002 §7.7: packets "containing only ACK frames SHOULD therefore not be
		// paced"; who mostly acknowledges has no rate to speak of.
		c.pacer.sent(size)
		c.flight = max(c.flight, c.loss.bytes)
		c.cc.OnSent(now, size, c.loss.bytes)
	}
	out := c.packet(now, b, start, c.path.path)
	out.Alone = alone
	return out, true
}

// appendControl appends what the peer must know beside objects.
func (c *conn) appendControl(b []byte, end int, p *sentPacket) []byte {
	f := &c.e.frame
	if c.windowDue && len(b)+9 <= end {
		limit, _ := c.in.announce()
		c.in.limit = max(c.in.limit, limit)
		f.Type, f.Value = wire.FrameWindow, c.in.limit
		b = f.Append(b)
		p.frames = append(p.frames, sentFrame{kind: wire.FrameWindow, id: f.Value})
		c.windowDue = false
	}
	gone := c.out.gone
	for len(gone) > 0 && len(b)+17 <= end {
		g := gone[len(gone)-1]
		gone = gone[:len(gone)-1]
		f.Type, f.ID, f.Value = wire.FrameExpired, g.id, g.charged
		if g.cancelled {
			f.Type = wire.FrameCancel
		}
		b = f.Append(b)
		p.frames = append(p.frames, sentFrame{kind: f.Type, id: g.id, offset: g.charged})
	}
	c.out.gone = gone
	return b
}

// appendObjects fills the packet with parts of objects, the most urgent first.
func (c *conn) appendObjects(now time.Time, b []byte, end int, p *sentPacket) []byte {
	x := &c.out
	for end-len(b) >= openRoom {
		o := c.sendable()
		if o == nil {
			break
		}
		if c.late(now, o) {
			c.giveUp(o, false)
			continue
		}
		if len(p.frames) > 0 && end-len(b) < openRoom+partRoom && o.waiting() > end-len(b)-openRoom {
			break // the rest of the packet is not worth a piece of a piece
		}
		if !o.opened || o.openLost {
			b = c.appendOpen(now, b, o, p)
		}
		b = c.appendPart(b, end, o, p)
		if !o.pending() {
			x.dequeue(o)
		}
	}
	return b
}

// appendOpen appends OPEN, which stands before the first part of an object and
// is sent again if it was lost.
func (c *conn) appendOpen(now time.Time, b []byte, o *object, p *sentPacket) []byte {
	f := &c.e.frame
	f.Type, f.ID = wire.FrameOpen, o.id
	f.Open = wire.Open{Class: uint8(o.class), Priority: o.priority, Endless: o.endless, Size: o.size}
	if !o.deadline.IsZero() {
		f.Open.Timed, f.Open.Left = true, o.deadline.Sub(now)
	}
	b = f.Append(b)
	p.frames = append(p.frames, sentFrame{kind: wire.FrameOpen, id: o.id})
	if !o.opened {
		o.opened = true
		o.charged = o.cost()
		c.out.charged += o.charged
	}
	o.openLost = false
	return b
}

// appendPart appends an OBJ.
func (c *conn) appendPart(b []byte, end int, o *object, p *sentPacket) []byte {
	x := &c.out
	room := end - len(b)
	offset, n := o.part(room, o.limit(x))
	if n == 0 && !(o.endless && o.closed && o.next == o.size) {
		return b
	}
	// A part behind which nothing else will begin has no length. (Where a packet is
	// so short that it is padded, that would be taken for data.)
	header := 1 + wire.SizeVarint(o.id)
	if offset > 0 {
		header += wire.SizeVarint(offset)
	}
	fill := n >= wire.MaxNumberLen && n+header > room-openRoom
	if !fill {
		header += 2
	}
	n = min(n, room-header) // openRoom has seen to it that there is some
	again := offset < o.next
	fin := offset+uint64(n) == o.size && (!o.endless || o.closed)
	b = wire.AppendObjHeader(b, o.id, offset, n, fin, fill)
	b = o.copyTo(b, offset, n)
	p.frames = append(p.frames, sentFrame{kind: wire.FrameObj, id: o.id, offset: offset, n: uint32(n), fin: fin})
	if o.endless && offset+uint64(n) > o.next {
		grown := offset + uint64(n) - o.next
		o.charged += grown
		x.charged += grown
	}
	o.took(offset, n)
	x.waiting -= n
	if fin {
		o.finSent = true
	}
	c.stats.objectBytes += int64(n)
	if again {
		c.stats.repeatedBytes += int64(n)
	}
	return b
}

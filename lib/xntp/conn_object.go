package xntp

import (
	"time"

	"github.com/xp2p/xp2p/lib/wire"
)

// send queues an object.
func (c *conn) send(now time.Time, o Object) (ObjectID, error) {
	size := 0
	for _, d := range o.Data {
		size += len(d)
	}
	x := &c.out
	switch {
	case size > max(c.e.cfg.MaxObject, c.e.cfg.QueueBytes) || c.protect.ready && uint64(size) > x.peerMax:
		return 0, ErrTooLarge
	case o.Class != Reliable && !o.Deadline.IsZero() && now.After(o.Deadline):
		return 0, ErrExpired
	case len(x.all)+len(x.gone) >= c.e.cfg.QueueLen || x.held > 0 && x.held+size > c.e.cfg.QueueBytes:
		x.blocked = true
		return 0, ErrBlocked
	}
	p := c.e.newObject()
	p.id, p.class, p.priority, p.deadline, p.quiet = x.nextID, o.Class, o.Priority, o.Deadline, o.Quiet
	p.data = append(p.data[:0], o.Data...)
	p.size = uint64(size)
	x.nextID++
	x.all[p.id] = p
	x.supply(now, size)
	x.enqueue(p)
	return ObjectID(p.id), nil
}

// openStream queues an endless object.
func (c *conn) openStream(priority uint8) (ObjectID, error) {
	x := &c.out
	if len(x.all) >= c.e.cfg.QueueLen {
		x.blocked = true
		return 0, ErrBlocked
	}
	p := c.e.newObject()
	p.id, p.priority, p.endless = x.nextID, priority, true
	x.nextID++
	x.all[p.id] = p
	x.enqueue(p)
	return ObjectID(p.id), nil
}

// write appends to an endless object.
func (c *conn) write(now time.Time, id ObjectID, b []byte) (int, error) {
	x := &c.out
	o := x.all[uint64(id)]
	if o == nil || !o.endless || o.closed {
		return 0, ErrClosed
	}
	n := min(len(b), c.e.cfg.QueueBytes-x.held)
	if n > 0 {
		o.data = append(o.data, append([]byte(nil), b[:n]...))
		o.size += uint64(n)
		x.supply(now, n)
		x.enqueue(o)
	}
	if n < len(b) {
		x.blocked = true
		return max(n, 0), ErrBlocked
	}
	return n, nil
}

func (c *conn) closeStream(id ObjectID) error {
	o := c.out.all[uint64(id)]
	if o == nil || !o.endless {
		return ErrClosed
	}
	o.closed = true
	c.out.enqueue(o)
	return nil
}

// release forgets an object that is done or given up.
func (c *conn) release(o *object) {
	x := &c.out
	x.dequeue(o)
	delete(x.all, o.id)
	x.held -= int(o.size - o.base)
	c.e.freeObject(o)
	// Half empty is the time to go on: each object that goes out would otherwise
	// wake the caller for one that goes in.
	if x.blocked && len(x.all) <= c.e.cfg.QueueLen/2 && x.held <= c.e.cfg.QueueBytes/2 {
		x.blocked = false
		c.event(Event{Kind: EventWritable})
	}
}

// giveUp drops an object before it is delivered and tells the peer, whose
// window and list of ids depend on it even if nothing was sent.
func (c *conn) giveUp(o *object, cancelled bool) {
	c.out.waiting -= o.waiting()
	c.out.gone = append(c.out.gone, goneObject{o.id, o.charged, cancelled})
	if !cancelled && !o.quiet {
		c.event(Event{Kind: EventExpired, Object: ObjectID(o.id), Class: o.class, Priority: o.priority})
	}
	c.release(o)
}

// late reports that an object cannot arrive in time any more: its deadline is
// nearer than half of the shortest round trip.
func (c *conn) late(now time.Time, o *object) bool {
	return o.class != Reliable && !o.deadline.IsZero() && now.Add(c.rtt.min/2).After(o.deadline)
}

// expireDue gives up queued objects that are late and finds the next deadline.
func (c *conn) expireDue(now time.Time) {
	x := &c.out
	x.expire = time.Time{}
	for i := 0; i < len(x.queue); {
		o := x.queue[i]
		if o.class != Reliable && !o.deadline.IsZero() {
			if !now.Before(o.deadline) || c.late(now, o) {
				c.giveUp(o, false)
				continue
			}
			if x.expire.IsZero() || o.deadline.Before(x.expire) {
				x.expire = o.deadline
			}
		}
		i++
	}
}

// A departure is when a packet had left our access link, and for how long it had
// stood in a queue then; zero if nobody knows.
type departure struct {
	at     time.Time
	queued time.Duration
}

// onAcked handles a frame that arrived.
func (c *conn) onAcked(f *sentFrame, left departure) {
	x := &c.out
	if f.kind != wire.FrameObj && f.kind != wire.FrameOpen {
		return
	}
	o := x.all[f.id]
	if o == nil {
		return
	}
	if f.kind == wire.FrameOpen {
		o.openAcked, o.openLost = true, false
	} else {
		end := f.offset + uint64(f.n)
		if len(o.lost) > 0 {
			before := o.waiting()
			o.lost.sub(f.offset, end)
			x.waiting -= before - o.waiting()
		}
		o.acked.add(f.offset, end)
		if f.fin {
			o.finAcked = true
		}
	}
	if left.at.After(o.left.at) {
		o.left = left
	}
	if o.done() {
		if !o.quiet {
			c.event(Event{Kind: EventDelivered, Object: ObjectID(o.id), Class: o.class, Priority: o.priority, Left: o.left.at, Queued: o.left.queued})
		}
		c.release(o)
		return
	}
	if o.endless {
		x.held -= o.trim()
		if x.blocked && x.held <= c.e.cfg.QueueBytes/2 {
			x.blocked = false
			c.event(Event{Kind: EventWritable})
		}
	}
	if o.queued && !o.pending() {
		x.dequeue(o)
	}
}

// onLost makes a frame due again that was lost, or that a probe repeats.
func (c *conn) onLost(now time.Time, f *sentFrame, probing bool) {
	x := &c.out
	switch f.kind {
	case wire.FramePing:
	case wire.FrameWindow:
		c.windowDue = true
	case wire.FrameExpired, wire.FrameCancel:
		x.gone = append(x.gone, goneObject{f.id, f.offset, f.kind == wire.FrameCancel})
	case wire.FrameOpen, wire.FrameObj:
		o := x.all[f.id]
		if o == nil || probing && (o.class == BestEffort || c.late(now, o)) {
			return
		}
		if f.kind == wire.FrameOpen {
			o.openLost = !o.openAcked
		} else {
			before := o.waiting()
			// A part is lost unless another packet brought it.
			start, end := f.offset, f.offset+uint64(f.n)
			o.lost.add(start, end)
			for _, r := range o.acked {
				if r.end > start && r.start < end {
					o.lost.sub(r.start, r.end)
				}
			}
			x.waiting += o.waiting() - before
			if f.fin && !o.finAcked {
				o.finSent = false
			}
		}
		switch {
		case !o.pending():
		case !probing && (o.class == BestEffort || c.late(now, o)):
			c.giveUp(o, false)
		default:
			x.enqueue(o)
		}
	}
}

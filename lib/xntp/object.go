package xntp

import (
	"time"
)

// objectOverhead is charged to the window for every object beside its size, so
// that many small ones are bounded as well.
const objectOverhead = 64

// An object is one that we send.
type object struct {
	id        uint64
	class     Class
	priority  uint8
	deadline  time.Time
	quiet     bool // nobody asks what became of it
	endless   bool
	closed    bool     // endless: nothing more will be written
	data      [][]byte // from base on
	base      uint64   // endless: what lies before it is delivered and gone
	size      uint64   // so far, if endless
	next      uint64   // the first byte never sent
	lost      rangeset // to send again
	acked     rangeset
	charged   uint64 // to the peer's window
	opened    bool   // OPEN was sent
	openAcked bool
	openLost  bool // and is to be repeated
	finSent   bool
	finAcked  bool
	queued    bool
	left      departure // of what was acknowledged of it the last
}

func (o *object) reset() {
	clear(o.data)
	*o = object{data: o.data[:0], lost: o.lost[:0], acked: o.acked[:0]}
}

// pending reports whether something must be sent.
func (o *object) pending() bool {
	switch {
	case len(o.lost) > 0 || o.next < o.size || !o.opened || o.openLost:
		return true
	}
	return o.endless && o.closed && !o.finSent
}

// waiting is how many bytes must be sent.
func (o *object) waiting() (n int) {
	for _, r := range o.lost {
		n += int(r.end - r.start)
	}
	return n + int(o.size-o.next)
}

// done reports whether the peer has everything.
func (o *object) done() bool {
	return o.openAcked && o.acked.covers(0, o.size) && (!o.endless || o.finAcked)
}

// part chooses what to send next, at most n bytes and not beyond limit: first
// what was lost, in order.
func (o *object) part(n int, limit uint64) (offset uint64, length int) {
	if len(o.lost) > 0 {
		r := o.lost[0]
		return r.start, int(min(uint64(n), r.end-r.start))
	}
	return o.next, int(min(uint64(n), min(o.size, limit)-min(o.next, limit)))
}

// took notes that a part was sent.
func (o *object) took(offset uint64, n int) {
	end := offset + uint64(n)
	o.lost.sub(offset, end)
	o.next = max(o.next, end)
}

// copyTo appends n bytes of the object from offset on.
func (o *object) copyTo(b []byte, offset uint64, n int) []byte {
	offset -= o.base
	for _, d := range o.data {
		if offset >= uint64(len(d)) {
			offset -= uint64(len(d))
			continue
		}
		d = d[offset:]
		offset = 0
		d = d[:min(n, len(d))]
		b = append(b, d...)
		if n -= len(d); n == 0 {
			break
		}
	}
	return b
}

// trim lets go of what an endless object has delivered and returns its size.
func (o *object) trim() (freed int) {
	for len(o.acked) > 0 && o.acked[0].start == 0 && len(o.data) > 0 && o.acked[0].end >= o.base+uint64(len(o.data[0])) {
		n := len(o.data[0])
		freed += n
		o.base += uint64(n)
		copy(o.data, o.data[1:])
		o.data[len(o.data)-1] = nil
		o.data = o.data[:len(o.data)-1]
	}
	return freed
}

// before orders objects: by priority, then earliest deadline first, then oldest
// first.
func (o *object) before(p *object) bool {
	if o.priority != p.priority {
		return o.priority < p.priority
	}
	if !o.deadline.Equal(p.deadline) {
		if o.deadline.IsZero() || p.deadline.IsZero() {
			return p.deadline.IsZero()
		}
		return o.deadline.Before(p.deadline)
	}
	return o.id < p.id
}

// outbox is the objects that a connection sends.
type outbox struct {
	nextID  uint64
	all     map[uint64]*object
	queue   []*object // those with something to send, in order
	held    int       // bytes of all objects
	waiting int       // bytes to send; never sent plus lost
	limit   uint64    // the peer's window
	charged uint64    // what is used of it
	expire  time.Time // no queued object's deadline is earlier; zero if none has one
	blocked bool      // a caller was refused
	// When the latest bytes came, and when there was nothing to send before them.
	supplied, busy time.Time
	peerMax        uint64 // the peer's largest object
	gone           []goneObject
}

// A goneObject is one that was given up and the peer must be told.
type goneObject struct {
	id, charged uint64
	cancelled   bool
}

// supply notes that n bytes more are to be sent.
func (x *outbox) supply(now time.Time, n int) {
	if x.waiting == 0 {
		x.busy = now
	}
	x.supplied = now
	x.held += n
	x.waiting += n
}

// enqueue puts an object with something to send into the queue.
func (x *outbox) enqueue(o *object) {
	if o.queued || !o.pending() {
		return
	}
	o.queued = true
	lo, hi := 0, len(x.queue)
	for lo < hi {
		mid := (lo + hi) / 2
		if x.queue[mid].before(o) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	x.queue = append(x.queue, nil)
	copy(x.queue[lo+1:], x.queue[lo:])
	x.queue[lo] = o
	if o.class != Reliable && !o.deadline.IsZero() && (x.expire.IsZero() || o.deadline.Before(x.expire)) {
		x.expire = o.deadline
	}
}

func (x *outbox) dequeue(o *object) {
	if !o.queued {
		return
	}
	o.queued = false
	lo, hi := 0, len(x.queue)
	for lo < hi {
		mid := (lo + hi) / 2
		if x.queue[mid].before(o) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == len(x.queue) || x.queue[lo] != o {
		panic("xntp: BUG: a queued object is not in its place")
	}
	copy(x.queue[lo:], x.queue[lo+1:])
	x.queue[len(x.queue)-1] = nil
	x.queue = x.queue[:len(x.queue)-1]
}

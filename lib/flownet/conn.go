package flownet

import (
	"net/netip"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/xntp"
)

type state uint8

const (
	dialing state = iota
	accepted
	open
	closed
)

// A conn is one end of a connection.
type conn struct {
	ep    *Endpoint
	id    xntp.ConnID
	key   xntp.PublicKey
	addr  netip.AddrPort
	state state
	peer  *conn
	gen   uint32 // grows when it ends: what is on its way then is lost

	next   uint64
	flying []flight      // by object
	early  []waiting     // sent before the handshake was done
	paced  time.Duration // until when what was sent is spread
	cwnd   float64
	srtt   time.Duration
	rate   float64       // bytes per second
	trip   time.Duration // of the empty path
	there  time.Duration // its first half

	acksAt time.Duration // until then what acknowledges small objects goes with what is owed
	full   time.Duration // when the last small object was sent, and
	room   int           // what its datagram can still hold

	sent, received int64
	watched        bool // somebody looks whether the peer answers
	heard          time.Duration
}

type waiting struct {
	id xntp.ObjectID
	o  xntp.Object
}

// A flight is an object on its way, and its transfer.
type flight struct {
	id   xntp.ObjectID
	slot uint32
}

// aloft returns where an object on its way stands.
func (c *conn) aloft(id xntp.ObjectID) (int, bool) {
	for i := range c.flying { // nearly always it is among the first
		if c.flying[i].id == id {
			return i, true
		}
	}
	return 0, false
}

// land takes an object off the list of those on their way, and reports whether
// it was there.
func (c *conn) land(id xntp.ObjectID) bool {
	i, ok := c.aloft(id)
	if ok {
		c.flying = slices.Delete(c.flying, i, i+1)
	}
	return ok
}

// Our choices, after what package xntp does.
const (
	firstWindow   = 48 * 1400 // a train of 16 packets and a chirp of 32: then the path is known
	mostWindow    = 128 << 10 // what slow start comes to at some Mbit/s before its queue shows (RFC 9406)
	pacingGain    = 2.0
	handshakeSize = 1200 // both are padded to it, an early request included
	handshakeTime = 10 * time.Second
	handshakeTry  = time.Second // between repetitions of a first datagram that nobody answered
	lostAfter     = 15 * time.Second
	ackHold       = 25 * time.Millisecond // for which an acknowledgement waits for another (half a round trip if that is less)
)

// base is the round trip of the empty path; 0 before there is one.
func (c *conn) base() time.Duration {
	if c.trip == 0 && c.peer != nil {
		w := c.ep.net.world
		c.there = w.Delay(c.ep.host, c.peer.ep.host)
		c.trip = c.there + w.Delay(c.peer.ep.host, c.ep.host)
	}
	return c.trip
}

// hello sends the first datagram of a handshake, and again until it is answered
// or nobody is there.
func (c *conn) hello(early []byte) {
	n := c.ep.net
	host := n.world.HostAt(c.addr.Addr())
	tries := 0
	var try func()
	try = func() {
		if c.state != dialing || c.ep.dead {
			return
		}
		if time.Duration(tries)*handshakeTry >= handshakeTime {
			c.end(xntp.ClosedHandshake, 0)
			return
		}
		tries++
		if host != nil && host.Online() && c.ep.host.Online() && (n.Blocked == nil || !n.Blocked(c.ep.host, host)) {
			c.ep.link.handshake(n.Of(host), handshakeSize, func(now time.Time) { c.knock(early) })
		}
		n.world.After(handshakeTry, try)
	}
	try()
}

// knock: the first datagram is at the other end.
func (c *conn) knock(early []byte) {
	n := c.ep.net
	far := n.at[c.addr]
	if far == nil || far.dead || c.state != dialing || far.public != c.key {
		return
	}
	d := far.byKey[c.ep.public]
	switch {
	case d != nil && d.state == open && d.peer == c:
		return // a repetition
	case d != nil && d.state == dialing:
		// Both dialed: one connection comes of it.
	default:
		if d != nil && d.state != closed {
			d.end(xntp.ClosedReplaced, 0)
		}
		d = far.newConn(c.ep.public, c.ep.addr)
		d.state = accepted
	}
	d.peer = c
	far.byKey[c.ep.public] = d
	far.tell(xntp.Event{Kind: xntp.EventAccepted, Conn: d.id, Key: c.ep.public, Addr: c.ep.addr, Early: early})
	// The answer, and with it half of what the other needs to know.
	far.link.handshake(c.ep.link, handshakeSize, func(now time.Time) {
		if c.ep.dead || d.ep.dead || c.state != dialing || d.state == closed {
			return
		}
		c.peer = d
		c.ep.link.handshake(far.link, 80, func(time.Time) {
			if d.peer == c && c.state == open && (d.state == accepted || d.state == dialing) {
				d.up()
			}
		})
		c.up() // what was kept for this leaves behind the proof
	})
}

func (c *conn) up() {
	c.state = open
	c.ep.byKey[c.key] = c
	c.ep.tell(xntp.Event{Kind: xntp.EventConnected, Conn: c.id, Key: c.key, Addr: c.addr})
	early := c.early
	c.early = nil
	for _, w := range early {
		c.send(c.ep.net.world.Now(), w.id, w.o)
	}
}

// send gives an object to the uplink.
func (c *conn) send(now time.Time, id xntp.ObjectID, o xntp.Object) {
	// A peer that was accepted may be answered before its key is proved.
	if c.state == dialing || c.state == accepted && c.peer == nil {
		c.early = append(c.early, waiting{id, o})
		return
	}
	if c.state == accepted {
		c.early = append(c.early, waiting{id, o})
		return
	}
	n := c.ep.net
	n.Stats.Objects++
	data := o.Data
	if n.Tap != nil {
		data = n.Tap(c.ep.host, c.peer.ep.host, data)
	}
	if len(data) > 1 {
		n.Stats.BodyBytes += int64(len(data[1]))
	}
	for _, d := range data {
		n.Stats.ObjectBytes += int64(len(d))
	}
	bytes := 0
	for _, d := range data {
		bytes += len(d)
	}
	size, packets := wireSize(bytes)
	if at := n.world.Elapsed(); packets == 1 {
		// Objects of the same moment share a datagram.
		if c.full == at && bytes+objectShare <= c.room {
			size, packets = bytes+objectShare, 0
			c.room -= size
		} else {
			c.full, c.room = at, packetPayload-bytes-objectCost
		}
	}
	t := transfer{to: c.peer.ep.link, size: size, packets: packets, from: c, gen: c.peer.gen, id: id, data: data, priority: o.Priority, queued: now, quiet: o.Quiet}
	if o.Class == xntp.Deadline {
		t.deadline = o.Deadline
	}
	if !c.watched {
		c.watched = true
		c.heard = n.world.Elapsed()
		n.world.After(lostAfter, c.look)
	}
	c.flying = append(c.flying, flight{id: id})
	if i := c.ep.link.push(t, o.Priority); n.slots[i].from == c && n.slots[i].id == id {
		c.flying[len(c.flying)-1].slot = i
	} // else it had expired, and has been told
}

// pace spreads a transfer over the round trip as the window demands, beyond what
// the uplink took for it, and returns the delay that this adds.
func (c *conn) pace(now time.Duration, t *transfer) time.Duration {
	c.sent += int64(t.size)
	srtt := max(c.srtt, c.base(), time.Millisecond)
	need := time.Duration(float64(t.size) / (pacingGain * c.cwnd) * float64(srtt))
	up, _ := c.ep.host.Links()
	took := nanos(t.size, t.packets, up.Rate)
	from := max(c.paced, now-took)
	c.paced = from + need
	extra := max(0, c.paced-now)
	if float64(t.size) > c.cwnd {
		extra += srtt // the rest waits for the first acknowledgement
	}
	if float64(t.size) >= c.cwnd/2 {
		c.cwnd = min(c.cwnd+float64(t.size), mostWindow)
	}
	return extra
}

// acks returns how many datagrams of their own acknowledge an object of so many
// packets. What is small waits for more of its kind.
func (c *conn) acks(packets int) int {
	if packets > 1 {
		return 1 + (packets-1)/ackEach
	}
	now := c.ep.net.world.Elapsed()
	if now < c.acksAt {
		return 0
	}
	c.acksAt = now + min(c.base()/2, ackHold)
	return 1
}

// deliver gives an object to this end.
func (c *conn) deliver(t *transfer) {
	c.received += int64(t.size)
	ev := xntp.Event{Kind: xntp.EventObject, Conn: c.id, Object: t.id, Priority: t.priority, Data: t.data[0]}
	if len(t.data) > 1 {
		ev.Tail = t.data[1]
	}
	c.heard = c.ep.net.world.Elapsed()
	c.ep.bring(ev)
}

// acknowledged: the other end has got an object, and this one hears of it.
func (c *conn) acknowledged(now time.Time, t *transfer) {
	if !c.land(t.id) {
		return
	}
	c.heard = c.ep.net.world.Elapsed()
	c.received += ackCost
	took := now.Sub(t.began)
	if base := c.base(); t.packets <= 2 {
		if t.priority == 0 {
			took = now.Sub(t.queued) // it stood in the access link's queue
		}
		sample := max(took-t.held, base) // a round trip is measured from when a packet leaves, which pacing puts off
		if c.srtt == 0 {
			c.srtt = sample
		}
		c.srtt += (sample - c.srtt) / 8
	} else if over := took - base; over > 0 {
		r := float64(t.size) / over.Seconds()
		if c.rate == 0 {
			c.rate = r
		}
		c.rate += (r - c.rate) / 4
	}
	if !t.quiet {
		c.ep.bring(xntp.Event{Kind: xntp.EventDelivered, Conn: c.id, Object: t.id, Left: t.left, Queued: t.left.Sub(t.queued)})
	}
}

// lost: an object went to where nobody is. It is repeated in vain until its
// deadline.
func (c *conn) lost(t *transfer) {
	if t.cut || c.state != open || t.deadline.IsZero() {
		return
	}
	id, n := t.id, c.ep.net
	n.world.After(t.deadline.Sub(n.world.Now()), func() {
		if _, on := c.aloft(id); on && c.state == open {
			c.expired(id)
		}
	})
}

func (c *conn) expired(id xntp.ObjectID) {
	c.land(id)
	c.ep.tell(xntp.Event{Kind: xntp.EventExpired, Conn: c.id, Object: id})
}

// look gives up a peer that has not answered.
func (c *conn) look() {
	if c.state != open || c.ep.dead {
		return
	}
	now := c.ep.net.world.Elapsed()
	switch {
	case len(c.flying) == 0:
		c.watched = false
	case now-c.heard >= lostAfter:
		c.end(xntp.ClosedLost, 0)
	default:
		c.ep.net.world.After(c.heard+lostAfter-now, c.look)
	}
}

// cut stops an object, if it has not been lost: then its slot may be another's.
func (c *conn) cut(id xntp.ObjectID, slot uint32) {
	if t := &c.ep.net.slots[slot]; t.from == c && t.id == id {
		t.cut = true
	}
}

// end closes this end.
func (c *conn) end(why xntp.Reason, code uint64) {
	if c.state == closed {
		return
	}
	c.state = closed
	c.gen++
	c.ep.conns[c.id] = nil
	if c.ep.byKey[c.key] == c {
		delete(c.ep.byKey, c.key)
	}
	for _, f := range c.flying {
		c.cut(f.id, f.slot)
	}
	c.flying, c.early = nil, nil
	c.ep.tell(xntp.Event{Kind: xntp.EventClosed, Conn: c.id, Key: c.key, Reason: why, Code: code})
}

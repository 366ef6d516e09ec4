package flownet

import (
	"time"

	"github.com/xp2p/xp2p/lib/xntp"
)

// A transfer is bytes on their way from one host to another.
type transfer struct {
	link    *Link
	to      *Link
	size    int // UDP payload
	packets int
	then    func(now time.Time)

	// Of an endpoint's object.
	from     *conn
	gen      uint32 // of the sender's connection to its peer, when it was sent
	id       xntp.ObjectID
	data     [][]byte
	deadline time.Time
	began    time.Time
	queued   time.Time
	left     time.Time
	held     time.Duration // by pacing, behind the uplink
	priority uint8
	cut      bool // cancelled
	quiet    bool // nobody asks what became of it
	landed   bool // it has reached the downlink, and been put in its queue
}

func (n *Net) release(i uint32) {
	n.slots[i] = transfer{}
	n.free = append(n.free, i)
}

// begin reports whether a transfer whose turn has come is still to be made.
func (n *Net) begin(t *transfer) bool {
	c := t.from
	if c == nil {
		return true
	}
	now := n.world.Now()
	if t.cut || c.state != open || c.ep.dead {
		return false
	}
	if !t.deadline.IsZero() && now.After(t.deadline) {
		c.expired(t.id)
		return false
	}
	return true
}

// left notes when a transfer leaves its uplink, and returns how long it is on its
// way from there to the other's downlink.
func (n *Net) left(t *transfer, at time.Duration) time.Duration {
	c := t.from
	if c == nil {
		return n.world.Delay(t.link.host, t.to.host)
	}
	t.left = n.world.Now().Add(at - n.world.Elapsed())
	c.base()
	t.held = c.pace(at, t)
	return c.there + t.held
}

// atOnce is how soon a downlink has passed on what is not worth an event of its
// own.
const atOnce = 50 * time.Microsecond

// land puts a transfer behind what has come to the downlink before it, and
// returns how long it then takes.
func (l *Link) land(t *transfer) time.Duration {
	t.landed = true
	now := l.net.world.Elapsed()
	_, down := l.host.Links()
	l.idle = max(l.idle, now) + nanos(t.size, t.packets, down.Rate)
	return l.idle - now
}

// came: a transfer is where it was to go.
func (n *Net) came(i uint32) {
	t := &n.slots[i]
	if !t.landed {
		if d := t.to.land(t); d > atOnce {
			n.world.Call(d, n.onCome, i)
			return
		}
	}
	c := t.from
	if c == nil {
		then, to := t.then, t.to
		n.release(i)
		if to.host.Online() {
			then(n.world.Now())
		}
		return
	}
	peer := c.peer
	if t.cut || c.state != open || peer == nil || peer.gen != t.gen || peer.ep.dead || !t.to.host.Online() || !c.ep.host.Online() {
		c.lost(t)
		n.release(i)
		return
	}
	n.world.Mark(uint64(t.id)<<32 | uint64(t.size))
	// The acknowledgement is on its way while the receiver looks at the object.
	back := c.trip - c.there + t.to.acknowledge(peer.acks(t.packets))
	if t.quiet && t.packets <= 1 {
		// Nothing happens when it comes; so it is noted at once.
		c.acknowledged(n.world.Now().Add(back), t)
		arrived := *t
		n.release(i)
		peer.deliver(&arrived)
		return
	}
	n.world.Call(back, n.onAcked, i)
	peer.deliver(t)
}

// acked: the sender hears that it arrived.
func (n *Net) acked(i uint32) {
	t := n.slots[i]
	n.release(i)
	if c := t.from; c.state == open && !c.ep.dead && !t.cut {
		c.acknowledged(n.world.Now(), &t)
	}
}

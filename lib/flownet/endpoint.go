package flownet

import (
	"net/netip"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/internal/fifo"
	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/simnet"
	"github.com/xp2p/xp2p/lib/xntp"
)

// An Endpoint is a node's connections. It implements node.Transport.
type Endpoint struct {
	net    *Net
	host   *simnet.Host
	link   *Link
	public xntp.PublicKey
	addr   netip.AddrPort
	poke   func()
	poked  bool
	dead   bool

	conns  []*conn // by number, which begin at 1; nil where one has ended
	byKey  map[xntp.PublicKey]*conn
	events fifo.Queue[xntp.Event]
	counts xntp.Counts
}

// Endpoint makes the connections of a node with this key on a host.
func (n *Net) Endpoint(h *simnet.Host, key xntp.PrivateKey) *Endpoint {
	return &Endpoint{net: n, host: h, link: n.Of(h), public: key.Public(), conns: make([]*conn, 1), byKey: map[xntp.PublicKey]*conn{}}
}

// Bind tells where the endpoint is reached, and how its node is brought to look
// at its events: poke is called from the world, never from within a call of
// the node.
func (e *Endpoint) Bind(addr netip.AddrPort, poke func()) {
	e.addr, e.poke = addr, poke
	e.net.at[addr] = e
}

// Kill ends the endpoint as SIGKILL does.
func (e *Endpoint) Kill() {
	e.dead = true
	delete(e.net.at, e.addr)
}

// Receive implements machine.Machine; it has no datagrams to take.
func (e *Endpoint) Receive(time.Time, machine.Packet) {}

// Advance implements machine.Machine; the world moves the flows.
func (e *Endpoint) Advance(time.Time) {}

// NextTimeout implements machine.Machine.
func (e *Endpoint) NextTimeout() time.Time { return time.Time{} }

// AppendDatagram implements machine.Machine.
func (e *Endpoint) AppendDatagram(time.Time, []byte) (machine.Packet, bool) {
	return machine.Packet{}, false
}

// Public returns the endpoint's key.
func (e *Endpoint) Public() xntp.PublicKey { return e.public }

// Counts returns no drops: flows drop nothing.
func (e *Endpoint) Counts() xntp.Counts { return e.counts }

// NextEvent implements node.Transport.
func (e *Endpoint) NextEvent() (xntp.Event, bool) { return e.events.Pop() }

// tell queues an event and sees to it that the node looks.
func (e *Endpoint) tell(ev xntp.Event) {
	if e.dead {
		return
	}
	e.events.Push(ev)
	if !e.poked && e.poke != nil {
		e.poked = true
		e.net.world.Call(0, e.wake, 0)
	}
}

// bring queues an event and brings the node to look at once: the world is at work,
// and no node.
func (e *Endpoint) bring(ev xntp.Event) {
	if e.dead {
		return
	}
	e.events.Push(ev)
	if e.poke != nil {
		e.poke()
	}
}

func (e *Endpoint) wake(uint32) {
	e.poked = false
	if !e.dead && e.events.Len() > 0 {
		e.poke()
	}
}

// Dial implements node.Transport.
func (e *Endpoint) Dial(_ time.Time, o xntp.DialOptions) (xntp.ConnID, error) {
	if c := e.byKey[o.Remote]; c != nil && c.state == open {
		return c.id, xntp.ErrConnected
	}
	if o.Remote == e.public || !o.Addr.IsValid() {
		return 0, xntp.ErrKey
	}
	c := e.newConn(o.Remote, o.Addr)
	c.state = dialing
	c.hello(slices.Clone(o.Early))
	return c.id, nil
}

func (e *Endpoint) newConn(key xntp.PublicKey, addr netip.AddrPort) *conn {
	c := &conn{ep: e, id: xntp.ConnID(len(e.conns)), key: key, addr: addr, cwnd: firstWindow}
	e.conns = append(e.conns, c)
	if e.byKey[key] == nil || e.byKey[key].state != open {
		e.byKey[key] = c
	}
	return c
}

// conn returns the connection with a number; nil if it has ended.
func (e *Endpoint) conn(id xntp.ConnID) *conn {
	if id < xntp.ConnID(len(e.conns)) {
		return e.conns[id]
	}
	return nil
}

// Send implements node.Transport.
func (e *Endpoint) Send(now time.Time, id xntp.ConnID, o xntp.Object) (xntp.ObjectID, error) {
	c := e.conn(id)
	if c == nil || c.state == closed {
		return 0, xntp.ErrClosed
	}
	if c.state == open && len(c.flying) >= xntp.DefaultQueueLen {
		return 0, xntp.ErrBlocked
	}
	c.next++
	c.send(now, xntp.ObjectID(c.next), o)
	return xntp.ObjectID(c.next), nil
}

// Cancel implements node.Transport.
func (e *Endpoint) Cancel(_ time.Time, id xntp.ConnID, object xntp.ObjectID) {
	c := e.conn(id)
	if c == nil {
		return
	}
	if i, ok := c.aloft(object); ok {
		c.cut(object, c.flying[i].slot)
		c.flying = slices.Delete(c.flying, i, i+1)
	}
	c.early = slices.DeleteFunc(c.early, func(w waiting) bool { return w.id == object })
}

// Close implements node.Transport.
func (e *Endpoint) Close(_ time.Time, id xntp.ConnID, code uint64) {
	if c := e.conn(id); c != nil {
		if p := c.peer; p != nil && c.state == open {
			gen := p.gen
			e.net.world.After(e.net.world.Delay(e.host, p.ep.host), func() {
				if p.gen == gen {
					p.end(xntp.ClosedByPeer, code)
				}
			})
		}
		c.end(xntp.ClosedByUs, code)
	}
}

// CloseAll implements node.Transport.
func (e *Endpoint) CloseAll(now time.Time) {
	for id := range e.conns {
		e.Close(now, xntp.ConnID(id), 0)
	}
}

// Stats implements node.Transport.
func (e *Endpoint) Stats(id xntp.ConnID) (xntp.Stats, bool) {
	c := e.conn(id)
	if c == nil {
		return xntp.Stats{}, false
	}
	base := c.base()
	return xntp.Stats{SRTT: max(c.srtt, base), MinRTT: base, DeliveryRate: c.rate, Cwnd: int(c.cwnd),
		SentBytes: c.sent, ReceivedBytes: c.received, Connected: c.state == open, MTU: xntp.DefaultMTU}, true
}

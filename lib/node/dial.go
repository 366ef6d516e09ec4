package node

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/punch"
	"github.com/xp2p/xp2p/lib/swarm"
	"github.com/xp2p/xp2p/lib/wire"
	"github.com/xp2p/xp2p/lib/xntp"
)

// A peer is somebody whom a room named, or who came by himself.
type peer struct {
	id    wire.PeerID
	key   xntp.PublicKey
	addrs []netip.AddrPort
	nat   *wire.SignalNAT // what it says of its NAT; nil: nothing
	named []*room         // rooms whose list it is in
	seeds []*room         // of these, where it is a seed
	in    []*room         // rooms whose swarm knows it

	conn    *conn     // the connection, or the newest attempt
	dialAt  time.Time // when to dial; zero: not at all
	tried   time.Time // when it was dialed first, without a connection since
	next    int       // which address is next
	fails   int
	closeAt time.Time // when a connection that serves no room is closed
	since   time.Time // when it was first to be connected to
	knocked bool      // was dialed at an address at which strangers may come in
	// carrying: it is being connected to over TCP.
	carrying bool
}

// A conn is a connection or an attempt at one.
type conn struct {
	id      xntp.ConnID
	peer    *peer
	up      bool
	dialed  bool
	began   time.Time
	early   *room // whose HELLO went with our first datagram
	greets  []byte
	addr    netip.AddrPort
	socket  machine.Socket
	way     nat.Way
	took    time.Duration // to connect, since we wanted to
	punched punch.Finding // zero: it was just dialed
	// betterAt is when one that goes through a relay looks for another way.
	betterAt time.Time
	// adrift: we or the peer came to another network since it took its way.
	adrift   bool
	objects  []object // by number
	payload  int64    // bytes of pieces, both ways
	streamed int64    // bytes of streams, both ways
	wire     int64    // bytes of datagrams, both ways, when it was last looked at
}

// overhead is bytes on the wire, and what of them was payload.
type overhead struct{ wire, payload int64 }

// Our choices.
const (
	expectTime = time.Second            // who has the higher key waits so long for the other to dial
	secondAddr = 300 * time.Millisecond // then the next address is tried beside the first
	redialMin  = time.Second
	redialMax  = 30 * time.Second
	// unreachedTime: by then both ends have dialed, and each has done so several
	// times.
	unreachedTime = 5 * time.Second
	lingerTime    = 500 * time.Millisecond // for a goodbye to arrive
	maxPeers      = 4096
	closeNormal   = 0
)

// know returns the peer with a key, made if it is new; nil if there are too
// many.
func (n *Node) know(key xntp.PublicKey) *peer {
	id := wire.PeerIDOf(wire.Key(key))
	i, ok := n.search(id)
	if ok {
		return n.peers[i]
	}
	if id == n.self || len(n.peers) >= maxPeers {
		return nil
	}
	p := &peer{id: id, key: key}
	n.peers, n.ids = slices.Insert(n.peers, i, p), slices.Insert(n.ids, i, id)
	return p
}

// name notes that a room wants a peer as a neighbour.
func (n *Node) name(now time.Time, r *room, key wire.Key, addrs []netip.AddrPort, nat *wire.SignalNAT, seed bool) {
	p := n.know(xntp.PublicKey(key))
	if p == nil {
		return
	}
	news := nat != nil && !nat.Equal(p.nat)
	if nat != nil {
		p.nat = nat
	}
	if len(addrs) > 0 && !slices.Equal(p.addrs, addrs) {
		p.addrs, p.next, p.fails = slices.Clone(addrs), 0, 0
	}
	if !slices.Contains(p.named, r) {
		p.named = append(p.named, r)
	}
	if seed && !slices.Contains(p.seeds, r) {
		p.seeds = append(p.seeds, r)
	}
	if p.conn != nil && p.conn.up {
		n.enter(now, p, r, false)
		return
	}
	if n.cfg.Role != wire.RoleSeed && (p.conn == nil && p.dialAt.IsZero() || news && n.punch != nil && n.punch.Ready()) {
		if p.since.IsZero() {
			p.since = now
		}
		n.dialSoon(now, p)
	}
}

// keeps reports whether a connection is kept although no swarm wants it: with the
// seed of a room that has its origin there.
func (p *peer) keeps() bool {
	return slices.ContainsFunc(p.seeds, func(r *room) bool { return r.cfg.AtHome })
}

// unname notes that a room does not name a peer any more.
func (n *Node) unname(r *room, p *peer) {
	p.named = slices.DeleteFunc(p.named, func(x *room) bool { return x == r })
	p.seeds = slices.DeleteFunc(p.seeds, func(x *room) bool { return x == r })
	if len(p.named) == 0 {
		p.dialAt, p.tried, p.since = time.Time{}, time.Time{}, time.Time{}
		if n.punch != nil {
			n.punch.Stop(p.id)
		}
	}
	n.prune(p)
}

// prune forgets a peer whom nothing holds.
func (n *Node) prune(p *peer) {
	if len(p.named) == 0 && len(p.in) == 0 && p.conn == nil {
		if i, ok := n.search(p.id); ok {
			n.peers, n.ids = slices.Delete(n.peers, i, i+1), slices.Delete(n.ids, i, i+1)
		}
	}
}

// wakeDial sees to it that advanceDials looks at t.
func (n *Node) wakeDial(t time.Time) { n.dialWake = earlier(n.dialWake, t) }

// advanceDials dials whom it is time to dial, and closes what has lingered.
func (n *Node) advanceDials(now time.Time) {
	if n.dialWake.IsZero() || now.Before(n.dialWake) {
		return
	}
	n.dialWake = time.Time{}
	n.advanceSockets(now)
	for _, p := range slices.Clone(n.peers) {
		if !p.closeAt.IsZero() && !now.Before(p.closeAt) {
			p.closeAt = time.Time{}
			if p.conn != nil && len(p.in) == 0 && !p.keeps() {
				n.xn.Close(now, p.conn.id, closeNormal)
			}
		}
		if !p.dialAt.IsZero() && !now.Before(p.dialAt) {
			n.dial(now, p)
		}
		n.wakeDial(p.dialAt)
		n.wakeDial(p.closeAt)
	}
}

// dial tries the next address of a peer, or has a way to it looked for.
func (n *Node) dial(now time.Time, p *peer) {
	p.dialAt = time.Time{}
	if p.conn != nil && p.conn.up || len(p.addrs) == 0 || len(p.named) == 0 || n.closed {
		return
	}
	if n.overTCP(now, p) || n.traverse(now, p) {
		return
	}
	addr := p.addrs[p.next%len(p.addrs)]
	p.next++
	if !n.dialTo(now, p, 0, addr) {
		return
	}
	n.tried(now, p)
	if p.next < len(p.addrs) || p.knocked {
		p.dialAt = now.Add(secondAddr)
		n.wakeDial(p.dialAt)
	} else if p.tcpOf() != "" {
		p.dialAt = p.tried.Add(udpPatience)
		if p.dialAt.Before(now) {
			p.dialAt = now.Add(udpPatience)
		}
		n.wakeDial(p.dialAt)
	}
}

// tried notes that somebody was tried, and was not reached yet.
func (n *Node) tried(now time.Time, p *peer) {
	if r := p.named[0]; p.tried.IsZero() {
		p.tried = now
		r.unmetAt = earlier(r.unmetAt, now.Add(unreachedTime))
	}
}

// dialTo begins a connection to a peer at an address, and reports whether it did.
func (n *Node) dialTo(now time.Time, p *peer, socket machine.Socket, addr netip.AddrPort) bool {
	o := xntp.DialOptions{Remote: p.key, Socket: socket, Addr: addr}
	if tokens := n.ownTokens(now); len(tokens) > 0 && socket == 0 {
		o.Token = tokens[0]
	}
	r := p.named[0]
	if hello := r.sw.Hello(); len(hello) <= xntp.MaxEarly {
		o.Early = hello
	}
	id, err := n.xn.Dial(now, o)
	switch {
	case errors.Is(err, xntp.ErrConnected):
		if c := n.conns.get(id); c != nil {
			p.conn = c
			if c.up {
				n.connected(now, c)
			}
		}
		return false
	case err != nil:
		p.dialAt = now.Add(redialMin)
		n.wakeDial(p.dialAt)
		return false
	}
	c := &conn{id: id, peer: p, dialed: true, began: now, early: r, addr: addr, socket: socket}
	n.conns.put(c)
	p.conn = c
	return true
}

// connected brings a connection that stands to the swarms that want it.
func (n *Node) connected(now time.Time, c *conn) {
	p := c.peer
	if old := p.conn; old != nil && old != c && old.up {
		n.cut(now, p, "came back on another connection") // it has lost what it knew of us
	}
	if !c.up {
		if c.took = now.Sub(c.began); !p.since.IsZero() {
			c.took = now.Sub(p.since)
		}
	}
	c.up, p.conn, p.fails, p.dialAt, p.tried, p.since, p.knocked = true, c, 0, time.Time{}, time.Time{}, time.Time{}, false
	n.tellPath(p)
	n.tellConn(EventConn, c)
	for _, r := range slices.Clone(p.named) {
		n.enter(now, p, r, c.dialed && c.early == r)
	}
	if c.greets != nil {
		data := c.greets
		c.greets = nil
		n.object(now, c, data, nil)
	}
	if len(p.in) == 0 {
		p.closeAt = now.Add(10 * lingerTime) // it came by itself, and may yet say why
		n.wakeDial(p.closeAt)
	}
}

// enter makes a connected peer a neighbour in a room.
func (n *Node) enter(now time.Time, p *peer, r *room, greeted bool) {
	if slices.Contains(p.in, r) {
		return
	}
	p.in = append(p.in, r)
	p.closeAt = time.Time{}
	r.sw.Connected(now, p.id, slices.Contains(p.seeds, r), greeted)
	if !r.sw.Has(p.id) {
		n.out(now, p, r) // full, or banned
	} else if p.conn != nil {
		n.tellPath(p) // before its first byte is counted
	}
}

// cut tells the swarms that the connection to a peer is gone, with all that was
// on its way.
func (n *Node) cut(now time.Time, p *peer, why string) {
	in := p.in
	p.in = nil
	for _, r := range in {
		r.sw.Disconnected(now, p.id, why)
	}
}

// out takes a peer out of a room, and closes a connection that serves none.
func (n *Node) out(now time.Time, p *peer, r *room) {
	p.in = slices.DeleteFunc(p.in, func(x *room) bool { return x == r })
	if len(p.in) == 0 && p.conn != nil && p.conn.up {
		p.closeAt = now.Add(lingerTime)
		n.wakeDial(p.closeAt)
	}
	n.prune(p)
}

// lookUnmet reports at once when somebody was not reached in time: until the
// tracker knows, both may have been put where they are no use to each other.
func (r *room) lookUnmet(now time.Time) {
	r.unmetAt = time.Time{}
	for _, p := range r.n.peers {
		if !slices.Contains(p.named, r) || p.tried.IsZero() {
			continue
		}
		if at := p.tried.Add(unreachedTime); now.Before(at) {
			r.unmetAt = earlier(r.unmetAt, at)
		} else if now.Sub(at) < unreachedTime {
			r.hurryReport(now)
		}
	}
}

// unreached names those whom the tracker has named and to whom no way was found,
// though both ends have tried.
func (r *room) unreached(now time.Time) (ids []wire.PeerID) {
	for _, p := range r.n.peers {
		if p.tried.IsZero() || now.Sub(p.tried) < unreachedTime || !slices.Contains(p.named, r) || slices.Contains(p.seeds, r) {
			continue
		}
		if len(ids) < wire.MaxSignalMembers {
			ids = append(ids, p.id)
		}
	}
	return ids
}

func (n *Node) tellPath(p *peer) {
	st, ok := n.xn.Stats(p.conn.id)
	if !ok {
		return
	}
	p.conn.wire = st.SentBytes + st.ReceivedBytes
	for _, r := range p.in {
		r.sw.SetPath(p.id, swarm.Path{SRTT: st.SRTT, MinRTT: st.MinRTT, Rate: st.DeliveryRate, Relayed: p.conn.way == nat.Relayed})
	}
}

// drainConns takes what the connections brought.
func (n *Node) drainConns(now time.Time) (moved bool) {
	for {
		e, ok := n.xn.NextEvent()
		if !ok {
			return moved
		}
		moved = true
		c := n.conns.get(e.Conn)
		switch e.Kind {
		case xntp.EventAccepted:
			n.accepted(e, c, now)
		case xntp.EventConnected:
			if c != nil {
				n.arrived(now, c, e.Socket, e.Addr)
				n.connected(now, c)
			}
		case xntp.EventClosed:
			if c != nil {
				n.lost(now, c, e)
			}
		case xntp.EventObject:
			if c != nil && c.up {
				n.object(now, c, e.Data, e.Tail)
			}
		case xntp.EventDelivered:
			if c != nil {
				if o, ok := c.take(e.Object); ok {
					c.payload += int64(o.size)
					o.room.sw.Delivered(now, c.peer.id, o.tag, swarm.Departure{At: e.Left, Queued: e.Queued})
				}
			}
		case xntp.EventExpired:
			if c != nil {
				if o, ok := c.take(e.Object); ok {
					o.room.sw.Failed(now, c.peer.id, o.tag)
				}
			}
		case xntp.EventMigrated:
			if c != nil {
				n.arrived(now, c, e.Socket, e.Addr)
				if c.up && c.peer.conn == c {
					n.tellPath(c.peer)
				}
			}
		case xntp.EventStayed:
			if c != nil && n.punch != nil {
				n.punch.Stop(c.peer.id)
			}
		case xntp.EventStream:
			if c != nil && c.up {
				n.streamed(c, e)
			}
		case xntp.EventWritable:
			if c != nil {
				n.tellConn(EventWritable, c)
			}
		}
	}
}

// accepted takes note of a peer that dialed us. Its HELLO waits until its key
// is proved: before, it may be a replay.
func (n *Node) accepted(e xntp.Event, c *conn, now time.Time) {
	if c == nil {
		p := n.know(e.Key)
		if p == nil || n.closed {
			n.xn.Close(now, e.Conn, closeNormal)
			return
		}
		c = &conn{id: e.Conn, peer: p, began: now, addr: e.Addr, socket: e.Socket}
		n.conns.put(c)
		if p.conn == nil || !p.conn.up {
			p.conn = c
		}
		p.dialAt = time.Time{}
	}
	c.greets = slices.Clone(e.Early)
}

// object takes a message from a neighbour.
func (n *Node) object(now time.Time, c *conn, data, tail []byte) {
	t, tag, ok := wire.SwarmRoom(data)
	if !ok {
		return
	}
	for _, r := range n.rooms {
		if r.sw.Tag() != tag {
			continue
		}
		if t == wire.SwarmHello {
			n.enter(now, c.peer, r, false)
		}
		if t == wire.SwarmPiece || t == wire.SwarmInit {
			c.payload += int64(len(data) + len(tail))
		}
		r.sw.Receive(now, c.peer.id, data, tail)
		return
	}
}

// wireOf is what a connection sent and received in all. One that is closed has
// no counters any more: then it is what was seen last.
func (n *Node) wireOf(c *conn) int64 {
	if st, ok := n.xn.Stats(c.id); ok {
		c.wire = st.SentBytes + st.ReceivedBytes
	}
	return c.wire
}

// lost forgets a connection; if it was the one in use, its neighbours are gone.
func (n *Node) lost(now time.Time, c *conn, e xntp.Event) {
	n.conns.remove(c.id)
	p := c.peer
	n.spent.wire += n.wireOf(c) - c.streamed
	n.spent.payload += c.payload
	if c.up {
		n.tellConn(EventConnGone, c)
	}
	if !n.used(c.socket) {
		n.leaveSocket(now, c.socket)
	}
	if p.conn != c {
		return
	}
	p.conn = nil
	for _, other := range n.conns.list {
		if other.peer == p && (p.conn == nil || other.up) {
			p.conn = other // a second attempt
		}
	}
	if p.conn != nil {
		if c.up {
			in := p.in
			n.cut(now, p, "fell back to another connection")
			for _, r := range in {
				if p.conn.up {
					n.enter(now, p, r, false)
				}
			}
		}
		return
	}
	why := "the connection ended: " + e.Reason.String()
	if e.Reason == xntp.ClosedByPeer {
		why = "said goodbye"
	}
	n.cut(now, p, why)
	if n.punch != nil && n.punch.Looks(p.id) {
		n.prune(p)
		return // it says how it ends
	}
	if p.since.IsZero() {
		p.since = now
	}
	if len(p.named) > 0 && n.cfg.Role != wire.RoleSeed && !n.closed {
		wait := min(redialMin<<min(p.fails, 8), redialMax)
		p.fails++
		p.dialAt = now.Add(wait)
		n.wakeDial(p.dialAt)
	}
	n.prune(p)
}

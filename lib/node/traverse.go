package node

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/punch"
	"github.com/xp2p/xp2p/lib/wire"
	"github.com/xp2p/xp2p/lib/xntp"
)

// Our choices but where a source is named.
const (
	// Many NATs forget a mapping after 30 s, whatever RFC 4787 REQ-5 says.
	keepaliveUsual = 15 * time.Second
	keepaliveMax   = 25 * time.Second // where the lifetime was measured
	// natPatience is how long viewers are not dialed while their own NAT is being
	// looked at: most who are behind one would not be reached.
	natPatience = 700 * time.Millisecond
	// betterEvery is how often those who meet at a relay look for a better way.
	betterEvery = time.Minute
)

// ExpectNAT tells that somebody is finding out what our NAT is like, and that SetNAT
// will come in a moment.
func (n *Node) ExpectNAT(now time.Time) { n.natBy = now.Add(natPatience) }

// SetNAT tells what is known of our NAT. Others hear of it, and those who were not
// reached yet are tried again.
func (n *Node) SetNAT(now time.Time, f nat.Facts) {
	n.natBy = time.Time{}
	n.setFacts(f)
	n.bind.SetKeepalive(now, n.keepAlive)
	if k, ok := f.Kind(); ok && k == nat.KindBlocked && n.punch != nil {
		n.observeTCP(0)
	}
	for _, r := range n.rooms {
		if !r.cfg.NoSignal && !r.hello.at.IsZero() {
			r.helloAt = now
		}
	}
	for _, p := range n.peers {
		switch {
		case len(p.named) == 0:
		case p.conn == nil || !p.conn.up:
			n.dialSoon(now, p)
		case p.conn.adrift:
			n.lookAgain(now, p)
		}
	}
	n.Advance(now)
}

// untranslated looks whether a server sees our own address: then nobody translates it,
// and at the worst a firewall lets in only what was asked for. That is enough to be
// dialed, and known before all else that somebody may still be finding out.
func (n *Node) untranslated(seen netip.AddrPort) {
	if len(n.facts.Classes) > 0 || !slices.Contains(n.cfg.Hosts, seen) {
		return
	}
	n.natBy = time.Time{}
	n.setFacts(nat.Facts{Classes: []nat.Class{nat.Public, nat.SymmetricFirewall}, Mapping: nat.Only(nat.EndpointIndependent)})
}

func (n *Node) setFacts(f nat.Facts) {
	n.facts = f
	n.keepAlive = 0
	if k, ok := f.Kind(); ok && k != nat.KindPublic {
		n.keepAlive = keepaliveUsual
		if f.Lifetime > 0 {
			n.keepAlive = min(keepaliveMax, f.Lifetime/2)
		}
	}
	if n.punch != nil {
		n.punch.SetFacts(f)
	}
}

// saidNAT is what others hear of our NAT. Before it is known, two servers may have
// told the worst of it; that it may be good is no news.
func (n *Node) saidNAT() *wire.SignalNAT {
	if n.mappedPort() != 0 { // strangers come in there, whatever the NAT is like
		return punch.Say(nat.Facts{
			Classes: []nat.Class{nat.FullCone}, Mapping: nat.Only(nat.EndpointIndependent), Filtering: nat.Only(nat.EndpointIndependent),
		})
	}
	f := n.facts
	if len(f.Classes) == 0 {
		var seen []nat.Sighting
		for _, o := range n.tokens {
			seen = append(seen, nat.Sighting{Server: o.server, Mapped: o.mapped})
		}
		f.Mapping = nat.MappingOf(seen)
		if n.cfg.Hard {
			f.Mapping = nat.Only(nat.AddressAndPortDependent)
		}
		if f.Mapping.Has(nat.EndpointIndependent) {
			return nil
		}
	}
	return punch.Say(f)
}

// NetworkChanged tells that the machine has other addresses now: hosts, with the port
// of socket 0. Servers are asked where we are, peers are shown, and what was being
// looked for is looked for anew. What is known of the NAT is forgotten.
func (n *Node) NetworkChanged(now time.Time, hosts []netip.AddrPort) {
	n.SetHosts(hosts)
	n.setFacts(nat.Facts{})
	n.bind.SetKeepalive(now, 0)
	n.tokens, n.tcpToken = nil, nil
	n.bind.Probe(now)
	if n.punch != nil {
		n.punch.Reset()
	}
	if e, ok := n.xn.(*xntp.Endpoint); ok {
		e.Probe(now)
	}
	for _, c := range n.conns.list {
		c.adrift = true
	}
	n.turn(now)
}

// lookAgain looks for a way for a connection that may have lost its own: the NAT of
// the peer knows our new address as little as ours knows the peer's.
func (n *Node) lookAgain(now time.Time, p *peer) {
	if n.punch == nil || n.cfg.Role == wire.RoleSeed || len(p.seeds) > 0 || n.signalRoom(p) == nil {
		return
	}
	if way, ok := n.punch.Way(p.nat); ok && way < nat.OverTCP {
		n.punch.Meet(now, p.id, p.nat, false)
	}
}

// helloTokens are the proofs of our address for the tracker.
func (n *Node) helloTokens(now time.Time) []wire.Token {
	list := n.ownTokens(now)
	if len(list) == 0 && len(n.tcpToken) > 0 {
		list = append(list, n.tcpToken)
	}
	return list
}

// setPunchServers names those STUN servers that have answered.
func (n *Node) setPunchServers() {
	if n.punch == nil {
		return
	}
	var list []netip.AddrPort
	for _, o := range n.tokens {
		if len(o.token) > 0 {
			list = append(list, o.server)
		}
	}
	n.punch.SetServers(list)
}

// dialSoon dials a peer now, or leaves it a while to dial us.
func (n *Node) dialSoon(now time.Time, p *peer) {
	p.dialAt = now
	n.wakeDial(now)
	if !n.begins(p) {
		p.dialAt = now.Add(expectTime)
		n.wakeDial(p.dialAt)
	}
}

// begins says whether we are the one who dials: always a seed; of two viewers who
// has the lower key, unless that one cannot be reached and the other can.
func (n *Node) begins(p *peer) bool {
	if len(p.seeds) > 0 {
		return true
	}
	if p.nat != nil && len(n.facts.Classes) > 0 {
		if f := punch.FactsOf(p.nat); f.Open() != n.facts.Open() {
			return f.Open()
		}
	}
	return n.Public().Compare(p.key) < 0
}

// traverse looks for a way to a peer through NATs; done is false where it is just
// dialed: nobody knows of any NAT, or strangers may come in at its.
func (n *Node) traverse(now time.Time, p *peer) (done bool) {
	if n.punch == nil || n.cfg.Role == wire.RoleSeed {
		return false
	}
	wait := n.natBy
	if n.punch.Ready() && p.nat == nil {
		wait = p.since.Add(natPatience) // it will say what its NAT is
	}
	if now.Before(wait) && len(p.seeds) == 0 {
		p.dialAt = wait
		n.wakeDial(p.dialAt)
		return true
	}
	r := n.signalRoom(p)
	way, ok := n.punch.Way(p.nat)
	if !ok || r == nil {
		return false
	}
	theirs := punch.FactsOf(p.nat)
	switch {
	case n.punch.Looks(p.id):
		return true
	case theirs.Open() && !p.knocked && way != nat.OverTCP:
		p.knocked = true // and if it does not open within a moment, see below
		return false
	}
	if p.since.IsZero() {
		p.since = now
	}
	n.punch.Meet(now, p.id, p.nat, false)
	return true
}

// signalRoom is a room with a tracker that both we and a peer are in; nil if there is
// none.
func (n *Node) signalRoom(p *peer) *room {
	for _, r := range p.named {
		if !r.cfg.NoSignal && r.listed {
			return r
		}
	}
	return nil
}

// punched takes what a peer said through the tracker.
func (r *room) punched(now time.Time, m *wire.SignalPunch) {
	n := r.n
	if n.punch == nil {
		return
	}
	p := n.peer(m.Peer)
	switch {
	case p == nil && n.cfg.Role != wire.RoleSeed:
		return // the list does not name it
	case p != nil && n.cfg.Role != wire.RoleSeed && len(p.named) == 0:
		return
	case p != nil && p.conn != nil && p.conn.up && p.conn.way < nat.Relayed && !m.Answer && now.Sub(p.conn.began) < redialMin:
		return // it has not heard yet that we are connected
	case p != nil && p.conn != nil && p.conn.up && !m.Answer:
		p.conn.adrift = true // it would not look for a way if it had one
	}
	if len(n.punchRoom) >= maxPeers {
		clear(n.punchRoom)
	}
	n.punchRoom[m.Peer] = r
	n.punch.Signal(now, m)
}

// drainPunch takes what the puncher found.
func (n *Node) drainPunch(now time.Time) (moved bool) {
	if n.punch == nil {
		return false
	}
	for {
		e, ok := n.punch.NextEvent()
		if !ok {
			return moved
		}
		moved = true
		switch e.Kind {
		case punch.EventSignal:
			r := n.punchRoom[e.Peer]
			if p := n.peer(e.Peer); p != nil {
				if named := n.signalRoom(p); named != nil {
					r = named
				}
			}
			if r != nil && !r.leaving {
				n.tell(Event{Kind: EventSignal, Room: r.cfg.Name, Signal: e.Signal})
			}
		case punch.EventOpen:
			o := OpenSocket{Kind: SocketUDP}
			switch {
			case e.Relay:
				n.openRelay(now, e.Ref)
				continue
			case e.TCP:
				o.Kind, o.Local, o.Remote = SocketTCP, e.Local, e.Remote
			}
			if !n.openSocket(o, e.Ref) {
				n.punch.Opened(now, e.Ref, 0, netip.AddrPort{}, errTooManySockets)
			}
		case punch.EventObserve:
			if !n.observeTCP(e.Ref) {
				n.punch.Observed(now, e.Ref, netip.AddrPort{}, nil, errTooManySockets)
			}
		case punch.EventClose:
			if e.Socket == n.relay.socket {
				n.leaveRelay(now)
				continue
			}
			n.closeSocket(e.Socket)
		case punch.EventPath:
			if p := n.peer(e.Peer); p != nil {
				n.connectAt(now, p, e)
			} else if !n.cfg.AtHome { // there, somebody whom others feed: he dials
				n.punch.Stop(e.Peer)
			}
		case punch.EventFailed:
			delete(n.punchRoom, e.Peer)
			if p := n.peer(e.Peer); p != nil {
				n.noWay(now, p, e)
			}
		}
	}
}

var errTooManySockets = errors.New("too many sockets")

// connectAt connects to a peer where it was found, or brings the connection there
// that goes another way.
func (n *Node) connectAt(now time.Time, p *peer, e punch.Event) {
	xn, ok := n.xn.(*xntp.Endpoint)
	switch {
	case !ok || n.closed || len(p.named) == 0:
		n.punch.Stop(p.id)
		return
	case p.conn != nil && p.conn.up && p.conn.way <= e.Way && !p.conn.adrift:
		n.punch.Stop(p.id) // meanwhile another way was found, as good
		return
	case p.conn != nil && p.conn.up:
		if xn.Move(now, p.conn.id, e.Socket, e.Remote) != nil {
			n.punch.Stop(p.id)
		}
		return
	}
	n.dialTo(now, p, e.Socket, e.Remote)
}

// noWay puts a peer off to whom no way was found. A relay is asked for next, if there
// is one.
func (n *Node) noWay(now time.Time, p *peer, e punch.Event) {
	if len(p.named) == 0 || p.conn != nil && p.conn.up || n.closed || n.cfg.Role == wire.RoleSeed {
		return
	}
	if len(n.relays) > 0 && e.Way != nat.Relayed && n.begins(p) {
		n.punch.Meet(now, p.id, p.nat, true)
		return
	}
	if e.Retry.IsZero() || e.Way != nat.Birthday {
		n.tried(now, p)
	}
	p.dialAt = now.Add(min(redialMin<<min(p.fails, 8), redialMax))
	if !n.begins(p) {
		p.dialAt = p.dialAt.Add(expectTime)
	}
	p.fails++
	if e.Retry.After(p.dialAt) {
		p.dialAt = e.Retry
	}
	n.wakeDial(p.dialAt)
}

// lookForBetter has those who meet at a relay look for another way now and then.
func (n *Node) lookForBetter(now time.Time, p *peer) {
	c := p.conn
	if n.punch == nil || c.way != nat.Relayed || !n.begins(p) || now.Before(c.betterAt) || n.cfg.Role == wire.RoleSeed {
		return
	}
	c.betterAt = now.Add(betterEvery)
	if way, ok := n.punch.Way(p.nat); ok && way < nat.OverTCP && n.signalRoom(p) != nil {
		n.punch.Meet(now, p.id, p.nat, false)
	}
}

// arrived notes which way a connection goes that has just been made or moved.
func (n *Node) arrived(now time.Time, c *conn, socket machine.Socket, addr netip.AddrPort) {
	old := c.socket
	c.addr, c.socket, c.adrift = addr, socket, false
	if n.punch != nil {
		if f, ok := n.punch.Done(now, c.peer.id, socket, addr); ok {
			c.way, c.punched = f.Way, f
		} else if n.sockets.open[socket] == SocketRelay {
			c.way = nat.Relayed
		}
		if n.sockets.open[socket] == SocketTCP {
			c.way = nat.OverTCP
		}
		delete(n.punchRoom, c.peer.id)
	}
	if old != socket && !n.used(old) {
		n.leaveSocket(now, old)
	}
}

package node

import (
	"crypto/ed25519"
	"net/netip"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/internal/fifo"
	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/natprobe"
	"github.com/xp2p/xp2p/lib/punch"
	"github.com/xp2p/xp2p/lib/swarm"
	"github.com/xp2p/xp2p/lib/wire"
	"github.com/xp2p/xp2p/lib/xntp"
)

// Bounds and times, our choices.
const (
	maxRooms       = 64
	maxObject      = 1<<20 + 80<<10 // the largest piece with the largest descriptor
	maxWords       = 320 << 10      // the largest message to a seed, which is sent no pieces: a full list of runs
	pathEvery      = 250 * time.Millisecond
	maxViewerConns = 512     // a viewer has some ten neighbours in a room; the rest are strangers
	maxTurns       = 64      // rounds of passing on between the parts in one turn
	maxPending     = 1 << 16 // events that the owner has not drained; beyond it what is only news is dropped
)

// A Node is a member of rooms.
type Node struct {
	cfg    Config
	polite *Polite // of all rooms
	self   wire.PeerID
	xn     Transport
	send   func(time.Time, xntp.ConnID, xntp.Object) (xntp.ObjectID, error) // xn.Send
	bind   natprobe.Binding
	answer *natprobe.Responder // a seed's

	punch *punch.Puncher // nil: the transport is none that NATs mean anything to
	facts nat.Facts      // of our NAT
	natBy time.Time      // until when to wait for them
	// keepAlive is how often servers are asked, so that our NAT keeps what it has given
	// to socket 0; 0: as often as their word wants it.
	keepAlive time.Duration
	// relays are for those whom nothing else reaches.
	relays []wire.RoomRelay
	relay  allocation
	// punchRoom is through which room's tracker a peer is spoken to of whom no list
	// tells: a seed gets none.
	punchRoom map[wire.PeerID]*room

	receiptKey ed25519.PrivateKey // nil: signs no receipts

	rooms        []*room
	peers        []*peer       // by ID
	ids          []wire.PeerID // of peers
	conns        conns
	pathAt       time.Time // when the paths were last looked at
	tokens       []observed
	mapped       netip.AddrPort // at the router, by its word
	tcpToken     wire.Token     // proves an address over TCP, where UDP does not pass
	spent        overhead       // of connections that are gone
	overheadTold int64
	closed       bool
	dialWake     time.Time // no dial or close is due before

	sockets sockets

	events fifo.Queue[Event]
}

// observed is what a STUN server said of our address.
type observed struct {
	server netip.AddrPort
	mapped netip.AddrPort
	token  wire.Token
	expiry time.Time
}

// New returns a node without rooms.
func New(cfg Config) *Node {
	if cfg.Role == "" {
		cfg.Role = wire.RolePeer
	}
	n := &Node{cfg: cfg, polite: &Polite{Allowance: swarm.Unbounded}}
	if cfg.Polite != nil {
		n.polite.Set(*cfg.Polite)
	}
	n.self = wire.PeerIDOf(wire.Key(cfg.Key.Public()))
	if cfg.Role != wire.RoleSeed && !cfg.NoReceipts {
		n.receiptKey = receiptKey(cfg.Key)
	}
	xc := xntp.Config{Key: cfg.Key, Rand: cfg.Rand, Entropy: cfg.Entropy, MaxObject: maxObject, VerifyToken: n.verifyToken, Trace: cfg.Trace}
	switch cfg.Role {
	case wire.RoleSeed:
		xc.MaxObject, xc.Window = maxWords, 2*maxWords
	default:
		xc.MaxConns = maxViewerConns
	}
	n.xn = cfg.Transport
	if n.xn == nil {
		if life := cfg.NAT.Lifetime; life > 0 {
			xc.Keepalive = min(keepaliveMax, life/2)
		}
		n.xn = xntp.New(xc)
		n.punchRoom = map[wire.PeerID]*room{}
		n.punch = punch.New(punch.Config{Rand: cfg.Rand, Entropy: cfg.Entropy})
		n.punch.SetHosts(cfg.Hosts)
		n.setFacts(cfg.NAT)
	}
	n.send = n.xn.Send
	n.bind = *natprobe.NewBinding(natprobe.BindingConfig{Entropy: cfg.Entropy, WantToken: true})
	n.bind.SetKeepalive(time.Time{}, n.keepAlive)
	if cfg.Role == wire.RoleSeed {
		n.answer = natprobe.NewResponder(natprobe.ResponderConfig{TokenKey: cfg.TokenKey, Rand: cfg.Rand, Trusted: cfg.STUNTrusted})
	}
	return n
}

// verifyToken says whether one of the responders that we believe saw addr. Which
// these are is known when the room document is.
func (n *Node) verifyToken(_ []ed25519.PublicKey, token []byte, addr netip.AddrPort, now time.Time) bool {
	return slices.ContainsFunc(n.cfg.TokenKeys, func(k ed25519.PublicKey) bool {
		return wire.VerifyToken(k, token, addr, now) == nil
	})
}

// NextTrace returns what its connections did, oldest first, if Config.Trace asked
// for it.
func (n *Node) NextTrace() (xntp.Trace, bool) {
	if e, ok := n.xn.(*xntp.Endpoint); ok {
		return e.NextTrace()
	}
	return xntp.Trace{}, false
}

// STUNSites says at which address each of a seed's sockets is reached, for its
// STUN responder: natprobe.ResponderConfig.Sites.
func (n *Node) STUNSites(sites []netip.AddrPort) {
	if n.answer != nil {
		n.answer.SetSites(sites)
	}
}

// Public returns the node's key, by which others know it.
func (n *Node) Public() xntp.PublicKey { return n.xn.Public() }

// ID returns the node's name in every room.
func (n *Node) ID() wire.PeerID { return n.self }

// Receive implements machine.Machine. The first byte says whose a datagram is
// (RFC 7983): STUN's begins with 0 to 3, XNTP's with 64 to 127 and 192 to 255.
func (n *Node) Receive(now time.Time, p machine.Packet) {
	if len(p.Data) == 0 {
		return
	}
	switch b := p.Data[0]; {
	case wire.IsPunch(p.Data):
		if n.punch == nil {
			return
		}
		n.punch.Receive(now, p)
	case p.Socket != 0 && n.sockets.open[p.Socket] == 0:
		if n.answer != nil { // these sockets are the responder's alone
			n.answer.Receive(now, p)
		}
	case p.Socket != 0 && b <= 3:
		n.punch.Receive(now, p)
	case b <= 3:
		n.bind.Receive(now, p)
		if n.answer != nil {
			n.answer.Receive(now, p)
		}
	case b >= 64 && b <= 127 || b >= 192:
		n.xn.Receive(now, p)
	default:
		return
	}
	n.turn(now)
}

// Advance implements machine.Machine.
func (n *Node) Advance(now time.Time) {
	n.xn.Advance(now)
	n.bind.Advance(now)
	if n.answer != nil {
		n.answer.Advance(now)
	}
	if n.punch != nil {
		n.punch.Advance(now)
	}
	for _, r := range n.rooms {
		r.advance(now)
	}
	n.advanceDials(now) // whom the rooms want to meet by now
	n.turn(now)
}

// NextTimeout implements machine.Machine.
func (n *Node) NextTimeout() time.Time {
	t := earlier(n.xn.NextTimeout(), n.bind.NextTimeout())
	t = earlier(t, n.dialWake)
	if n.punch != nil {
		t = earlier(t, n.punch.NextTimeout())
	}
	if n.answer != nil {
		t = earlier(t, n.answer.NextTimeout())
	}
	for _, r := range n.rooms {
		t = earlier(t, r.nextTimeout())
	}
	return t
}

// AppendDatagram implements machine.Machine.
func (n *Node) AppendDatagram(now time.Time, dst []byte) (machine.Packet, bool) {
	if n.answer != nil {
		if p, ok := n.answer.AppendDatagram(now, dst); ok {
			return p, true
		}
	}
	if p, ok := n.bind.AppendDatagram(now, dst); ok {
		return p, true
	}
	if n.punch != nil {
		if p, ok := n.punch.AppendDatagram(now, dst); ok {
			return p, true
		}
	}
	return n.xn.AppendDatagram(now, dst)
}

// NextEvent returns what the owner must know or do, oldest first.
func (n *Node) NextEvent() (Event, bool) { return n.events.Pop() }

func (n *Node) tell(e Event) {
	if n.events.Len() >= maxPending && e.Kind >= EventUp && e.Kind != EventGap && e.Kind != EventRestart && e.Kind < EventEnd {
		return
	}
	n.events.Push(e)
}

// Close leaves all rooms and closes all connections. Drain the datagrams once
// more after it: they say goodbye.
func (n *Node) Close(now time.Time) {
	for len(n.rooms) > 0 {
		n.Leave(now, n.rooms[len(n.rooms)-1].cfg.Name)
	}
	n.closed = true
	if n.punch != nil {
		n.punch.Reset()
	}
	n.xn.CloseAll(now)
}

// turn passes on between the parts until nothing moves any more.
func (n *Node) turn(now time.Time) {
	n.lookAtPaths(now)
	for range maxTurns {
		moved := n.drainConns(now)
		moved = n.drainBinding(now) || moved
		moved = n.drainPunch(now) || moved
		for _, r := range n.rooms {
			moved = r.drain(now) || moved
		}
		if !moved {
			return
		}
	}
}

// lookAtPaths tells the swarms what the connections measured, now and then.
func (n *Node) lookAtPaths(now time.Time) {
	if now.Sub(n.pathAt) < pathEvery {
		return
	}
	n.pathAt = now
	for _, p := range n.peers {
		if c := p.conn; c != nil && c.up {
			n.tellPath(p)
			n.lookForBetter(now, p)
		}
	}
}

// drainBinding takes what the STUN servers said.
func (n *Node) drainBinding(now time.Time) (moved bool) {
	for {
		e, ok := n.bind.NextEvent()
		if !ok {
			return moved
		}
		moved = true
		if e.Kind != natprobe.Observed {
			continue
		}
		if n.punch != nil {
			n.punch.SetRTT(e.RTT)
		}
		o := observed{e.Server, e.Mapped, e.Token, e.Expiry}
		i, known := slices.BinarySearchFunc(n.tokens, o, func(a, b observed) int { return a.server.Compare(b.server) })
		switch {
		case !known:
			n.tokens = slices.Insert(n.tokens, i, o)
		default:
			n.tokens[i] = o
		}
		n.setPunchServers()
		n.untranslated(e.Mapped)
		for _, r := range n.rooms {
			r.observed(now, e.Server, e.Moved || !known)
		}
	}
}

// ownTokens returns the proofs of our address that are still good.
func (n *Node) ownTokens(now time.Time) (list []wire.Token) {
	for _, o := range n.tokens {
		if len(o.token) > 0 && (o.expiry.IsZero() || now.Before(o.expiry)) && len(list) < wire.MaxSignalAddrs {
			list = append(list, o.token)
		}
	}
	return list
}

// setServers asks the STUN servers of all rooms.
func (n *Node) setServers() {
	var all []netip.AddrPort
	for _, r := range n.rooms {
		all = append(all, r.cfg.STUN...)
	}
	n.bind.SetServers(all)
}

// earlier returns the earlier of two times of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func (n *Node) room(name string) *room {
	for _, r := range n.rooms {
		if r.cfg.Name == name {
			return r
		}
	}
	return nil
}

func (n *Node) search(id wire.PeerID) (int, bool) {
	return slices.BinarySearch(n.ids, id)
}

func (n *Node) peer(id wire.PeerID) *peer {
	if i, ok := n.search(id); ok {
		return n.peers[i]
	}
	return nil
}

package swarm

import (
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
)

// A neighbour is a member of the room that we are connected to.
type neighbour struct {
	// What is looked at with every piece comes first, in two lines of a processor's
	// cache.
	id      Peer
	open    bool          // the connection stands
	greeted bool          // it has said HELLO
	doubted bool          // the tracker says that it has left, and it was not heard of since
	seed    bool          // by the tracker's or the room document's word, not by its own
	tier    topology.Tier // where it stands, by the tracker
	uploads bool          // it gives
	starts  bool          // it has nothing to play yet
	behind  bool          // it asks for what it needs
	stuck   bool          // it has not acknowledged in time: what is on its way to it does not count
	uplink  int64         // bit/s, by its own word; 0: it does not know
	have    set
	away    []*sending // what is on its way to it, oldest first
	owed    int        // bytes of these
	path    Path
	tell    []segment.ID // what it does not know that we hold
	due     time.Time    // when it should have acknowledged something of what is on its way

	named    bool // the tracker named it
	told     bool // we have said HELLO
	priced   bool // the tracker has said what a byte from it costs
	toll     uint32
	receipts bool  // it knows what to do with one
	standing uint8 // the tracker's word: 0 is good
	since    time.Time
	heard    time.Time

	from   segment.ID // it wants nothing before
	need   need
	lately int // bytes of pieces it was sent in the last seconds

	asked  int       // open requests to it
	rate   float64   // measured goodput of its answers, bytes per second
	group  uint64    // its group, when it was lost
	handed []handing // what it was given to hand on lately, oldest first
	misses int       // requests in a row that it did not answer in time
	shunUp time.Time
	shun   time.Duration // how long the next shunning lasts

	in, out, dup int64              // payload: new from it, acknowledged by it, not new
	report       wire.ReportMessage // what it says of us
	reported     uint64             // bytes from it that we have told it of
}

// A sending is an object with a piece on its way to a neighbour.
type sending struct {
	tag   uint64
	id    segment.ID
	size  int
	at    time.Time
	upto  int64 // bytes of pieces that were given to connections, with this one,
	left  int64 // and of these, what had left
	owner bool  // it went to be handed on: it is watched
}

// sending returns the object with a tag that is on its way to the neighbour; nil if
// none is. There are a few at most.
func (n *neighbour) sending(tag uint64) *sending {
	for _, x := range n.away {
		if x.tag == tag {
			return x
		}
	}
	return nil
}

// sent returns the object with a piece that is on its way to the neighbour; nil if
// none is.
func (n *neighbour) sent(id segment.ID) *sending {
	for _, x := range n.away {
		if x.id == id {
			return x
		}
	}
	return nil
}

// A handing is a piece that a neighbour was given to hand on.
type handing struct {
	id segment.ID
	at time.Time
}

// Path is what the connection to a neighbour knows.
type Path struct {
	SRTT   time.Duration
	MinRTT time.Duration // the least since the path is the same; 0: not known
	Rate   float64       // delivery rate towards it, bytes per second; 0: not known
	// Relayed: a relay passes the bytes on, so that a server gives them.
	Relayed bool
}

// Our choices.
const (
	maxOwed     = 1 << 20                // bytes of pieces on their way to one neighbour
	maxOpen     = 64                     // requests open at one neighbour
	minOpen     = 4                      //
	firstRTT    = 100 * time.Millisecond // until it was measured
	firstRate   = 500e3                  // bytes per second
	shunMin     = 2 * time.Second
	shunMax     = 10 * time.Second
	missesLimit = 3 // requests unanswered in a row, before a neighbour is shunned
)

func (s *Swarm) search(id Peer) (int, bool) {
	return slices.BinarySearch(s.ids, id)
}

func (s *Swarm) peer(id Peer) *neighbour {
	if i, ok := s.search(id); ok {
		return s.peers[i]
	}
	return nil
}

// ready reports whether pieces may go to it and requests too.
func (n *neighbour) ready() bool { return n.open && n.greeted && !n.doubted }

func (n *neighbour) shunned(now time.Time) bool { return now.Before(n.shunUp) }

// fail notes that it did not do in time what it was asked or handed.
func (n *neighbour) fail(now time.Time, limit int) {
	if n.misses++; n.misses < limit {
		return
	}
	n.misses = 0
	n.shun = min(max(2*n.shun, shunMin), shunMax)
	n.shunUp = now.Add(n.shun)
}

// serve notes that it did.
func (n *neighbour) serve(now time.Time) {
	n.misses = 0
	if !n.shunned(now) {
		n.shun -= n.shun / 8
	}
}

func (n *neighbour) rtt() time.Duration {
	if n.path.SRTT > 0 {
		return n.path.SRTT
	}
	return firstRTT
}

// leastTrip is the round trip without queues, as far as that is known.
func (n *neighbour) leastTrip() time.Duration {
	if n.path.MinRTT > 0 {
		return min(n.path.MinRTT, n.rtt())
	}
	return n.rtt()
}

// Connected tells that the connection to a neighbour stands; whether it is a
// seed by the room document's word; and whether our HELLO went with the first
// datagram. There is one connection to a neighbour: a second one is the owner's
// to avoid.
func (s *Swarm) Connected(now time.Time, id Peer, seed, greeted bool) {
	n := s.admit(now, id)
	if n == nil {
		return
	}
	n.open, n.seed = true, n.seed || seed
	n.told = n.told || greeted
	if !n.told {
		s.greet(n, 0)
	}
	if n.greeted {
		s.welcome(now, n)
	}
	s.run(now)
}

// admit returns the neighbour, made if there is room for it.
func (s *Swarm) admit(now time.Time, id Peer) *neighbour {
	i, ok := s.search(id)
	if ok {
		return s.peers[i]
	}
	bound := maxPeers
	if s.cfg.Seed {
		bound = maxSeedPeers
	}
	// Strangers cannot keep out whom the tracker named; its lists are bounded.
	if s.banned[id] || len(s.peers) >= bound && !s.isNamed(id) || id == s.cfg.Self {
		return nil
	}
	n := &neighbour{id: id, since: now, heard: now, rate: firstRate}
	n.standing = s.standingOf(id)
	if n.named = s.isNamed(id); !n.named {
		s.strangerAt = earlier(s.strangerAt, now.Add(strangerTime))
	}
	if m, ok := s.view.Member(topology.ID(id)); ok {
		n.seed, n.tier = m.Seed, m.Tier
	}
	s.price(n)
	s.peers, s.ids = slices.Insert(s.peers, i, n), slices.Insert(s.ids, i, id)
	return n
}

// Hello returns our HELLO, for the first datagram of a connection.
func (s *Swarm) Hello() []byte { return s.hello(0) }

func (s *Swarm) hello(flags byte) []byte {
	if s.uploads() {
		flags |= wire.HelloUpload
	}
	if s.cfg.Seed {
		flags |= wire.HelloSeed
	} else {
		flags |= wire.HelloReceipts
		if !s.want.on {
			flags |= wire.HelloStart
		}
		if s.behind() {
			flags |= wire.HelloBehind
		}
	}
	return wire.AppendHello(nil, s.tag, &wire.Hello{Flags: flags, Name: s.cfg.Name,
		UplinkKbps: uint64(max(0, s.Uplink()) / 1000), WindowKiB: maxOwed >> 10})
}

func (s *Swarm) greet(n *neighbour, flags byte) {
	n.told = true
	s.control(n, s.hello(flags))
}

func (s *Swarm) onHello(now time.Time, from Peer, n *neighbour, h *wire.Hello) {
	if h.Name != s.cfg.Name {
		return // another room with our tag: one in four billion
	}
	if n == nil {
		if n = s.admit(now, from); n == nil {
			return
		}
	}
	n.heard = now
	n.uploads = h.Flags&wire.HelloUpload != 0
	n.uplink = int64(min(h.UplinkKbps, 1e9)) * 1000
	n.receipts = h.Flags&wire.HelloReceipts != 0
	first := !n.greeted
	n.greeted, n.starts, n.behind = true, h.Flags&wire.HelloStart != 0, h.Flags&wire.HelloBehind != 0
	// Whoever has greeted already and greets again may have forgotten us.
	if n.open && (!n.told || !first && h.Flags&wire.HelloReply == 0) {
		s.greet(n, wire.HelloReply)
	}
	if first && n.open {
		s.welcome(now, n)
	}
	s.run(now)
}

// welcome tells a new neighbour what it cannot know: a member's pieces, a
// seed's inits.
func (s *Swarm) welcome(now time.Time, n *neighbour) {
	s.act(Action{Kind: Up, Peer: n.id})
	if s.cfg.Seed {
		for i := range s.inits {
			s.sendInit(n, &s.inits[i])
		}
		if n.starts {
			s.sayKey(n)
		}
		return
	}
	if s.want.on && !n.seed {
		s.tellFrom(n)
	}
	s.tellNeed(now, n)
	s.show(n)
	s.want.again(now)
}

// Disconnected tells that the connection to a neighbour is gone, and why.
func (s *Swarm) Disconnected(now time.Time, id Peer, why string) {
	if n := s.peer(id); n != nil {
		s.forget(now, n, wire.ByeLeaving, false, why)
		s.run(now)
	}
}

// Has reports whether a peer is a neighbour.
func (s *Swarm) Has(id Peer) bool { return s.peer(id) != nil }

// SetPath tells what the connection to a neighbour measured.
func (s *Swarm) SetPath(id Peer, p Path) {
	if n := s.peer(id); n != nil {
		n.path = p
	}
}

// leave says goodbye to a neighbour and forgets it.
func (s *Swarm) leave(now time.Time, n *neighbour, code uint64, ban bool, why string) {
	if n.open {
		s.control(n, wire.AppendBye(nil, s.tag, &wire.Bye{Code: code, Reason: why[:min(len(why), wire.MaxSwarmReason)]}))
	}
	s.forget(now, n, code, ban, why)
}

// forget removes a neighbour: what it was handed goes to others, what it was
// asked for is asked of others.
func (s *Swarm) forget(now time.Time, n *neighbour, code uint64, ban bool, why string) {
	i, ok := s.search(n.id)
	if !ok {
		return
	}
	s.peers, s.ids = slices.Delete(s.peers, i, i+1), slices.Delete(s.ids, i, i+1)
	if ban {
		s.banned[n.id] = true
	}
	s.signLast(now, n)
	s.give.left(n)
	s.disinterested(n.id, segment.ID{})
	s.want.left(now, n.id)
	s.act(Action{Kind: Down, Peer: n.id, Code: code, Ban: ban, Why: why})
	for _, x := range n.away {
		s.act(Action{Kind: Cancel, Peer: n.id, Tag: x.tag})
		s.give.owes(n, -x.size)
		if x.owner {
			s.handOn(now, x.id, n.id)
		}
	}
}

// Leave says goodbye to everybody.
func (s *Swarm) Leave(now time.Time) {
	for len(s.peers) > 0 {
		s.leave(now, s.peers[len(s.peers)-1], wire.ByeLeaving, false, "leaving the room")
	}
}

// A Neighbour is what reports say of one.
type Neighbour struct {
	ID                  Peer
	Seed, Ready         bool
	RTT                 time.Duration
	Rate                float64
	In, Out, Dup        int64
	Asked, Owed, Misses int
	Report              wire.ReportMessage
}

// Neighbours returns them all, by ID.
func (s *Swarm) Neighbours() []Neighbour {
	list := make([]Neighbour, 0, len(s.peers))
	for _, n := range s.peers {
		list = append(list, Neighbour{n.id, n.seed, n.ready(), n.path.SRTT, n.path.Rate, n.in, n.out, n.dup, n.asked, n.owed, n.misses, n.report})
	}
	return list
}

// source is whose bytes a neighbour's are: what a relay has passed on is a server's.
func (n *neighbour) source() measure.Source {
	switch {
	case n.path.Relayed:
		return measure.Relay
	case n.seed:
		return measure.Seed
	}
	return measure.Peer
}

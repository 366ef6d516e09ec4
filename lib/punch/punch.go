package punch

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/internal/fifo"
	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/wire"
)

// Bounds, our choices but where a source is named.
const (
	maxSessions = 16  // at a time; who comes then waits
	maxReplies  = 256 // answers that wait to be sent; what comes then is not answered
	maxEvents   = 4096

	probeEvery   = time.Millisecond
	offerEvery   = time.Second
	blockSockets = 64 // of a block of 512 ports that may be all that a customer has
)

// Config is what a Puncher is made from.
type Config struct {
	Rand    *rand.Rand
	Entropy io.Reader // names sessions and STUN transactions
}

// An EventKind says what happened.
type EventKind uint8

const (
	// EventSignal: Signal is for the tracker.
	EventSignal EventKind = iota + 1
	// EventOpen: a socket is needed: at a relay if Relay is set, of TCP from Local to
	// Remote if TCP is, where the other side does the same. Answer with Opened, naming
	// Ref.
	EventOpen
	// EventClose: Socket is of no use any more.
	EventClose
	// EventObserve: a port of ours for TCP is needed, at which a server has just seen
	// us. Answer with Observed, naming Ref.
	EventObserve
	// EventPath: Peer answers at Remote, from Socket: connect there.
	EventPath
	// EventFailed: no way to Peer was found; nothing is sent to it any more. Retry
	// is when to try again at the earliest, if not at once.
	EventFailed
)

// An Event is what the owner of a Puncher must know or do.
type Event struct {
	Kind   EventKind
	Peer   wire.PeerID
	Signal *wire.SignalPunch
	Ref    uint64
	Relay  bool
	TCP    bool
	Local  netip.AddrPort
	Socket machine.Socket
	Remote netip.AddrPort
	Way    nat.Way
	Retry  time.Time
}

// Counts are what a Puncher has done.
type Counts struct {
	Checks  uint64 // sent
	Answers uint64 // sent
	Opened  uint64 // sockets
	Forged  uint64 // datagrams without the MAC
	Strange uint64 // datagrams from an address that the tracker did not pass on
	Found   uint64
	Failed  uint64
}

// A Puncher looks for ways to any number of peers. Socket 0 is the one that servers
// see all the time; others it asks for.
type Puncher struct {
	cfg      Config
	facts    nat.Facts
	kind     nat.Kind
	known    bool
	relay    bool
	servers  []netip.AddrPort
	hosts    []netip.AddrPort
	rtt      time.Duration
	sessions []*session // ascending by peer
	bySocket map[machine.Socket]*session
	byRef    map[uint64]*session
	ref      uint64
	birthday allowance
	replies  fifo.Queue[reply]
	events   fifo.Queue[Event]
	msg      wire.STUN
	counts   Counts
}

// A reply is a datagram that is to be sent at once: an answer, or a check back.
type reply struct {
	socket machine.Socket
	to     netip.AddrPort
	p      wire.Punch
	key    wire.Key
}

// New returns a Puncher that knows nothing.
func New(cfg Config) *Puncher {
	return &Puncher{cfg: cfg, bySocket: map[machine.Socket]*session{}, byRef: map[uint64]*session{}}
}

// SetFacts tells what is known of our own NAT.
func (p *Puncher) SetFacts(f nat.Facts) {
	p.facts = f
	p.kind, p.known = f.Kind()
}

// SetServers names the STUN servers that fresh sockets ask.
func (p *Puncher) SetServers(list []netip.AddrPort) { p.servers = slices.Clone(list) }

// SetHosts names our own addresses, of socket 0.
func (p *Puncher) SetHosts(list []netip.AddrPort) { p.hosts = slices.Clone(list) }

// SetRTT tells how long an answer of a server takes.
func (p *Puncher) SetRTT(d time.Duration) { p.rtt = d }

// SetRelay tells whether EventOpen with Relay has a chance.
func (p *Puncher) SetRelay(on bool) { p.relay = on }

// Ready says whether enough is known of our own NAT to look for ways.
func (p *Puncher) Ready() bool { return p.known }

// Way returns how we and somebody behind such a NAT are connected at best; ok is
// false where too little is known of either.
func (p *Puncher) Way(theirs *wire.SignalNAT) (w nat.Way, ok bool) {
	f := FactsOf(theirs)
	k, ok := f.Kind()
	return nat.WayBetween(p.kind, k), ok && p.known
}

// Counts returns what was done so far.
func (p *Puncher) Counts() Counts { return p.counts }

// Sockets returns how many sockets it has, those that are being opened included.
func (p *Puncher) Sockets() int { return len(p.bySocket) + len(p.byRef) }

// FactsOf reads what a peer says of its NAT.
func FactsOf(n *wire.SignalNAT) (f nat.Facts) {
	if n == nil {
		return f
	}
	return nat.FactsOf(nat.Report{
		Candidates: n.Classes, Mapping: n.Mapping, Filtering: n.Filtering, Allocation: n.Allocation,
		AllocationDelta: &n.Delta, AllocationRange: []int{int(n.Low), int(n.High)}, AllocationBlock: n.Block,
	})
}

// Say puts facts into a message; nil if nothing is known.
func Say(f nat.Facts) *wire.SignalNAT {
	n := &wire.SignalNAT{Delta: f.Delta, Low: f.Low, High: f.High, Block: f.BlockSize}
	for _, c := range f.Classes {
		n.Classes = append(n.Classes, c.String())
	}
	for _, w := range []struct {
		to *string
		b  nat.Behavior
	}{{&n.Mapping, f.Mapping.One()}, {&n.Filtering, f.Filtering.One()}} {
		if w.b != nat.Unknown {
			*w.to = w.b.String()
		}
	}
	if f.Allocation != nat.AllocationUnknown {
		n.Allocation = f.Allocation.String()
	}
	if n.Equal(&wire.SignalNAT{}) {
		return nil
	}
	return n
}

// Meet begins to look for a way to a peer, of whose NAT this is known; relayed wants
// none but through a relay. Whoever calls it connects when EventPath comes. A peer
// that is being looked for already goes on being so.
func (p *Puncher) Meet(now time.Time, peer wire.PeerID, theirs *wire.SignalNAT, relayed bool) {
	if p.session(peer) != nil {
		return
	}
	var id [8]byte
	if _, err := io.ReadFull(p.cfg.Entropy, id[:]); err != nil || len(p.sessions) >= maxSessions {
		p.tell(Event{Kind: EventFailed, Peer: peer, Retry: now.Add(time.Second)})
		return
	}
	s := &session{p: p, peer: peer, id: binary.BigEndian.Uint64(id[:]) | 1, first: true, offers: true, round: 1, theirs: FactsOf(theirs), relayed: relayed}
	p.add(s)
	s.prepare(now)
}

// Looks says whether a way to a peer is being looked for.
func (p *Puncher) Looks(peer wire.PeerID) bool { return p.session(peer) != nil }

// A Finding is what a search came to, and what it cost this side.
type Finding struct {
	Way     nat.Way       // that the socket was opened for
	Took    time.Duration // since both had first exchanged what they know; 0: they had not
	Rounds  int
	Sockets int // the most of its own in a round
	Probes  int // checks sent, in all rounds
}

// Done ends the search for a way to a peer: there is a connection, from this socket,
// which is the caller's from now on; or there is no need for one any more, and the
// socket is 0. ok is false if none was being looked for.
func (p *Puncher) Done(now time.Time, peer wire.PeerID, socket machine.Socket, remote netip.AddrPort) (f Finding, ok bool) {
	s := p.session(peer)
	if s == nil {
		return f, false
	}
	f = Finding{Way: s.wayOf(socket, remote), Rounds: int(s.round), Sockets: s.most, Probes: s.probes}
	if !s.exchanged.IsZero() {
		f.Took = max(now.Sub(s.exchanged), 1) // an answer that took less than was thought
	}
	p.counts.Found++
	if socket != 0 && p.bySocket[socket] == s {
		delete(p.bySocket, socket)
		s.socks = slices.DeleteFunc(s.socks, func(k sock) bool { return k.open && k.id == socket })
	}
	s.end()
	return f, true
}

// Stop ends the search for a way to a peer that is not wanted any more.
func (p *Puncher) Stop(peer wire.PeerID) {
	if s := p.session(peer); s != nil {
		s.end()
	}
}

// Reset ends all searches: the network is another one.
func (p *Puncher) Reset() {
	for len(p.sessions) > 0 {
		s := p.sessions[0]
		s.end()
		p.tell(Event{Kind: EventFailed, Peer: s.peer})
	}
	p.birthday = allowance{}
}

// Signal takes what a peer said through the tracker: an offer, or an answer. The
// caller knows the peer, and wants to meet it.
func (p *Puncher) Signal(now time.Time, m *wire.SignalPunch) {
	s := p.session(m.Peer)
	switch {
	case m.MAC == wire.Key{} || !p.known:
	case m.Answer:
		if s != nil && s.id == m.Session && s.round == m.Round && s.stage == stageOffered {
			s.hear(m)
			s.begin(now)
		}
	case s != nil && s.id == m.Session:
		if m.Round == s.round+1 && s.stage != stageFound && !s.offers {
			return // it is our turn
		}
		if m.Round == s.round+1 && s.stage != stageFound {
			s.answer(now, m)
		}
	case s != nil && s.first && s.stage <= stageOffered && s.id > m.Session:
		// Both have offered: the greater session goes on.
	case m.Round != 1:
	case s != nil && !s.first && now.Sub(s.began) < offerEvery:
		// Whoever offers anew all the time has us open sockets all the time.
	default:
		if s != nil {
			s.end()
		}
		if len(p.sessions) >= maxSessions {
			return
		}
		s = &session{p: p, peer: m.Peer, id: m.Session, began: now}
		p.add(s)
		s.answer(now, m)
	}
}

// Opened answers EventOpen.
func (p *Puncher) Opened(now time.Time, ref uint64, socket machine.Socket, local netip.AddrPort, err error) {
	s := p.byRef[ref]
	delete(p.byRef, ref)
	if s == nil {
		if err == nil {
			p.tell(Event{Kind: EventClose, Socket: socket}) // it has come too late
		}
		return
	}
	if err == nil {
		p.counts.Opened++
		p.bySocket[socket] = s
	}
	s.opened(now, ref, socket, local, err == nil)
}

// Observed answers EventObserve: the token proves at which address a server has seen
// the port of TCP that is local.
func (p *Puncher) Observed(now time.Time, ref uint64, local netip.AddrPort, token wire.Token, err error) {
	s := p.byRef[ref]
	delete(p.byRef, ref)
	switch {
	case s == nil || s.stage != stageOpening || s.way != nat.OverTCP:
	case err != nil || len(token) == 0:
		s.fail(now)
	default:
		s.socks = []sock{{open: true, local: local, token: token}}
		s.prepared(now)
	}
}

// Owns says whether a socket is the Puncher's.
func (p *Puncher) Owns(s machine.Socket) bool { return p.bySocket[s] != nil }

// tell queues an event. Of those about sockets there are no more than sockets.
func (p *Puncher) tell(e Event) {
	if p.events.Len() < maxEvents || e.Kind == EventOpen || e.Kind == EventClose {
		p.events.Push(e)
	}
}

// NextEvent returns what happened, oldest first.
func (p *Puncher) NextEvent() (Event, bool) { return p.events.Pop() }

func (p *Puncher) find(peer wire.PeerID) (int, bool) {
	return slices.BinarySearchFunc(p.sessions, peer, func(s *session, id wire.PeerID) int {
		switch {
		case s.peer < id:
			return -1
		case s.peer > id:
			return 1
		}
		return 0
	})
}

func (p *Puncher) session(peer wire.PeerID) *session {
	if i, ok := p.find(peer); ok {
		return p.sessions[i]
	}
	return nil
}

func (p *Puncher) add(s *session) {
	i, _ := p.find(s.peer)
	p.sessions = slices.Insert(p.sessions, i, s)
}

func (p *Puncher) remove(s *session) {
	if i, ok := p.find(s.peer); ok && p.sessions[i] == s {
		p.sessions = slices.Delete(p.sessions, i, i+1)
	}
}

// Receive implements machine.Machine: STUN that comes to its own sockets, and checks.
func (p *Puncher) Receive(now time.Time, pkt machine.Packet) {
	from := netip.AddrPortFrom(pkt.Remote.Addr().Unmap(), pkt.Remote.Port())
	if wire.IsSTUN(pkt.Data) {
		if s := p.bySocket[pkt.Socket]; s != nil && p.msg.Parse(pkt.Data) == nil {
			s.observed(now, pkt.Socket, from, &p.msg)
		}
		return
	}
	m, ok := wire.ParsePunch(pkt.Data)
	if !ok {
		return
	}
	for _, s := range p.sessions {
		if s.id != m.Session || s.key == (wire.Key{}) || m.Answerer != s.first {
			continue
		}
		if !wire.VerifyPunch(pkt.Data, &s.key) {
			p.counts.Forged++
			return
		}
		if !slices.ContainsFunc(s.addrs, func(a netip.AddrPort) bool { return a.Addr() == from.Addr() }) {
			p.counts.Strange++
			return
		}
		s.receive(now, pkt.Socket, from, &m)
		return
	}
	p.counts.Forged++
}

// Advance implements machine.Machine.
func (p *Puncher) Advance(now time.Time) {
	for _, s := range slices.Clone(p.sessions) {
		s.advance(now)
	}
}

// NextTimeout implements machine.Machine.
func (p *Puncher) NextTimeout() (t time.Time) {
	for _, s := range p.sessions {
		t = earlier(t, s.nextTimeout())
	}
	return t
}

// AppendDatagram implements machine.Machine.
func (p *Puncher) AppendDatagram(now time.Time, dst []byte) (machine.Packet, bool) {
	if r, ok := p.replies.Pop(); ok {
		return machine.Packet{Socket: r.socket, Remote: r.to, Data: r.p.Append(dst, &r.key)}, true
	}
	for _, s := range p.sessions {
		if pkt, ok := s.append(now, dst); ok {
			return pkt, true
		}
	}
	return machine.Packet{}, false
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

package punch

import (
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/wire"
)

// A stage is where a session stands.
type stage uint8

const (
	stageOpening   stage = iota // sockets were asked for
	stageObserving              // servers are asked how they see them
	stageOffered                // the other side has to answer
	stageChecking
	stageWaiting // the round has failed, and the other side has to offer the next
	stageFound   // a check was answered; a connection has to come
)

// Times of a session.
const (
	openWait    = time.Second
	tcpWait     = 4 * time.Second // for a server's word over TCP, and for a connection
	observeWait = 600 * time.Millisecond
	answerWait  = 4 * time.Second // for the other side, which opens and asks, too
	foundWait   = 4 * time.Second
	roundTime   = 900 * time.Millisecond // and two round trips
	guessRTT    = 100 * time.Millisecond // where none was measured
)

// A session is the search for a way to one peer.
type session struct {
	p       *Puncher
	peer    wire.PeerID
	id      uint64
	first   bool // we offered the session, and are the one who connects
	offers  bool // we offer this round
	relayed bool // want a relay
	// observeRef names the question for a port of TCP; 0: there is none.
	observeRef uint64
	round      uint8
	way        nat.Way
	stage      stage
	due        time.Time // when the stage is over

	began time.Time // where the other side offered it
	// exchanged is when both first had what the other knows, as far as we can tell.
	exchanged time.Time

	most   int   // sockets of our own in a round
	probes int   // checks sent
	cost   *cost // of a birthday

	theirs   nat.Facts
	addrs    []netip.AddrPort
	rtt      time.Duration // of their server
	key      wire.Key
	socks    []sock
	schedule []send // in order of time
	next     int
	sent     []check
	back     []check // checks that were sent because one came
}

// A sock is a socket of a session.
type sock struct {
	ref    uint64
	id     machine.Socket
	open   bool
	failed bool
	own    bool // opened for the session; else it is socket 0
	relay  bool
	tcp    bool
	remote netip.AddrPort // of tcp
	local  netip.AddrPort
	asked  int // questions to a server
	askAt  time.Time
	tries  [observeTries]wire.STUNTransaction
	mapped netip.AddrPort
	token  wire.Token
}

// prepare begins a round: it opens what is needed for it.
func (s *session) prepare(now time.Time) {
	s.closeAll()
	s.schedule, s.next, s.sent, s.back = nil, 0, nil, nil
	n, ok := s.plan(now)
	if !ok {
		s.fail(now)
		return
	}
	s.stage, s.due = stageOpening, now.Add(openWait)
	if s.way == nat.OverTCP {
		s.p.ref++
		s.p.byRef[s.p.ref], s.observeRef, s.due = s, s.p.ref, now.Add(tcpWait)
		s.p.tell(Event{Kind: EventObserve, Peer: s.peer, Ref: s.p.ref})
		return
	}
	if n == 0 {
		s.socks = []sock{{open: true}}
		s.prepared(now)
		return
	}
	s.most = max(s.most, n)
	for range n {
		s.p.ref++
		s.p.byRef[s.p.ref] = s
		s.socks = append(s.socks, sock{ref: s.p.ref, own: true, relay: s.way == nat.Relayed})
		s.p.tell(Event{Kind: EventOpen, Peer: s.peer, Ref: s.p.ref, Relay: s.way == nat.Relayed})
	}
}

// plan chooses the way, and says how many sockets of its own a round needs.
func (s *session) plan(now time.Time) (sockets int, ok bool) {
	theirs, ok := s.theirs.Kind()
	if !ok || !s.p.known {
		return 0, false
	}
	s.way = nat.WayBetween(s.p.kind, theirs)
	if s.relayed {
		s.way = nat.Relayed
	}
	fresh := 0
	if s.round > 1 {
		fresh = 1
	}
	switch s.way {
	case nat.Direct:
		return fresh, true
	case nat.OverTCP:
		return 0, true
	case nat.Predicted:
		if s.p.kind == nat.KindSequential {
			return burst, len(s.p.servers) > 0
		}
		return fresh, true
	case nat.Birthday:
		if s.round > 1 {
			return 0, false
		}
		return s.planBirthday(now)
	case nat.Relayed:
		if s.p.relay {
			return 1, true
		}
		return 0, !s.offers // the other side may have one
	}
	return 0, false
}

// planBirthday says how many sockets an attempt needs, if it can be afforded: who gives
// out ports at random opens sockets, the other sends probes.
func (s *session) planBirthday(now time.Time) (sockets int, ok bool) {
	entries, least := s.p.birthday.left(now), leastEntries
	switch {
	case s.p.kind != nat.KindRandom:
		entries = min(entries, BirthdayProbes)
	case s.p.facts.Allocation == nat.Block:
		sockets, least = blockSockets, blockSockets
	default:
		sockets = min(entries, BirthdaySockets)
	}
	if entries < least || sockets > 0 && s.p.birthday.busy {
		return 0, false
	}
	if sockets > 0 {
		entries = sockets
	}
	s.cost, s.p.birthday.busy = s.p.birthday.begin(now, entries), true
	return sockets, true
}

// opened takes note of a socket.
func (s *session) opened(now time.Time, ref uint64, id machine.Socket, local netip.AddrPort, ok bool) {
	waiting := false
	for i := range s.socks {
		k := &s.socks[i]
		if k.ref == ref {
			k.id, k.open, k.failed = id, ok, !ok
			if local.IsValid() {
				k.local = local
			}
			if ok && k.tcp && s.stage == stageChecking {
				s.found(now, id, k.remote)
			}
		}
		waiting = waiting || !k.open && !k.failed
	}
	if !waiting && s.way == nat.OverTCP && s.stage == stageChecking {
		s.lost(now)
		return
	}
	if !waiting && s.stage == stageOpening {
		s.haveSockets(now)
	}
}

// haveSockets goes on with those sockets that were opened.
func (s *session) haveSockets(now time.Time) {
	for _, k := range s.socks {
		if !k.open {
			delete(s.p.byRef, k.ref) // what comes now is closed again
		}
	}
	s.socks = slices.DeleteFunc(s.socks, func(k sock) bool { return !k.open })
	if s.way == nat.Relayed && len(s.socks) > 0 {
		s.socks = append(s.socks, sock{open: true}) // the other side may have a relay, too
	}
	switch {
	case len(s.socks) == 0:
		s.socks = []sock{{open: true}} // better than nothing
		s.prepared(now)
	case s.way == nat.Birthday || s.way == nat.Relayed || len(s.p.servers) == 0:
		s.prepared(now)
	default:
		s.stage, s.due = stageObserving, now.Add(observeWait)
		for i := range s.socks {
			s.socks[i].askAt = now
		}
	}
}

// prepared tells the other side what was found out.
func (s *session) prepared(now time.Time) {
	n := Say(s.p.facts)
	if n == nil {
		n = &wire.SignalNAT{}
	}
	m := &wire.SignalPunch{Peer: s.peer, Session: s.id, Round: s.round, Answer: !s.offers, Relay: s.relayed, NAT: *n, RTTms: uint16(min(s.p.rtt.Milliseconds(), 1<<16-1))}
	if s.way == nat.Relayed {
		for _, k := range s.socks {
			if k.own && k.relay && len(m.Relayed) < wire.MaxSignalAddrs && wire.CheckAddr(k.local) == nil {
				m.Relayed = append(m.Relayed, k.local)
			}
		}
	} else {
		s.sayObserved(m)
	}
	s.p.tell(Event{Kind: EventSignal, Peer: s.peer, Signal: m})
	if s.offers {
		s.stage, s.due = stageOffered, now.Add(answerWait)
		return
	}
	s.begin(now)
}

// answer takes an offer.
func (s *session) answer(now time.Time, m *wire.SignalPunch) {
	s.round, s.offers = m.Round, false
	s.hear(m)
	s.relayed = m.Relay
	s.prepare(now)
}

// hear takes what the other side knows.
func (s *session) hear(m *wire.SignalPunch) {
	s.key, s.theirs, s.addrs, s.rtt = m.MAC, FactsOf(&m.NAT), slices.Clone(m.Addrs), time.Duration(m.RTTms)*time.Millisecond
}

// halfTrip is how long the tracker's word takes from one of us to the other, or a
// packet: as far as the servers' answers tell.
func (s *session) halfTrip() time.Duration {
	mine, theirs := s.p.rtt, s.rtt
	if mine <= 0 {
		mine = guessRTT
	}
	if theirs <= 0 {
		theirs = guessRTT
	}
	return (mine + theirs) / 2
}

// begin sends checks.
func (s *session) begin(now time.Time) {
	if len(s.addrs) == 0 {
		s.fail(now)
		return
	}
	trip := s.halfTrip()
	start := now
	if !s.offers {
		start = now.Add(trip) // the answer has to arrive
	}
	if s.exchanged.IsZero() {
		s.exchanged = start
	}
	s.stage = stageChecking
	if s.way == nat.OverTCP {
		s.due = start.Add(tcpWait)
		s.connect()
		return
	}
	s.due = start.Add(roundTime + 2*trip)
	s.aim(now, start, trip)
	s.sort()
	if n := len(s.schedule); n > 0 && s.way == nat.Birthday {
		if end := s.schedule[n-1].at.Add(roundTime/2 + 2*trip); end.After(s.due) {
			s.due = end
		}
		s.due = s.due.Add(BirthdayProbes * probeEvery) // the other side's take so long
	}
}

// connect has connections opened from our port to wherever the other side was seen,
// which does the same: SYNs that cross become one connection (RFC 9293 §3.5), and each
// NAT sees its own host begin.
func (s *session) connect() {
	const most = 3
	from := s.socks[0].local
	for _, a := range s.addrs[:min(len(s.addrs), most)] {
		s.p.ref++
		s.p.byRef[s.p.ref] = s
		s.socks = append(s.socks, sock{ref: s.p.ref, own: true, tcp: true, remote: a})
		s.p.tell(Event{Kind: EventOpen, Peer: s.peer, Ref: s.p.ref, TCP: true, Local: from, Remote: a})
	}
}

// wayOf is what a path is called. Where a relay was wanted, the packets may have found
// one without.
func (s *session) wayOf(socket machine.Socket, remote netip.AddrPort) nat.Way {
	if s.way != nat.Relayed || len(s.addrs) == 0 {
		return s.way
	}
	for i := range s.socks {
		if k := &s.socks[i]; k.id == socket && k.relay {
			return nat.Relayed
		}
	}
	if remote.Addr() == s.addrs[0].Addr() {
		return nat.Direct
	}
	return nat.Relayed
}

// advance does what time has made due.
func (s *session) advance(now time.Time) {
	if s.due.IsZero() || now.Before(s.due) {
		return
	}
	switch s.stage {
	case stageOpening:
		if s.way == nat.OverTCP {
			s.fail(now)
			return
		}
		s.haveSockets(now)
	case stageObserving:
		s.prepared(now)
	case stageChecking:
		s.lost(now)
	default:
		s.fail(now)
	}
}

// lost ends a round without success. The next is the other side's to offer, so that
// now it sends first.
func (s *session) lost(now time.Time) {
	switch {
	case s.round >= wire.PunchRounds || s.way == nat.Birthday || s.way == nat.Relayed:
		s.fail(now)
	case s.offers:
		s.stage, s.due = stageWaiting, now.Add(answerWait)
	default:
		s.round++
		s.offers = true
		s.prepare(now)
	}
}

// fail gives up.
func (s *session) fail(now time.Time) {
	e := Event{Kind: EventFailed, Peer: s.peer, Way: s.way}
	if s.way == nat.Birthday {
		e.Retry = s.p.birthday.again()
	}
	s.p.counts.Failed++
	s.end()
	s.p.tell(e)
}

// end forgets the session and its sockets.
func (s *session) end() {
	if s.cost != nil {
		s.p.birthday.busy = false
		if s.p.kind != nat.KindRandom {
			s.cost.entries = min(s.cost.entries, s.probes)
		}
	}
	s.closeAll()
	s.p.remove(s)
}

func (s *session) closeAll() {
	delete(s.p.byRef, s.observeRef)
	s.observeRef = 0
	for _, k := range s.socks {
		switch {
		case !k.own:
		case k.open:
			delete(s.p.bySocket, k.id)
			s.p.tell(Event{Kind: EventClose, Socket: k.id})
		default:
			delete(s.p.byRef, k.ref)
		}
	}
	s.socks = nil
}

func (s *session) nextTimeout() time.Time {
	t := s.due
	if s.next < len(s.schedule) {
		t = earlier(t, s.schedule[s.next].at)
	}
	if s.stage == stageObserving {
		for i := range s.socks {
			if k := &s.socks[i]; !k.mapped.IsValid() && k.asked < observeTries {
				t = earlier(t, k.askAt)
			}
		}
	}
	return t
}

func (s *session) transaction() (id wire.STUNTransaction, ok bool) {
	_, err := io.ReadFull(s.p.cfg.Entropy, id[:])
	return id, err == nil
}

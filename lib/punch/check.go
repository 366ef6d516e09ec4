package punch

import (
	"net/netip"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

// A send is a check to be sent.
type send struct {
	at   time.Time
	sock int
	to   netip.AddrPort
	ttl  uint8
}

// A check is one that was sent; its place is its number.
type check struct {
	socket machine.Socket
	to     netip.AddrPort
	at     time.Time
}

// receive takes what is authentic.
func (s *session) receive(now time.Time, socket machine.Socket, from netip.AddrPort, m *wire.Punch) {
	if m.Answer {
		if s.stage == stageChecking && uint64(m.Number) < uint64(len(s.sent)) {
			if c := s.sent[m.Number]; c.socket == socket && c.to == from {
				s.found(now, socket, from)
			}
		}
		return
	}
	if s.p.replies.Len() >= maxReplies || s.stage < stageOffered || s.stage == stageWaiting {
		return
	}
	s.p.counts.Answers++
	s.p.replies.Push(reply{socket, from, wire.Punch{Answer: true, Answerer: !s.first, Session: s.id, Number: m.Number}, s.key})
	if s.stage == stageChecking && s.mayCheckBack(now, socket, from) {
		s.p.counts.Checks++
		s.p.replies.Push(reply{socket, from, s.number(now, socket, from), s.key})
	}
}

// mayCheckBack says whether a check that came is a reason to send one: not twice in
// a moment, and to so many places only.
func (s *session) mayCheckBack(now time.Time, socket machine.Socket, from netip.AddrPort) bool {
	const most, again = 64, 40 * time.Millisecond
	for i := range s.back {
		if b := &s.back[i]; b.socket == socket && b.to == from {
			ok := now.Sub(b.at) >= again
			if ok {
				b.at = now
			}
			return ok
		}
	}
	if len(s.back) >= most {
		return false
	}
	s.back = append(s.back, check{socket, from, now})
	s.insist(now, socket, from)
	return true
}

// insist has checks sent again to where one came from: this or its answer may be lost.
func (s *session) insist(now time.Time, socket machine.Socket, to netip.AddrPort) {
	i := slices.IndexFunc(s.socks, func(k sock) bool { return k.id == socket })
	if i < 0 {
		return
	}
	for _, d := range repeats[1:] {
		s.add(now.Add(d), i, to, 0)
	}
	s.sort()
}

// sort puts what is still to be sent in order of time.
func (s *session) sort() {
	slices.SortStableFunc(s.schedule[s.next:], func(a, b send) int { return a.at.Compare(b.at) })
}

// number is the check that is sent now.
func (s *session) number(now time.Time, socket machine.Socket, to netip.AddrPort) wire.Punch {
	s.probes++
	s.sent = append(s.sent, check{socket, to, now})
	return wire.Punch{Answerer: !s.first, Session: s.id, Number: uint32(len(s.sent) - 1)}
}

// found ends the checks: there is a way.
func (s *session) found(now time.Time, socket machine.Socket, remote netip.AddrPort) {
	s.stage, s.due = stageFound, now.Add(foundWait)
	s.schedule, s.next = nil, 0
	if !s.first {
		s.insist(now, socket, remote) // it may not know yet
	} else {
		s.p.tell(Event{Kind: EventPath, Peer: s.peer, Socket: socket, Remote: remote, Way: s.wayOf(socket, remote)})
	}
}

// append returns the next datagram that is due.
func (s *session) append(now time.Time, dst []byte) (machine.Packet, bool) {
	if s.stage == stageObserving {
		return s.ask(now, dst)
	}
	if s.next >= len(s.schedule) || now.Before(s.schedule[s.next].at) {
		return machine.Packet{}, false
	}
	c := s.schedule[s.next]
	s.next++
	k := s.socks[c.sock]
	s.p.counts.Checks++
	m := s.number(now, k.id, c.to)
	return machine.Packet{Socket: k.id, Remote: c.to, TTL: c.ttl, Data: m.Append(dst, &s.key)}, true
}

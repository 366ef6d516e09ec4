package punch

import (
	"net/netip"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/wire"
)

// Questions to a server about fresh sockets: at 0, 60, 160, 360 ms.
const (
	observeTries = 4
	observeFirst = 60 * time.Millisecond
)

// ask asks a server how it sees the sockets, all in one burst: so they show how the
// NAT gives out ports, whatever strangers take.
func (s *session) ask(now time.Time, dst []byte) (machine.Packet, bool) {
	for i := range s.socks {
		k := &s.socks[i]
		if k.mapped.IsValid() || k.asked >= observeTries || now.Before(k.askAt) {
			continue
		}
		id, ok := s.transaction()
		if !ok {
			k.asked = observeTries // without entropy anybody could answer
			continue
		}
		k.tries[k.asked] = id
		k.askAt = now.Add(observeFirst << k.asked)
		k.asked++
		return machine.Packet{Socket: k.id, Remote: s.p.servers[0], Data: wire.AppendSTUNRequest(dst, id, true)}, true
	}
	return machine.Packet{}, false
}

// observed takes a server's answer.
func (s *session) observed(now time.Time, socket machine.Socket, from netip.AddrPort, m *wire.STUN) {
	if s.stage != stageObserving || from != s.p.servers[0] || m.Class != wire.STUNSuccess || m.Method != wire.STUNBinding ||
		wire.CheckAddr(m.Mapped) != nil || len(m.Unknown) > 0 {
		return
	}
	all := true
	for i := range s.socks {
		k := &s.socks[i]
		if k.id == socket && slices.Contains(k.tries[:k.asked], m.Transaction) {
			k.mapped, k.token = m.Mapped, slices.Clone(m.Token)
		}
		all = all && k.mapped.IsValid()
	}
	if all {
		s.prepared(now)
	}
}

// sayObserved puts what servers have seen into an offer or an answer. Of a burst the
// port that was given out last counts: the sockets that served for it are closed, but
// for one.
func (s *session) sayObserved(m *wire.SignalPunch) {
	if len(s.socks) == burst && s.way == nat.Predicted {
		s.readBurst(m)
	}
	for _, k := range s.socks {
		if len(k.token) > 0 && len(m.Tokens) == 0 {
			m.Tokens = append(m.Tokens, k.token)
		}
		if s.way == nat.OverTCP {
			m.Hosts = append(m.Hosts, k.local)
			continue
		}
		if !k.own || k.local.Port() == 0 || len(m.Hosts) > 0 {
			continue
		}
		for _, h := range s.p.hosts {
			if len(m.Hosts) < wire.MaxSignalAddrs {
				m.Hosts = append(m.Hosts, netip.AddrPortFrom(h.Addr(), k.local.Port()))
			}
		}
	}
}

// readBurst says the port that was given out last, and the step from one to the
// next; and keeps that socket only.
func (s *session) readBurst(m *wire.SignalPunch) {
	var local []uint16
	var mapped []netip.AddrPort
	for _, k := range s.socks {
		local, mapped = append(local, k.local.Port()), append(mapped, k.mapped)
	}
	if u := nat.PortUseOf(local, mapped); u.Allocation == nat.Sequential {
		m.NAT.Allocation, m.NAT.Delta, m.NAT.Low, m.NAT.High = u.Allocation.String(), u.Delta, u.Low, u.High
		s.delta(u.Delta)
	}
	last := -1
	for i, k := range s.socks {
		if len(k.token) == 0 {
			continue
		}
		// The next port is at most some steps further; else the numbers began anew.
		if last < 0 || ahead(s.socks[last].mapped.Port(), k.mapped.Port(), m.NAT.Delta) {
			last = i
		}
	}
	if last < 0 {
		last = len(s.socks) - 1
	}
	keep := s.socks[last]
	s.socks = slices.Delete(s.socks, last, last+1)
	s.closeAll()
	s.socks = []sock{keep}
}

// delta corrects what is known of our own NAT.
func (s *session) delta(d int) { s.p.facts.Delta = d }

// ahead says whether port b was given out after a, by a NAT that counts by delta.
func ahead(a, b uint16, delta int) bool {
	d := int(int16(b - a)) // across the end of the numbers, too
	if delta < 0 {
		d = -d
	}
	return d > 0
}

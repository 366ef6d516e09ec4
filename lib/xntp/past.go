package xntp

import (
	"net/netip"
	"time"

	"github.com/xp2p/xp2p/lib/congestion"
	"github.com/xp2p/xp2p/lib/machine"
)

// pastState remembers what paths carried lately (RFC 9959), by the network that the
// peer is in: 256 of them, for five minutes.
type pastState struct {
	list []past // a ring, once it has pastMost
	next int
}

type past struct {
	socket machine.Socket
	prefix netip.Prefix
	rate   float64 // bytes per second
	rtt    time.Duration
	at     time.Time
}

const (
	pastMost = 256
	pastLife = 5 * time.Minute
	// pastBytes must have been acknowledged before a path tells something: eight trains.
	pastBytes = 128 * 1400
)

// networkOf is what is taken for one network: a /24, and a /48 of IPv6, which is a
// site's.
func networkOf(a netip.Addr) netip.Prefix {
	bits := 48
	if a = a.Unmap(); a.Is4() {
		bits = 24
	}
	p, _ := a.Prefix(bits)
	return p
}

func (s *pastState) find(to path) *past {
	network := networkOf(to.addr.Addr())
	for i := range s.list {
		if p := &s.list[i]; p.prefix == network && p.socket == to.socket {
			return p
		}
	}
	return nil
}

// note takes what a path carried; an older one of the network, or of any, goes.
func (s *pastState) note(to path, rate float64, rtt time.Duration, at time.Time) {
	p := s.find(to)
	switch {
	case p != nil:
	case len(s.list) < pastMost:
		s.list = append(s.list, past{})
		p = &s.list[len(s.list)-1]
	default:
		p = &s.list[s.next]
		s.next = (s.next + 1) % pastMost
	}
	*p = past{to.socket, networkOf(to.addr.Addr()), rate, rtt, at}
}

// recall is what is known of a path; its rate is 0 if that is nothing, or too old.
func (s *pastState) recall(now time.Time, to path) past {
	if p := s.find(to); p != nil && now.Sub(p.at) < pastLife {
		return *p
	}
	return past{}
}

// notePast remembers a path that is left, or that ends.
func (c *conn) notePast(of path) {
	m, ok := c.cc.(*congestion.Model)
	if !ok || !c.rtt.have || c.rate.delivered < pastBytes {
		return
	}
	if rate := m.Carried(); rate > 0 {
		c.e.past.note(of, rate, c.rtt.min, c.heard)
	}
}

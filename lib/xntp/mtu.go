package xntp

import (
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

// Our choices, beside those of RFC 8899.
const (
	// mtuCredit is how many bytes must leave in full packets for each probe: so
	// probes cost six thousandths at most, as long as they are made at all, and
	// nothing where only messages flow. Larger packets have won that back after
	// three times as much.
	mtuCredit = 256 << 10
	// mtuStep is how near the search comes: it is worth a hundredth.
	mtuStep = 16
	// mtuTries is MAX_PROBES of RFC 8899 §5.1.2, for a size that does not pass and
	// for a black hole.
	mtuTries = 3
	// mtuRaise is its PMTU_RAISE_TIMER.
	mtuRaise = 10 * time.Minute
	// Jumbo frames exist within a network, not between them; and only who sends
	// very much gains by them. One size is tried, once.
	jumboTrip   = 2 * time.Millisecond
	jumboCredit = 16 << 20
)

// mtuState finds the largest datagram that the path carries (RFC 8899): packets
// of PING and PADDING, larger than those in use, are sent beside full ones, and
// what is acknowledged is used from then on. The first is as large as it may
// be, for most paths carry that; then the interval is halved. A probe that is
// lost costs nobody's data and is no congestion; it is not in flight.
type mtuState struct {
	top    int // the largest to try
	high   int // the least that did not pass; above top if all did
	tries  int // of the size that is tried
	credit int
	flying bool
	number uint64    // of the probe, if one is flying
	again  time.Time // when to search anew after the search has ended; zero while it goes on
	jumbo  int       // a size to try beyond top, where the network is near; 0 for none
	much   int       // bytes that left in full packets until then

	acked uint64 // one more than the highest acknowledged number of a packet above the base
	lost  int    // packets above the base with higher numbers that were lost
}

// startMTU begins with a path of which nothing is known.
func (c *conn) startMTU() {
	most := min(c.e.cfg.MTU, c.peerMTU)
	top := min(most, ethernetMTU)
	if a := c.path.addr.Addr(); a.Is6() && !a.Is4In6() {
		top = min(top, ethernetMTU-20) // IPv6's header is longer
	}
	c.setMTU(min(top, DefaultMTU))
	c.mtuSearch = mtuState{top: top, high: top + 1, acked: c.loss.next}
	if most > ethernetMTU {
		c.mtuSearch.jumbo = most
	}
}

// next is the size to try; zero when the search has ended.
func (m *mtuState) next(mtu int) int {
	switch {
	case m.high > m.top && mtu < m.top:
		return m.top
	case m.high-mtu >= mtuStep:
		return (mtu + m.high) / 2
	}
	return 0
}

// appendMTUProbe appends a probe, if there is something to find out.
func (c *conn) appendMTUProbe(now time.Time, dst []byte) (machine.Packet, bool) {
	m := &c.mtuSearch
	if m.flying || m.credit < mtuCredit || c.state != stateOpen || !c.windowOpen() || !c.pacer.ready(now, c.pacingRate(), c.mtu, c.cc.Burst()) {
		return machine.Packet{}, false
	}
	if !m.again.IsZero() {
		if now.Before(m.again) {
			return machine.Packet{}, false
		}
		m.high, m.again = m.top+1, time.Time{}
	}
	size := m.next(c.mtu)
	if size == 0 && c.mtu == m.top && m.jumbo > 0 && m.much >= jumboCredit && c.rtt.min <= jumboTrip {
		size = m.jumbo
	}
	if size == 0 {
		if m.credit = 0; c.mtu < m.top {
			m.again = now.Add(mtuRaise)
		}
		return machine.Packet{}, false
	}
	start := len(dst)
	p := c.loss.begin()
	b := append(c.appendHeader(dst, p.number), byte(wire.FramePing))
	b = append(b, make([]byte, size-wire.TagLen-(len(b)-start))...)
	b = c.sealPacket(now, c.path.path, b, start, p.number)
	m.flying, m.number, m.credit = true, p.number, 0
	p.state = packetProbe
	c.pacer.sent(size)
	c.loss.track(p, now, size)
	return c.packet(now, b, start, c.path.path), true
}

// full notes a packet of the size in use.
func (m *mtuState) full(size int) {
	m.credit = min(m.credit+size, mtuCredit)
	m.much = min(m.much+size, jumboCredit)
}

// bigAcked notes that the path carried a packet above the base.
func (c *conn) bigAcked(p *sentPacket) {
	m := &c.mtuSearch
	if p.number >= m.acked {
		m.acked, m.lost = p.number+1, 0
	}
	if p.state == packetProbe && m.flying && p.number == m.number {
		m.flying, m.tries = false, 0
		c.setMTU(max(c.mtu, p.size))
	}
}

// mtuProbeLost notes that a probe did not arrive.
func (c *conn) mtuProbeLost(p *sentPacket) {
	m := &c.mtuSearch
	if !m.flying || p.number != m.number {
		return
	}
	m.flying = false
	switch m.tries++; {
	case m.tries < mtuTries:
	case p.size > m.top:
		m.jumbo, m.tries = 0, 0
	default:
		m.high, m.tries = p.size, 0
	}
}

// bigLost notes that a packet above the base was lost: if that happens to several
// in a row while smaller ones arrive, or nothing does, the path carries less
// than it did (RFC 8899 §4.3). An outage looks the same; then one probe shows it.
func (c *conn) bigLost(p *sentPacket) {
	m := &c.mtuSearch
	if p.number < m.acked {
		return
	}
	if m.lost++; m.lost >= mtuTries && c.mtu > wire.HandshakeLen {
		c.setMTU(wire.HandshakeLen)
		*m = mtuState{top: m.top, high: m.top + 1, acked: c.loss.next}
	}
}

package simnet

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
)

// pinger sends numbered pings every gap and answers what it gets. It is the
// smallest machine that has all four verbs.
type pinger struct {
	peers []netip.AddrPort
	gap   time.Duration
	size  int
	limit int // pings in all; 0 is no limit

	next   time.Time
	sent   int
	burst  int // peers still to be pinged at this tick
	answer []machine.Packet
	spare  [][]byte
	rtt    []time.Duration // what a ping took, in order of arrival
	lost   int             // answers dropped because too many were waiting
	ce     int
}

const (
	ping = 64
	pong = 65
)

func (p *pinger) Receive(now time.Time, pkt machine.Packet) {
	if len(pkt.Data) < 9 {
		return
	}
	if pkt.ECN == machine.CE {
		p.ce++
	}
	switch pkt.Data[0] {
	case ping:
		if len(p.answer) == 256 {
			p.lost++
			return
		}
		var b []byte
		if n := len(p.spare); n > 0 {
			b, p.spare = p.spare[n-1], p.spare[:n-1]
		}
		b = append(b[:0], pkt.Data...)
		b[0] = pong
		p.answer = append(p.answer, machine.Packet{Socket: pkt.Socket, Remote: pkt.Remote, Data: b})
	case pong:
		at := time.Unix(0, int64(binary.BigEndian.Uint64(pkt.Data[1:])))
		p.rtt = append(p.rtt, now.Sub(at))
	}
}

func (p *pinger) Advance(now time.Time) {
	if p.done() || now.Before(p.next) {
		return
	}
	if p.next.IsZero() {
		p.next = now
	}
	p.next = p.next.Add(p.gap)
	p.burst = len(p.peers)
}

func (p *pinger) done() bool {
	return p.gap == 0 || p.limit > 0 && p.sent >= p.limit
}

func (p *pinger) NextTimeout() time.Time {
	if p.done() {
		return time.Time{}
	}
	if p.next.IsZero() {
		return Epoch
	}
	return p.next
}

func (p *pinger) AppendDatagram(now time.Time, dst []byte) (machine.Packet, bool) {
	if n := len(p.answer); n > 0 {
		a := p.answer[n-1]
		p.answer = p.answer[:n-1]
		p.spare = append(p.spare, a.Data)
		a.Data = append(dst, a.Data...)
		return a, true
	}
	if p.burst == 0 {
		return machine.Packet{}, false
	}
	p.burst--
	p.sent++
	dst = append(dst, ping)
	dst = binary.BigEndian.AppendUint64(dst, uint64(now.UnixNano()))
	for len(dst) < p.size {
		dst = append(dst, 0)
	}
	return machine.Packet{Remote: p.peers[p.burst], Data: dst, ECN: machine.ECT0}, true
}

package natprobe

import (
	"net/netip"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

// Receive implements machine.Machine.
func (p *Prober) Receive(now time.Time, in machine.Packet) {
	if in.Socket == gatewaySocket {
		p.receiveGateway(now, in)
		return
	}
	if p.done || p.began.IsZero() || p.msg.Parse(in.Data) != nil || p.msg.Method != wire.STUNBinding {
		return
	}
	m := &p.msg
	from := netip.AddrPortFrom(in.Remote.Addr().Unmap(), in.Remote.Port())
	for _, q := range p.list {
		if q.Test == TestAssist && q.packet == m.Transaction && q.through == in.Socket && m.Class == wire.STUNSuccess && from == q.To {
			q.Outcome, q.From, q.Mapped = Answered, from, m.Mapped
			p.plan(now)
			return
		}
	}
	q, i := ownerOf(p.list, m.Transaction)
	if q == nil {
		return
	}
	if q.Test == TestHairpin {
		// Our own request, which came round. Who sees it from an inside address
		// has a box that turns it round all the same.
		if m.Class == wire.STUNRequest && in.Socket == q.through && q.Outcome == Waiting {
			q.Outcome, q.From, q.RTT = Answered, from, now.Sub(q.sent[i])
			p.plan(now)
		}
		return
	}
	if in.Socket != q.Socket || m.Class != wire.STUNSuccess && m.Class != wire.STUNError {
		return
	}
	at := now
	if !in.Stamp.IsZero() && in.Stamp.Before(now) && in.Stamp.After(q.sent[i]) {
		at = in.Stamp // when the kernel had it, not when we came round to it
	}
	if q.Test == TestReach && m.Class == wire.STUNSuccess && from == q.To && wire.CheckAddr(m.Mapped) == nil && len(m.Unknown) == 0 {
		q.heard++
	}
	// Of answers that come twice the first counts; a silence that was called too
	// early is taken back.
	if q.Outcome != Waiting && q.Outcome != Unanswered {
		return
	}
	if m.Class == wire.STUNError {
		if from == q.To {
			q.Outcome, q.Code, q.From = Rejected, m.ErrorCode, from
			p.plan(now)
		}
		return
	}
	if wire.CheckAddr(m.Mapped) != nil || len(m.Unknown) > 0 {
		return // no answer to our question; another may come
	}
	switch q.Test {
	case TestFilter, TestPort:
		// What comes from the address that was asked proves nothing but that the
		// server ignores CHANGE-REQUEST; from anywhere else it is looked at
		// once the server's other address is known.
		q.Outcome = Answered
		if from == q.To {
			q.Outcome = Ignored
		}
	case TestAssist:
		if from == q.To && !q.told {
			// The packet may be on its way: as long again as for an answer.
			q.told, q.RTT = true, at.Sub(q.sent[i])
		}
		return
	case TestLifetime:
		if from == q.To {
			p.receiveLifetime(now, q)
		}
		return
	default:
		if from != q.To {
			return
		}
		q.Outcome = Answered
		q.answer = answer{other: m.Other, otherPort: m.OtherPort, own: m.OwnServer, help: m.Help}
		if addr, _, err := m.Token.Parse(); err == nil && addr == m.Mapped {
			q.answer.token, q.query.Token = slices.Clone(m.Token), false // one is enough
		}
	}
	q.From, q.Mapped, q.RTT, q.came = from, m.Mapped, at.Sub(q.sent[i]), at
	p.plan(now)
}

// receiveGateway takes the router's answer.
func (p *Prober) receiveGateway(now time.Time, in machine.Packet) {
	q := p.first(TestGateway)
	if q == nil || q.Outcome != Waiting || len(q.sent) == 0 || in.Remote.Addr().Unmap() != q.To.Addr() || in.Remote.Port() != q.To.Port() {
		return
	}
	a, err := wire.ParseNATPMP(in.Data)
	if err != nil {
		q.Outcome, q.From = Rejected, q.To // it speaks, but not of this
	} else {
		q.Outcome, q.From, q.Mapped = Answered, q.To, netip.AddrPortFrom(a, 0)
		q.RTT = now.Sub(q.sent[len(q.sent)-1])
	}
	p.plan(now)
}

package natprobe

import (
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/wire"
)

// ask adds a question that is asked at once, unless it has been.
func (p *Prober) ask(now time.Time, t Test, s machine.Socket, to netip.AddrPort, query wire.STUNQuery) *question {
	for _, q := range p.list {
		if q.Test == t && q.Socket == s && q.To == to && q.query.Change == query.Change && q.query.Size == query.Size {
			return q
		}
	}
	if len(p.list) >= maxProbes || wire.CheckAddr(to) != nil {
		return nil
	}
	q := &question{Probe: Probe{Test: t, Socket: s, To: to, Start: now.Sub(p.began)}, query: query, due: now, max: probeTries}
	p.list = append(p.list, q)
	return q
}

// begin asks everything that needs no answer to be asked.
func (p *Prober) begin(now time.Time) {
	p.began = now
	if p.cfg.Gateway.Is4() && nat.ReachOf(p.cfg.Gateway) < nat.World {
		if q := p.ask(now, TestGateway, gatewaySocket, netip.AddrPortFrom(p.cfg.Gateway, wire.NATPMPPort), wire.STUNQuery{}); q != nil {
			q.max = sideTries
		}
	}
	n := machine.Socket(0)
	for _, s := range p.cfg.Servers {
		if !p.examined(s) {
			if q := p.ask(now, TestIPv6, ipv6Socket, s, wire.STUNQuery{}); q != nil {
				q.max = sideTries
			}
			continue
		}
		p.ask(now, TestMapping, mappingSocket, s, wire.STUNQuery{Ports: true})
		if n < filterServers {
			p.ask(now, TestReach, filterSocket+n, s, wire.STUNQuery{Ports: true, Token: true})
			p.ask(now, TestFilter, filterSocket+n, s, wire.STUNQuery{Change: wire.ChangeAddr | wire.ChangePort})
			p.ask(now, TestPort, filterSocket+n, s, wire.STUNQuery{Change: wire.ChangePort})
			n++
		}
	}
}

// plan starts what the answers so far make possible, gives up what they make
// pointless, and says whether all is known.
func (p *Prober) plan(now time.Time) {
	if p.began.IsZero() || p.done {
		return
	}
	for _, q := range slices.Clone(p.list) {
		if q.Outcome != Answered {
			continue
		}
		switch q.Test {
		case TestMapping:
			p.follow(now, q)
		case TestReach:
			p.filter(now, q)
		}
	}
	p.hairpin(now)
	p.finish(now)
}

// follow asks the other addresses of a server that has answered, and the first to
// answer about a burst.
func (p *Prober) follow(now time.Time, q *question) {
	if slices.Contains(p.cfg.Servers, q.To) {
		if o := q.answer.other; o.IsValid() && p.examined(o) {
			p.ask(now, TestMapping, mappingSocket, netip.AddrPortFrom(q.To.Addr(), o.Port()), wire.STUNQuery{Ports: true})
			p.ask(now, TestMapping, mappingSocket, netip.AddrPortFrom(o.Addr(), q.To.Port()), wire.STUNQuery{Ports: true})
			p.ask(now, TestMapping, mappingSocket, o, wire.STUNQuery{Ports: true})
		}
		if port := q.answer.otherPort; port != 0 {
			p.ask(now, TestMapping, mappingSocket, netip.AddrPortFrom(q.To.Addr(), port), wire.STUNQuery{Ports: true})
		}
	}
	if p.first(TestBurst) == nil {
		for i := range machine.Socket(burstSize) {
			p.ask(now, TestBurst, burstSocket+i, q.To, wire.STUNQuery{})
		}
		if p.cfg.MTU {
			p.sizes(now, q.To)
		}
	}
}

func (p *Prober) sizes(now time.Time, to netip.AddrPort) {
	header := overhead4
	if p.v6 {
		header = overhead6
	}
	for _, size := range packetSizes {
		if q := p.ask(now, TestMTU, mtuSocket, to, wire.STUNQuery{Size: (size - header) &^ 3}); q != nil {
			q.Size, q.max = q.query.Size+header, sideTries
		}
	}
}

func (p *Prober) first(t Test) *question {
	i := slices.IndexFunc(p.list, func(q *question) bool { return q.Test == t })
	if i < 0 {
		return nil
	}
	return p.list[i]
}

// find returns a question, or nil.
func (p *Prober) find(t Test, s machine.Socket, to netip.AddrPort) *question {
	i := slices.IndexFunc(p.list, func(q *question) bool { return q.Test == t && q.Socket == s && q.To == to })
	if i < 0 {
		return nil
	}
	return p.list[i]
}

// filter goes on where a server has answered a filter's socket.
func (p *Prober) filter(now time.Time, reach *question) {
	both, port := p.find(TestFilter, reach.Socket, reach.To), p.find(TestPort, reach.Socket, reach.To)
	if both == nil || port == nil {
		return
	}
	// A server with one address does not say so by its silence.
	if !reach.answer.other.IsValid() || reach.answer.other.Addr() == reach.To.Addr() {
		both.stop(Unsupported)
		if reach.answer.otherPort == 0 && (!reach.answer.other.IsValid() || reach.answer.other.Port() == reach.To.Port()) {
			port.stop(Unsupported)
		}
	}
	if both.Outcome != Unsupported && both.Outcome != Rejected && both.Outcome != Ignored || reach.answer.token == nil {
		return
	}
	for _, q := range p.list {
		if q.Test == TestMapping && q.Outcome == Answered && q.answer.help&wire.HelpAssist != 0 && q.To.Addr() != reach.To.Addr() {
			if a := p.ask(now, TestAssist, mappingSocket, q.To, wire.STUNQuery{AssistToken: reach.answer.token}); a != nil && a.packet == (wire.STUNTransaction{}) {
				if _, err := io.ReadFull(p.cfg.Entropy, a.packet[:]); err != nil {
					a.stop(Unsupported)
					return
				}
				a.query.AssistFor, a.through = a.packet, reach.Socket
			}
			return
		}
	}
}

// stop ends a question that has not been answered.
func (q *question) stop(o Outcome) {
	if q.Outcome == Waiting {
		q.Outcome = o
	}
}

// hairpin sends from one socket of the burst to the outside address of another,
// both ways, so that a filter on the way is open.
func (p *Prober) hairpin(now time.Time) {
	if p.translated() != nat.Yes {
		return
	}
	a, b := p.burst(burstSize-2), p.burst(burstSize-1)
	if a == nil || b == nil || a.Outcome != Answered || b.Outcome != Answered {
		return
	}
	for _, x := range [][2]*question{{a, b}, {b, a}} {
		if q := p.ask(now, TestHairpin, x[0].Socket, x[1].Mapped, wire.STUNQuery{}); q != nil {
			q.max, q.through = sideTries, x[1].Socket
		}
	}
}

func (p *Prober) burst(i machine.Socket) *question {
	k := slices.IndexFunc(p.list, func(q *question) bool { return q.Test == TestBurst && q.Socket == burstSocket+i })
	if k < 0 {
		return nil
	}
	return p.list[k]
}

// finish looks whether anything is still to come.
func (p *Prober) finish(now time.Time) {
	for _, q := range p.list {
		if q.Outcome == Waiting && q.Test != TestLifetime {
			return
		}
	}
	if !p.named {
		if p.cfg.TCP && p.tcp == nat.Maybe {
			p.late = p.began.Add(tcpWait)
			if p.quiet() {
				p.late = p.began.Add(blockedAfter + tcpControl)
			}
			if now.Before(p.late) {
				return
			}
		}
		p.named, p.nameEnd, p.late = true, now, time.Time{}
		if p.cfg.Lifetime && p.translatedOrFiltered() {
			p.lifetime(now)
			return
		}
	}
	if !slices.ContainsFunc(p.list, func(q *question) bool { return q.Outcome == Waiting }) {
		p.done = true
	}
}

// control says whether a plain question goes on for those that ask for an answer
// from elsewhere.
func (p *Prober) control(q *question) bool {
	if !q.again() {
		return false
	}
	return slices.ContainsFunc(p.list, func(f *question) bool {
		return f.Outcome == Waiting && (f.Socket == q.Socket && (f.Test == TestFilter || f.Test == TestPort) || f.Test == TestAssist && f.through == q.Socket)
	})
}

// extend gives more tries to a question about a filter, and to the plain one that
// goes with it, if its silence proves nothing yet; and to one about the mapping
// whose server answers others.
func (p *Prober) extend(q *question) bool {
	s := q.Socket
	switch q.Test {
	case TestFilter, TestPort:
	case TestAssist:
		s = q.through
	case TestMapping:
		alive := slices.ContainsFunc(p.list, func(r *question) bool { return r.Test == TestReach && r.To == q.To && r.heard > 0 })
		if !alive || q.max >= mostTries {
			return false
		}
		p.allow(q, q.max+moreTries)
		return true
	default:
		return false
	}
	i := slices.IndexFunc(p.list, func(r *question) bool { return r.Test == TestReach && r.Socket == s })
	if i < 0 || p.list[i].heard == 0 || p.list[i].certain() || q.max >= mostTries {
		return false
	}
	reach := p.list[i]
	p.allow(q, q.max+moreTries)
	if reach.max < q.max {
		p.allow(reach, q.max)
	}
	return true
}

// allow lets a question have so many tries, the next one when it is due.
func (p *Prober) allow(q *question, tries int) {
	q.max = tries
	q.due = p.after(q)
}

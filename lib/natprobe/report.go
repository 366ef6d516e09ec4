package natprobe

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/nat"
)

// Report returns what is known so far, for people and scripts.
func (p *Prober) Report(now time.Time) nat.Report {
	v := p.Verdict()
	r := nat.Report{Type: "nat", Class: v.Class().String(), Candidates: []string{}, PublicAddrs: []string{}, UDP: truth(v.UDP), TCP: truth(p.tcp)}
	for _, c := range v.Candidates() {
		r.Candidates = append(r.Candidates, c.String())
	}
	if b := v.Mapping.One(); b != nat.Unknown && v.UDP == nat.Yes {
		r.Mapping = b.String()
	}
	if b := v.Filtering.One(); b != nat.Unknown && v.UDP == nat.Yes {
		r.Filtering = b.String()
	}
	r.Translated = truth(v.Translated)
	r.Confidence, r.Undecided = p.confidence(v)
	p.addresses(&r)
	p.ports(&r, v)
	p.carrier(&r)
	p.servers(&r)
	p.rest(&r)
	switch {
	case p.began.IsZero():
	case p.named:
		r.TookMS = millis(p.nameEnd.Sub(p.began))
	default:
		r.TookMS = millis(now.Sub(p.began))
	}
	return r
}

func truth(t nat.Tri) *bool {
	if t == nat.Maybe {
		return nil
	}
	b := t == nat.Yes
	return &b
}

func millis(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond)) / float64(time.Millisecond)
}

// confidence says how sure a verdict is, and what is missing.
func (p *Prober) confidence(v nat.Verdict) (word string, missing []string) {
	if v.Class() == nat.Unclassified {
		switch {
		case v.UDP != nat.Yes:
			missing = append(missing, "a server that answers over UDP, or a TCP connection to one")
		default:
			c := v.Candidates()
			if v.Mapping.One() == nat.Unknown && slices.Contains(c, nat.Symmetric) {
				missing = append(missing, "mapping: a server with a second address, or a second server")
			}
			if v.Filtering.One() == nat.Unknown && !(len(c) == 1 && c[0] == nat.Symmetric) {
				missing = append(missing, "filtering: a server with two addresses (RFC 5780), or two xp2p-seed that know each other's --stun keys")
			}
		}
		return "low", missing
	}
	tries, lost := 0, 0
	for _, q := range p.list {
		if q.Test == TestMapping && q.Outcome == Answered {
			// Tries may still have been on their way when an answer came; those that
			// were older than a round trip were lost.
			for _, at := range q.sent {
				tries++
				if q.came.Sub(at) > q.RTT+probeEvery {
					lost++
				}
			}
		}
	}
	switch {
	case v.UDP == nat.No && len(p.cfg.Servers) < 2:
		return "medium", nil // it may be the server's fault
	case lost*4 > tries:
		return "medium", nil
	}
	return "high", nil
}

func (p *Prober) addresses(r *nat.Report) {
	add := func(list *[]string, s string) {
		if !slices.Contains(*list, s) {
			*list = append(*list, s)
		}
	}
	for _, s := range p.sightings() {
		add(&r.PublicAddrs, s.Mapped.String())
	}
	for _, q := range p.list {
		if q.Test == TestIPv6 && q.Outcome == Answered {
			add(&r.PublicAddrs, q.Mapped.String())
		}
	}
	for _, a := range p.cfg.Local {
		if !a.IsLoopback() {
			add(&r.LocalAddrs, a.String())
		}
	}
}

// ports tells how outside ports are chosen, and whether the box turns packets
// round.
func (p *Prober) ports(r *nat.Report, v nat.Verdict) {
	var local []uint16
	var mapped []netip.AddrPort
	for i := range burstSize {
		q := p.burst(machine.Socket(i))
		if q == nil || len(p.cfg.Ports) <= int(q.Socket) {
			return
		}
		local, mapped = append(local, p.cfg.Ports[q.Socket]), append(mapped, q.Mapped)
	}
	u := nat.PortUseOf(local, mapped)
	r.PortPreserving = truth(u.Preserving)
	if v.Translated != nat.Yes {
		return
	}
	if u.Allocation != nat.AllocationUnknown {
		r.Allocation = u.Allocation.String()
		r.AllocationRange = []int{int(u.Low), int(u.High)}
		r.AllocationBlock = u.BlockSize
	}
	if u.Allocation == nat.Sequential {
		r.AllocationDelta = &u.Delta
	}
	asked, came, silent := 0, 0, 0
	for _, q := range p.list {
		if q.Test == TestHairpin {
			asked++
			switch q.Outcome {
			case Answered:
				came++
			case Unanswered:
				silent++
			}
		}
	}
	switch {
	case came > 0:
		r.Hairpin = truth(nat.Yes)
	case asked > 0 && silent == asked && v.Mapping.One() == nat.EndpointIndependent:
		// With any other mapping the filter would not be open either way.
		r.Hairpin = truth(nat.No)
	}
}

// carrier tells of signs that a carrier's NAT stands between.
func (p *Prober) carrier(r *nat.Report) {
	if p.translated() == nat.Maybe {
		return
	}
	if p.translated() == nat.No {
		r.CGNAT = truth(nat.No)
		return
	}
	var evidence []string
	for _, a := range p.cfg.Local {
		if nat.ReachOf(a) == nat.Carrier {
			evidence = append(evidence, fmt.Sprintf("this machine's address %s is a carrier's (RFC 6598)", a))
		}
	}
	var hosts []netip.Addr
	for _, q := range p.list {
		if (q.Test == TestMapping || q.Test == TestBurst) && q.Outcome == Answered {
			a := q.Mapped.Addr()
			switch reach := nat.ReachOf(a); {
			case reach == nat.Carrier && !slices.Contains(hosts, a):
				evidence = append(evidence, fmt.Sprintf("a server sees %s, a carrier's inside address (RFC 6598)", a))
			}
			if !slices.Contains(hosts, a) {
				hosts = append(hosts, a)
			}
		}
	}
	if q := p.first(TestGateway); q != nil && q.Outcome == Answered {
		r.GatewayAddr = q.Mapped.Addr().String()
		switch {
		case slices.Contains(hosts, q.Mapped.Addr()):
			r.CGNAT = truth(nat.No) // unless something else speaks for one
		case nat.ReachOf(q.Mapped.Addr()) < nat.World:
			evidence = append(evidence, fmt.Sprintf("the router's outside address %s is a %s one", q.Mapped.Addr(), nat.ReachOf(q.Mapped.Addr())))
		default:
			evidence = append(evidence, fmt.Sprintf("the router's outside address %s is not where servers see it", q.Mapped.Addr()))
		}
	}
	if len(hosts) > 1 && p.sameSide(hosts) {
		evidence = append(evidence, fmt.Sprintf("%d public addresses at once: a home router has one", len(hosts)))
	}
	if r.Allocation == nat.Block.String() {
		evidence = append(evidence, fmt.Sprintf("ports come from a block of about %d, as carriers give to each customer", r.AllocationBlock))
	}
	if len(evidence) > 0 {
		r.CGNAT, r.CGNATEvidence = truth(nat.Yes), evidence
	}
}

func (p *Prober) sameSide(hosts []netip.Addr) bool {
	return !slices.ContainsFunc(hosts, func(a netip.Addr) bool { return nat.ReachOf(a) != nat.ReachOf(hosts[0]) })
}

func (p *Prober) servers(r *nat.Report) {
	for _, s := range p.cfg.Servers {
		e := nat.ServerReport{Addr: s.String()}
		for _, q := range p.list {
			if q.To != s || !q.plain() || q.Outcome != Answered {
				continue
			}
			if ms := millis(q.RTT); e.RTTms == 0 || ms < e.RTTms {
				e.RTTms = ms
			}
			switch q.Test {
			case TestMapping:
				if q.answer.otherPort != 0 || q.answer.other.IsValid() {
					e.Can = append(e.Can, "mapping")
				}
			case TestReach:
				if p.filtering(q) != 0 {
					e.Can = append(e.Can, "filtering")
				}
			}
		}
		if e.RTTms > 0 && (r.RTTms == 0 || e.RTTms < r.RTTms) {
			r.RTTms = e.RTTms
		}
		r.Servers = append(r.Servers, e)
	}
}

// rest adds what was asked for by option, and the other family.
func (p *Prober) rest(r *nat.Report) {
	if p.v6 {
		r.IPv6 = truth(nat.TriOf(!p.quiet()))
	}
	type span struct{ lived, died time.Duration }
	var spans [2]span
	some := [2]bool{}
	for _, q := range p.list {
		switch {
		case q.Test == TestIPv6 && q.Outcome == Answered:
			r.IPv6 = truth(nat.Yes)
		case q.Test == TestIPv6 && q.Outcome == Unanswered && r.IPv6 == nil:
			r.IPv6 = truth(nat.No)
		case q.Test == TestMTU && q.Outcome == Answered:
			r.MTUBytes = max(r.MTUBytes, q.Size)
		case q.Test == TestLifetime && (q.Outcome == Answered || q.Outcome == Unanswered && len(q.query.DelayToken) > 0):
			k := 0
			if q.Active {
				k = 1
			}
			some[k] = true
			if s := &spans[k]; q.Outcome == Answered {
				s.lived = max(s.lived, q.Idle)
			} else if s.died == 0 || q.Idle < s.died {
				s.died = q.Idle
			}
		}
	}
	for k, traffic := range []string{"one-exchange", "active"} {
		if some[k] {
			r.Lifetimes = append(r.Lifetimes, nat.Lifetime{Traffic: traffic, LivedS: spans[k].lived.Seconds(), DiedS: spans[k].died.Seconds()})
		}
	}
}

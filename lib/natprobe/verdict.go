package natprobe

import (
	"net/netip"
	"slices"

	"github.com/xp2p/xp2p/lib/nat"
)

// sightings returns what servers saw of the mapping socket, of those that are
// farthest from us: a server on our side of the NAT has nothing to say of it.
func (p *Prober) sightings() (seen []nat.Sighting) {
	far := nat.Machine
	for _, q := range p.list {
		if q.Test == TestMapping && q.Outcome == Answered {
			far = max(far, nat.ReachOf(q.Mapped.Addr()))
		}
	}
	for _, q := range p.list {
		if q.Test == TestMapping && q.Outcome == Answered && nat.ReachOf(q.Mapped.Addr()) == far {
			seen = append(seen, nat.Sighting{Server: q.To, Mapped: q.Mapped})
		}
	}
	return seen
}

// translated says whether servers see another address than ours.
func (p *Prober) translated() nat.Tri {
	seen := p.sightings()
	if len(seen) == 0 {
		return nat.Maybe
	}
	return nat.TriOf(slices.ContainsFunc(seen, func(s nat.Sighting) bool { return !p.ours(s.Mapped) }))
}

// ours says whether a is the mapping socket's own address.
func (p *Prober) ours(a netip.AddrPort) bool {
	return len(p.cfg.Ports) > int(mappingSocket) && a.Port() == p.cfg.Ports[mappingSocket] && slices.Contains(p.cfg.Local, a.Addr())
}

func (p *Prober) translatedOrFiltered() bool { return p.Verdict().Class() != nat.Public && !p.quiet() }

// alive says whether an address has answered the mapping socket: only then does
// silence from it mean a filter.
func (p *Prober) alive(a netip.AddrPort) bool {
	q := p.find(TestMapping, mappingSocket, a)
	return q != nil && q.Outcome == Answered
}

// filtering returns what one server's filter tests leave possible.
func (p *Prober) filtering(reach *question) (set nat.Behaviors) {
	other := reach.answer.other
	otherPort := reach.answer.otherPort
	if otherPort == 0 && other.IsValid() && other.Port() != reach.To.Port() {
		otherPort = other.Port()
	}
	silence := reach.certain() // it means something
	notEIF := nat.Only(nat.AddressDependent, nat.AddressAndPortDependent)
	if q := p.find(TestFilter, reach.Socket, reach.To); q != nil && other.IsValid() && other.Addr() != reach.To.Addr() {
		switch {
		case q.Outcome == Answered && q.From == other:
			return nat.Only(nat.EndpointIndependent)
		case q.Outcome == Unanswered && p.alive(other) && silence:
			set = set.And(notEIF)
		}
	}
	for _, q := range p.list {
		if q.Test == TestAssist && q.through == reach.Socket {
			switch q.Outcome {
			case Answered:
				return nat.Only(nat.EndpointIndependent)
			case Unanswered:
				if silence {
					set = set.And(notEIF)
				}
			}
		}
	}
	if q := p.find(TestPort, reach.Socket, reach.To); q != nil && otherPort != 0 {
		second := netip.AddrPortFrom(reach.To.Addr(), otherPort)
		switch {
		case q.Outcome == Answered && q.From == second:
			set = set.And(nat.Only(nat.EndpointIndependent, nat.AddressDependent))
		case q.Outcome == Unanswered && p.alive(second) && silence:
			set = set.And(nat.Only(nat.AddressAndPortDependent))
		}
	}
	return set
}

// Verdict returns what is known so far.
func (p *Prober) Verdict() nat.Verdict {
	v := nat.Verdict{UDP: nat.Yes, TCP: p.tcp, Translated: p.translated(), Mapping: nat.MappingOf(p.sightings())}
	if p.quiet() {
		v.UDP = nat.Maybe
		if p.named {
			v.UDP = nat.No
		}
		return v
	}
	if v.Translated == nat.No {
		v.Mapping = nat.Only(nat.EndpointIndependent)
	}
	for _, q := range p.list {
		if q.Test == TestReach && q.Outcome == Answered {
			v.Filtering = v.Filtering.And(p.filtering(q))
		}
	}
	return v
}

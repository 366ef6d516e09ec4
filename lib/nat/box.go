package nat

import (
	"math/rand/v2"
	"net/netip"
	"time"
)

// BoxConfig describes a NAT or a firewall in the words of RFC 4787.
type BoxConfig struct {
	// Public has the outside addresses; a flow's is chosen by its inside address
	// ("paired", §4.1). Empty makes a firewall, which translates nothing.
	Public    []netip.Addr
	Mapping   Behavior // Unknown is EndpointIndependent
	Filtering Behavior // Unknown is EndpointIndependent
	// Allocation of ports: PortPreserving by default; Sequential starts somewhere
	// and goes on by Step; Block draws from BlockSize ports.
	Allocation Allocation
	Step       int // 0 is 1
	BlockSize  int // 0 is 512
	Hairpin    bool
	Lifetime   time.Duration // of a mapping without packets from inside; 0 is 2 min
	DropUDP    bool
	// Clash: a stranger's packet to an outside address of the box takes the place
	// of a flow between the two, as in Linux, where the box itself accepts it: if
	// one from inside to that stranger follows, it gets another port.
	Clash bool
	// Rand is for everything but PortPreserving and a firewall.
	Rand *rand.Rand `json:"-"`
}

// maxMappings is how many a box holds; beyond it new ones get none.
const maxMappings = 16384

// A Box is a NAT box as a table: asked with source, destination and time, it says
// how a packet leaves, or whether it is dropped. Simulated networks and the
// lab's userspace NAT are made of it. It has one owner.
type Box struct {
	c       BoxConfig
	byIn    map[boxKey]*mapping
	byOut   map[outKey]*mapping
	clashes map[clashKey]time.Time // strangers' packets, when they came last
	next    int
	block   int
	expires time.Time // nothing does before
}

// boxKey is what a mapping is for: the parts of the destination that the
// mapping depends on are set.
type boxKey struct {
	proto uint8
	in    netip.AddrPort
	to    netip.AddrPort
}

type outKey struct {
	proto uint8
	out   netip.AddrPort
}

type clashKey struct {
	out, peer netip.AddrPort
}

// maxClashes is how many strangers' packets a box remembers, clashLife for how long
// (nf_conntrack_udp_timeout).
const (
	maxClashes = 16384
	clashLife  = 30 * time.Second
)

type mapping struct {
	key  boxKey
	out  netip.AddrPort
	used time.Time
	peer map[netip.AddrPort]time.Time // where it sent to; filtering looks here
}

// Protocol numbers of IP (RFC 790); a Box keeps tables apart by them.
const (
	ProtoTCP = 6
	ProtoUDP = 17
)

// NewBox returns a box with empty tables.
func NewBox(c BoxConfig) *Box {
	if c.Mapping == Unknown {
		c.Mapping = EndpointIndependent
	}
	if c.Filtering == Unknown {
		c.Filtering = EndpointIndependent
	}
	if c.Allocation == AllocationUnknown {
		c.Allocation = PortPreserving
	}
	if c.Step == 0 {
		c.Step = 1
	}
	if c.BlockSize == 0 {
		c.BlockSize = 512
	}
	if c.Lifetime == 0 {
		c.Lifetime = 2 * time.Minute // RFC 4787 REQ-5
	}
	b := &Box{c: c, byIn: map[boxKey]*mapping{}, byOut: map[outKey]*mapping{}}
	if c.Rand != nil {
		b.next = lowestPort + c.Rand.IntN(1<<16-lowestPort)
		b.block = lowestPort + c.BlockSize*c.Rand.IntN((1<<16-lowestPort)/c.BlockSize)
	}
	return b
}

const lowestPort = 1024

// scope returns what of a destination a behaviour looks at.
func (b Behavior) scope(to netip.AddrPort) netip.AddrPort {
	switch b {
	case AddressDependent:
		return netip.AddrPortFrom(to.Addr(), 0)
	case AddressAndPortDependent:
		return to
	}
	return netip.AddrPort{}
}

// Out takes a packet from inside and returns the source that it leaves with; ok
// is false if it is dropped.
func (b *Box) Out(now time.Time, proto uint8, from, to netip.AddrPort) (out netip.AddrPort, ok bool) {
	if proto == ProtoUDP && b.c.DropUDP {
		return out, false
	}
	key := boxKey{proto, from, b.c.Mapping.scope(to)}
	if len(b.c.Public) == 0 {
		key.to = netip.AddrPort{}
	}
	if own := (boxKey{proto, from, to}); b.c.Clash && b.byIn[own] != nil {
		key = own // a flow that has been given another port
	}
	m, ok := b.mapped(now, key, netip.AddrPort{})
	if ok && b.clashed(now, m.out, to) {
		key.to = to
		m, ok = b.mapped(now, key, m.out)
	}
	if !ok {
		return out, false
	}
	m.used = now
	m.peer[b.c.Filtering.scope(to)] = now
	return m.out, true
}

// mapped returns the mapping for a key, made if there is none; not at taken.
func (b *Box) mapped(now time.Time, key boxKey, taken netip.AddrPort) (m *mapping, ok bool) {
	if m = b.byIn[key]; m != nil && !m.alive(now, b.c.Lifetime) {
		b.forget(m)
		m = nil
	}
	if m != nil && m.out != taken {
		return m, true
	}
	b.expire(now)
	if len(b.byIn) >= maxMappings {
		return nil, false
	}
	m = &mapping{key: key, peer: map[netip.AddrPort]time.Time{}}
	if m.out, ok = b.allocate(now, key.proto, key.in); !ok {
		return nil, false
	}
	b.byIn[key], b.byOut[outKey{key.proto, m.out}] = m, m
	return m, true
}

// clashed reports whether a stranger's packet to out came before ours to him.
func (b *Box) clashed(now time.Time, out, peer netip.AddrPort) bool {
	at, ok := b.clashes[clashKey{out, peer}]
	return ok && now.Sub(at) <= clashLife
}

// In takes a packet from outside and returns the inside address that it is for;
// ok is false if it is dropped.
func (b *Box) In(now time.Time, proto uint8, from, to netip.AddrPort) (in netip.AddrPort, ok bool) {
	if proto == ProtoUDP && b.c.DropUDP {
		return in, false
	}
	m := b.byOut[outKey{proto, to}]
	if m == nil || !m.alive(now, b.c.Lifetime) {
		if len(b.c.Public) == 0 && b.c.Filtering == EndpointIndependent {
			return to, true // no firewall at all
		}
		b.stranger(now, from, to)
		return in, false
	}
	sent, ok := m.peer[b.c.Filtering.scope(from)]
	if !ok || now.Sub(sent) > b.c.Lifetime || b.clashed(now, to, from) {
		b.stranger(now, from, to)
		return in, false
	}
	return m.key.in, true
}

// stranger notes a packet that the box took for its own.
func (b *Box) stranger(now time.Time, from, to netip.AddrPort) {
	if !b.c.Clash || !b.Owns(to.Addr()) {
		return
	}
	if b.clashes == nil || len(b.clashes) >= maxClashes {
		b.clashes = map[clashKey]time.Time{}
	}
	b.clashes[clashKey{to, from}] = now
}

// Translates says whether the box changes addresses; a firewall does not.
func (b *Box) Translates() bool { return len(b.c.Public) > 0 }

// Hairpins says whether packets from inside to an outside address come back.
func (b *Box) Hairpins() bool { return b.c.Hairpin }

// Owns says whether a is one of the outside addresses.
func (b *Box) Owns(a netip.Addr) bool {
	for _, p := range b.c.Public {
		if p == a {
			return true
		}
	}
	return false
}

func (m *mapping) alive(now time.Time, life time.Duration) bool { return now.Sub(m.used) <= life }

func (b *Box) forget(m *mapping) {
	if b.byIn[m.key] == m { // else another has taken its place
		delete(b.byIn, m.key)
	}
	delete(b.byOut, outKey{m.key.proto, m.out})
}

// expire forgets what is over, now and then.
func (b *Box) expire(now time.Time) {
	if now.Before(b.expires) {
		return
	}
	b.expires = now.Add(b.c.Lifetime)
	for _, m := range b.byIn {
		if !m.alive(now, b.c.Lifetime) {
			b.forget(m)
		}
	}
}

// allocate picks a free outside address.
func (b *Box) allocate(now time.Time, proto uint8, from netip.AddrPort) (out netip.AddrPort, ok bool) {
	if len(b.c.Public) == 0 {
		return from, true
	}
	bytes := from.Addr().As16()
	ip := b.c.Public[int(bytes[15])%len(b.c.Public)]
	try := func(port int) bool {
		out = netip.AddrPortFrom(ip, uint16(port))
		m := b.byOut[outKey{proto, out}]
		if m != nil && !m.alive(now, b.c.Lifetime) {
			b.forget(m)
			m = nil
		}
		return m == nil
	}
	if b.c.Allocation == PortPreserving && try(int(from.Port())) {
		return out, true
	}
	for i := range 1 << 12 {
		port := lowestPort
		switch {
		case b.c.Allocation == Sequential:
			port, b.next = b.next, lowestPort+(b.next+b.c.Step-lowestPort)%(1<<16-lowestPort)
			if b.next < lowestPort {
				b.next += 1<<16 - lowestPort
			}
		case b.c.Allocation == Block:
			port = b.block + b.c.Rand.IntN(b.c.BlockSize)
		case b.c.Rand != nil:
			port = lowestPort + b.c.Rand.IntN(1<<16-lowestPort)
		default:
			port = lowestPort + (int(from.Port())+i)%(1<<16-lowestPort)
		}
		if try(port) {
			return out, true
		}
	}
	return out, false
}

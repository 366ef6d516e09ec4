package node

import (
	"crypto/ed25519"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/wire"
)

// A Meeting is what the tracker's room document says of whom to meet, and how.
type Meeting struct {
	Seeds     []wire.RoomSeed     // dialed at once
	STUN      []netip.AddrPort    // asked for our address
	TokenKeys []ed25519.PublicKey // of responders whose word on addresses counts
	Relays    []wire.RoomRelay    // for those whom nothing else reaches
}

// SetHosts names the addresses of the node's own interfaces, with the port that
// it listens at, once there is a socket that has one. Hellos from now on say them.
func (n *Node) SetHosts(hosts []netip.AddrPort) {
	n.cfg.Hosts = slices.Clone(hosts)
	if n.punch != nil {
		n.punch.SetHosts(hosts)
	}
}

// Mapped tells that the router passes on to socket 0 what comes to an address of
// its own; the zero address is none. Others hear of it if a server has seen us at
// that IP address: it is only the router's word.
func (n *Node) Mapped(now time.Time, at netip.AddrPort) {
	n.mapped = at
	for _, r := range n.rooms {
		if !r.cfg.NoSignal && !r.hello.at.IsZero() {
			r.helloAt = now
		}
	}
	n.Advance(now)
}

// mappedPort is what is said of it.
func (n *Node) mappedPort() uint16 {
	for _, o := range n.tokens {
		if n.mapped.IsValid() && o.mapped.Addr() == n.mapped.Addr() {
			return n.mapped.Port()
		}
	}
	return 0
}

// Meet brings the room document to a room that was joined without it
// (Room.NoSignal): a viewer plays what the origin gives while it asks for the
// document, or while there is no tracker. From now on there is one: EventSignal
// comes.
func (n *Node) Meet(now time.Time, name string, m Meeting) error {
	r := n.room(name)
	if r == nil {
		return fmt.Errorf("%w: %s", ErrNoRoom, name)
	}
	for _, k := range m.TokenKeys {
		if !slices.ContainsFunc(n.cfg.TokenKeys, func(o ed25519.PublicKey) bool { return o.Equal(k) }) {
			n.cfg.TokenKeys = append(n.cfg.TokenKeys, k)
		}
	}
	r.cfg.NoSignal, r.cfg.Seeds, r.cfg.STUN = false, m.Seeds, m.STUN
	if n.punch != nil && len(m.Relays) > 0 {
		n.relays = slices.Clone(m.Relays)
		n.punch.SetRelay(true)
	}
	r.meet(now)
	n.Advance(now)
	return nil
}

// meet begins to make acquaintance: STUN servers are asked, and the tracker hears
// of us as soon as we know our address, or a little later. It says whether we
// are of those whom seeds feed: a seed cannot know everybody.
func (r *room) meet(now time.Time) {
	if !r.cfg.NoSignal {
		r.helloAt = now
		if len(r.cfg.STUN) > 0 && len(r.n.ownTokens(now)) == 0 {
			r.helloAt = now.Add(helloPatience)
		}
		r.reportAt = now.Add(reportFirst)
	}
	r.n.setServers()
	if r.n.cfg.Role != wire.RoleSeed && (!r.listed || r.cfg.AtHome) && len(r.cfg.Seeds) > 0 {
		r.seedsAt = now
		if !r.cfg.NoSignal && !r.cfg.AtHome {
			r.seedsAt = now.Add(seedPatience)
		}
	}
}

// nameSeeds makes neighbours of the seeds of the room document: there is no
// tracker that would say who should meet them, or it does not answer.
func (r *room) nameSeeds(now time.Time) {
	r.seedsAt = time.Time{}
	for _, s := range r.cfg.Seeds {
		r.n.name(now, r, s.Key, s.Addrs, s.NAT, true)
	}
}

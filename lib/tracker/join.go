package tracker

import (
	"cmp"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
)

// An Arrival is a hello with what the server knows of who said it.
type Arrival struct {
	Session Session
	Room    string
	Remote  netip.Addr // the other end of the signalling connection
	Hello   *wire.SignalHello
	// Trusted says that the session is the operator's own, attached in
	// process: it may be a seed, and its Addrs need no proof.
	Trusted bool
	Addrs   []netip.AddrPort
	// Announcer says that the session is that of who announced the room: it may be
	// a seed of it.
	Announcer bool
}

// Join takes a hello. The first of a session makes it a peer of the room;
// later ones bring new addresses or speeds. On error the session is no peer.
func (t *Tracker) Join(now time.Time, a Arrival) (wire.PeerID, error) {
	r := t.rooms[a.Room]
	if r == nil {
		return 0, fmt.Errorf("%w: %.70q", ErrNoRoom, a.Room)
	}
	if a.Hello.Role == wire.RoleSeed && !a.Trusted && !a.Announcer && !slices.Contains(t.cfg.SeedKeys, a.Hello.Key) {
		return 0, ErrForbidden
	}
	t.clock = now
	id := wire.PeerIDOf(a.Hello.Key)
	a.Remote = a.Remote.Unmap().WithZone("")
	if p := t.sessions[a.Session]; p != nil {
		if p.id != id || p.room != r || p.hello.Role != a.Hello.Role {
			return 0, fmt.Errorf("%w: a second hello with another key, room or role", ErrProtocol)
		}
		t.observe(now, p, a)
		return id, nil
	}
	if old := r.peers[id]; old != nil {
		if !mayReplace(old, a) {
			return 0, ErrKeyInUse
		}
		t.replace(now, old, a)
		return id, nil
	}
	if err := r.admit(&t.cfg, a); err != nil {
		return 0, err
	}
	p := &peer{session: a.Session, room: r, id: id, remote: a.Remote, resume: t.secret(), trusted: a.Trusted, joined: now}
	r.peers[id] = p
	r.perAddr[network(a.Remote)]++
	if a.Hello.Role != wire.RoleSeed {
		p.account = r.books.open(now, a.Hello, a.Remote)
	}
	if a.Hello.Role == wire.RoleSeed {
		i, _ := slices.BinarySearchFunc(r.seeds, id, func(s *peer, id wire.PeerID) int { return cmp.Compare(s.id, id) })
		r.seeds = slices.Insert(r.seeds, i, p)
	}
	t.sessions[a.Session] = p
	p.welcome = true
	t.queue(p)
	t.observe(now, p, a)
	return id, nil
}

// mayReplace says whether a newcomer with a peer's key is that peer: he knows
// the session's secret, or comes from the same address, or has signed for the
// room. The key itself proves nothing, for all fellows know it.
func mayReplace(old *peer, a Arrival) bool {
	if old.hello.Role != a.Hello.Role || old.trusted != a.Trusted {
		return false
	}
	return a.Announcer || old.resume != "" && a.Hello.Resume == old.resume || old.remote == a.Remote
}

// replace moves a peer to a newer connection; the others notice nothing but
// new addresses.
func (t *Tracker) replace(now time.Time, p *peer, a Arrival) {
	t.notice(p.session, &wire.SignalError{Code: wire.SignalReplaced})
	delete(t.sessions, p.session)
	p.room.unadmit(p.remote)
	p.room.perAddr[network(a.Remote)]++
	p.session, p.remote = a.Session, a.Remote
	t.sessions[a.Session] = p
	p.resume = t.secret()
	if p.account != nil {
		p.account = p.room.books.open(now, a.Hello, a.Remote)
	}
	p.welcome, p.list = true, p.placed || p.isBanned()
	t.queue(p)
	if p.hello.Role == wire.RoleSeed {
		t.feedAll(p)
	}
	t.observe(now, p, a)
}

// admit says whether the room takes one more.
func (r *room) admit(cfg *Config, a Arrival) error {
	switch {
	case a.Hello.Role == wire.RoleSeed && len(r.seeds) >= maxSeeds:
		return fmt.Errorf("%w: %d seeds", ErrFull, maxSeeds)
	case a.Trusted:
		return nil
	case len(r.peers) >= cfg.MaxPeers:
		return fmt.Errorf("%w: %d peers", ErrFull, len(r.peers))
	case !a.Remote.IsLoopback() && r.perAddr[network(a.Remote)] >= cfg.MaxPerAddr:
		return fmt.Errorf("%w: %d peers at one address", ErrFull, cfg.MaxPerAddr)
	}
	return nil
}

func (r *room) unadmit(remote netip.Addr) {
	n := network(remote)
	if r.perAddr[n]--; r.perAddr[n] <= 0 {
		delete(r.perAddr, n)
	}
}

// network is what limits count by: whoever has an IPv6 address has 2^64.
func network(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

// secret returns what lets a peer come back from another address; empty, and
// so of no use, if there is no entropy.
func (t *Tracker) secret() string {
	var b [16]byte
	if t.cfg.Entropy == nil {
		return ""
	}
	if _, err := io.ReadFull(t.cfg.Entropy, b[:]); err != nil {
		return ""
	}
	return hex.EncodeToString(b[:])
}

// observe takes in a hello: which addresses are proved, whether the peer can
// be shown to others now, and who must hear of it.
func (t *Tracker) observe(now time.Time, p *peer, a Arrival) {
	oldAddrs, oldHosts, oldNAT, oldMapped := p.observed, []netip.AddrPort(nil), (*wire.SignalNAT)(nil), uint16(0)
	if p.hello != nil {
		oldHosts, oldNAT, oldMapped = p.hello.Hosts, p.hello.NAT, p.hello.Mapped
	}
	claimed := p.hello == nil || p.hello.UplinkBPS != a.Hello.UplinkBPS
	hello := *a.Hello
	hello.Tokens, hello.Hosts = nil, privateHosts(a.Hello.Hosts)
	p.hello = &hello
	f := p.facts()
	p.kind, p.kindKnown = f.Kind()
	p.isHard = f.Hard()
	p.observed, p.token, p.expiry = nil, nil, time.Time{}
	if a.Trusted {
		p.observed = usable(a.Addrs)
	}
	for _, token := range a.Hello.Tokens {
		addr, expiry, err := token.Parse()
		if err != nil || !t.vouched(token, addr, now) || slices.Contains(p.observed, addr) || len(p.observed) >= wire.MaxSignalAddrs {
			continue
		}
		if len(p.observed) == 0 {
			p.token, p.expiry = slices.Clone(token), expiry
		}
		p.observed = append(p.observed, addr)
	}
	if claimed {
		p.uplink = hello.UplinkBPS
	}
	switch {
	case len(p.observed) == 0 && p.placed:
		// Its proofs have run out; the addresses that others hold stay good.
		p.observed = oldAddrs
	case len(p.observed) == 0:
		p.room.locate(p)
		return
	}
	p.room.locate(p)
	if p.isBanned() {
		t.suspend(p)
		return
	}
	was := p.placed
	p.placed = true
	c := p.room.top.Join(p.member())
	if !was && p.hello.Role == wire.RoleSeed {
		t.feedAll(p)
	}
	if was && len(c.Members) == 0 && !(slices.Equal(oldAddrs, p.observed) && slices.Equal(oldHosts, hello.Hosts) && oldNAT.Equal(hello.NAT) && oldMapped == hello.Mapped) {
		// The topology sees no addresses and no NATs: those who know the peer must.
		c = t.knowing(p)
	}
	t.apply(p.room, c)
}

// usable returns those of the operator's addresses that a message can hold: a
// listener's 0.0.0.0 is where nobody can be met.
func usable(addrs []netip.AddrPort) (out []netip.AddrPort) {
	for _, a := range addrs {
		a = netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
		if wire.CheckAddr(a) == nil && !slices.Contains(out, a) && len(out) < wire.MaxSignalAddrs {
			out = append(out, a)
		}
	}
	return out
}

func (t *Tracker) vouched(token wire.Token, addr netip.AddrPort, now time.Time) bool {
	return slices.ContainsFunc(t.cfg.TokenKeys, func(key ed25519.PublicKey) bool {
		return wire.VerifyToken(key, token, addr, now) == nil
	})
}

// knowing is a change that names all who have p in their lists.
func (t *Tracker) knowing(p *peer) (c topology.Change) {
	if p.hello.Role == wire.RoleSeed {
		for _, id := range p.room.ids() {
			c.Members = append(c.Members, topology.ID(id))
		}
		c.Groups = p.room.top.Groups()
		return c
	}
	v, _ := p.room.top.View(topology.ID(p.id))
	for _, m := range v.Members {
		if m.ID != v.Self {
			c.Members = append(c.Members, m.ID)
		}
	}
	for _, g := range p.room.top.Groups() {
		if gv, ok := p.room.top.Group(0, g); ok {
			if _, in := gv.Member(topology.ID(p.id)); in {
				c.Groups = append(c.Groups, g)
			}
		}
	}
	return c
}

func (p *peer) member() topology.Member {
	return topology.Member{
		ID: topology.ID(p.id), Seed: p.hello.Role == wire.RoleSeed, Upload: p.hello.Upload, Uplink: p.uplink, Hard: p.hard(),
		Zone: uint32(p.zone), Standing: p.standing(),
	}
}

// Leave ends a session; its fellows hear of it at once. A session that is no
// peer, or not any more, leaves nothing.
func (t *Tracker) Leave(now time.Time, session Session) {
	t.clock = now
	p := t.sessions[session]
	if p == nil {
		return
	}
	delete(t.sessions, session)
	r := p.room
	t.forget(p)
	delete(r.peers, p.id)
	r.books.leave(t.clock, p.account)
	r.unadmit(p.remote)
	r.unlocate(p)
	r.seeds = slices.DeleteFunc(r.seeds, func(s *peer) bool { return s == p })
	if p.placed {
		t.sayLeft(p)
		t.apply(r, r.top.Leave(topology.ID(p.id)))
		if r.gone++; r.gone > len(r.peers)/manyGone {
			if soon := now.Add(tendSoon); soon.Before(t.nextTend) {
				t.nextTend = soon
			}
		}
	}
}

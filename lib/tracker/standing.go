package tracker

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
)

// Standings of a peer.
const (
	Good      uint8 = 0
	FreeRider uint8 = 1 // takes from peers and gives them next to nothing: served last
	Polluter  uint8 = 2 // sends bytes that do not verify: not in the topology
)

// Our choices. Nobody is judged by his first minute, nor by less than half a
// minute of stream, for receipts are late. What lies back fades, by half in some
// three minutes, so that who begins to give is soon good again.
const (
	rideAfter = time.Minute
	rideBelow = 0.05 // given for what was taken
	rideUntil = 0.08 // then it is good again; more, lest it change at every tick
	fade      = 29.0 / 30
	// banTime is how long a polluter gets no neighbours. It is known by its key
	// alone: its address may be a whole house's.
	banTime     = 10 * time.Minute
	accusersMin = 2
	maxAccusers = 8  // remembered of one accused
	maxAccused  = 8  // whom one peer is believed to have met
	maxBanned   = 16 // polluters that a list names
)

// conduct is how a peer behaves.
type conduct struct {
	took, gave     float64 // from and to peers, faded
	tookAt, gaveAt int64   // counters at the last tick
	gotAt          int64   // payload at the last tick
	standing       uint8
	banned         time.Time // until then; zero: not
	accusers       []accuser
	accused        map[wire.PeerID]int64 // by it, for so many bytes
}

// An accuser had bytes of a peer that did not verify.
type accuser struct {
	id  wire.PeerID
	net netip.Prefix
	at  time.Time
}

// accuse takes what a peer reports of bytes that did not verify. Two who have
// the accused in their lists now, from two networks, make a polluter: the bytes
// came sealed, so nobody else can have changed them; and one liar alone, or one
// with two names at one address, bans nobody. A polluter has no fellows, and so
// no voice.
func (t *Tracker) accuse(p *peer, r *measure.Report) {
	by := p.account
	if by == nil {
		return
	}
	for i := range r.Neighbours {
		n := &r.Neighbours[i]
		var id wire.PeerID
		if n.PollutedBytes <= 0 || id.UnmarshalText([]byte(n.ID)) != nil {
			continue
		}
		o := p.room.peers[id]
		if o == nil || o == p || o.account == nil {
			continue
		}
		if n.PollutedBytes <= by.accused[id] || by.accused[id] == 0 && len(by.accused) >= maxAccused {
			continue
		}
		if !p.room.meets(p.id, id) && !p.room.meets(id, p.id) {
			continue
		}
		if by.accused == nil {
			by.accused = map[wire.PeerID]int64{}
		}
		by.accused[id] = n.PollutedBytes
		if o.account.blame(t.clock, by) {
			t.ban(o)
		}
	}
}

// meets reports whether one has the other in its list.
func (r *room) meets(a, b wire.PeerID) bool {
	v, ok := r.top.View(topology.ID(a))
	if !ok {
		return false
	}
	_, ok = v.Member(topology.ID(b))
	return ok
}

// blame notes an accuser, and reports whether there are enough.
func (a *account) blame(now time.Time, by *account) bool {
	a.accusers = slices.DeleteFunc(a.accusers, func(x accuser) bool { return x.id == by.id || now.Sub(x.at) >= banTime })
	if len(a.accusers) < maxAccusers {
		a.accusers = append(a.accusers, accuser{by.id, by.network, now})
	}
	var apart []netip.Prefix
	for _, x := range a.accusers {
		// In a house, or on one machine, many are at one address.
		if !slices.Contains(apart, x.net) || nat.ReachOf(x.net.Addr()) != nat.World {
			apart = append(apart, x.net)
		}
	}
	return len(apart) >= accusersMin
}

// ban takes a polluter out of the topology. It is told an empty list, and has the
// origin.
func (t *Tracker) ban(p *peer) {
	a := p.account
	if a.standing == Polluter {
		return
	}
	a.standing, a.banned, a.accusers = Polluter, t.clock.Add(banTime), nil
	b := &p.room.books
	b.banned = append(slices.DeleteFunc(b.banned, func(id wire.PeerID) bool { return id == p.id }), p.id)
	b.banned = b.banned[max(0, len(b.banned)-maxBanned):]
	t.suspend(p)
}

// suspend lets nobody meet a peer that is banned.
func (t *Tracker) suspend(p *peer) {
	if p.placed {
		p.placed = false
		t.apply(p.room, p.room.top.Leave(topology.ID(p.id)))
	}
	p.room.version++
	p.version, p.list = p.room.version, true
	t.queue(p)
}

// standing is what others are told of a peer.
func (p *peer) standing() uint8 {
	if p.account == nil {
		return Good // a seed
	}
	return p.account.standing
}

// isBanned reports whether a peer is to meet nobody.
func (p *peer) isBanned() bool { return p.standing() == Polluter }

// settle ends a tick: it brings the books up to date and judges everybody.
func (t *Tracker) settle(now time.Time, r *room) {
	b := &r.books
	b.expire(now)
	b.balance()
	signers, peers := 0, 0
	var received []int64
	ids := r.ids()
	for _, id := range ids {
		a := r.peers[id].account
		if a == nil {
			continue
		}
		peers++
		if a.key != (wire.Key{}) {
			signers++
		}
		if d := a.payload.sum - a.gotAt; d > 0 {
			received = append(received, d)
		}
		a.gotAt, a.checks = a.payload.sum, checkBudget
	}
	b.stream.tick(received)
	// Where few sign, few are vouched for, whatever they give.
	customary := 2*signers >= peers
	for _, id := range ids {
		p := r.peers[id]
		if a := p.account; a != nil {
			was := a.standing
			t.judge(now, p, customary)
			if a.standing != was && p.placed {
				t.apply(r, r.top.Update(p.member()))
			}
		}
	}
}

// judge finds a peer's standing.
func (t *Tracker) judge(now time.Time, p *peer, customary bool) {
	a := p.account
	took, gave := min(a.peer.sum, a.most), a.vouched
	a.took = a.took*fade + float64(max(0, took-a.tookAt))
	a.gave = a.gave*fade + float64(max(0, gave-a.gaveAt))
	a.tookAt, a.gaveAt = took, gave
	enough := float64(p.room.books.stream.recent())
	switch {
	case a.standing == Polluter:
		if now.Before(a.banned) {
			return
		}
		a.standing, a.banned = Good, time.Time{}
		p.room.books.banned = slices.DeleteFunc(p.room.books.banned, func(id wire.PeerID) bool { return id == p.id })
		if len(p.observed) > 0 {
			p.placed = true
			t.apply(p.room, p.room.top.Join(p.member()))
		}
	case a.standing == FreeRider:
		if a.gave >= rideUntil*a.took || a.took < enough/2 || !customary {
			a.standing = Good
		}
	case customary && enough > 0 && now.Sub(a.joined) > rideAfter && a.took > enough && a.gave < rideBelow*a.took && p.feeds():
		a.standing = FreeRider
	}
}

// feeds reports whether there is anybody whom a peer could give something: who is
// at the end of a tree gives nothing and is no free-rider.
func (p *peer) feeds() bool {
	v, ok := p.room.top.View(topology.ID(p.id))
	return ok && slices.ContainsFunc(v.Members, func(m topology.Member) bool {
		return m.ID != v.Self && !m.Seed && m.Tier != topology.Above
	})
}

// An Account is a room by what receivers sign, as of now.
type Account struct {
	PayloadBytes int64 // that peers say they received, each at most what it can have
	PeerBytes    int64 // of it, from peers
	ClaimedBytes int64 // that peers say they gave to others
	VouchedBytes int64 // that receivers signed for; never falls
	LocalBytes   int64 // of these, between two at one address, where one person may stand on both ends
	CutBytes     int64 // that receivers signed for beyond what they can have received: not counted
	// VouchedShare is the room's peer share: VouchedBytes of PayloadBytes. Receipts
	// are ten to twenty seconds late, so it is low while a room is young.
	VouchedShare float64
	Refused      int64         // receipts that were not good
	FreeRiders   []wire.PeerID // ascending
	Polluters    []wire.PeerID // banned now, ascending
	Peers        []PeerAccount // who is here, ascending by ID; seeds have none
}

// A PeerAccount is one peer's part of an Account.
type PeerAccount struct {
	ID           wire.PeerID
	ClaimedBytes int64 // it says it gave
	VouchedBytes int64 // others signed for
	LocalBytes   int64 // of these, at its own address
	Standing     uint8
}

// Account returns a room by what receivers sign; ok is false if there is no such
// room. It goes through all accounts: ask for it every few seconds, not more.
func (t *Tracker) Account(name string) (acc Account, ok bool) {
	r := t.rooms[name]
	if r == nil {
		return acc, false
	}
	s := r.books.balance()
	acc = Account{
		PayloadBytes: s.payload, PeerBytes: s.peer, ClaimedBytes: s.claimed, VouchedBytes: s.vouched, LocalBytes: s.local,
		CutBytes: s.cut, Refused: r.books.refused,
	}
	if s.payload > 0 {
		acc.VouchedShare = min(1, float64(s.vouched)/float64(s.payload))
	}
	for id, a := range r.books.accounts {
		switch {
		case a.standing == Polluter && t.clock.Before(a.banned):
			acc.Polluters = append(acc.Polluters, id)
		case a.standing == FreeRider && a.left.IsZero():
			acc.FreeRiders = append(acc.FreeRiders, id)
		}
		if a.left.IsZero() {
			acc.Peers = append(acc.Peers, PeerAccount{id, a.claimed.sum, a.vouched, a.local, a.standing})
		}
	}
	slices.Sort(acc.FreeRiders)
	slices.Sort(acc.Polluters)
	slices.SortFunc(acc.Peers, func(a, b PeerAccount) int { return cmp.Compare(a.ID, b.ID) })
	return acc, true
}

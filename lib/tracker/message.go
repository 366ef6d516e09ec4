package tracker

import (
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
)

// A Message is for the peer behind a session.
type Message struct {
	Session Session
	Signal  wire.Signal
	Last    bool // the session is over: close it behind this message
}

func (t *Tracker) notice(s Session, e *wire.SignalError) {
	if len(t.notices) >= maxNotices {
		t.notices = slices.Delete(t.notices, 0, 1)
	}
	t.notices = append(t.notices, Message{s, e, true})
}

func (t *Tracker) queue(p *peer) {
	if !p.queued {
		p.queued = true
		t.pending = append(t.pending, p)
	}
}

// forget drops what p was to hear.
func (t *Tracker) forget(p *peer) {
	if p.queued {
		p.queued = false
		t.pending = slices.DeleteFunc(t.pending, func(q *peer) bool { return q == p })
	}
}

// apply marks all whom a change concerns.
func (t *Tracker) apply(r *room, c topology.Change) {
	if len(c.Members) == 0 && len(c.Groups) == 0 {
		return
	}
	r.version++
	for _, id := range c.Members {
		if p := r.peers[wire.PeerID(id)]; p != nil && p.placed && p.hello.Role != wire.RoleSeed {
			p.version = r.version
			p.list = true
			t.queue(p)
		}
	}
	for _, g := range c.Groups {
		r.groups[g] = r.version
		if _, ok := r.top.Group(0, g); !ok {
			delete(r.groups, g)
		}
		for _, s := range r.seeds {
			if s.placed {
				s.feed = insert(s.feed, g)
				t.queue(s)
			}
		}
	}
}

func insert(list []uint64, v uint64) []uint64 {
	i, ok := slices.BinarySearch(list, v)
	if ok {
		return list
	}
	return slices.Insert(list, i, v)
}

// feedAll tells a seed of all groups anew.
func (t *Tracker) feedAll(p *peer) {
	p.reset = true
	p.feed = p.room.top.Groups()
	t.queue(p)
}

// NextMessage returns the next message to send. The driver drains it after
// every call of another method.
func (t *Tracker) NextMessage(now time.Time) (Message, bool) {
	t.clock = now
	if len(t.notices) > 0 {
		m := t.notices[0]
		t.notices = t.notices[1:]
		if len(t.notices) == 0 {
			t.notices = nil
		}
		return m, true
	}
	for len(t.pending) > 0 {
		p := t.pending[0]
		if m := p.next(now); m != nil {
			return Message{Session: p.session, Signal: m}, true
		}
		p.queued = false
		t.pending[0] = nil
		if t.pending = t.pending[1:]; len(t.pending) == 0 {
			t.pending = nil
		}
	}
	return Message{}, false
}

// next composes the next message to p from what is true now.
func (p *peer) next(now time.Time) wire.Signal {
	switch {
	case p.welcome:
		p.welcome = false
		return &wire.SignalWelcome{ID: p.id, TimeUnixMS: now.UnixMilli(), Resume: p.resume}
	case p.list:
		p.list = false
		v, ok := p.room.top.View(topology.ID(p.id))
		if !ok && !p.isBanned() {
			return nil
		}
		left, members := p.left, p.meet(now, v)
		p.left = nil
		p.name(now, members)
		return &wire.SignalNeighbours{
			Version: p.version, Topology: p.room.top.Name(), Group: v.Group, Short: v.Short,
			UplinkBPS: p.uplink, Upload: p.hello.Upload, Hard: p.hard(), Members: members, SeedCost: p.seedCost(),
			Banned: slices.Clone(p.room.books.banned), Left: left,
		}
	case len(p.punches) > 0:
		m := p.punches[0]
		p.punches = p.punches[1:]
		return m
	case p.reset || len(p.feed) > 0:
		return p.nextFeed(now)
	}
	return nil
}

// nextFeed takes as many groups as one message may hold.
func (p *peer) nextFeed(now time.Time) *wire.SignalFeed {
	m := &wire.SignalFeed{Topology: p.room.top.Name(), Reset: p.reset, Groups: []wire.SignalGroup{}}
	p.reset = false
	members := 0
	for len(p.feed) > 0 && len(m.Groups) < wire.MaxSignalMembers/2 {
		g := wire.SignalGroup{Group: p.feed[0], Version: p.room.groups[p.feed[0]], Members: []wire.SignalMember{}}
		if v, ok := p.room.top.Group(topology.ID(p.id), g.Group); ok {
			g.Members, g.Short = p.meet(now, v), v.Short
		} else {
			g.Version = p.room.version
		}
		if members+len(g.Members) > wire.MaxSignalMembers {
			break
		}
		members += len(g.Members)
		m.Groups = append(m.Groups, g)
		p.feed = p.feed[1:]
	}
	return m
}

// meet describes the others in a view as p may see them: those whom it can meet.
func (p *peer) meet(now time.Time, v topology.View) []wire.SignalMember {
	out := make([]wire.SignalMember, 0, len(v.Members))
	for _, m := range v.Members {
		o := p.room.peers[wire.PeerID(m.ID)]
		if o == nil || o == p || strangers(p, o) {
			continue
		}
		s := wire.SignalMember{
			ID: o.id, Key: o.hello.Key, Addrs: o.withMapped(addrsFor(p, o)), Role: o.hello.Role,
			Upload: o.hello.Upload, UplinkBPS: o.uplink, Hard: o.hard(), NAT: o.hello.NAT, Tier: int8(m.Tier), Group: m.Group, Cost: p.cost(o), Standing: o.standing(),
		}
		if now.Before(o.expiry) && len(s.Addrs) > 0 && s.Addrs[0] == o.observed[0] {
			s.Token = o.token
		}
		out = append(out, s)
	}
	return out
}

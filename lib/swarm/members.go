package swarm

import (
	"cmp"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
)

// A group is one that a seed feeds.
type group struct {
	number  uint64
	version uint64
	view    topology.View
}

// maxGroups bounds what one seed feeds directly.
const maxGroups = 1024

// SetNeighbours takes the tracker's list for a member, which replaces the one
// before.
func (s *Swarm) SetNeighbours(now time.Time, m *wire.SignalNeighbours) error {
	if err := s.setTopology(m.Topology); err != nil {
		return err
	}
	self := s.selfMember()
	self.Upload = m.Upload
	self.Uplink = m.UplinkBPS
	self.Group = m.Group
	self.Hard = m.Hard
	var left []*neighbour
	for _, id := range m.Left {
		if n := s.peer(id); n != nil && !n.seed {
			s.doubt(now, n)
			left = append(left, n)
		}
	}
	s.view, s.listed = view(m.Group, self, m.Members, m.Short), true
	s.give.load.told(m.Short)
	s.shut(now, m.Banned)
	s.strangerAt = earlier(s.strangerAt, now.Add(strangerTime))
	if len(left) > 0 {
		s.want.shake(now)
	}
	for _, n := range left {
		s.handAgain(now, n)
	}
	s.rename(now)
	return nil
}

// SetFeed takes the tracker's list of groups for a seed.
func (s *Swarm) SetFeed(now time.Time, m *wire.SignalFeed) error {
	if err := s.setTopology(m.Topology); err != nil {
		return err
	}
	old := slices.Clone(s.groups)
	if m.Reset {
		s.groups, old = nil, nil // a new tracker, perhaps: nobody has left for that
	}
	for i := range m.Groups {
		g := &m.Groups[i]
		at, ok := slices.BinarySearchFunc(s.groups, g.Group, func(x *group, n uint64) int { return cmp.Compare(x.number, n) })
		switch {
		case len(g.Members) == 0 && ok:
			s.groups = slices.Delete(s.groups, at, at+1)
		case len(g.Members) == 0:
		case ok && g.Version < s.groups[at].version && !m.Reset:
		case ok:
			s.groups[at] = &group{number: g.Group, version: g.Version, view: feedView(g.Group, s.selfMember(), g.Members, g.Short)}
		case len(s.groups) < maxGroups:
			s.groups = slices.Insert(s.groups, at, &group{number: g.Group, version: g.Version, view: feedView(g.Group, s.selfMember(), g.Members, g.Short)})
		}
	}
	s.rename(now)
	s.feedAgain(now, old)
	return nil
}

// feedBack is how old what a group below a seed is given when it comes to stand
// there: its way to where it stood before took so long.
const feedBack = 500 * time.Millisecond

// feedAgain gives what is so new that it may be lost to groups that have changed:
// to one that has lost members, what these were given to hand on; to one that
// was fed by others, who may be gone, all.
func (s *Swarm) feedAgain(now time.Time, old []*group) {
	if len(old) == 0 || s.mesh() || s.flows() {
		return
	}
	s.again = wire.PieceAgain
	defer func() { s.again = 0 }()
	for _, g := range s.groups {
		at, ok := slices.BinarySearchFunc(old, g.number, func(x *group, n uint64) int { return cmp.Compare(x.number, n) })
		switch {
		case !ok:
			for _, p := range s.win.segs {
				for _, h := range p.pieces {
					if h != nil && now.Sub(h.came) <= feedBack {
						s.hand(now, g, h, 0)
					}
				}
			}
		case old[at] != g:
			for _, m := range old[at].view.Members {
				if _, in := g.view.Member(m.ID); !in {
					s.handAll(now, g, Peer(m.ID))
				}
			}
		}
	}
}

// handAll gives to others of a group what one who is not in it any more was given
// so lately that he may not have handed it on.
func (s *Swarm) handAll(now time.Time, g *group, id Peer) {
	n := s.peer(id)
	if n == nil {
		return
	}
	for _, x := range n.handed {
		if h := s.win.get(x.id); h != nil && now.Sub(x.at) <= handingTime {
			s.hand(now, g, h, id)
		}
	}
	n.handed = nil
	s.give.left(n) // what waits for it too, at the next run
}

func (s *Swarm) setTopology(name string) error {
	if name == "" || name == s.top.Name() {
		return nil
	}
	top, err := topology.New(name, nil)
	if err != nil {
		return err
	}
	s.top = top
	return nil
}

func view(number uint64, self topology.Member, members []wire.SignalMember, short bool) topology.View {
	v := topology.View{Self: self.ID, Group: number, Members: []topology.Member{self}, Short: short}
	for i := range members {
		m := &members[i]
		if topology.ID(m.ID) != self.ID {
			v.Members = append(v.Members, topology.Member{ID: topology.ID(m.ID), Seed: m.Role == wire.RoleSeed, Upload: m.Upload, Uplink: m.UplinkBPS, Hard: m.Hard,
				Tier: topology.Tier(m.Tier), Group: m.Group, Cost: m.Cost, Standing: m.Standing})
		}
	}
	slices.SortFunc(v.Members, func(a, b topology.Member) int { return cmp.Compare(a.ID, b.ID) })
	return v
}

// doubt takes a neighbour for gone until it is heard of again: the tracker has lost
// it, which mostly means that it is no more. What it was asked for is asked of
// others at once.
func (s *Swarm) doubt(now time.Time, n *neighbour) {
	if m, ok := s.view.Member(topology.ID(n.id)); ok {
		n.group = m.Group
	}
	n.doubted = true
	s.give.left(n)
	s.disinterested(n.id, segment.ID{})
	s.want.left(now, n.id)
	n.asked = 0
	for _, x := range slices.Clone(n.away) {
		s.act(Action{Kind: Cancel, Peer: n.id, Tag: x.tag})
		s.giveUp(n, x)
	}
}

// feedView is a seed's view of a group. If the tracker does not say who of it
// stands below the seed, all do.
func feedView(number uint64, self topology.Member, members []wire.SignalMember, short bool) topology.View {
	v := view(number, self, members, short)
	said := slices.ContainsFunc(v.Members, func(m topology.Member) bool { return !m.Seed && m.Tier == topology.Below })
	for i := range v.Members {
		if m := &v.Members[i]; !m.Seed && !said {
			m.Tier, m.Group = topology.Below, number
		}
	}
	return v
}

// isNamed reports whether the tracker has named a peer.
func (s *Swarm) isNamed(id Peer) bool {
	if _, ok := s.view.Member(topology.ID(id)); ok {
		return true
	}
	for _, g := range s.groups {
		if _, ok := g.view.Member(topology.ID(id)); ok {
			return true
		}
	}
	return false
}

// rename holds the neighbours against what the tracker said.
func (s *Swarm) rename(now time.Time) {
	for _, n := range s.peers {
		named := s.isNamed(n.id)
		if n.named && !named {
			n.since = now // it has a while to say goodbye
			s.strangerAt = earlier(s.strangerAt, now.Add(strangerTime))
		}
		n.named, n.standing = named, s.standingOf(n.id)
		if m, ok := s.view.Member(topology.ID(n.id)); ok {
			n.seed, n.tier = m.Seed, m.Tier
		}
		s.price(n)
	}
	s.want.again(now)
	s.run(now)
}

// runMembers leaves neighbours whom the tracker does not name, after a while:
// they may be ahead of our list, and in a group that was split they still hold
// what we ask for. A seed lets them be: they were told of it by the room
// document.
func (s *Swarm) runMembers(now time.Time) {
	if s.strangerAt.IsZero() || now.Before(s.strangerAt) {
		return
	}
	s.strangerAt = time.Time{}
	if s.cfg.Seed || !s.listed {
		return
	}
	for i := len(s.peers) - 1; i >= 0; i-- {
		n := s.peers[i]
		switch {
		case n.named || n.seed:
		case now.Sub(n.since) >= strangerTime:
			s.leave(now, n, wire.ByeLeaving, false, "the tracker put us elsewhere")
		default:
			s.strangerAt = earlier(s.strangerAt, n.since.Add(strangerTime))
		}
	}
}

// reportEvery is how often a neighbour hears what became of what it sent.
const reportEvery = 10 * time.Second

// runReports tells neighbours who sent pieces lately what became of them. It
// waits for an occasion: nothing is woken for it.
func (s *Swarm) runReports(now time.Time) {
	if s.cfg.Seed || now.Before(s.reportAt) {
		return
	}
	s.reportAt = now.Add(reportEvery)
	for _, n := range s.peers {
		r := wire.ReportMessage{UniqueBytes: uint64(n.in), DuplicateBytes: uint64(n.dup), LagMS: uint64(max(0, s.lag.Milliseconds())), Missing: uint64(len(s.want.order))}
		if n.ready() && r.UniqueBytes+r.DuplicateBytes > n.reported {
			n.reported = r.UniqueBytes + r.DuplicateBytes
			s.control(n, wire.AppendReport(nil, s.tag, &r))
		}
		s.signFor(now, n)
	}
}

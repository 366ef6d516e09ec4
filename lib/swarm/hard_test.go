package swarm

import (
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
)

// mixed makes s know a room in which 2 and 3 of a group of five are hard to reach,
// as one sees it who is not; 11 to 13 stand below.
func mixed(t *testing.T, s *Swarm) {
	t.Helper()
	members := []wire.SignalMember{{ID: seedID, Role: wire.RoleSeed, Upload: true}}
	for _, id := range []Peer{2, 3, 4, 5, 6, 11, 12, 13} {
		m := wire.SignalMember{ID: id, Role: wire.RolePeer, Upload: true, Group: 1, Hard: id == 2 || id == 3 || id == 11}
		if id > 10 {
			m.Tier, m.Group = int8(topology.Below), 7
		}
		if id != s.cfg.Self {
			members = append(members, m)
		}
	}
	know(t, s, members)
}

func TestAnOwnerHasAHardFellowReachThoseWhomHeCanReach(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	mixed(t, s)
	p := pieces(t)
	alone, relayed := 0, map[Peer]int{}
	for i := range 30 {
		now := at(100 * i)
		s.Receive(now, seedID, message(s, p[i], wire.PieceDistribute), nil)
		list := actions(s)
		to, spread := copies(t, list)
		switch relay := slices.IndexFunc(to, func(id Peer) bool { return id < 10 && spread[id] }); {
		case relay >= 0:
			relayed[to[relay]]++
			if !slices.Equal(to, []Peer{2, 3}) {
				t.Fatalf("%d is to hand piece %d on, which goes to %v all the same", to[relay], i, to)
			}
		case len(to) != 5 || !slices.Equal(to[:4], []Peer{2, 3, 5, 6}) || to[4] == 11 || !spread[to[4]]:
			t.Fatalf("piece %d goes to %v, to be handed on: %v", i, to, spread)
		default:
			alone++
		}
		for _, a := range list {
			if a.Kind == Send && a.Tag != 0 {
				s.Delivered(now.Add(20*time.Millisecond), a.Peer, a.Tag, Departure{})
			}
		}
	}
	// Of five copies for each piece two fall to the two of five who are hard to
	// reach: two of the three that they can send.
	if alone < 5 || alone > 15 || relayed[2] < 5 || relayed[3] < 5 {
		t.Errorf("of 30 pieces %d were not handed to a hard one, the others to %v", alone, relayed)
	}
}

func TestAHardFellowDoesAnOwnersPart(t *testing.T) {
	s := newSwarm(t, 2, false, "balanced")
	members := []wire.SignalMember{{ID: seedID, Role: wire.RoleSeed, Upload: true}}
	for _, id := range []Peer{4, 5, 6, 12, 13} { // it is not told of others like it
		m := wire.SignalMember{ID: id, Role: wire.RolePeer, Upload: true, Group: 1}
		if id > 10 {
			m.Tier, m.Group = int8(topology.Below), 7
		}
		members = append(members, m)
	}
	know(t, s, members)
	if err := s.SetNeighbours(t0, &wire.SignalNeighbours{Version: 2, Topology: "balanced", Group: 1, Upload: true, Hard: true, Members: members}); err != nil {
		t.Fatal(err)
	}
	p := pieces(t)
	s.Receive(t0, 4, message(s, p[0], wire.PieceDistribute), nil)
	to, spread := copies(t, actions(s))
	if len(to) != 3 || !slices.Equal(to[:2], []Peer{5, 6}) || spread[5] || spread[6] || !spread[to[2]] {
		t.Errorf("it went to %v, to be handed on: %v; want the owner's other fellows, and one below", to, spread)
	}
	s.Receive(at(50), 4, message(s, p[1], 0), nil)
	if to, _ := copies(t, actions(s)); len(to) != 0 {
		t.Errorf("what it got to play went to %v", to)
	}
}

func TestWhatAHardFellowDoesNotAcknowledgeTheOwnerHandsOnHimself(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	mixed(t, s)
	p := pieces(t)
	for i := range 30 {
		now := at(2000 * i)
		s.Receive(now, seedID, message(s, p[i], wire.PieceDistribute), nil)
		list := actions(s)
		to, spread := copies(t, list)
		if len(to) != 2 {
			continue // this one he hands on himself
		}
		for _, a := range list {
			if a.Kind == Send && a.Tag != 0 && !spread[a.Peer] {
				s.Delivered(now.Add(20*time.Millisecond), a.Peer, a.Tag, Departure{})
			}
		}
		s.Advance(now.Add(2 * ackMin))
		to, spread = copies(t, actions(s))
		if len(below(to)) != 1 || !slices.Contains(to, 5) || !slices.Contains(to, 6) || spread[5] || spread[6] || !spread[below(to)[0]] {
			t.Errorf("then it goes to %v, to be handed on: %v", to, spread)
		}
		return
	}
	t.Error("no piece was handed to a hard one")
}

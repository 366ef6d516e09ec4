package swarm

import (
	"slices"
	"testing"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/wire"
)

// branch makes 4 a member of a tree: below 2, above 5 and 6; 3 stands beside it.
func branch(t *testing.T) *Swarm {
	t.Helper()
	s := newSwarm(t, 4, false, "tree")
	members := []wire.SignalMember{
		{ID: seedID, Role: wire.RoleSeed, Upload: true},
		{ID: 2, Role: wire.RolePeer, Upload: true, Tier: -1},
		{ID: 3, Role: wire.RolePeer, Upload: true, Group: 2},
		{ID: 5, Role: wire.RolePeer, Upload: true, Tier: 1, Group: 4},
		{ID: 6, Role: wire.RolePeer, Tier: 1, Group: 4},
	}
	if err := s.SetNeighbours(t0, &wire.SignalNeighbours{Version: 1, Topology: "tree", Group: 2, Upload: true, Members: members}); err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		s.Connected(t0, m.ID, m.Role == wire.RoleSeed, false)
		s.Receive(t0, m.ID, wire.AppendHello(nil, s.tag, &wire.Hello{Name: "match", Flags: wire.HelloUpload}), nil)
	}
	actions(s)
	return s
}

func TestInATreeWhateverComesFlowsDownWhereverItCameFrom(t *testing.T) {
	p := pieces(t)
	s := branch(t)
	below := []Peer{5, 6}
	came := map[string]func(rec segment.Record){
		"from above":      func(rec segment.Record) { s.Receive(at(1), 2, message(s, rec, 0), nil) },
		"from beside":     func(rec segment.Record) { s.Receive(at(2), 3, message(s, rec, wire.PieceAsked), nil) },
		"from the origin": func(rec segment.Record) { s.Store(at(3), rec, 0) },
	}
	i := 0
	for _, how := range []string{"from above", "from beside", "from the origin"} {
		came[how](p[i])
		i++
		list := actions(s)
		to, msgs := sent(t, list, wire.SwarmPiece)
		slices.Sort(to)
		if !slices.Equal(to, below) {
			t.Errorf("%s: it went to %v", how, to)
		}
		for _, m := range msgs {
			if m.Piece.Flags != 0 {
				t.Errorf("%s: with flags %d", how, m.Piece.Flags)
			}
		}
	}
}

func TestInATreeTheOneAboveHearsWhatItNeedNotSend(t *testing.T) {
	p := pieces(t)
	s := branch(t)
	s.Receive(at(1), 3, message(s, p[0], wire.PieceAsked), nil)
	s.Advance(at(20))
	if to, _ := sent(t, actions(s), wire.SwarmHave); !slices.Contains(to, 2) {
		t.Errorf("only %v heard", to)
	}
	s.Store(at(30), p[1], 0)
	s.Advance(at(50))
	if to, _ := sent(t, actions(s), wire.SwarmHave); slices.Contains(to, 2) {
		t.Error("it heard of what the origin brought, and so stops to show that it can")
	}
}

func TestALeafOfATreeHandsNothingToThoseBesideIt(t *testing.T) {
	p := pieces(t)
	s := branch(t)
	if err := s.SetNeighbours(at(1), &wire.SignalNeighbours{Version: 2, Topology: "tree", Group: 2, Upload: true, Members: []wire.SignalMember{
		{ID: 2, Role: wire.RolePeer, Upload: true, Tier: -1}, {ID: 3, Role: wire.RolePeer, Upload: true, Group: 2}}}); err != nil {
		t.Fatal(err)
	}
	actions(s)
	s.Receive(at(2), 2, message(s, p[0], wire.PieceDistribute), nil)
	if to, _ := sent(t, actions(s), wire.SwarmPiece); len(to) > 0 {
		t.Errorf("it went to %v", to)
	}
}

func TestInATreeARecordFlowsDownAndMakesNothingMissing(t *testing.T) {
	s := branch(t)
	all := records()
	var first segment.ID
	for i := range all {
		rec := &all[i]
		if rec.Kind == segment.KindPiece && first == (segment.ID{}) {
			first = rec.Piece.ID
			s.SetWant(at(0), first, Line{Epoch: 1000, At: at(3000)})
			s.Receive(at(1), 2, message(s, *rec, 0), nil)
			actions(s)
		}
		if rec.Kind == segment.KindSegment {
			s.Receive(at(10), 2, wire.AppendRecord(nil, s.tag, 0, segment.AppendStored(nil, rec, "")), nil)
			break
		}
	}
	to, _ := sent(t, actions(s), wire.SwarmRecord)
	slices.Sort(to)
	if !slices.Equal(to, []Peer{5, 6}) {
		t.Errorf("it went to %v", to)
	}
	if n := len(s.want.order); n > 0 {
		t.Errorf("%d pieces are missing because the record overtook them", n)
	}
}

func TestASeedKnowsItsChildFromTheChildsChildren(t *testing.T) {
	s := newSwarm(t, seedID, true, "tree")
	members := []wire.SignalMember{
		{ID: 2, Role: wire.RolePeer, Upload: true, Tier: 1, Group: 2},
		{ID: 5, Role: wire.RolePeer, Upload: true, Group: 2},
	}
	if err := s.SetFeed(t0, &wire.SignalFeed{Topology: "tree", Groups: []wire.SignalGroup{{Group: 2, Version: 1, Members: members}}}); err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		s.Connected(t0, m.ID, false, false)
		s.Receive(t0, m.ID, wire.AppendHello(nil, s.tag, &wire.Hello{Name: "match", Flags: wire.HelloUpload}), nil)
	}
	actions(s)
	p := pieces(t)
	s.Offer(at(1), p[0], 0)
	if to, _ := sent(t, actions(s), wire.SwarmPiece); !slices.Equal(to, []Peer{2}) {
		t.Errorf("it fed %v", to)
	}
	s.Disconnected(at(2), 2, "gone")
	actions(s)
	s.Offer(at(3), p[1], 0)
	if to, _ := sent(t, actions(s), wire.SwarmPiece); !slices.Equal(to, []Peer{5}) {
		t.Errorf("while the child is away it fed %v", to)
	}
}

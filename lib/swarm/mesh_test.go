package swarm

import (
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/wire"
)

func have(s *Swarm, ids ...segment.ID) []byte {
	var runs []wire.Run
	for _, id := range ids {
		runs, _ = wire.AppendToRuns(runs, id.Epoch, id.Seq, id.Index)
	}
	return wire.AppendHave(nil, s.tag, 0, runs)
}

// covered makes a member of a mesh one whom neighbours bring everything.
func covered(t *testing.T, p []segment.Record) *Swarm {
	t.Helper()
	s := newSwarm(t, 4, false, "mesh")
	meet(t, s, 6)
	s.SetWant(at(0), p[0].Piece.ID, Line{Epoch: 1000, DTS: 0, At: at(3000)})
	s.Receive(at(300), 2, message(s, p[0], 0), nil)
	if !s.Covers(at(300), p[1].Piece.ID) {
		t.Fatal("its neighbours do not cover what comes")
	}
	actions(s)
	return s
}

func TestInAMeshNobodyIsAskedForAPieceThatTheOriginStillBrings(t *testing.T) {
	p := pieces(t)
	s := newSwarm(t, 4, false, "mesh")
	meet(t, s, 6)
	s.SetWant(at(0), p[0].Piece.ID, Line{Epoch: 1000, DTS: 0, At: at(3000)})
	s.Receive(at(100), 2, have(s, p[0].Piece.ID), nil)
	s.Advance(at(120))
	if to, _ := sent(t, actions(s), wire.SwarmWant); len(to) > 0 {
		t.Errorf("%v were asked", to)
	}
}

func TestInAMeshAPieceIsAskedForOnceAndOfThoseWhoHaveIt(t *testing.T) {
	p := pieces(t)
	s := covered(t, p)
	s.Receive(at(310), 3, have(s, p[2].Piece.ID), nil) // p[1] is known to exist, but with nobody
	s.Receive(at(312), 5, have(s, p[2].Piece.ID), nil)
	s.Advance(at(320))
	to, msgs := sent(t, actions(s), wire.SwarmWant)
	if len(to) != 1 || to[0] != 3 && to[0] != 5 || len(msgs[0].Runs) != 1 || msgs[0].Runs[0].First != p[2].Piece.ID.Index {
		t.Fatalf("asked %v for %+v", to, msgs)
	}
	s.Advance(at(500))
	if again, _ := sent(t, actions(s), wire.SwarmWant); len(again) > 0 {
		t.Errorf("%v were asked while %v had time to answer", again, to)
	}
	// It says that it has no time: the other is asked at once.
	gone, _ := wire.AppendToRuns(nil, p[2].Piece.ID.Epoch, p[2].Piece.ID.Seq, p[2].Piece.ID.Index)
	s.Receive(at(510), to[0], wire.AppendGone(nil, s.tag, gone), nil)
	s.Advance(at(520))
	if other, _ := sent(t, actions(s), wire.SwarmWant); len(other) != 1 || other[0] != 8-to[0] {
		t.Errorf("then %v were asked", other)
	}
}

func TestInAMeshOneWhoDoesNotAnswerIsToldSoBeforeAnotherIsAsked(t *testing.T) {
	p := pieces(t)
	s := covered(t, p)
	s.Receive(at(310), 3, have(s, p[1].Piece.ID), nil)
	s.Receive(at(311), 5, have(s, p[1].Piece.ID), nil)
	s.Advance(at(320))
	first, _ := sent(t, actions(s), wire.SwarmWant)
	s.Advance(at(320).Add(2 * time.Second))
	list := actions(s)
	off, _ := sent(t, list, wire.SwarmCancel)
	then, _ := sent(t, list, wire.SwarmWant)
	if len(first) != 1 || !slices.Equal(off, first) || len(then) != 1 || then[0] == first[0] {
		t.Errorf("asked %v, called off %v, asked %v", first, off, then)
	}
}

func TestInAMeshOneWithALongQueueSaysSoAtOnce(t *testing.T) {
	p := pieces(t)
	s := covered(t, p)
	s.up.lone, s.up.loneFor = 8_000, 1 // bytes per second
	for i := 1; i < 10; i++ {
		s.Store(at(310), p[i], 0)
	}
	actions(s)
	var runs []wire.Run
	for i := 1; i < 10; i++ {
		id := p[i].Piece.ID
		runs, _ = wire.AppendToRuns(runs, id.Epoch, id.Seq, id.Index)
	}
	s.Receive(at(320), 3, wire.AppendWant(nil, s.tag, 0, 2000, runs), nil)
	list := actions(s)
	given, _ := sent(t, list, wire.SwarmPiece)
	_, busy := sent(t, list, wire.SwarmBusy)
	if len(given) == 0 || len(busy) != 1 {
		t.Errorf("it gave %d of nine and refused in %d messages", len(given), len(busy))
	}
}

func TestInAMeshTheOriginIsNotAskedForWhatANeighbourIsAboutToSend(t *testing.T) {
	p := pieces(t)
	s := covered(t, p)
	s.Receive(at(310), 3, have(s, p[2].Piece.ID), nil)
	if s.Turn(p[2].Piece.ID) || !s.Turn(p[1].Piece.ID) {
		t.Errorf("the origin's turn: %v for what was asked of a neighbour, %v for what nobody has", s.Turn(p[2].Piece.ID), s.Turn(p[1].Piece.ID))
	}
	gone, _ := wire.AppendToRuns(nil, p[2].Piece.ID.Epoch, p[2].Piece.ID.Seq, p[2].Piece.ID.Index)
	s.Receive(at(330), 3, wire.AppendBusy(nil, s.tag, gone), nil)
	if !s.Turn(p[2].Piece.ID) {
		t.Error("the neighbour will not send it, and the origin waits for him")
	}
}

func TestInAMeshAnAnswerMakesRoomForTheNextRequest(t *testing.T) {
	p := pieces(t)
	s := covered(t, p)
	n := s.peer(3)
	n.rate = 1000 // so that he may have two requests open
	var want []segment.ID
	for i := 1; i <= 4; i++ {
		want = append(want, p[i].Piece.ID)
	}
	s.Receive(at(310), 3, have(s, want...), nil)
	_, msgs := sent(t, actions(s), wire.SwarmWant)
	asked := map[segment.ID]bool{}
	note := func(msgs []wire.Swarm) (news int) {
		for _, m := range msgs {
			for _, r := range m.Runs {
				r.Each(func(i int) {
					asked[segment.ID{Epoch: r.Epoch, Seq: r.Seq, Index: i}] = true
					news++
				})
			}
		}
		return news
	}
	if n := note(msgs); n != pullOpen {
		t.Fatalf("at his word %d pieces were asked for, want %d", n, pullOpen)
	}
	for i := 1; i <= 4; i++ {
		if asked[p[i].Piece.ID] {
			s.Receive(at(320), 3, message(s, p[i], wire.PieceAsked), nil)
			break
		}
	}
	_, msgs = sent(t, actions(s), wire.SwarmWant)
	if n := note(msgs); n != 1 || len(asked) != pullOpen+1 {
		t.Errorf("at his answer %d were asked for, %d in all", n, len(asked))
	}
}

func TestInAMeshWhatIsFarIsLeftToOneOfManyAndWhatIsNearComesFromThere(t *testing.T) {
	p := pieces(t)
	s := covered(t, p)
	for _, n := range s.peers {
		n.priced, n.toll = true, uint32(n.id%2) // 3 and 5 are in another zone
	}
	wants := func() []Peer {
		to, _ := sent(t, actions(s), wire.SwarmWant)
		return to
	}
	s.Receive(at(310), 3, have(s, p[2].Piece.ID), nil)
	if s.Advance(at(311)); len(wants()) > 0 {
		t.Fatal("it was fetched from another zone at once")
	}
	s.Receive(at(312), 6, have(s, p[2].Piece.ID), nil)
	if s.Advance(at(320)); !slices.Equal(wants(), []Peer{6}) {
		t.Error("it was not asked of who is near and has it")
	}
	// Nobody near gets the next one: then it is fetched, in time.
	s.Receive(at(330), 5, have(s, p[3].Piece.ID), nil)
	s.Advance(at(330))
	early := wants()
	if s.Advance(at(330).Add(farWait)); len(early) > 0 || !slices.Equal(wants(), []Peer{5}) {
		t.Error("what only another zone has was not fetched after a while")
	}
}

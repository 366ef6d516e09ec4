package swarm

import (
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
)

// ids names pieces of the test's stream.
func ids(list []segment.Record, from, to int) (out []segment.ID) {
	for _, rec := range list[from:to] {
		out = append(out, rec.Piece.ID)
	}
	return out
}

func named(runs []wire.Run) (out []segment.ID) {
	for _, r := range runs {
		r.Each(func(i int) { out = append(out, segment.ID{Epoch: r.Epoch, Seq: r.Seq, Index: i}) })
	}
	return out
}

func TestARequestNamesOneTimeForWhatIsNeededAtAboutTheSame(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	meet(t, s, 6)
	p := pieces(t)
	dts := func(i int) int64 { return p[i].Piece.DTS }
	s.SetWant(t0, p[0].Piece.ID, Line{Epoch: 1000, At: at(1500)})
	for _, i := range []int{0, 4, 5, 6, 7} {
		s.Receive(t0, 2, message(s, p[i], 0), nil)
	}
	// 1 to 3 are needed soon behind 0, and 8 to 10 behind 7.
	if dts(7)-dts(0) < batchSpan.Milliseconds() {
		t.Fatalf("piece 7 is %d ms behind piece 0", dts(7)-dts(0))
	}
	s.Receive(t0, 5, wire.AppendHave(nil, s.tag, wire.HaveSnapshot, run1(ids(p, 0, 11)...)), nil)
	actions(s)
	s.Advance(at(10))
	to, msgs := sent(t, actions(s), wire.SwarmWant)
	if len(to) != 2 || to[0] != 5 || to[1] != 5 {
		t.Fatalf("asked %v, want two requests to 5", to)
	}
	for _, m := range msgs {
		first := m.Runs[0].First
		want := int64(1490) + dts(0)
		if first > 4 {
			want = 1490 + dts(7)
		}
		if got := named(m.Runs); len(got) != 3 || int64(m.Budget) != want {
			t.Errorf("a request for %v within %d ms, want three pieces within %d", got, m.Budget, want)
		}
	}
}

func TestWhoHasFallenFarBehindCatchesUp(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	meet(t, s, 6)
	p := pieces(t)
	s.SetWant(t0, p[0].Piece.ID, Line{Epoch: 1000, At: at(20_000)}) // a long way behind the edge
	s.Receive(t0, 5, wire.AppendHave(nil, s.tag, wire.HaveSnapshot, run1(ids(p, 0, 8)...)), nil)
	s.Advance(at(2000))
	if to, _ := sent(t, actions(s), wire.SwarmWant); len(to) > 0 {
		t.Errorf("asked %v at once for what may come by itself and is needed in 20 s", to)
	}
	s.Advance(t0.Add(horizon))
	if to, msgs := sent(t, actions(s), wire.SwarmWant); len(to) != 1 || len(named(msgs[0].Runs)) != 8 {
		t.Errorf("asked %v: what has been missing for so long does not come by itself", to)
	}
}

func TestAGroupCoversOnlyAsLongAsItBringsSomething(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	meet(t, s, 6)
	p := pieces(t)
	s.SetWant(t0, p[0].Piece.ID, Line{Epoch: 1000, At: at(1000)})
	if s.Covers(at(300), p[0].Piece.ID) {
		t.Error("nothing has come, and the neighbours are said to bring everything")
	}
	s.Receive(at(300), 2, message(s, p[3], 0), nil)
	if !s.Covers(at(310), p[0].Piece.ID) {
		t.Error("at home among neighbours who bring what is new, and still the origin is needed")
	}
	if s.Covers(at(2000), p[0].Piece.ID) {
		t.Error("the whole group has brought nothing for long, and is said to bring everything")
	}
	s.Disconnected(at(2000), 2, "gone")
	s.Disconnected(at(2000), 3, "gone")
	s.Disconnected(at(2000), 5, "gone")
	s.Receive(at(2100), 6, message(s, p[19], 0), nil)
	if s.Covers(at(2110), p[0].Piece.ID) {
		t.Error("one of five is left, who does not say that it has what is missing, and is said to bring everything")
	}
	s.Receive(at(2120), 6, wire.AppendHave(nil, s.tag, wire.HaveSnapshot, run1(ids(p, 0, 20)...)), nil)
	if !s.Covers(at(2130), p[0].Piece.ID) {
		t.Error("it says that it has all of it")
	}
}

// The origin brings what is needed in a moment, and nobody else is troubled for
// it; but when others have left, all ask it, and then neighbours are asked too:
// for what is late already two of them.
func TestWhenOthersHaveLeftTheOriginIsNotReliedOn(t *testing.T) {
	for _, left := range []bool{false, true} {
		s := newSwarm(t, 4, false, "balanced")
		meet(t, s, 6)
		p := pieces(t)
		s.SetWant(t0, p[0].Piece.ID, Line{Epoch: 1000, At: at(400), Backstop: 450 * time.Millisecond})
		s.Receive(t0, 5, wire.AppendHave(nil, s.tag, wire.HaveSnapshot, run1(ids(p, 0, 1)...)), nil)
		s.Receive(t0, 6, wire.AppendHave(nil, s.tag, wire.HaveSnapshot, run1(ids(p, 0, 1)...)), nil)
		if left {
			s.want.shake(t0)
		}
		s.Advance(at(100))
		to, _ := sent(t, actions(s), wire.SwarmWant)
		if (len(to) > 0) != left {
			t.Errorf("others have left: %v, and %v are asked", left, to)
		}
		if !left {
			continue
		}
		for now := 100; now < 1500 && len(to) < 3; now += 10 {
			s.SetWant(at(now), p[0].Piece.ID, Line{Epoch: 1000, At: at(400), Backstop: 450 * time.Millisecond})
			s.Advance(at(now))
			again, _ := sent(t, actions(s), wire.SwarmWant)
			to = append(to, again...)
			if n := len(again); n > 1 && now < 400 {
				t.Errorf("%v are asked at once before it is late", again)
			} else if n > 1 {
				return
			}
		}
		t.Errorf("nobody asks two for what is late: %v", to)
	}
}

// What was left to the origin is asked of neighbours in the moment in which it is known
// that the origin will not bring it.
func TestWhatTheOriginDoesNotBringIsAskedForAtOnce(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	meet(t, s, 6)
	p := pieces(t)
	line := Line{Epoch: 1000, At: at(400), Backstop: 450 * time.Millisecond}
	s.SetWant(t0, p[0].Piece.ID, line)
	s.Receive(t0, 5, wire.AppendHave(nil, s.tag, wire.HaveSnapshot, run1(ids(p, 0, 1)...)), nil)
	s.Advance(at(100))
	if to, _ := sent(t, actions(s), wire.SwarmWant); len(to) > 0 {
		t.Fatalf("%v are asked for what the origin brings", to)
	}
	line.Backstop = 0
	s.SetWant(at(150), p[0].Piece.ID, line)
	if next := s.NextTimeout(); next.After(at(150)) {
		t.Fatalf("nobody looks again before %v", next.Sub(t0))
	}
	s.Advance(at(150))
	if to, _ := sent(t, actions(s), wire.SwarmWant); len(to) == 0 {
		t.Error("the origin does not bring it, and nobody is asked")
	}
}

// A neighbour speaks of two pieces of a segment of which nothing is proved. The others
// before them must exist too; they are not asked for, as nobody says that he has
// them, and neither are they forgotten, with those that were spoken of.
func TestWhatIsSpokenOfIsKeptWithWhatStandsBeforeIt(t *testing.T) {
	for _, topo := range []string{"balanced", "mesh"} {
		s := newSwarm(t, 4, false, topo)
		meet(t, s, 6)
		p := pieces(t)
		s.SetWant(t0, p[0].Piece.ID, Line{Epoch: 1000, At: at(5000)})
		s.Receive(t0, 5, wire.AppendHave(nil, s.tag, wire.HaveSnapshot, run1(p[2].Piece.ID, p[5].Piece.ID)), nil)
		var asked []segment.ID
		for ms := 0; ms < 6000; ms += 20 {
			s.Advance(at(ms))
			to, msgs := sent(t, actions(s), wire.SwarmWant)
			for i, m := range msgs {
				if to[i] == 5 {
					asked = append(asked, named(m.Runs)...)
				}
			}
			open := map[Peer]int{}
			for _, m := range s.want.order {
				open[m.peer]++
			}
			for _, n := range s.peers {
				if n.asked != open[n.id] {
					t.Fatalf("%s: after %d ms %d requests are said to be open at %d, and are %d", topo, ms, n.asked, n.id, open[n.id])
				}
			}
			if n := len(s.want.order); n != 6 {
				t.Fatalf("%s: after %d ms %d pieces are missing, want 6", topo, ms, n)
			}
		}
		if !slices.Contains(asked, p[2].Piece.ID) || !slices.Contains(asked, p[5].Piece.ID) {
			t.Errorf("%s: the one who has them was asked for %v", topo, asked)
		}
		// When he is gone, nobody speaks of them any more.
		s.Disconnected(at(6000), 5, "gone")
		for ms := 6000; ms < 10_000; ms += 20 {
			s.Advance(at(ms))
			actions(s)
		}
		if n := len(s.want.order); n != 0 {
			t.Errorf("%s: he is gone, and %d pieces are missing", topo, n)
		}
	}
}

// All of a group lack the same pieces, and at once; one of them asks those above for
// each, and the others wait for him a moment.
func TestWhatAGroupNeedsAtOnceOneOfItAsksFor(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	members := []wire.SignalMember{{ID: 31, Role: wire.RolePeer, Upload: true, Group: 8, Tier: int8(topology.Above)}}
	for id := Peer(2); id < 7; id++ {
		if id != 4 {
			members = append(members, wire.SignalMember{ID: id, Role: wire.RolePeer, Upload: true, Group: 1})
		}
	}
	know(t, s, members)
	p := pieces(t)
	s.SetWant(t0, p[0].Piece.ID, Line{Epoch: 1000, At: at(300)})
	s.want.shake(t0)
	s.Receive(t0, 31, message(s, p[9], 0), nil) // all before it are late
	first := map[segment.ID]time.Time{}
	for ms := 10; ms < 1000; ms += 10 {
		s.Advance(at(ms))
		to, msgs := sent(t, actions(s), wire.SwarmWant)
		for i, m := range msgs {
			for _, id := range named(m.Runs) {
				if to[i] == 31 && first[id].IsZero() {
					first[id] = at(ms)
				}
			}
		}
	}
	mine := 0
	for i := 1; i < 9; i++ { // whoever begins asks for the very first himself
		id := p[i].Piece.ID
		at, soon := first[id], t0.Add(ownerWait)
		if s.ours(id) {
			mine++
		}
		if at.IsZero() || at.Before(soon) != s.ours(id) {
			t.Errorf("%v, ours: %v, is asked for after %v", id, s.ours(id), at.Sub(t0))
		}
	}
	if mine == 0 || mine == 8 {
		t.Errorf("%d of 8 are ours", mine)
	}
}

package swarm

import (
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
)

func TestWhatOneBelowNeedsIsNeededHereToo(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	stand(t, s)
	p := pieces(t)
	s.SetWant(t0, p[0].Piece.ID, Line{Epoch: 1000, At: at(20_000)}) // there is much in store
	s.Receive(at(0), 2, message(s, p[0], 0), nil)
	s.Receive(at(10), 3, message(s, p[2], 0), nil) // 1 is missing
	actions(s)
	s.Advance(at(1000))
	if to, _ := sent(t, actions(s), wire.SwarmWant); len(to) > 0 {
		t.Fatalf("asked %v for what is needed in 20 s", to)
	}
	s.Receive(at(1001), 11, wire.AppendWant(nil, s.tag, wire.WantUrgent, 300, run1(p[1].Piece.ID)), nil)
	s.Advance(at(1001).Add(gather))
	to, msgs := sent(t, actions(s), wire.SwarmWant)
	if len(to) != 1 || msgs[0].Flags&wire.WantUrgent == 0 {
		t.Fatalf("asked %v %+v, want one at once, and urgently", to, msgs)
	}
	s.Receive(at(1050), to[0], message(s, p[1], wire.PieceAsked), nil)
	if to, _ := sent(t, actions(s), wire.SwarmPiece); !slices.Contains(to, 11) {
		t.Errorf("it came, and went to %v", to)
	}
}

func TestASeedHandsAgainWhatThoseWhoLeftWereGiven(t *testing.T) {
	s := newSwarm(t, seedID, true, "balanced")
	meet(t, s, 6)
	p := pieces(t)
	s.Offer(at(0), p[0], 7)
	first, _ := copies(t, actions(s))
	var rest []wire.SignalMember
	for _, id := range []Peer{2, 3, 4, 5, 6} {
		if id != first[0] {
			rest = append(rest, wire.SignalMember{ID: id, Role: wire.RolePeer, Upload: true})
		}
	}
	feed := func(ms int, groups ...wire.SignalGroup) []Peer {
		if err := s.SetFeed(at(ms), &wire.SignalFeed{Groups: groups}); err != nil {
			t.Fatal(err)
		}
		to, spread := copies(t, actions(s))
		for id, on := range spread {
			if !on {
				t.Errorf("%d got a copy for itself alone", id)
			}
		}
		return to
	}
	if to := feed(100, wire.SignalGroup{Group: 1, Version: 2, Members: rest}); len(to) != 1 || to[0] == first[0] {
		t.Errorf("%v left with the piece, which goes to %v", first, to)
	}
	if to := feed(110, wire.SignalGroup{Group: 1, Version: 3, Members: rest[:3]}); len(to) > 1 {
		t.Errorf("one who may have had it is gone, and it goes to %v", to)
	}
	// A group that stands below the seed now has lost who fed it.
	members := []wire.SignalMember{{ID: 21, Role: wire.RolePeer, Upload: true}, {ID: 22, Role: wire.RolePeer, Upload: true}}
	for _, m := range members {
		s.Connected(at(115), m.ID, false, false)
		s.Receive(at(115), m.ID, wire.AppendHello(nil, s.tag, &wire.Hello{Name: "match", Flags: wire.HelloUpload}), nil)
	}
	actions(s)
	if to := feed(120, wire.SignalGroup{Group: 9, Version: 4, Members: members}); len(to) != 1 || to[0] < 21 {
		t.Errorf("to a new group it went by %v", to)
	}
	if to := feed(130, wire.SignalGroup{Group: 9, Version: 5, Members: members}); len(to) > 0 {
		t.Errorf("nothing has changed, and it goes to %v", to)
	}
}

func TestWhatWaitedForOneWhoLeftIsHandedToAnother(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	stand(t, s)
	p := pieces(t)
	was := map[uint64]bool{} // tags that have been acknowledged
	got := map[int]bool{}    // pieces that were sent below, to who stayed
	var gone Peer
	take := func(now time.Time) {
		s.Advance(now)
		for _, a := range actions(s) {
			if a.Kind != Send || a.Tag == 0 {
				continue
			}
			m, err := wire.ParseSwarm(slices.Concat(a.Data...))
			if err != nil {
				t.Fatal(err)
			}
			d, err := s.verify.ParsePiece(m.Piece.Descriptor)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 12 {
				if p[i].Piece.ID == d.ID && a.Peer > 10 && a.Peer != gone && gone != 0 {
					got[i] = true
				}
			}
			if gone != 0 && !was[a.Tag] {
				was[a.Tag] = true
				s.Delivered(now, a.Peer, a.Tag, Departure{})
			}
		}
	}
	for i := range 12 { // more than the first window
		s.Receive(at(i), seedID, message(s, p[i], wire.PieceDistribute), nil)
	}
	waiting := map[Peer]int{}
	for _, q := range s.give.queues[rankBelow] {
		waiting[q.n.id]++
		if waiting[q.n.id] > waiting[gone] {
			gone = q.n.id
		}
	}
	lost := map[int]bool{}
	for _, q := range s.give.queues[rankBelow] {
		for i := range 12 {
			if q.n.id == gone && q.h.piece.ID == p[i].Piece.ID {
				lost[i] = true
			}
		}
	}
	if len(lost) == 0 {
		t.Fatal("nothing waits")
	}
	s.Disconnected(at(50), gone, "killed")
	for id := range 14 {
		if n := s.peer(Peer(id)); n != nil {
			for _, x := range slices.Clone(n.away) {
				s.Delivered(at(55), n.id, x.tag, Departure{})
			}
		}
	}
	for i := range 20 {
		take(at(60 + 40*i))
	}
	for i := range lost {
		if !got[i] {
			t.Errorf("piece %d waited for %d, who left, and went to nobody else", i, gone)
		}
	}
}

func TestWhoSaysThatHeHasItButDoesNotSendItIsPassedOver(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	know(t, s, []wire.SignalMember{{ID: 2, Role: wire.RolePeer, Upload: true, Group: 1},
		{ID: 31, Role: wire.RolePeer, Upload: true, Group: 8, Tier: int8(topology.Above)}})
	p := pieces(t)
	s.SetWant(t0, p[0].Piece.ID, Line{Epoch: 1000, At: at(2000)})
	s.Receive(at(0), 2, message(s, p[0], 0), nil)
	s.Receive(at(1), 2, message(s, p[2], 0), nil)
	s.Receive(at(2), 2, wire.AppendHave(nil, s.tag, 0, run1(p[1].Piece.ID)), nil)
	actions(s)
	asked := map[Peer]time.Time{}
	for now := at(5); now.Before(at(2000)); now = now.Add(5 * time.Millisecond) {
		s.Advance(now)
		to, _ := sent(t, actions(s), wire.SwarmWant)
		for _, id := range to {
			if asked[id].IsZero() {
				asked[id] = now
			}
		}
	}
	if asked[2].IsZero() || asked[31].IsZero() || !asked[2].Before(asked[31]) || asked[31].After(at(1300)) {
		t.Errorf("asked %v: want the fellow, and while there is time one above", asked)
	}
}

func TestTheEndOfASegmentThatNobodySpokeOfIsLookedFor(t *testing.T) {
	p := pieces(t)
	end := func(came ...int) (s *Swarm, asked map[segment.ID]Peer) {
		s = newSwarm(t, 4, false, "balanced")
		stand(t, s)
		s.SetWant(t0, p[0].Piece.ID, Line{Epoch: 1000, At: at(1500)})
		for _, i := range came {
			s.Receive(at(100), 2, message(s, p[i], 0), nil)
		}
		s.Advance(at(900))
		asked = map[segment.ID]Peer{}
		to, msgs := sent(t, actions(s), wire.SwarmWant)
		for i, m := range msgs {
			for _, r := range m.Runs {
				r.Each(func(j int) { asked[segment.ID{Epoch: r.Epoch, Seq: r.Seq, Index: j}] = to[i] })
			}
		}
		return s, asked
	}
	// The last two of the first segment are lost, and the first of the second, which
	// says that they exist.
	_, asked := end(0, 1, 2, 3, 4, 5, 6, 10, 11)
	for _, i := range []int{7, 8, 9} {
		if asked[p[i].Piece.ID] == 0 {
			t.Errorf("nobody was asked for %v, but for %v", p[i].Piece.ID, asked)
		}
	}
	// Here nothing is missing but the first of the second: what was guessed at is
	// forgotten when two do not have it.
	s, asked := end(0, 1, 2, 3, 4, 5, 6, 7, 8, 12)
	none := segment.ID{Epoch: 1000, Seq: 0, Index: 9}
	for now := at(910); asked[none] != 0; now = now.Add(50 * time.Millisecond) {
		if now.After(at(1500)) {
			t.Fatal("what does not exist is asked for again and again")
		}
		s.Receive(now, asked[none], wire.AppendGone(nil, s.tag, run1(none)), nil)
		s.Advance(now.Add(gather))
		delete(asked, none)
		to, msgs := sent(t, actions(s), wire.SwarmWant)
		for i, m := range msgs {
			if slices.ContainsFunc(m.Runs, func(r wire.Run) bool { return r.Seq == 0 && r.First == 9 }) {
				asked[none] = to[i]
			}
		}
	}
	if s.want.misses[none] != nil {
		t.Error("what does not exist is still missing")
	}
}

func TestWhoHearsNothingAfterOthersHaveLeftAsksForWhatThereMustBe(t *testing.T) {
	p := pieces(t)
	silent := func(left bool) []segment.ID {
		s := newSwarm(t, 4, false, "balanced")
		stand(t, s)
		s.SetWant(t0, p[0].Piece.ID, Line{Epoch: 1000, At: at(-800)})
		for i, r := range p[:15] { // to the middle of the second segment
			s.Receive(at(10*i), 2, message(s, r, 0), nil)
		}
		if left {
			s.want.shake(at(200))
		}
		actions(s)
		for ms := 210; ms < 600; ms += 10 {
			s.Advance(at(ms))
		}
		var asked []segment.ID
		_, msgs := sent(t, actions(s), wire.SwarmWant)
		for _, m := range msgs {
			for _, r := range m.Runs {
				r.Each(func(i int) { asked = append(asked, segment.ID{Epoch: r.Epoch, Seq: r.Seq, Index: i}) })
			}
		}
		return asked
	}
	if asked := silent(false); len(asked) > 0 {
		t.Errorf("nobody has left, and it asks for %v", asked)
	}
	asked := silent(true) // the seed alone feeds this one, and has room for one request at a time
	if len(asked) == 0 {
		t.Error("it waits")
	}
	for _, id := range asked {
		if id.Compare(p[14].Piece.ID) <= 0 || id.Seq > 2 {
			t.Errorf("it asks for %v", id)
		}
	}
}

// A seed alone feeds us. It was slow, so that nobody would be asked sooner than it; but
// there is nobody, and what is needed now is asked of it again.
func TestWhoFeedsUsIsAskedHoweverSlowHeWas(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	know(t, s, []wire.SignalMember{{ID: seedID, Role: wire.RoleSeed, Upload: true}})
	p := pieces(t)
	s.SetWant(t0, p[0].Piece.ID, Line{Epoch: 1000, At: at(200)})
	s.Receive(t0, seedID, message(s, p[5], wire.PieceDistribute), nil)
	late := 0
	for ms := 10; ms < 2000; ms += 10 {
		if ms == 1000 { // more is missing now
			s.Receive(at(ms), seedID, message(s, p[9], wire.PieceDistribute), nil)
		}
		s.Advance(at(ms))
		_, msgs := sent(t, actions(s), wire.SwarmWant)
		for _, m := range msgs {
			for _, id := range named(m.Runs) {
				if id == p[7].Piece.ID && s.peer(seedID).shunned(at(ms)) {
					late++
				}
			}
		}
	}
	if late == 0 {
		t.Error("it was slow, and was not asked any more")
	}
}

// One above who does not have a piece keeps our request. When he is late another is
// asked, and whoever has it first sends it; then all others are told.
func TestOneAboveWhoIsLateKeepsTheRequest(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	know(t, s, []wire.SignalMember{
		{ID: 31, Role: wire.RolePeer, Upload: true, Group: 8, Tier: int8(topology.Above)},
		{ID: 32, Role: wire.RolePeer, Upload: true, Group: 8, Tier: int8(topology.Above)},
	})
	p := pieces(t)
	s.SetWant(t0, p[1].Piece.ID, Line{Epoch: 1000, At: at(300)})
	s.Receive(t0, 31, message(s, p[2], 0), nil)
	var asked, off []Peer
	for ms := 10; ms < 2000 && len(asked) < 2; ms += 10 {
		s.Advance(at(ms))
		list := actions(s)
		to, _ := sent(t, list, wire.SwarmWant)
		asked = append(asked, to...)
		to, _ = sent(t, list, wire.SwarmCancel)
		off = append(off, to...)
	}
	if len(asked) != 2 || asked[0] == asked[1] || len(off) > 0 {
		t.Fatalf("asked %v, called off at %v", asked, off)
	}
	s.Receive(at(2000), asked[0], message(s, p[1], wire.PieceAsked), nil)
	if to, _ := sent(t, actions(s), wire.SwarmCancel); !slices.Equal(to, asked[1:]) && !slices.Contains(to, asked[1]) {
		t.Errorf("it came from %d, and it was called off at %v", asked[0], to)
	}
}

// Two groups of a seed's lack a piece. That one of the first was sent it is no help to
// the second.
func TestASeedAnswersEachGroupForItself(t *testing.T) {
	s := newSwarm(t, seedID, true, "balanced")
	meet(t, s, 6)
	p := pieces(t)
	s.Offer(at(0), p[0], 7)
	id := p[0].Piece.ID
	members := func(ids ...Peer) (list []wire.SignalMember) {
		for _, id := range ids {
			list = append(list, wire.SignalMember{ID: id, Role: wire.RolePeer, Upload: true})
		}
		return list
	}
	for _, a := range actions(s) {
		if a.Tag != 0 {
			s.Delivered(at(20), a.Peer, a.Tag, Departure{})
		}
	}
	if err := s.SetFeed(at(30), &wire.SignalFeed{Groups: []wire.SignalGroup{{Group: 1, Version: 2, Members: members(2, 3)}, {Group: 2, Version: 1, Members: members(4, 5, 6)}}}); err != nil {
		t.Fatal(err)
	}
	for _, a := range actions(s) {
		if a.Tag != 0 {
			s.Delivered(at(40), a.Peer, a.Tag, Departure{})
		}
	}
	later := at(40).Add(s.chance())
	first := map[int]time.Duration{}
	var lacking [2][]Peer
	for k, group := range [][]Peer{{2, 3}, {4, 5, 6}} {
		for _, who := range group {
			if n := s.peer(who); !n.have.has(id) {
				if n.sent(id) == nil {
					lacking[k] = append(lacking[k], who)
				}
			}
		}
		for _, who := range lacking[k] {
			s.Receive(later, who, wire.AppendWant(nil, s.tag, 0, 0, run1(id)), nil)
		}
	}
	for d := time.Duration(0); d < s.chance()*3/4; d += 5 * time.Millisecond {
		s.Advance(later.Add(d))
		to, _ := sent(t, actions(s), wire.SwarmPiece)
		for _, who := range to {
			for k := range lacking {
				if _, ok := first[k]; !ok && slices.Contains(lacking[k], who) {
					first[k] = d
				}
			}
		}
	}
	for k := range lacking {
		if _, ok := first[k]; !ok && len(lacking[k]) > 0 {
			t.Errorf("of group %d nobody was answered, of %v", k+1, lacking[k])
		}
	}
}

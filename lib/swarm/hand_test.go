package swarm

import (
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
)

// copies returns who is sent a piece, and whether to hand it on.
func copies(t *testing.T, list []Action) (to []Peer, spread map[Peer]bool) {
	t.Helper()
	spread = map[Peer]bool{}
	peers, msgs := sent(t, list, wire.SwarmPiece)
	for i, m := range msgs {
		spread[peers[i]] = m.Piece.Flags&wire.PieceDistribute != 0
	}
	slices.Sort(peers)
	return peers, spread
}

// below returns those of a list who are of the group below.
func below(list []Peer) (out []Peer) {
	for _, id := range list {
		if id > 10 {
			out = append(out, id)
		}
	}
	return out
}

func TestAnOwnerHandsItsPieceToOneBelowWhoShallHandItOn(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	stand(t, s)
	p := pieces(t)
	entries := map[Peer]int{}
	for i := range 30 {
		now := at(100 * i)
		s.Receive(now, seedID, message(s, p[i], wire.PieceDistribute), nil)
		list := actions(s)
		to, spread := copies(t, list)
		if len(to) != 5 || !slices.Equal(to[:4], []Peer{2, 3, 5, 6}) {
			t.Fatalf("piece %d went to %v, want all fellows and one below", i, to)
		}
		entry := to[4]
		entries[entry]++
		for id, on := range spread {
			if on != (id == entry) {
				t.Errorf("%d is to hand piece %d on: %v", id, i, on)
			}
		}
		for _, a := range list {
			if a.Kind == Send && a.Tag != 0 {
				s.Delivered(now.Add(20*time.Millisecond), a.Peer, a.Tag, Departure{})
			}
		}
	}
	if len(entries) != 3 || entries[11] < 8 || entries[12] < 8 || entries[13] < 8 {
		t.Errorf("of 30 pieces the three below were handed %v", entries)
	}
}

func TestAMemberHandsAPieceToAnotherBelowWhenItIsNotAcknowledged(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	stand(t, s)
	p := pieces(t)
	s.Receive(t0, seedID, message(s, p[0], wire.PieceDistribute), nil)
	list := actions(s)
	to, _ := copies(t, list)
	first := to[4]
	for _, a := range list {
		if a.Kind == Send && a.Tag != 0 && a.Peer != first {
			s.Delivered(at(20), a.Peer, a.Tag, Departure{})
		}
	}
	s.Advance(at(0).Add(ackMin - time.Millisecond))
	if to, _ := copies(t, actions(s)); len(to) > 0 {
		t.Fatalf("handed on to %v before its time", to)
	}
	late := t0.Add(2 * ackMin)
	s.Advance(late)
	list = actions(s)
	to, spread := copies(t, list)
	if len(to) != 1 || to[0] == first || to[0] < 10 || !spread[to[0]] {
		t.Fatalf("handed to %d and then to %v, want another below", first, to)
	}
	if c := find(list, Cancel); c == nil || c.Peer != first {
		t.Errorf("the first was not called off: %+v", c)
	}
	// Both are slow: the third.
	s.Advance(late.Add(2 * ackMin))
	list = actions(s)
	third, _ := copies(t, list)
	for _, a := range list {
		if a.Kind == Send && a.Tag != 0 {
			s.Delivered(late.Add(2*ackMin+20*time.Millisecond), a.Peer, a.Tag, Departure{})
		}
	}
	if len(third) != 1 || third[0] == first || third[0] == to[0] {
		t.Errorf("then handed to %v", third)
	}
	// Who failed is not given the next.
	for i := range 6 {
		now := late.Add(3*ackMin + time.Duration(i)*50*time.Millisecond)
		s.Receive(now, seedID, message(s, p[1+i], wire.PieceDistribute), nil)
		list := actions(s)
		to, _ := copies(t, list)
		if got := below(to); !slices.Equal(got, third) {
			t.Errorf("piece %d is handed to %v, want %v: the others have just failed", 1+i, got, third)
		}
		for _, a := range list {
			if a.Kind == Send && a.Tag != 0 {
				s.Delivered(now.Add(20*time.Millisecond), a.Peer, a.Tag, Departure{})
			}
		}
	}
	// One who leaves without a word is replaced at once.
	now := late.Add(4*ackMin + 300*time.Millisecond)
	s.Receive(now, seedID, message(s, p[8], wire.PieceDistribute), nil)
	actions(s)
	s.Disconnected(now.Add(time.Millisecond), third[0], "gone")
	if to, _ := copies(t, actions(s)); len(below(to)) != 1 || to[0] == third[0] {
		t.Errorf("%d has left, and its piece goes to %v", third[0], to)
	}
}

func TestWhatComesTwiceToBeHandedOnIsHandedOnOnce(t *testing.T) {
	p := pieces(t)
	pushed := func(s *Swarm) int {
		to, _ := copies(t, actions(s))
		return len(to)
	}
	room := func() *Swarm {
		s := newSwarm(t, 4, false, "balanced")
		stand(t, s)
		return s
	}
	distribute := func(s *Swarm, ms int, from Peer) {
		s.Receive(at(ms), from, message(s, p[0], wire.PieceDistribute), nil)
	}

	s := room()
	distribute(s, 0, seedID)
	if n := pushed(s); n != 5 {
		t.Errorf("handed to %d", n)
	}
	distribute(s, 1, seedID)
	distribute(s, 2, 3)
	if n := pushed(s); n != 0 {
		t.Errorf("it comes again, and is handed to %d once more", n)
	}

	// A fellow has handed it round already.
	s = room()
	s.Receive(at(0), 2, message(s, p[0], 0), nil)
	distribute(s, 1, seedID)
	if n := pushed(s); n != 0 {
		t.Errorf("a fellow has handed it round, and so does this one, to %d", n)
	}

	// The origin was faster: those who wait for us wait all the same.
	for i := range 40 {
		s = room()
		s.Store(at(0), p[i], 0)
		first := pushed(s)
		s.Receive(at(10), seedID, message(s, p[i], wire.PieceDistribute), nil)
		second := pushed(s)
		if first+second != 0 && first+second != 5 {
			t.Errorf("piece %d was handed to %d when the origin brought it, and to %d when the seed did", i, first, second)
		}
	}
}

func TestWhatAMemberHadToFetchItHandsOnIfTheOthersWaitForIt(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	stand(t, s)
	owned, told := 0, 0
	list := pieces(t)[:60]
	for i, rec := range list {
		s.Store(at(20*i), rec, 0)
		s.Advance(at(20 * i).Add(tellSoon))
		acts := actions(s)
		to, _ := copies(t, acts)
		haves, _ := sent(t, acts, wire.SwarmHave)
		switch {
		case len(to) == 5:
			owned++
		case len(to) == 0 && len(haves) == 4:
			told++
		default:
			t.Fatalf("piece %d went to %v, and %v heard of it", i, to, haves)
		}
		for _, a := range acts {
			if a.Kind == Send && a.Tag != 0 {
				s.Delivered(at(20*i+10), a.Peer, a.Tag, Departure{})
			}
		}
	}
	if owned < len(list)/5*7/10 || owned > len(list)/5*13/10 {
		t.Errorf("of %d pieces it was the owner of %d, want about a fifth", len(list), owned)
	}
}

// Those above do not see what comes here from elsewhere. What they were to hand to
// us waits in their queues meanwhile, and would come all the same.
func TestWhoHadToFetchAPieceTellsThoseAboveToo(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	members := []wire.SignalMember{{ID: seedID, Role: wire.RoleSeed, Upload: true}}
	for _, id := range []Peer{2, 3, 5, 11, 12} {
		m := wire.SignalMember{ID: id, Role: wire.RolePeer, Upload: true, Group: 1}
		if id > 10 {
			m.Tier, m.Group = int8(topology.Above), 7
		}
		members = append(members, m)
	}
	know(t, s, members)
	above := func(ms int) (to []Peer) {
		s.Advance(at(ms))
		haves, _ := sent(t, actions(s), wire.SwarmHave)
		for _, p := range haves {
			if p > 10 {
				to = append(to, p)
			}
		}
		return to
	}
	list := pieces(t)
	s.Store(t0, list[0], 0)
	if to := above(5); !slices.Equal(to, []Peer{11, 12}) {
		t.Errorf("the origin brought a piece: of those above %v hear of it", to)
	}
	s.Receive(at(10), 11, message(s, list[1], wire.PieceDistribute), nil)
	if to := above(900); len(to) > 0 {
		t.Errorf("one above handed it to us: %v hear of it", to)
	}
	// While the origin has streamed for long, copies are to come: else nobody here
	// would see that neighbours bring it all again.
	s.SetWant(at(1000), list[2].Piece.ID, Line{Epoch: 1000, DTS: list[2].Piece.DTS, At: at(1500), Backstop: 300 * time.Millisecond, Streams: true})
	s.Store(at(2900), list[2], 0)
	if to := above(2905); len(to) != 2 {
		t.Errorf("a stream's first pieces: of those above %v hear of them", to)
	}
	s.Store(at(3100), list[3], 0)
	s.Advance(at(3110))
	if to, _ := sent(t, actions(s), wire.SwarmHave); len(to) > 0 {
		t.Errorf("after two seconds of a stream %v call off what they send", to)
	}
	// At the other end it is taken out of the queue.
	o := newSwarm(t, 11, false, "balanced")
	stand(t, o)
	o.up.leave = at(10_000)
	o.Receive(t0, seedID, message(o, list[0], wire.PieceDistribute), nil)
	waits := o.give.bytes
	for _, id := range []Peer{11, 12, 13} {
		if o.peer(id) != nil {
			o.Receive(at(1), id, wire.AppendHave(nil, o.tag, 0, run1(list[0].Piece.ID)), nil)
		}
	}
	if waits == 0 || o.give.bytes >= waits {
		t.Errorf("%d bytes waited, and %d still do", waits, o.give.bytes)
	}
}

func TestWhereNobodyBelowGivesEverybodyGetsACopy(t *testing.T) {
	s := newSwarm(t, seedID, true, "balanced")
	meet(t, s, 4)
	p := pieces(t)
	s.Offer(t0, p[0], 7)
	if to, spread := copies(t, actions(s)); len(to) != 1 || !spread[to[0]] {
		t.Fatalf("handed to %v", to)
	}
	for _, id := range []Peer{2, 3, 4} {
		s.Receive(t0, id, wire.AppendHello(nil, s.tag, &wire.Hello{Name: "match", Flags: wire.HelloReply}), nil)
	}
	s.Offer(at(100), p[1], 7)
	to, spread := copies(t, actions(s))
	if !slices.Equal(to, []Peer{2, 3, 4}) || spread[2] || spread[3] || spread[4] {
		t.Errorf("nobody gives, and the piece went to %v (to be handed on: %v)", to, spread)
	}
}

func TestAPieceFromOneWhomTheListDoesNotHaveYetGoesToAllFellows(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	stand(t, s)
	greets(s, 0, 77, wire.HelloUpload) // it stands above now, and the tracker's word is on its way
	p := pieces(t)
	actions(s)
	s.Receive(at(1), 77, message(s, p[0], wire.PieceDistribute), nil)
	if to, _ := copies(t, actions(s)); len(to) < 4 || !slices.Equal(to[:4], []Peer{2, 3, 5, 6}) {
		t.Errorf("handed to %v", to)
	}
}

func TestTheNeighboursHearWhatTheUplinkCarries(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	stand(t, s)
	s.Receive(t0, seedID, message(s, pieces(t)[0], wire.PieceDistribute), nil) // so this seed feeds us
	actions(s)
	heard := map[Peer][]uint64{}
	w := newWireOut(s, 250e3)
	all := pieces(t)
	for _, rec := range all[:40] {
		s.Receive(t0, 2, message(s, rec, 0), nil)
	}
	w.take(t, t0)
	play := func(from, seconds int) {
		for ms := 1000 * from; ms < 1000*(from+seconds); ms += 100 {
			for _, who := range []Peer{3, 5, 6} {
				s.Receive(at(ms), who, wire.AppendWant(nil, s.tag, 0, 2000, run1(ids(all, 1, 40)...)), nil)
			}
			for i := range 20 {
				now := at(ms + 5*i)
				s.Advance(now)
				list := w.take(t, now)
				to, msgs := sent(t, list, wire.SwarmHello)
				for j, id := range to {
					heard[id] = append(heard[id], msgs[j].Hello.UplinkKbps)
				}
				for len(w.acks) > 0 && !w.acks[0].at.After(now) {
					k := w.acks[0]
					w.acks = w.acks[1:]
					s.Delivered(now, k.peer, k.tag, Departure{k.left, k.left.Sub(k.sent)})
				}
			}
		}
	}
	play(0, 15)
	for _, id := range []Peer{seedID, 2, 3, 5, 6, 11, 12, 13} {
		if n := len(heard[id]); n == 0 || n > 3 {
			t.Errorf("in 15 s %d hears of the uplink %d times: %v", id, n, heard[id])
		} else if last := heard[id][n-1]; last < 1500 || last > 2600 {
			t.Errorf("%d hears of %d kbit/s, and it carries 2000", id, last)
		}
	}
	// It gets slower by far: that is told step by step, as the mean forgets.
	w.rate = 60e3
	clear(heard)
	play(15, 30)
	if n := len(heard[3]); n == 0 || n > 8 || heard[3][n-1] > 900 {
		t.Errorf("it carries 480 kbit/s now, and 3 hears of %v", heard[3])
	}
}

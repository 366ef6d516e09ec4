package swarm

import (
	"slices"
	"testing"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
)

// stream is the made-up stream's init and pieces, and where its keyframes are.
func stream(t *testing.T) (init segment.Record, p []segment.Record, keys []int) {
	t.Helper()
	for _, rec := range records() {
		switch {
		case rec.Kind == segment.KindInit:
			init = rec
		case rec.Kind != segment.KindPiece:
		case len(rec.Piece.Keyframes) > 0:
			keys = append(keys, len(p))
			fallthrough
		default:
			p = append(p, rec)
		}
	}
	if init.Init == nil || len(keys) < 4 {
		t.Fatalf("an init: %v, and keyframes in %v", init.Init != nil, keys)
	}
	return init, p, keys
}

// greets lets a peer say hello.
func greets(s *Swarm, ms int, id Peer, flags byte) {
	s.Connected(at(ms), id, false, true)
	s.Receive(at(ms), id, wire.AppendHello(nil, s.tag, &wire.Hello{Name: "match", Flags: flags}), nil)
}

// keysIn returns who was told where to begin, and where.
func keysIn(t *testing.T, list []Action) (to []Peer, where []segment.ID) {
	t.Helper()
	peers, msgs := sent(t, list, wire.SwarmHave)
	for i, m := range msgs {
		if m.Flags&wire.HaveKey != 0 {
			to, where = append(to, peers[i]), append(where, named(m.Runs)...)
		}
	}
	return to, where
}

func TestANewcomerIsToldWhereToBeginAndGetsTheInit(t *testing.T) {
	init, p, keys := stream(t)
	s := newSwarm(t, 4, false, "balanced")
	meet(t, s, 6)
	s.Store(t0, init, 0)
	for _, rec := range p[:keys[1]+3] {
		s.Receive(t0, 2, message(s, rec, 0), nil)
	}
	actions(s)
	greets(s, 10, 8, wire.HelloUpload)
	if to, _ := keysIn(t, actions(s)); len(to) > 0 {
		t.Errorf("one who plays already is told where to begin: %v", to)
	}
	greets(s, 20, 9, wire.HelloUpload|wire.HelloStart)
	list := actions(s)
	to, where := keysIn(t, list)
	if !slices.Equal(to, []Peer{9}) || where[0] != p[keys[1]].Piece.ID {
		t.Errorf("%v are told to begin at %v, want 9 at %v", to, where, p[keys[1]].Piece.ID)
	}
	to, msgs := sent(t, list, wire.SwarmInit)
	if !slices.Equal(to, []Peer{9}) || string(msgs[0].Init.Body) != string(init.Body) {
		t.Errorf("the init went to %v", to)
	}
	// It may not have begun yet: it hears of the next keyframe too, but of none
	// behind the one with which it says that it has begun.
	feed := func(ms, from, to int) {
		for _, rec := range p[from:to] {
			s.Receive(at(ms), 2, message(s, rec, 0), nil)
		}
	}
	feed(30, keys[1]+3, keys[2]+1)
	if to, where := keysIn(t, actions(s)); !slices.Equal(to, []Peer{9}) || where[0] != p[keys[2]].Piece.ID {
		t.Errorf("%v are told of the next keyframe: %v", to, where)
	}
	began := p[keys[2]].Piece.ID
	s.Receive(at(40), 9, wire.AppendFrom(nil, s.tag, wire.Run{Epoch: began.Epoch, Seq: began.Seq, First: began.Index, Bits: []byte{1}}), nil)
	feed(50, keys[2]+1, keys[3]+1)
	if to, _ := keysIn(t, actions(s)); len(to) > 0 {
		t.Errorf("%v are told, and have begun", to)
	}
	// What is before that, it is not sent.
	s.Receive(at(60), 9, wire.AppendWant(nil, s.tag, wire.WantUrgent, 0, run1(ids(p, keys[1], keys[1]+2)...)), nil)
	if to, _ := sent(t, actions(s), wire.SwarmPiece); len(to) > 0 {
		t.Errorf("it is sent what is before its start")
	}
}

func TestANewcomerWhoCameBeforeTheFirstKeyframeIsToldOfIt(t *testing.T) {
	init, p, keys := stream(t)
	s := newSwarm(t, 4, false, "balanced")
	meet(t, s, 6)
	greets(s, 0, 9, wire.HelloUpload|wire.HelloStart)
	if to, _ := keysIn(t, actions(s)); len(to) > 0 {
		t.Errorf("with nothing to play it tells %v where to begin", to)
	}
	body := append(wire.AppendInitHead(nil, s.tag, segment.AppendStored(nil, &init, "")), init.Body...)
	s.Receive(at(10), 2, body, nil)
	if to, _ := sent(t, actions(s), wire.SwarmInit); !slices.Equal(to, []Peer{9}) {
		t.Errorf("the init that has come goes to %v, want 9", to)
	}
	s.Receive(at(20), 2, message(s, p[keys[0]], 0), nil)
	if to, where := keysIn(t, actions(s)); !slices.Equal(to, []Peer{9}) || where[0] != p[keys[0]].Piece.ID {
		t.Errorf("%v are told to begin at %v", to, where)
	}
}

func TestTheEntryIsTheNewestThatNeighboursNameInAMoment(t *testing.T) {
	_, p, keys := stream(t)
	s := newSwarm(t, 4, false, "balanced")
	meet(t, s, 6)
	say := func(ms int, from Peer, id segment.ID) {
		s.Receive(at(ms), from, wire.AppendHave(nil, s.tag, wire.HaveKey, run1(id)), nil)
	}
	if h, err := wire.ParseSwarm(s.Hello()); err != nil || h.Hello.Flags&wire.HelloStart == 0 {
		t.Errorf("a newcomer's HELLO does not say that it is one: %+v, %v", h.Hello, err)
	}
	if id, ok := s.Entry(at(0)); ok {
		t.Errorf("nobody has said anything, and it begins at %v", id)
	}
	say(0, 2, p[keys[0]].Piece.ID)
	if _, ok := s.Entry(at(1)); ok {
		t.Error("the first who says something may be behind")
	}
	say(10, 3, p[keys[1]].Piece.ID)
	say(15, 5, p[keys[0]].Piece.ID)
	if wake := s.NextTimeout(); wake.IsZero() || wake.After(t0.Add(keyGather)) {
		t.Errorf("it wakes at %v to begin", wake)
	}
	if id, ok := s.Entry(t0.Add(keyGather)); !ok || id != p[keys[1]].Piece.ID {
		t.Errorf("it begins at %v (%v), want %v", id, ok, p[keys[1]].Piece.ID)
	}
	// What comes before it has begun is better still.
	s.Receive(at(50), 2, message(s, p[keys[2]], 0), nil)
	if id, _ := s.Entry(at(50)); id != p[keys[2]].Piece.ID {
		t.Errorf("it begins at %v, and has %v", id, p[keys[2]].Piece.ID)
	}
	// A key far ahead of all that is known is nobody's.
	far := p[keys[2]].Piece.ID
	far.Seq += 1000
	say(60, 6, far)
	if id, _ := s.Entry(at(60)); id == far {
		t.Error("a word alone sends it a thousand segments ahead")
	}
	s.SetWant(at(70), p[keys[2]].Piece.ID, Line{})
	if h, err := wire.ParseSwarm(s.Hello()); err != nil || h.Hello.Flags&wire.HelloStart != 0 {
		t.Errorf("it has begun, and says %+v, %v", h.Hello, err)
	}
}

func TestNewcomersPassOnWhereToBeginBeforeTheyCanThemselves(t *testing.T) {
	_, p, keys := stream(t)
	s := newSwarm(t, 4, false, "balanced")
	stand(t, s)
	for _, id := range []Peer{2, 5, 11} {
		s.Receive(t0, id, wire.AppendHello(nil, s.tag, &wire.Hello{Name: "match", Flags: wire.HelloUpload | wire.HelloStart | wire.HelloReply}), nil)
	}
	s.peer(5).tier = topology.Above
	actions(s)
	s.Receive(at(1), 3, wire.AppendHave(nil, s.tag, wire.HaveKey, run1(p[keys[0]].Piece.ID)), nil)
	to, where := keysIn(t, actions(s))
	if !slices.Equal(to, []Peer{2, 11}) || where[0] != p[keys[0]].Piece.ID {
		t.Errorf("%v are told %v, want those who wait and are not above", to, where)
	}
	s.Receive(at(2), 6, wire.AppendHave(nil, s.tag, wire.HaveKey, run1(p[keys[0]].Piece.ID)), nil)
	if to, _ := keysIn(t, actions(s)); len(to) > 0 {
		t.Errorf("%v are told what is no news", to)
	}
}

func TestTheFirstPictureComesFirst(t *testing.T) {
	_, p, keys := stream(t)
	s := newSwarm(t, 4, false, "balanced")
	meet(t, s, 6)
	s.Receive(t0, 3, wire.AppendHave(nil, s.tag, wire.HaveSnapshot, run1(ids(p, 0, keys[1]+20)...)), nil)
	s.SetWant(at(1), p[keys[1]].Piece.ID, Line{})
	s.Advance(at(10))
	var asked []segment.ID
	_, msgs := sent(t, actions(s), wire.SwarmWant)
	for _, m := range msgs {
		if m.Flags&wire.WantUrgent == 0 {
			t.Errorf("the first picture is asked for as if it could wait: %v", named(m.Runs))
		}
		asked = append(asked, named(m.Runs)...)
	}
	if want := ids(p, keys[1], keys[1]+startAhead); !slices.Equal(asked, want) {
		t.Errorf("asked for %v, want %v", asked, want)
	}
}

func TestOneWithHolesSaysWhereItsNewestKeyframeIs(t *testing.T) {
	_, p, keys := stream(t)
	s := newSwarm(t, 4, false, "balanced")
	meet(t, s, 6)
	s.Receive(t0, 2, message(s, p[keys[1]], 0), nil)
	for i := keys[1] + 2; i < keys[2]; i += 2 { // every second piece: it came in a crowd itself
		s.Receive(at(i), 2, message(s, p[i], 0), nil)
	}
	actions(s)
	greets(s, 2000, 9, wire.HelloUpload|wire.HelloStart)
	if to, where := keysIn(t, actions(s)); !slices.Equal(to, []Peer{9}) || where[0] != p[keys[1]].Piece.ID {
		t.Errorf("%v are told to begin at %v, want 9 at %v", to, where, p[keys[1]].Piece.ID)
	}
}

func TestTheFirstPieceIsAskedOfTwoAtOnceWhoeversTurnItIs(t *testing.T) {
	_, p, keys := stream(t)
	for _, key := range keys {
		s := newSwarm(t, 4, false, "balanced")
		know(t, s, []wire.SignalMember{
			{ID: 2, Role: wire.RolePeer, Upload: true, Group: 1}, {ID: 3, Role: wire.RolePeer, Upload: true, Group: 1},
			{ID: 31, Role: wire.RolePeer, Upload: true, Group: 8, Tier: int8(topology.Above)},
			{ID: 32, Role: wire.RolePeer, Upload: true, Group: 8, Tier: int8(topology.Above)}})
		id := p[key].Piece.ID
		s.Receive(t0, 31, wire.AppendHave(nil, s.tag, wire.HaveKey, run1(id)), nil)
		s.SetWant(at(1), id, Line{})
		s.Advance(at(1).Add(gather))
		to, msgs := sent(t, actions(s), wire.SwarmWant)
		if len(to) != 2 || to[0] == to[1] || to[0] < 31 || to[1] < 31 {
			t.Errorf("piece %v is asked of %v, want both who stand above", id, to)
		}
		for _, m := range msgs {
			if m.Flags&wire.WantUrgent == 0 || !slices.Contains(named(m.Runs), id) {
				t.Errorf("asked: %+v", m)
			}
		}
	}
}

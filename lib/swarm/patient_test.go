package swarm

import (
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/wire"
)

// Who joins a room before he plays it, as a viewer does who goes over to a lower
// rendition because his link is full, lacks some seconds of it. He asks viewers, in the
// stream's order and for a few pieces at a time, so that what he needs first comes first;
// the seed, who would send faster, only for what is urgent.
func TestWhoIsPatientAsksViewersInOrderForAFewPieces(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced", func(c *Config) { c.Patient = true })
	meet(t, s, 6)
	p := pieces(t)
	s.SetWant(t0, p[0].Piece.ID, Line{Epoch: 1000, At: at(2000)})
	s.Receive(t0, 2, message(s, p[0], 0), nil)
	for _, from := range []Peer{seedID, 5, 6} {
		s.Receive(t0, from, wire.AppendHave(nil, s.tag, wire.HaveSnapshot, run1(ids(p, 0, 11)...)), nil)
	}
	actions(s)
	asked := func(now time.Time) (list []segment.ID, seed bool) {
		s.Advance(now)
		to, msgs := sent(t, actions(s), wire.SwarmWant)
		for i, m := range msgs {
			list = append(list, named(m.Runs)...)
			seed = seed || to[i] == seedID
		}
		slices.SortFunc(list, segment.ID.Compare)
		return list, seed
	}
	list, seed := asked(at(400))
	if !slices.Equal(list, ids(p, 1, 1+patientOpen)) || seed {
		t.Fatalf("asked for %v, the seed among others: %v", list, seed)
	}
	s.Receive(at(450), 5, message(s, p[1], wire.PieceAsked), nil)
	s.Receive(at(450), 5, message(s, p[2], wire.PieceAsked), nil)
	list, seed = asked(at(550))
	if !slices.Equal(list, ids(p, 1+patientOpen, 3+patientOpen)) || seed {
		t.Errorf("two have come; asked for %v, the seed among others: %v", list, seed)
	}
}

// Where there is nobody else the seed is asked, but not before it is urgent.
func TestWhoIsPatientAsksTheSeedForWhatIsUrgent(t *testing.T) {
	first := func(patient bool) int {
		s := newSwarm(t, 4, false, "balanced", func(c *Config) { c.Patient = patient })
		meet(t, s, 2)
		p := pieces(t)
		s.SetWant(t0, p[0].Piece.ID, Line{Epoch: 1000, At: at(2000)})
		s.Receive(t0, 2, message(s, p[0], 0), nil)
		s.Receive(t0, 2, message(s, p[6], 0), nil) // the others are missing
		actions(s)
		for ms := 10; ms < 3000; ms += 10 {
			s.Advance(at(ms))
			if to, _ := sent(t, actions(s), wire.SwarmWant); slices.Contains(to, seedID) {
				return ms
			}
		}
		t.Fatal("the seed was not asked")
		return 0
	}
	if soon, late := first(false), first(true); soon > 1000 || late < 1500 || late > 2000 {
		t.Errorf("the seed is asked after %d ms, by one who is patient after %d, for what is needed after 2000", soon, late)
	}
}

// Who joins behind the edge says so: what he does not ask for is sent to the others
// alone, and nothing is given to him to hand on. When he has caught up he says so, and
// is one of them.
func TestWhoIsBehindIsSentWhatHeAsksFor(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	meet(t, s, 6)
	p := pieces(t)
	hello := func(flags byte) []byte {
		return wire.AppendHello(nil, s.tag, &wire.Hello{Flags: flags | wire.HelloUpload | wire.HelloReply, Name: "match"})
	}
	told := 0 // pieces of which 5 was told
	hear := func(list []Action) {
		to, msgs := sent(t, list, wire.SwarmHave)
		for i, m := range msgs {
			if to[i] == 5 {
				told += len(named(m.Runs))
			}
		}
	}
	gets := func(ms, piece int) (to []Peer) {
		s.Receive(at(ms), seedID, message(s, p[piece], wire.PieceDistribute), nil)
		list := actions(s)
		hear(list)
		to, _ = copies(t, list)
		for _, a := range list {
			if a.Kind == Send && a.Tag != 0 {
				s.Delivered(at(ms+20), a.Peer, a.Tag, Departure{})
			}
		}
		return to
	}
	if to := gets(0, 0); !slices.Contains(to, Peer(5)) {
		t.Fatalf("a piece goes to %v, not to 5", to)
	}
	s.Receive(at(100), 5, hello(wire.HelloBehind), nil)
	for i := range 12 {
		if to := gets(200+100*i, 1+i); slices.Contains(to, Peer(5)) || len(to) != 3 {
			t.Fatalf("5 is behind, and piece %d goes to %v", 1+i, to)
		}
	}
	// He hears of them, and gets what he asks for.
	s.Advance(at(200 + 100*11 + 250))
	if hear(actions(s)); told != 12 {
		t.Errorf("he is told of %d pieces of 12", told)
	}
	s.Receive(at(1600), 5, wire.AppendWant(nil, s.tag, 0, 900, run1(p[3].Piece.ID)), nil)
	s.Advance(at(1601))
	if to, _ := copies(t, actions(s)); !slices.Equal(to, []Peer{5}) {
		t.Errorf("he asked for a piece, and it went to %v", to)
	}
	s.Receive(at(1700), 5, hello(0), nil)
	if to := gets(1800, 13); !slices.Contains(to, Peer(5)) {
		t.Errorf("he has caught up, and a piece goes to %v", to)
	}
}

func TestWhoIsPatientSaysWhenHeHasCaughtUp(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced", func(c *Config) { c.Patient = true })
	flags := func(b []byte) byte {
		m, err := wire.ParseSwarm(b)
		if err != nil || m.Type != wire.SwarmHello {
			t.Fatalf("%v, %v", m, err)
		}
		return m.Hello.Flags
	}
	if flags(s.Hello())&wire.HelloBehind == 0 {
		t.Fatal("he does not say that he is behind")
	}
	p := pieces(t)
	hello := func(ms int) (to []Peer, msgs []wire.Swarm) {
		s.Advance(at(ms))
		return sent(t, actions(s), wire.SwarmHello)
	}
	lacking := func(n int) {
		s = newSwarm(t, 4, false, "balanced", func(c *Config) { c.Patient = true })
		meet(t, s, 6)
		s.SetWant(t0, p[0].Piece.ID, Line{Epoch: 1000, At: at(2000)})
		s.Receive(t0, 5, wire.AppendHave(nil, s.tag, wire.HaveSnapshot, run1(ids(p, 0, 10)...)), nil)
		for i := range 10 - n {
			s.Receive(at(100+10*i), 5, message(s, p[i], wire.PieceAsked), nil)
		}
		s.SetWant(at(200), p[10-n].Piece.ID, Line{Epoch: 1000, At: at(2000)})
		actions(s)
	}
	lacking(behindLacks + 1)
	if to, _ := hello(1500); len(to) > 0 {
		t.Errorf("he lacks %d, and says that he has caught up", behindLacks+1)
	}
	lacking(behindLacks + 1)
	s.Receive(at(260), 5, message(s, p[9], wire.PieceAsked), nil)
	if to, _ := hello(950); len(to) > 0 {
		t.Error("he was far behind until just now, and says that he has caught up")
	}
	to, msgs := hello(970)
	if len(to) != 5 || msgs[0].Hello.Flags&wire.HelloBehind != 0 {
		t.Fatalf("when he has caught up he says so to %v: %+v", to, msgs)
	}
	for i := range 10 {
		s.Receive(at(970), 5, message(s, p[i], wire.PieceAsked), nil)
	}
	// What was handed round before the others heard of it does not come by itself, and
	// he does not wait for it.
	s.Receive(at(980), 5, message(s, p[12], 0), nil)
	s.Receive(at(980), 3, wire.AppendHave(nil, s.tag, 0, run1(ids(p, 10, 12)...)), nil)
	asked := 0
	for ms := 980; ms < 1080; ms += 5 {
		s.Advance(at(ms))
		to, _ := sent(t, actions(s), wire.SwarmWant)
		asked += len(to)
	}
	if asked == 0 {
		t.Error("he waits for what went past him")
	}
	// Who never catches up is one of them all the same.
	s = newSwarm(t, 4, false, "balanced", func(c *Config) { c.Patient = true })
	meet(t, s, 6)
	s.SetWant(t0, p[0].Piece.ID, Line{Epoch: 1000, At: at(2000)})
	if s.Advance(at(9900)); !s.behind() {
		t.Error("he gave up early")
	}
	if s.Advance(at(10100)); s.behind() {
		t.Error("he is behind for ever")
	}
	if s := newSwarm(t, 4, false, "mesh", func(c *Config) { c.Patient = true }); flags(s.Hello())&wire.HelloBehind != 0 {
		t.Error("in a mesh nothing is pushed")
	}
}

// As many requests are open as fill the link, and no more.
func TestPatienceFollowsTheLink(t *testing.T) {
	var p patience
	if !p.room(patientOpen-1) || p.room(patientOpen) {
		t.Errorf("before anything is known %v", p)
	}
	for range 100 {
		p.answered(20 * time.Millisecond)
	}
	if !p.room(patientMost-1) || p.room(patientMost) {
		t.Errorf("where answers come at once %v", p)
	}
	for range 100 {
		p.answered(100 * time.Millisecond)
	}
	if !p.room(patientMost - 1) {
		t.Errorf("where they wait a little %v", p)
	}
	for range 100 {
		p.answered(300 * time.Millisecond)
	}
	if !p.room(patientOpen-1) || p.room(patientOpen) {
		t.Errorf("where they wait for each other %v", p)
	}
}

// Where his own link is what is full, asking two for the same would take twice as long:
// who is behind leaves to the origin what it has been asked for, also when that is
// late, and asks for no more at once because it is urgent.
func TestWhoIsBehindDoesNotAskTwice(t *testing.T) {
	asked := func(backstop time.Duration, caught bool, due int) (n int) {
		s := newSwarm(t, 4, false, "balanced", func(c *Config) { c.Patient = true })
		meet(t, s, 6)
		s.caught = caught
		p := pieces(t)
		s.SetWant(t0, p[0].Piece.ID, Line{Epoch: 1000, At: at(due), Backstop: backstop})
		s.Receive(t0, 5, wire.AppendHave(nil, s.tag, wire.HaveSnapshot, run1(ids(p, 0, 8)...)), nil)
		actions(s)
		for ms := 5; ms < 95; ms += 5 {
			s.Advance(at(ms))
			_, msgs := sent(t, actions(s), wire.SwarmWant)
			for _, m := range msgs {
				n += len(named(m.Runs))
			}
		}
		return n
	}
	if n := asked(time.Second, false, -500); n != 0 {
		t.Errorf("the origin owes all, and neighbours are asked for %d", n)
	}
	if n := asked(0, false, -500); n != patientOpen {
		t.Errorf("there is no origin, all is late, and %d are asked for at once", n)
	}
	if n := asked(time.Second, true, -500); n < 5 {
		t.Errorf("one of the others asks for %d of 8 that are late", n)
	}
}

// Where all of a group are behind, somebody has to have what is new: the seed hands it
// to them. One who is alone asks the origin, in order.
func TestASeedSendsWhatIsNewToThoseBehindIfThereIsNobodyElse(t *testing.T) {
	for n := Peer(2); n <= 4; n++ {
		s := newSwarm(t, seedID, true, "balanced")
		meet(t, s, int(n))
		p := pieces(t)
		offer := func(i int) (to []Peer) {
			s.Offer(at(100*i), p[i], 0)
			to, _ = copies(t, actions(s))
			return to
		}
		for id := Peer(2); id <= n; id++ {
			s.Receive(t0, id, wire.AppendHello(nil, s.tag, &wire.Hello{Flags: wire.HelloBehind | wire.HelloUpload | wire.HelloReply, Name: "match"}), nil)
		}
		if to := offer(0); len(to) == 0 != (n == 2) {
			t.Errorf("%d are behind, and the seed hands a piece to %v", n-1, to)
		}
		s.Receive(t0, 2, wire.AppendHello(nil, s.tag, &wire.Hello{Flags: wire.HelloUpload | wire.HelloReply, Name: "match"}), nil)
		if to := offer(1); !slices.Equal(to, []Peer{2}) {
			t.Errorf("2 has caught up, and the seed hands a piece to %v", to)
		}
	}
}

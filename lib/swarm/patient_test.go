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

package swarm

import (
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/wire"
)

func TestBoundsOfWhatIsGiven(t *testing.T) {
	const MiB = 1 << 20
	for _, c := range []struct {
		name       string
		p          Polite
		given, got int
		quiet      bool
		why        string
		may        int // bytes, at most
	}{
		{"nothing is bounded", Polite{Allowance: Unbounded}, 900 * MiB, 0, false, "", 1 << 62},
		{"no allowance at all", Polite{}, 0, 5 * MiB, true, "quota", 0},
		{"half of an allowance", Polite{Allowance: 10 * MiB}, 5 * MiB, 0, false, "", 5 * MiB},
		{"nearly all of it", Polite{Allowance: 10 * MiB}, 10*MiB - 1000, 0, true, "quota", 1000},
		{"more than it", Polite{Allowance: 10 * MiB}, 11 * MiB, 0, true, "quota", 0},
		{"a newcomer gives before it got", Polite{Allowance: Unbounded, Ratio: 1}, 0, 0, false, "", 4 * MiB},
		{"as much as it got, and the grace", Polite{Allowance: Unbounded, Ratio: 1}, 14 * MiB, 10 * MiB, true, "ratio", 0},
		{"half of what it got", Polite{Allowance: Unbounded, Ratio: 0.5}, 6 * MiB, 10 * MiB, false, "", 3 * MiB},
		{"the quota is nearer than the ratio", Polite{Allowance: 7 * MiB, Ratio: 2}, 7 * MiB, 100 * MiB, true, "quota", 0},
		{"the ratio is nearer than the quota", Polite{Allowance: 900 * MiB, Ratio: 2}, 24 * MiB, 10 * MiB, true, "ratio", 0},
		{"a ratio without measure", Polite{Allowance: Unbounded, Ratio: 1e300}, 0, MiB, false, "", 1 << 60},
		{"paid for by the byte", Polite{Allowance: 900 * MiB, Ratio: 2, Metered: true}, 0, MiB, true, "metered", 0},
	} {
		p := c.p
		p.took(c.got)
		p.gave(c.given)
		quiet, why := p.Quiet()
		if quiet != c.quiet || why != c.why {
			t.Errorf("%s: quiet %v because of %q, want %v, %q", c.name, quiet, why, c.quiet, c.why)
		}
		if !p.may(c.may) || c.may < 1<<60 && p.may(c.may+1) {
			left, _ := p.left()
			t.Errorf("%s: %d bytes may be given, want %d", c.name, left, c.may)
		}
		if p.Given() != int64(c.given) {
			t.Errorf("%s: %d bytes were given", c.name, p.Given())
		}
	}
}

func TestWhoseBoundIsNearDoesNotFlap(t *testing.T) {
	p := Polite{Allowance: Unbounded, Ratio: 0.5}
	turns, last := 0, false
	// A viewer of 250 kB/s that is asked for as much: for an hour, piece by piece.
	for range 3600 * 15 {
		p.took(16_000)
		if !p.quiet && p.may(16_000) {
			p.gave(16_000)
		}
		if p.quiet != last {
			turns, last = turns+1, p.quiet
		}
	}
	if float64(p.given) > 0.5*float64(p.got)+ratioGrace {
		t.Errorf("%d bytes were given, and %d got", p.given, p.got)
	}
	if float64(p.given) < 0.49*float64(p.got) {
		t.Errorf("only %d bytes were given, and %d got", p.given, p.got)
	}
	if least := 3600 / 30; turns > least+2 {
		t.Errorf("it changed its mind %d times in an hour", turns)
	}
}

// spendAll brings s pieces to distribute until it says that it gives nothing.
func spendAll(s *Swarm, p []segment.Record) (bytes int, list []Action) {
	for i, rec := range p {
		now := at(i * 20)
		s.Receive(now, seedID, message(s, rec, wire.PieceDistribute), nil)
		got := actions(s)
		list = append(list, got...)
		for _, a := range got {
			if a.Tag != 0 {
				bytes += len(a.Data[1])
				s.Delivered(now, a.Peer, a.Tag, Departure{})
			}
		}
	}
	return bytes, list
}

func hellos(t *testing.T, list []Action) (to []Peer, upload bool) {
	t.Helper()
	to, msgs := sent(t, list, wire.SwarmHello)
	for _, m := range msgs {
		upload = m.Hello.Flags&wire.HelloUpload != 0
	}
	slices.Sort(to)
	return to, upload
}

func TestWithItsQuotaUsedUpAMemberIsLikeOneThatDoesNotUpload(t *testing.T) {
	p := pieces(t)
	for _, topo := range []string{"balanced", "mesh"} {
		quota := Polite{Allowance: 400_000}
		s := newSwarm(t, 4, false, topo, func(c *Config) { c.Polite = &quota })
		meet(t, s, 6)
		if ok, _ := s.Uploads(); !ok {
			t.Fatal("it does not begin")
		}
		var given int
		var list []Action
		if topo == "balanced" {
			given, list = spendAll(s, p)
		} else {
			for i, rec := range p {
				s.Receive(at(i), seedID, message(s, rec, 0), nil)
				id := rec.Piece.ID
				for _, who := range []Peer{2, 3} {
					runs, _ := wire.AppendToRuns(nil, id.Epoch, id.Seq, id.Index)
					s.Receive(at(i), who, wire.AppendWant(nil, s.tag, 0, 0, runs), nil)
				}
				for _, a := range actions(s) {
					list = append(list, a)
					if a.Tag != 0 {
						given += len(a.Data[1])
						s.Delivered(at(i), a.Peer, a.Tag, Departure{})
					}
				}
			}
		}
		if given > 400_000 || given < 400_000-quietBelow-20_000 {
			t.Errorf("%s: %d bytes were given", topo, given)
		}
		if int64(given) != quota.Given() || s.Meter.Uploaded != quota.Given() {
			t.Errorf("%s: given %d, counted %d, acknowledged %d", topo, given, quota.Given(), s.Meter.Uploaded)
		}
		if to, upload := hellos(t, list); upload || !slices.Equal(to, []Peer{1, 2, 3, 5, 6}) {
			t.Errorf("%s: told %v that it uploads: %v", topo, to, upload)
		}
		if ok, why := s.Uploads(); ok || why != "quota" {
			t.Errorf("%s: uploads %v, because of %q", topo, ok, why)
		}

		id := p[1].Piece.ID
		runs, _ := wire.AppendToRuns(nil, id.Epoch, id.Seq, id.Index)
		s.Receive(at(6000), 2, wire.AppendWant(nil, s.tag, wire.WantUrgent, 0, runs), nil)
		list = actions(s)
		if to, _ := sent(t, list, wire.SwarmPiece); len(to) > 0 {
			t.Errorf("%s: it gives %v a piece", topo, to)
		}
		if to, _ := sent(t, list, wire.SwarmGone); !slices.Equal(to, []Peer{2}) {
			t.Errorf("%s: who asked was told nothing: %v", topo, to)
		}
		s.Connected(at(6100), 9, false, false)
		s.Receive(at(6100), 9, wire.AppendHello(nil, s.tag, &wire.Hello{Name: "match"}), nil)
		list = actions(s)
		if to, upload := hellos(t, list); upload || !slices.Equal(to, []Peer{9}) {
			t.Errorf("%s: a newcomer hears that it uploads: %v", topo, upload)
		}
		if to, _ := sent(t, list, wire.SwarmHave); len(to) > 0 {
			t.Errorf("%s: a newcomer hears of what it cannot have", topo)
		}

		// A little more is no reason to begin again; a new month is.
		s.SetPolite(Polite{Allowance: quietBelow + 1000})
		if list := actions(s); len(list) > 0 {
			t.Errorf("%s: with a little more it says %v", topo, list)
		}
		s.SetPolite(Polite{Allowance: 1 << 30})
		list = actions(s)
		if to, upload := hellos(t, list); !upload || !slices.Equal(to, []Peer{1, 2, 3, 5, 6, 9}) {
			t.Errorf("%s: in the new month it told %v that it uploads: %v", topo, to, upload)
		}
		if to, _ := sent(t, list, wire.SwarmHave); len(to) != 5 {
			t.Errorf("%s: in the new month it told %v what it has", topo, to)
		}
		s.Receive(at(7000), 2, wire.AppendWant(nil, s.tag, wire.WantUrgent, 0, runs), nil)
		if to, _ := sent(t, actions(s), wire.SwarmPiece); !slices.Equal(to, []Peer{2}) {
			t.Errorf("%s: in the new month it gave to %v", topo, to)
		}
	}
}

func TestOnALinkThatIsPaidForWhatIsOnItsWayIsCalledOff(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	meet(t, s, 6)
	p := pieces(t)
	s.Receive(at(1), seedID, message(s, p[0], wire.PieceDistribute), nil)
	if to, _ := sent(t, actions(s), wire.SwarmPiece); len(to) != 4 {
		t.Fatalf("pushed to %v", to)
	}
	s.SetPolite(Polite{Allowance: Unbounded, Metered: true})
	cancelled := 0
	list := actions(s)
	for _, a := range list {
		if a.Kind == Cancel {
			cancelled++
		}
	}
	if to, upload := hellos(t, list); cancelled != 4 || upload || len(to) != 5 {
		t.Errorf("%d called off, %v told that it uploads: %v", cancelled, to, upload)
	}
	s.Receive(at(2), seedID, message(s, p[1], wire.PieceDistribute), nil)
	list = actions(s)
	if find(list, Got) == nil {
		t.Error("nothing is got any more")
	}
	if to, _ := sent(t, list, wire.SwarmPiece); len(to) > 0 {
		t.Errorf("pushed to %v all the same", to)
	}
}

func TestRoomsOfOneMemberShareItsBounds(t *testing.T) {
	shared := Polite{Allowance: 400_000}
	a := newSwarm(t, 4, false, "balanced", func(c *Config) { c.Polite = &shared })
	b := newSwarm(t, 4, false, "balanced", func(c *Config) { c.Polite = &shared })
	meet(t, a, 6)
	meet(t, b, 6)
	p := pieces(t)
	spendAll(a, p)
	b.Advance(at(5001))
	if to, upload := hellos(t, actions(b)); upload || len(to) != 5 {
		t.Errorf("the other room told %v that it uploads: %v", to, upload)
	}
	if given, _ := spendAll(b, p); given > quietBelow {
		t.Errorf("the other room gave %d bytes", given)
	}
	if shared.Given() > 400_000 {
		t.Errorf("both gave %d", shared.Given())
	}
}

func TestWhoGivesNothingIsNotAsked(t *testing.T) {
	s := newSwarm(t, 4, false, "mesh")
	meet(t, s, 6)
	p := pieces(t)
	s.SetWant(t0, p[0].Piece.ID, Line{Epoch: 1000, DTS: 0, At: at(1000)})
	s.Receive(at(0), 2, message(s, p[0], 0), nil)
	s.Receive(at(9), 3, wire.AppendHello(nil, s.tag, &wire.Hello{Name: "match", Flags: wire.HelloReply}), nil)
	have := []wire.Run{{Epoch: 1000, Seq: 0, First: 1, Bits: []byte{1}}}
	for _, who := range []Peer{3, 5} {
		s.Receive(at(10), who, wire.AppendHave(nil, s.tag, 0, have), nil)
	}
	s.Receive(at(12), 2, message(s, p[2], 0), nil)
	now := at(12)
	for range 4 {
		now = now.Add(50 * time.Millisecond)
		s.Advance(now)
	}
	if to, _ := sent(t, actions(s), wire.SwarmWant); !slices.Equal(to, []Peer{5}) {
		t.Errorf("asked %v", to)
	}
}

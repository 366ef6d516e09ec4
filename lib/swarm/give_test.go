package swarm

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/wire"
)

// run1 names one piece in a HAVE or a WANT.
func run1(ids ...segment.ID) (runs []wire.Run) {
	for _, id := range ids {
		runs, _ = wire.AppendToRuns(runs, id.Epoch, id.Seq, id.Index)
	}
	return runs
}

// A wireOut is a member's uplink: what it sends leaves one after another at a
// rate, and is acknowledged a round trip behind that.
type wireOut struct {
	s    *Swarm
	rate float64 // bytes per second
	trip time.Duration
	dead map[Peer]bool // acknowledge nothing

	idle   time.Time
	acks   []ack
	copies map[Peer][]copied
	busyTo map[Peer]int
	flying int
	most   int // bytes that were on their way at once
	busy   time.Duration
}

type ack struct {
	at   time.Time
	peer Peer
	tag  uint64
	size int
	sent time.Time
	left time.Time
}

type copied struct {
	id segment.ID
	at time.Time // when it left
}

func newWireOut(s *Swarm, rate float64) *wireOut {
	return &wireOut{s: s, rate: rate, trip: 20 * time.Millisecond, dead: map[Peer]bool{}, copies: map[Peer][]copied{}, busyTo: map[Peer]int{}, idle: t0}
}

// take sends what the swarm wants to send.
func (w *wireOut) take(t *testing.T, now time.Time) (list []Action) {
	t.Helper()
	list = actions(w.s)
	for _, a := range list {
		if a.Kind == Cancel {
			w.acks = slices.DeleteFunc(w.acks, func(k ack) bool { return k.tag == a.Tag })
		}
		if a.Kind != Send {
			continue
		}
		m, err := wire.ParseSwarm(slices.Concat(a.Data...))
		if err != nil {
			t.Fatal(err)
		}
		switch m.Type {
		case wire.SwarmBusy:
			w.busyTo[a.Peer]++
		case wire.SwarmPiece:
			d, _, err := segment.ParsePiece(m.Piece.Descriptor)
			if err != nil {
				t.Fatal(err)
			}
			size := len(m.Piece.Body)
			w.idle = later(w.idle, now).Add(time.Duration(float64(size) / w.rate * float64(time.Second)))
			w.busy += time.Duration(float64(size) / w.rate * float64(time.Second))
			w.copies[a.Peer] = append(w.copies[a.Peer], copied{d.ID, w.idle})
			w.flying += size
			w.most = max(w.most, w.flying)
			if !w.dead[a.Peer] {
				w.acks = append(w.acks, ack{w.idle.Add(w.trip), a.Peer, a.Tag, size, now, w.idle})
			}
		}
	}
	return list
}

// run lets time pass until end, 5 ms at a time.
func (w *wireOut) run(t *testing.T, from, end time.Time) {
	t.Helper()
	for now := from; now.Before(end); now = now.Add(5 * time.Millisecond) {
		slices.SortStableFunc(w.acks, func(a, b ack) int { return cmp.Compare(a.at.UnixNano(), b.at.UnixNano()) })
		for len(w.acks) > 0 && !w.acks[0].at.After(now) {
			k := w.acks[0]
			w.acks = w.acks[1:]
			w.flying -= k.size
			w.s.Delivered(now, k.peer, k.tag, Departure{k.left, k.left.Sub(k.sent)})
			w.take(t, now)
		}
		w.s.Advance(now)
		w.take(t, now)
	}
}

func TestTheWindowGrowsWithWhatTheUplinkCarries(t *testing.T) {
	for _, rate := range []float64{100e3, 400e3, 2e6} { // bytes per second
		s := newSwarm(t, 4, false, "balanced")
		meet(t, s, 6)
		w := newWireOut(s, rate)
		all := pieces(t)
		now := t0
		// Somebody asks for all of it, a little more than fits all the time.
		for i, rec := range all {
			s.Receive(t0, 2, message(s, rec, 0), nil)
			if i == 0 {
				w.take(t, t0)
			}
		}
		if s.Uplink() != 0 {
			t.Fatalf("nothing was sent, and it can upload %d bit/s", s.Uplink())
		}
		if first := s.up.window(); first != windowFirst {
			t.Errorf("nothing is known, and %d bytes may be on their way", first)
		}
		for i := range 100 {
			if i == 10 {
				w.most = 0 // the round trips are known by now
			}
			for _, who := range []Peer{3, 5, 6} {
				var ids []segment.ID
				for _, rec := range all[:20] {
					ids = append(ids, rec.Piece.ID) // the same again and again
				}
				s.Receive(now, who, wire.AppendWant(nil, s.tag, 0, 2000, run1(ids...)), nil)
			}
			w.run(t, now, now.Add(100*time.Millisecond))
			now = now.Add(100 * time.Millisecond)
		}
		got := float64(s.Uplink()) / 8
		if got < 0.8*rate || got > 1.3*rate {
			t.Errorf("an uplink of %.0f kB/s is taken for one of %.0f", rate/1000, got/1000)
		}
		// What is on its way is what the round trip holds, and little more.
		if hold := 1.3*rate*(w.trip+leaveAhead).Seconds() + 20_000; w.most > max(int(hold), windowFirst+20_000) {
			t.Errorf("at %.0f kB/s %d bytes were on their way at once, want no more than %.0f", rate/1000, w.most, hold)
		}
		if rate < 500e3 && w.busy < 9*now.Sub(t0)/10 {
			t.Errorf("an uplink of %.0f kB/s was busy for %v of %v, and there was always something to send", rate/1000, w.busy, now.Sub(t0))
		}
	}
}

// A radio link has its bad moments. What was measured in one must not hold up what
// leaves behind it: pieces that are given as slowly as a slow uplink took them leave
// one by one, and none of them is seen to wait for another.
func TestAnUplinkThatChangesIsFollowedWithinSeconds(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	meet(t, s, 6)
	w := newWireOut(s, 0)
	all := pieces(t)
	for _, rec := range all {
		s.Receive(t0, 2, message(s, rec, 0), nil)
	}
	w.take(t, t0)
	now := t0
	for i, rate := range []float64{400e3, 120e3, 400e3, 1e6, 120e3, 1e6} { // bytes per second
		w.rate = rate
		for range 30 {
			for _, who := range []Peer{3, 5, 6} {
				var ids []segment.ID
				for _, rec := range all[:20] {
					ids = append(ids, rec.Piece.ID)
				}
				s.Receive(now, who, wire.AppendWant(nil, s.tag, 0, 2000, run1(ids...)), nil)
			}
			w.run(t, now, now.Add(100*time.Millisecond))
			now = now.Add(100 * time.Millisecond)
		}
		if got := float64(s.Uplink()) / 8; got < 0.7*rate || got > 1.5*rate {
			t.Errorf("%d: after 3 s an uplink of %.0f kB/s is taken for one of %.0f", i, rate/1000, got/1000)
		}
	}
}

func TestWhatManyWaitForLeavesFirstThenTheUrgentThenTheRest(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	stand(t, s)
	p := pieces(t)
	for i := range 20 {
		s.Receive(at(0), 2, message(s, p[i], 0), nil)
	}
	actions(s)
	// 5 asks for more than the window holds: the rest waits.
	var ids []segment.ID
	for i := range 20 {
		ids = append(ids, p[i].Piece.ID)
	}
	s.Receive(at(1), 5, wire.AppendWant(nil, s.tag, 0, 2000, run1(ids...)), nil)
	flying := actions(s)
	if s.give.bytes == 0 {
		t.Fatal("nothing waits")
	}
	s.Receive(at(2), 6, wire.AppendWant(nil, s.tag, wire.WantUrgent, 300, run1(ids[3])), nil)
	s.Receive(at(3), seedID, message(s, p[20], wire.PieceDistribute), nil)
	flying = append(flying, actions(s)...)
	var order []wire.Swarm
	var to []Peer
	for i := 0; i < len(flying); i++ {
		if a := flying[i]; a.Kind == Send && a.Tag != 0 {
			s.Delivered(at(10+i), a.Peer, a.Tag, Departure{})
			more := actions(s)
			peers, msgs := sent(t, more, wire.SwarmPiece)
			to, order = append(to, peers...), append(order, msgs...)
			flying = append(flying, more...)
		}
	}
	if len(order) < 6 {
		t.Fatalf("%d copies left", len(order))
	}
	if to[0] < 11 || order[0].Piece.Flags != wire.PieceDistribute {
		t.Errorf("first of all went a copy to %d with flags %d, want one for the group below", to[0], order[0].Piece.Flags)
	}
	if to[1] != 6 || order[1].Piece.Flags != wire.PieceAsked {
		t.Errorf("then one to %d with flags %d, want what 6 needs soon", to[1], order[1].Piece.Flags)
	}
	// Of the rest, what is needed in two seconds waits for the new piece.
	var rest []byte
	for _, m := range order[2:] {
		rest = append(rest, m.Piece.Flags)
	}
	if new := slices.Index(rest, 0); new != 0 || !slices.IsSorted(rest) {
		t.Errorf("the flags of what left then are %v, want the new piece's copies first", rest)
	}
}

func TestWhoWouldWaitTooLongIsToldAtOnce(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced", func(c *Config) { c.MaxUpload = 160_000 }) // 20 kB/s
	meet(t, s, 6)
	p := pieces(t)
	now := t0
	served, busy := map[Peer]int{}, map[Peer]int{}
	for i := range 20 { // two seconds of 50 kB/s, to four fellows each
		now = at(100 * i)
		s.Receive(now, seedID, message(s, p[i], wire.PieceDistribute), nil)
		list := actions(s)
		to, _ := sent(t, list, wire.SwarmPiece)
		for _, id := range to {
			served[id]++
		}
		to, msgs := sent(t, list, wire.SwarmBusy)
		for j, id := range to {
			// At once, or when it is known that it would come too late.
			if !slices.ContainsFunc(p[max(0, i-20):i+1], func(r segment.Record) bool { return isOf(msgs[j].Runs[0], r.Piece.ID) }) {
				t.Errorf("%d is told of %+v, when piece %v is new", id, msgs[j].Runs, p[i].Piece.ID)
			}
			busy[id]++
		}
		for _, a := range list {
			if a.Kind == Send && a.Tag != 0 {
				s.Delivered(now, a.Peer, a.Tag, Departure{})
			}
		}
	}
	told, got := 0, 0
	for _, id := range []Peer{2, 3, 5, 6} {
		told, got = told+busy[id], got+served[id]
	}
	if told == 0 || got == 0 || told+got < 70 {
		t.Errorf("of 80 copies %d left and %d were refused at once; the others wait or expired unsaid", got, told)
	}
	// One who asks is told as well.
	s.Receive(now, 5, wire.AppendWant(nil, s.tag, 0, 3000, run1(p[0].Piece.ID)), nil)
	if !toldBusy(t, actions(s), 5, p[0].Piece.ID) {
		t.Error("who asks while the queue is full is told nothing")
	}
}

func isOf(r wire.Run, id segment.ID) bool {
	return r.Epoch == id.Epoch && r.Seq == id.Seq && r.Has(id.Index)
}

// toldBusy reports whether a neighbour was told that a piece will not come.
func toldBusy(t *testing.T, list []Action, who Peer, id segment.ID) bool {
	t.Helper()
	to, msgs := sent(t, list, wire.SwarmBusy)
	for i := range to {
		if to[i] == who && isOf(msgs[i].Runs[0], id) {
			return true
		}
	}
	return false
}

func TestWhatWaitsForANeighbourIsCalledOff(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	meet(t, s, 6)
	p := pieces(t)
	var ids []segment.ID
	for i := range 20 {
		s.Receive(at(0), 2, message(s, p[i], 0), nil)
		ids = append(ids, p[i].Piece.ID)
	}
	actions(s)
	s.Receive(at(1), 5, wire.AppendWant(nil, s.tag, 0, 2000, run1(ids...)), nil)
	flying := actions(s)
	left, _ := sent(t, flying, wire.SwarmPiece)
	if len(left) == len(ids) || s.give.bytes == 0 {
		t.Fatalf("%d of %d left at once: nothing waits", len(left), len(ids))
	}
	// It gets the last two elsewhere, and calls off the one before.
	n := len(ids)
	s.Receive(at(2), 5, wire.AppendHave(nil, s.tag, 0, run1(ids[n-2:]...)), nil)
	s.Receive(at(2), 5, wire.AppendCancel(nil, s.tag, run1(ids[n-3])), nil)
	if c := find(actions(s), Cancel); c != nil {
		t.Errorf("what had not left is called off at the connection: %+v", c)
	}
	got := len(left)
	for i := 0; i < len(flying); i++ {
		if a := flying[i]; a.Kind == Send && a.Tag != 0 {
			s.Delivered(at(10+i), a.Peer, a.Tag, Departure{})
			more := actions(s)
			to, _ := sent(t, more, wire.SwarmPiece)
			got += len(to)
			flying = append(flying, more...)
		}
	}
	if got != n-3 || s.give.bytes != 0 {
		t.Errorf("%d pieces left and %d bytes wait, want %d pieces", got, s.give.bytes, n-3)
	}
	// And all that waits for one who leaves.
	s.Receive(at(100), 6, wire.AppendWant(nil, s.tag, 0, 2000, run1(ids...)), nil)
	actions(s)
	s.Disconnected(at(101), 6, "gone")
	if s.give.bytes != 0 || s.give.flying != 0 {
		t.Errorf("6 has left, %d bytes wait for it and %d are on their way", s.give.bytes, s.give.flying)
	}
}

func TestWhoIsGoneDoesNotHoldUpWhatGoesToTheOthers(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	meet(t, s, 6)
	w := newWireOut(s, 1e6)
	w.dead[3], w.dead[6] = true, true // killed: nobody has said so yet
	p := pieces(t)
	came := map[segment.ID]time.Time{}
	// What has expired is told: the connection gives it up.
	expire := func(now time.Time) {
		for _, id := range []Peer{3, 6} {
			n := s.peer(id)
			for _, x := range slices.Clone(n.away) {
				if now.Sub(x.at) > pushLife {
					s.Failed(now, id, x.tag)
				}
			}
		}
		w.take(t, now)
	}
	for i := range 80 {
		now := at(100 * i)
		came[p[i].Piece.ID] = now
		s.Receive(now, seedID, message(s, p[i], wire.PieceDistribute), nil)
		w.take(t, now)
		w.run(t, now, now.Add(100*time.Millisecond))
		expire(now)
	}
	for _, id := range []Peer{2, 5} {
		if len(w.copies[id]) != 80 {
			t.Errorf("%d got %d pieces of 80", id, len(w.copies[id]))
		}
		for _, c := range w.copies[id] {
			if d := c.at.Sub(came[c.id]); d > 300*time.Millisecond {
				t.Errorf("%d got %v only after %v", id, c.id, d)
				break
			}
		}
	}
	if n := len(w.copies[3]); n > 40 {
		t.Errorf("%d copies went to one who takes nothing", n)
	}
	// He was only asleep, and wants what is new again.
	w.dead[3] = false
	expire(at(10_000))
	s.Receive(at(8000), 3, wire.AppendHave(nil, s.tag, 0, run1(p[79].Piece.ID)), nil)
	before := len(w.copies[3])
	for i := 80; i < 89; i++ {
		now := at(100 * i)
		s.Receive(now, seedID, message(s, p[i], wire.PieceDistribute), nil)
		w.take(t, now)
		w.run(t, now, now.Add(100*time.Millisecond))
	}
	if n := len(w.copies[3]) - before; n < 8 {
		t.Errorf("he is back, and gets %d of nine new pieces", n)
	}
	sum := 0
	for _, n := range s.peers {
		if !n.stuck {
			sum += n.owed
		}
	}
	if sum != s.give.flying {
		t.Errorf("%d bytes are on their way and %d in the books", sum, s.give.flying)
	}
}

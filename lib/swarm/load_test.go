package swarm

import (
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/wire"
)

// Where an uplink is short all the time and the fellows have the origin, it is never idle, what leaves is the
// newest, all fellows get as much, and nobody spends messages on what does not
// leave; but who asks is answered.
func TestAShortUplinkSendsTheNewestAndSaysNothingOfTheRest(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced", func(c *Config) { c.MaxUpload = 400_000 }) // 50 kB/s
	meet(t, s, 6)
	list := pieces(t)
	first := list[0].Piece
	for _, id := range []Peer{2, 3, 5, 6} { // who play 1.5 s behind, and have the origin
		s.Receive(t0, id, wire.AppendDue(nil, s.tag, wire.Due{Epoch: first.Epoch, DTS: first.DTS, LeftMS: 1500}), nil)
	}
	s.SetWant(t0, first.ID, Line{Epoch: first.Epoch, DTS: first.DTS, At: at(2000), Backstop: 300 * time.Millisecond})
	got, busy, have, last := map[Peer]int{}, 0, 0, 0
	old := 0 // copies that left although a newer piece waited
	now := t0
	for i := range 80 { // eight seconds of 50 kB/s, to four fellows each
		now = at(i * 100)
		s.Receive(now, seedID, message(s, list[i], wire.PieceDistribute), nil)
		all := actions(s)
		to, msgs := sent(t, all, wire.SwarmPiece)
		if i < 40 { // until it is plain that this is no keyframe's burst
			to = nil
		} else {
			told, _ := sent(t, all, wire.SwarmBusy)
			said, _ := sent(t, all, wire.SwarmHave)
			busy, have = busy+len(told), have+len(said)
		}
		for k, id := range to {
			got[id]++
			d, _, err := segment.ParsePiece(msgs[k].Piece.Descriptor)
			if err != nil {
				t.Fatal(err)
			}
			if n := place(list, d.ID); n < last {
				old++
			} else {
				last = n
			}
		}
		for _, a := range all {
			if a.Kind == Send && a.Tag != 0 {
				s.Delivered(now, a.Peer, a.Tag, Departure{})
			}
		}
	}
	if !s.give.load.short {
		t.Fatal("the uplink is not found to be short")
	}
	least, sum := 1<<30, 0
	for _, id := range []Peer{2, 3, 5, 6} {
		least, sum = min(least, got[id]), sum+got[id]
	}
	if sum < 32 || least < sum/4-3 {
		t.Errorf("copies by fellow: %v, want 40 in equal parts", got)
	}
	if old > sum/10 {
		t.Errorf("%d of %d copies left although a newer piece waited", old, sum)
	}
	if busy > 0 || have > 0 {
		t.Errorf("%d times somebody was told what will not come, and %d times what is here", busy, have)
	}
	s.Receive(now, 5, wire.AppendWant(nil, s.tag, 0, 3000, run1(list[60].Piece.ID)), nil)
	all := actions(s)
	if to, _ := sent(t, all, wire.SwarmPiece); len(to) == 0 || to[0] != 5 {
		if !toldBusy(t, all, 5, list[60].Piece.ID) && !s.queued(5, list[60].Piece.ID) {
			t.Error("who asks is told nothing")
		}
	}
}

func place(list []segment.Record, id segment.ID) int {
	for i := range list {
		if list[i].Piece.ID == id {
			return i
		}
	}
	return -1
}

// queued reports whether a copy waits for a neighbour.
func (s *Swarm) queued(who Peer, id segment.ID) bool {
	for _, q := range s.give.queues {
		for i := range q {
			if q[i].n.id == who && q[i].h.piece.ID == id {
				return true
			}
		}
	}
	return false
}

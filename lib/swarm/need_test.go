package swarm

import (
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/wire"
)

// due has a neighbour say until when pieces are of use to it.
func due(s *Swarm, now time.Time, who Peer, dts int64, left time.Duration) {
	s.Receive(now, who, wire.AppendDue(nil, s.tag, wire.Due{Epoch: 1000, DTS: dts, LeftMS: left.Milliseconds()}), nil)
}

func TestNobodyIsSentWhatHeWillHaveFromTheOrigin(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	meet(t, s, 6)
	for _, id := range []Peer{2, 3, 5, 6} {
		s.SetPath(id, Path{SRTT: 20 * time.Millisecond, MinRTT: 20 * time.Millisecond})
	}
	p := pieces(t)
	dts := p[0].Piece.DTS
	due(s, t0, 3, dts, 5*time.Millisecond)          // it asks the origin before a copy could be there
	due(s, t0, 5, dts-3000, -2500*time.Millisecond) // this one has half a second
	s.Receive(at(1), seedID, message(s, p[0], wire.PieceDistribute), nil)
	list := actions(s)
	to, _ := sent(t, list, wire.SwarmPiece)
	for _, id := range []Peer{2, 5, 6} {
		if !slices.Contains(to, id) {
			t.Errorf("%d was not sent a piece that is of use to it; sent to %v", id, to)
		}
	}
	if slices.Contains(to, 3) {
		t.Error("3 was sent what the origin brings sooner")
	}
	if !toldBusy(t, list, 3, p[0].Piece.ID) {
		t.Error("3 was not told that the piece will not come")
	}
}

func TestWhatWaitsTooLongIsNotSentAndItsReceiverHears(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	meet(t, s, 6)
	w := newWireOut(s, 50e3) // a piece of 6 kB takes 120 ms
	p := pieces(t)
	for _, id := range []Peer{2, 3, 5, 6} {
		due(s, t0, id, p[0].Piece.DTS, 600*time.Millisecond)
	}
	now := t0
	for i := range 40 { // each to four: more than it carries
		s.Receive(now, seedID, message(s, p[i], wire.PieceDistribute), nil)
		w.run(t, now, now.Add(100*time.Millisecond))
		now = now.Add(100 * time.Millisecond)
	}
	late, told := 0, 0
	by := need{1000, p[0].Piece.DTS, at(600)}
	for _, id := range []Peer{2, 3, 5, 6} {
		told += w.busyTo[id]
		for _, c := range w.copies[id] {
			for i := range p[:40] {
				if p[i].Piece.ID == c.id && i > 15 && c.at.After(by.by(p[i].Piece)) {
					late++
				}
			}
		}
	}
	if late > 0 || told < 40 {
		t.Errorf("%d copies left too late, %d times somebody was told that one will not come", late, told)
	}
	if w.busy < now.Sub(t0)*8/10 {
		t.Errorf("the uplink was busy for %v of %v", w.busy, now.Sub(t0))
	}
}

func TestNeighboursHearUntilWhenPiecesAreOfUse(t *testing.T) {
	s := newSwarm(t, 4, false, "balanced")
	meet(t, s, 6)
	actions(s)
	p := pieces(t)
	line := Line{Epoch: 1000, DTS: p[0].Piece.DTS, At: at(1000), Backstop: 300 * time.Millisecond}
	s.SetWant(t0, p[0].Piece.ID, line)
	told := func(now time.Time) (left []int64) {
		s.SetWant(now, p[0].Piece.ID, line)
		s.Advance(now)
		_, msgs := sent(t, actions(s), wire.SwarmDue)
		for i := range msgs {
			left = append(left, msgs[i].Due.LeftMS)
		}
		return left
	}
	if got := told(t0); len(got) < 4 || got[0] != 700 {
		t.Errorf("told %v, want 700 ms, all of them", got)
	}
	line.At = at(1020)
	if got := told(at(500)); len(got) > 0 {
		t.Errorf("20 ms are told: %v", got)
	}
	line.At = at(1400) // it has stalled
	if got := told(at(600)); len(got) < 4 || got[0] != 500 {
		t.Errorf("told %v, want 500 ms", got)
	}
	line.Backstop = 0 // the origin has failed: late is better than never
	if got := told(at(900)); len(got) < 4 || got[0] < 60_000 {
		t.Errorf("told %v, want a long time", got)
	}
	// Beside a stream from the origin what comes later than a copy from there could
	// is of no use; but who streams for long wants to see whether all of it comes again.
	line = Line{Epoch: 1000, DTS: p[0].Piece.DTS, At: at(2200), Backstop: 300 * time.Millisecond, Streams: true}
	if got := told(at(1200)); len(got) < 4 || got[0] != 700 {
		t.Errorf("told %v, want 700 ms", got)
	}
	line.At = at(4300)
	if got := told(at(3300)); len(got) < 4 || got[0] != 1000 {
		t.Errorf("after 2 s of a stream: told %v, want 1 s", got)
	}
	line.Streams = false
	if got := told(at(3600)); len(got) < 4 || got[0] != 400 {
		t.Errorf("it has ended: told %v, want 400 ms", got)
	}
}

package node

import (
	"fmt"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
)

// Whoever keeps the output has to begin anew where it has a gap, so it must hear
// of the gap before it is given what lies behind it.
func TestAGapIsToldOfBeforeWhatLiesBehindIt(t *testing.T) {
	x := newWorld(t, 1, "balanced")
	x.broadcast(400_000, time.Second, 6*time.Second)
	x.run(7 * time.Second)

	now := x.w.Now()
	n := New(Config{Key: x.key("viewer"), Rand: x.w.Rand("viewer"), Entropy: x.entropy("viewer")})
	if err := n.Join(now, Room{Name: "match", Key: x.roomPub, NoSignal: true}); err != nil {
		t.Fatal(err)
	}
	var story []string
	var asked uint64
	drain := func() {
		for {
			e, ok := n.NextEvent()
			if !ok {
				return
			}
			switch {
			case e.Kind == EventNeedOrigin && e.Origin.Kind == OriginStart:
				asked = e.Origin.ID
			case e.Kind == EventGap:
				story = append(story, fmt.Sprint("gap before segment ", e.Piece.Seq))
			case e.Kind == EventOutput && e.Output.Record.Kind == segment.KindPiece:
				s := fmt.Sprint("segment ", e.Output.Record.Piece.Seq)
				if len(story) == 0 || story[len(story)-1] != s {
					story = append(story, s)
				}
			}
		}
	}
	// The origin gives some segments, and then says that it has no more of it.
	give := func(from, to int64) {
		drain()
		for _, rec := range x.recs {
			if rec.Kind == segment.KindInit || rec.Kind == segment.KindPiece && rec.Piece.Seq >= from && rec.Piece.Seq < to {
				x.must(n.Supply(now, "match", Supply{ID: asked, Record: rec}))
				drain()
			}
		}
		x.must(n.Supply(now, "match", Supply{ID: asked, Done: true, Err: ErrGone}))
		now = now.Add(500 * time.Millisecond)
		n.Advance(now)
		drain()
	}
	give(0, 2)
	give(4, 6)
	if got, want := fmt.Sprint(story), "[segment 0 segment 1 gap before segment 4 segment 4 segment 5]"; got != want {
		t.Errorf("it went %s, want %s", got, want)
	}
}

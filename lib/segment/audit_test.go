package segment

import (
	"errors"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/media"
)

// audit runs records through an Audit and says whether they ended.
func audit(recs []Record) (ended bool, err error) {
	var a Audit
	for i := range recs {
		if err := a.See(&recs[i]); err != nil {
			return false, err
		}
	}
	return a.Ended(), nil
}

// Who joins a stream writes it from there on; wherever that is, it fits
// together, and a hole behind it does not.
func TestAStreamMayBeginAnywhereAndHasNoHoles(t *testing.T) {
	b := newFLV()
	for ts := uint32(0); ts < 4000; ts += 40 {
		b.video(ts, ts%1000 == 0, 50)
	}
	recs := cut(t, CutterConfig{Container: media.FLV}, b.Bytes(), 1000).recs
	head := Record{Kind: KindHeader, Header: &Header{}}
	for from := range recs {
		switch recs[from].Kind {
		case KindPiece:
		default:
			continue
		}
		late := append([]Record{head, recs[0]}, recs[from:]...)
		if ended, err := audit(late); err != nil || !ended {
			t.Errorf("from piece %v on: ended %v, %v", recs[from].Piece.ID, ended, err)
		}
		for _, hole := range []int{3, len(late) - 2} {
			if hole >= len(late)-1 || late[hole].Kind == KindInit {
				continue
			}
			holed := append(append([]Record{}, late[:hole]...), late[hole+1:]...)
			if _, err := audit(holed); !errors.Is(err, ErrOrder) {
				t.Errorf("from piece %v on, without record %d (%s): %v, want ErrOrder", recs[from].Piece.ID, hole, late[hole].Kind, err)
			}
		}
	}
	// A broadcaster who starts again leaves no end behind the old stream.
	again := append(append([]Record{head}, recs[:len(recs)-1]...), recs...)
	if ended, err := audit(again); err != nil || !ended {
		t.Errorf("a stream behind another: ended %v, %v", ended, err)
	}
}

func TestSeekFindsTheKeyframeBefore(t *testing.T) {
	x := &Index{Init: 100, Keyframes: []IndexKeyframe{{500, 120}, {2500, 3000}, {4500, 9000}}}
	for d, want := range map[time.Duration]int64{0: 0, 1999 * time.Millisecond: 0, 2 * time.Second: 3000, time.Hour: 9000} {
		offset, head, ok := x.Seek(d)
		if !ok || offset != want || (head == 100) != (want > 0) {
			t.Errorf("%v: offset %d, head %d, %v; want offset %d", d, offset, head, ok, want)
		}
	}
	if _, _, ok := new(Index).Seek(0); ok {
		t.Error("a recording without keyframes has times")
	}
}

package origin

import (
	"testing"
	"time"
)

func TestABusyOriginRefusesStartsBeforeWhatAPlayerLacks(t *testing.T) {
	at := func(ms int) time.Time { return time.Unix(1000, 0).Add(time.Duration(ms) * time.Millisecond) }
	a := Admission{Rate: 8000} // 1000 bytes a second
	for i, want := range []struct {
		ms, spend     int
		lacked        bool
		start, pieces bool
	}{
		{0, 1000, false, true, true},       // a second's worth is saved up
		{0, 5000, false, false, true},      // nothing left for newcomers; the swarm takes all that it can
		{0, 101, true, false, true},        // a tenth of a second's worth may be on its way
		{0, 0, false, false, false},        // and no more
		{2, 0, false, false, false},        // a quarter of what leaves meanwhile is these
		{8, 0, false, false, true},         //
		{60_000, 100, true, true, true},    // nothing is saved up for pieces
		{60_000, 0, false, true, true},     //
		{60_000, 1000, true, true, true},   // what was let in may be large
		{60_500, 0, false, true, false},    // it is on its way for so long
		{61_010, 0, false, true, true},     // there is nobody else: all that leaves is these
		{100_000, 9990, false, true, true}, // what was let in takes ten seconds' worth
		{101_900, 0, false, false, true},   // three of these are held against newcomers
		{103_100, 0, false, true, true},    //
	} {
		if got := a.Start(at(want.ms)); got != want.start {
			t.Errorf("step %d: start %v", i, got)
		}
		if got := a.Pieces(at(want.ms)) == 0; got != want.pieces {
			t.Errorf("step %d: pieces %v", i, got)
		}
		a.Spend(at(want.ms), want.spend, want.lacked)
	}
	if z := (Admission{}); !z.Start(at(0)) || z.Pieces(at(0)) != 0 {
		t.Error("without a bound something was refused")
	}
}

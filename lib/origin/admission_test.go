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
		start, pieces bool
	}{
		{0, 1000, true, true},       // a second's worth is saved up
		{0, 500, false, true},       // nothing left for newcomers
		{0, 600, false, true},       // overdrawn
		{0, 0, false, false},        // by more than a second
		{600, 0, false, true},       // 500 below nothing
		{1200, 0, true, true},       // something again
		{60_000, 1001, true, true},  // a minute saves no more than a second's worth
		{60_000, 0, false, true},    //
		{61_000, 2000, true, true},  //
		{61_000, 1, false, false},   //
		{100_000, 10, true, true},   //
		{100_000, 9990, true, true}, // what was let in takes ten seconds' worth
		{101_900, 0, false, false},  // and two of these are held against others
		{102_100, 0, false, true},   //
		{103_100, 0, true, true},    //
	} {
		if got := a.Start(at(want.ms)); got != want.start {
			t.Errorf("step %d: start %v", i, got)
		}
		if got := a.Pieces(at(want.ms)); got != want.pieces {
			t.Errorf("step %d: pieces %v", i, got)
		}
		a.Spend(at(want.ms), want.spend)
	}
	if z := (Admission{}); !z.Start(at(0)) || !z.Pieces(at(0)) {
		t.Error("without a bound something was refused")
	}
}

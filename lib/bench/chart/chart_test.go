package chart

import (
	"fmt"
	"math"
	"testing"
)

func TestTicksAreRoundNumbers(t *testing.T) {
	for _, tc := range []struct {
		a    Axis
		want string
	}{
		{Axis{High: 120, Unit: " s"}, "[0 s 20 s 40 s 60 s 80 s 100 s 120 s]"},
		{Axis{High: 1, Times: 100, Unit: " %"}, "[0 % 20 % 40 % 60 % 80 % 100 %]"},
		{Axis{Low: 0.1, High: 2, Log: true}, "[0.1 0.2 0.5 1 2]"},
		{Axis{High: 0.995, Nines: true, Times: 100}, "[0 50 80 90 95 98 99 99.5]"},
		{Axis{High: 0, Unit: " s"}, "[0 s]"},
		{Axis{High: 7}, "[0 2 4 6]"},
	} {
		var got []string
		for _, v := range tc.a.Ticks() {
			got = append(got, tc.a.Number(v))
		}
		if fmt.Sprint(got) != tc.want {
			t.Errorf("%+v: %v", tc.a, got)
		}
	}
	if got := (Axis{High: 0.999, Nines: true}); math.Abs(got.At(0.9)-1.0/3) > 1e-9 || got.At(0.999) != 1 || got.At(1) != 1 || got.At(0) != 0 {
		t.Errorf("Nines: %v, %v", got.At(0.9), got.At(1))
	}
}

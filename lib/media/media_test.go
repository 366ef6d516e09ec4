package media

import "testing"

func TestGridIsExactFloor(t *testing.T) {
	for _, tt := range []struct {
		t    Time
		step int64
		want int64
	}{
		{Time{999, 1000}, 1000, 0},
		{Time{1000, 1000}, 1000, 1},
		{Time{-1, 1000}, 1000, -1},
		{Time{-1000, 1000}, 1000, -1},
		{Time{-1001, 1000}, 1000, -2},
		// 90 kHz: one tick before the boundary must not round up.
		{Time{90000*7 - 1, 90000}, 1000, 6},
		{Time{90000 * 7, 90000}, 1000, 7},
		// 30000/1001 frames: 1001 ticks of 30000 are 33.36 ms.
		{Time{1001 * 30, 30000}, 1000, 1},
		{Time{1<<63 - 1, 1}, 1000, 1<<63 - 1},
		{Time{1<<63 - 1, 1000}, 1000, (1<<63 - 1) / 1000},
		{Time{-1 << 63, 1}, 1, -1 << 63},
		{Time{5, 0}, 1000, 0},
	} {
		if got := tt.t.Grid(tt.step); got != tt.want {
			t.Errorf("%v.Grid(%d) = %d, want %d", tt.t, tt.step, got, tt.want)
		}
	}
}

func TestContainerNamesRoundTrip(t *testing.T) {
	for _, c := range []Container{Raw, FLV, FMP4} {
		if got, ok := ParseContainer(c.String()); !ok || got != c {
			t.Errorf("ParseContainer(%q) = %v, %v", c.String(), got, ok)
		}
	}
	if _, ok := ParseContainer("avi"); ok {
		t.Error("avi is a container we claim to know")
	}
}

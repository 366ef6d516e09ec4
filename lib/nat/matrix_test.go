package nat

import "testing"

func TestAllPairsButFourCanDoWithoutARelay(t *testing.T) {
	direct := 0
	for _, a := range Kinds() {
		for _, b := range Kinds() {
			if WayBetween(a, b) != WayBetween(b, a) {
				t.Errorf("%v and %v: one way differs from the other", a, b)
			}
			if a <= b && WayBetween(a, b) != Relayed {
				direct++
			}
		}
	}
	if direct != 32 {
		t.Errorf("%d of 36 pairs, want 32", direct)
	}
	for c := Public; c < Offline; c++ {
		if _, ok := KindOf(c, Random); !ok {
			t.Errorf("%v has no row", c)
		}
	}
	if _, ok := KindOf(Offline, Random); ok {
		t.Error("who is offline reaches nobody")
	}
}

package node

import (
	"fmt"
	"testing"
	"time"
)

func TestSixViewersHalfOfThemLateGetTheExactStreamMostlyFromEachOther(t *testing.T) {
	for _, topo := range []string{"balanced", "mesh"} {
		t.Run(topo, func(t *testing.T) {
			x := newWorld(t, 1, topo)
			x.broadcast(2_000_000, 2*time.Second, 40*time.Second)
			for i := range 6 {
				after := time.Duration(i) * 100 * time.Millisecond
				if i >= 3 {
					after = 7*time.Second + time.Duration(i)*770*time.Millisecond
				}
				x.join(after, fmt.Sprintf("viewer %d", i+1), hostOptions{})
			}
			x.run(43 * time.Second)
			s := x.totals()
			t.Log(s)
			for _, v := range x.viewers {
				t.Logf("%s: first frame after %v, %d stalls, downs %q", v.name, v.first, v.stalls, v.downs)
				x.complete(v)
			}
			want := 0.75
			if topo == "mesh" {
				want = 0.65
			}
			if s.share < want {
				t.Errorf("share %.3f, want %.2f", s.share, want)
			}
		})
	}
}

package punch

import (
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/nat"
)

// All 28 pairs that UDP can pass between, either side offering, meet by the way that
// the matrix says, and send to nobody but the server and each other; those that can meet at a relay only are told so at once.
func TestEveryPairMeetsAsTheMatrixSays(t *testing.T) {
	seeds := uint64(10)
	if brief() {
		seeds = 2
	}
	for _, a := range nat.Kinds() {
		for _, b := range nat.Kinds() {
			if a == nat.KindBlocked || b == nat.KindBlocked {
				continue
			}
			way := nat.WayBetween(a, b)
			var took []time.Duration
			failed := 0
			for seed := range seeds {
				x, ok := between(t, seed+1, a, b)
				for _, to := range x.strangers {
					t.Errorf("%v and %v: a packet to %v, where no server saw anybody", a, b, to)
				}
				switch {
				case way == nat.Relayed && (ok || x.w.Elapsed() > 250*time.Millisecond):
					t.Errorf("%v and %v: a way where there is none, or it took %v to say so", a, b, x.w.Elapsed())
				case way == nat.Relayed:
				case !ok:
					failed++
				default:
					if x.a.path.Way != way {
						t.Errorf("%v and %v: met by %v, want %v", a, b, x.a.path.Way, way)
					}
					took = append(took, x.a.at.Sub(x.heard))
				}
			}
			if failed > 0 && (way != nat.Birthday || failed > 1) {
				t.Errorf("%v and %v: no way in %d of %d", a, b, failed, seeds)
			}
			if slices.Sort(took); len(took) > 0 {
				t.Logf("%v and %v: %v after %v to %v", a, b, way, took[0], took[len(took)-1])
			}
		}
	}
}

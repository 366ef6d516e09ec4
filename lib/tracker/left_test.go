package tracker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
)

// When half a room is gone in a moment, those who are moved about hear of the
// death of old neighbours too, whom no list of theirs names any more: else they
// would ask the dead for what the living lack.
func TestWhoIsMovedHearsThatItsOldNeighboursAreGone(t *testing.T) {
	w := newLab(t, topology.BalancedName, Config{})
	w.seed(1, 1, "203.0.113.1:9000")
	const peers = 200
	for i := range peers {
		addr := fmt.Sprintf("198.51.%d.%d", i/100, i%100+1)
		a := w.hello(Session(i+10), i+10, addr, addr+":5000")
		a.Hello.UplinkBPS = 4_000_000
		if _, err := w.Join(now, a); err != nil {
			t.Fatal(err)
		}
		w.drain()
	}
	// Whom each knows: the last list, and what lists said before.
	known := map[Session][]wire.PeerID{}
	told := map[Session][]wire.PeerID{}
	for s := range w.lists {
		known[s] = memberIDs(w.lists[s])
	}
	ids := map[Session]wire.PeerID{}
	for s, p := range w.sessions {
		ids[s] = p.id
	}
	dying := rand.New(rand.NewPCG(1, 1)).Perm(peers)[:peers/2]
	for _, i := range dying {
		gone := Session(i + 10)
		w.Leave(now, gone)
		delete(w.lists, gone)
		delete(known, gone)
		for {
			m, ok := w.NextMessage(now)
			if !ok {
				break
			}
			if l, ok := m.Signal.(*wire.SignalNeighbours); ok {
				told[m.Session] = append(told[m.Session], l.Left...)
				for _, id := range memberIDs(l) {
					if !slices.Contains(known[m.Session], id) {
						known[m.Session] = append(known[m.Session], id)
					}
				}
			}
		}
	}
	checked := 0
	for s, list := range known {
		if s == 1 {
			continue
		}
		for _, i := range dying {
			dead := ids[Session(i+10)]
			if slices.Contains(list, dead) {
				checked++
				if !slices.Contains(told[s], dead) {
					t.Errorf("session %d still believes in %s", s, dead)
				}
			}
		}
	}
	if checked < peers {
		t.Errorf("only %d acquaintances with the dead", checked)
	}
	// Later nobody remembers: an acquaintance of long ago is none.
	for _, p := range w.sessions {
		if len(p.knowers) > maxKnowers {
			t.Errorf("%s is known by %d", p.id, len(p.knowers))
		}
	}
}

func memberIDs(l *wire.SignalNeighbours) (ids []wire.PeerID) {
	for _, m := range l.Members {
		ids = append(ids, m.ID)
	}
	return ids
}

// One who leaves a large room changes little. Where a crowd leaves, those who stay are
// fed by too few, and a room is put in order when all of them have gone.
func TestARoomIsPutInOrderSoonAfterManyHaveLeft(t *testing.T) {
	w := newLab(t, "balanced", Config{})
	for s := range Session(100) {
		w.join(w.hello(s+1, int(s+1), "198.51.100.1", fmt.Sprintf("198.51.100.1:%d", 5000+s)))
	}
	w.Tick(now)
	if at := w.NextTimeout(); at != now.Add(TendInterval) {
		t.Fatalf("the next call is at %v", at.Sub(now))
	}
	left := now.Add(300 * time.Millisecond)
	w.Leave(left, 1)
	if at := w.NextTimeout(); at != now.Add(TendInterval) {
		t.Errorf("after one has left: %v", at.Sub(now))
	}
	for s := range Session(50) {
		w.Leave(left, s+2)
	}
	if at := w.NextTimeout(); at != left.Add(tendSoon) {
		t.Errorf("after half of them have left: %v", at.Sub(left))
	}
	w.Tick(left.Add(tendSoon))
	if at := w.NextTimeout(); at != left.Add(tendSoon+TendInterval) {
		t.Errorf("when they are in order: %v", at.Sub(left))
	}
}

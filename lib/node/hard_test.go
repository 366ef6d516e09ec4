package node

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/simnet"
	"github.com/xp2p/xp2p/lib/wire"
)

// Of twelve viewers six are behind NATs such that no two of these can connect.
// Nobody has told them; they find out by trying, and live on the others.
func TestViewersWhoCannotMeetFindOutAndAreFedByOthers(t *testing.T) {
	x := newWorld(t, 5, "balanced")
	x.broadcast(1_000_000, 2*time.Second, 50*time.Second)
	hard := map[netip.Addr]bool{}
	x.w.Tap(func(_ time.Time, from, to netip.AddrPort, _ []byte) bool {
		return !hard[from.Addr()] || !hard[to.Addr()]
	})
	told := map[*viewer]*wire.SignalNeighbours{}
	for i := range 12 {
		v := x.join(time.Duration(i)*97*time.Millisecond, fmt.Sprintf("viewer %d", i+1), hostOptions{up: 4 * simnet.Mbps, down: 50 * simnet.Mbps})
		hard[v.host.Addr()] = i%2 == 0
		x.w.After(2*time.Second, func() {
			hear := x.sessions[v.sess]
			x.sessions[v.sess] = func(m wire.Signal) {
				if l, ok := m.(*wire.SignalNeighbours); ok {
					told[v] = l
				}
				hear(m)
			}
		})
	}
	x.run(25 * time.Second)
	for i, v := range x.viewers {
		if l := told[v]; l == nil || l.Hard != (i%2 == 0) {
			t.Errorf("%s (hard to reach: %v) was told last %+v", v.name, i%2 == 0, l)
		}
	}
	before := x.totals()
	x.run(28 * time.Second)
	for _, v := range x.viewers {
		x.complete(v)
	}
	s := x.totals()
	t.Log(before, s)
	if s.stalls > before.stalls {
		t.Errorf("%d stalls since they know", s.stalls-before.stalls)
	}
	if s.share < 0.8 {
		t.Errorf("share %.3f", s.share)
	}
}

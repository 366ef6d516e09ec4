package tracker

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/xp2p/xp2p/lib/wire"
)

// named returns whom a session was told of, and who of them is hard to reach.
func (w *lab) named(session Session) (all, hard []wire.PeerID) {
	for _, m := range w.lists[session].Members {
		if m.Role == wire.RoleSeed {
			continue
		}
		all = append(all, m.ID)
		if m.Hard {
			hard = append(hard, m.ID)
		}
	}
	return all, hard
}

// A mapped port is told at the address that a server saw, and nowhere else.
func TestAMappedPortIsToldWhereThePeerWasSeen(t *testing.T) {
	seen := netip.MustParseAddrPort("203.0.113.5:40000")
	p := &peer{hello: &wire.SignalHello{Mapped: 4000}, observed: []netip.AddrPort{seen}}
	if got := p.withMapped(p.observed); len(got) != 2 || got[0] != netip.MustParseAddrPort("203.0.113.5:4000") || got[1] != seen {
		t.Errorf("told: %v", got)
	}
	p.observed[0] = netip.MustParseAddrPort("192.168.1.7:40000")
	if got := p.withMapped(p.observed); len(got) != 1 {
		t.Errorf("a port of a private address is told: %v", got)
	}
	p.observed = nil
	if got := p.withMapped(nil); got != nil {
		t.Errorf("of one whom nobody has seen: %v", got)
	}
}

func TestThoseWhoCannotMeetAreNotToldOfEachOther(t *testing.T) {
	w := newLab(t, "balanced", Config{})
	says := w.hello(1, 1, "198.51.100.1", "198.51.100.1:5000")
	says.Hello.NAT = &wire.SignalNAT{Classes: []string{"symmetric"}, Allocation: "random"}
	anna := w.join(says)
	// He does not know more than that.
	half := w.hello(2, 2, "198.51.100.2", "198.51.100.2:5000", "198.51.100.2:5001")
	half.Hello.NAT = &wire.SignalNAT{Mapping: "address-and-port-dependent"}
	bert := w.join(half)
	carl := w.join(w.hello(3, 3, "198.51.100.3", "198.51.100.3:5000", "10.0.0.3:5000"))
	for session, want := range map[Session][]wire.PeerID{1: {carl}, 2: {carl}, 3: {anna, bert}} {
		all, hard := w.named(session)
		slices.Sort(want)
		slices.Sort(all)
		if !slices.Equal(all, want) || w.lists[session].Hard != (session < 3) || len(hard) != len(want) && session == 3 || len(hard) != 0 && session < 3 {
			t.Errorf("session %d (hard to reach: %v) was told of %v, and that of them are hard to reach %v", session, w.lists[session].Hard, all, hard)
		}
	}
}

func TestWhoIsCutOffFromTwoIsHardToReach(t *testing.T) {
	w := newLab(t, "balanced", Config{})
	var ids []wire.PeerID
	for i := range 4 {
		ids = append(ids, w.join(w.hello(Session(i+1), i+1, fmt.Sprintf("198.51.100.%d", i+1), fmt.Sprintf("198.51.100.%d:5000", i+1))))
	}
	home := w.join(w.hello(5, 5, "198.51.100.1", "198.51.100.1:5001")) // behind the first one's NAT
	report := func(session Session, unreached ...wire.PeerID) {
		t.Helper()
		if _, err := w.Report(session, &wire.SignalReport{Report: json.RawMessage(`{}`), Unreached: unreached}); err != nil {
			t.Fatal(err)
		}
		w.drain()
	}
	hard := func() (list []int) {
		for i := range 5 {
			if w.lists[Session(i+1)].Hard {
				list = append(list, i+1)
			}
		}
		return list
	}
	report(1, ids[1], ids[2], home)
	report(5, ids[0])
	if got := hard(); len(got) > 0 {
		t.Errorf("by one's word alone, or at one address: %v", got)
	}
	report(2, ids[0])
	if got := hard(); len(got) > 0 {
		t.Errorf("of one pair nobody knows whose NAT it is: %v", got)
	}
	report(3, ids[0], ids[1])
	if got := hard(); !slices.Equal(got, []int{1}) {
		t.Errorf("1 has no way to 2 and 3, and hard to reach are %v", got)
	}
	report(2, ids[0], ids[2])
	if got := hard(); !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("no two of 1, 2 and 3 have one, and hard to reach are %v", got)
	}
	for session := Session(1); session <= 3; session++ {
		if all, _ := w.named(session); !slices.Contains(all, ids[3]) || !slices.Contains(all, home) || len(all) != 2 {
			t.Errorf("%d was told of %v", session, all)
		}
	}
}

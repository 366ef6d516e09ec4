package swarm

import (
	"testing"

	"github.com/xp2p/xp2p/lib/wire"
)

func TestBytesFromAnotherZoneAreCountedOnce(t *testing.T) {
	list := pieces(t)
	s := newSwarm(t, 2, false, "balanced")
	bring := func(from Peer, i int) int64 {
		t.Helper()
		before := s.Meter.Received
		s.Receive(at(i), from, message(s, list[i], 0), nil)
		if s.Meter.Received == before {
			t.Fatalf("piece %d of %d was not taken", i, from)
		}
		return int64(len(list[i].Body))
	}
	known := func(id Peer, seed bool) {
		s.Connected(t0, id, seed, false)
		s.Receive(t0, id, wire.AppendHello(nil, s.tag, &wire.Hello{Name: "match", Flags: wire.HelloUpload}), nil)
	}
	cost := func(seed, near, far uint32) {
		t.Helper()
		if err := s.SetNeighbours(t0, &wire.SignalNeighbours{Version: 1, Topology: "balanced", Group: 1, Upload: true, Members: []wire.SignalMember{
			{ID: seedID, Role: wire.RoleSeed, Upload: true, Cost: seed}, {ID: 3, Role: wire.RolePeer, Upload: true, Cost: near},
			{ID: 4, Role: wire.RolePeer, Upload: true, Cost: far},
		}}); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string, want int64) {
		t.Helper()
		if s.Meter.InterZone != want {
			t.Errorf("%s: %d bytes crossed, want %d", when, s.Meter.InterZone, want)
		}
	}
	known(seedID, true)
	want := bring(seedID, 0)
	check("nobody knows yet", 0)
	cost(10, 0, 5)
	check("the seed was far all the time", want)
	known(3, false)
	known(4, false)
	bring(3, 1)
	check("a near one", want)
	want += bring(4, 2)
	check("a far one", want)
	want += bring(seedID, 3)
	s.Receive(at(3), seedID, message(s, list[3], 0), nil)
	check("what was here already crossed for nothing", want)
	cost(10, 7, 0) // both have moved: what came before came from where they were
	check("moved", want)
	want += bring(3, 4)
	bring(4, 5)
	check("and on from there", want)
}

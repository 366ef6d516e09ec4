package node

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/simnet"
	"github.com/xp2p/xp2p/lib/wire"
	"github.com/xp2p/xp2p/lib/xntp"
)

// crowd is a world with n viewers from the first second on, who upload at 8
// Mbit/s and are 10 to 20 ms from each other.
func crowd(t *testing.T, seed uint64, topo string, n int, d time.Duration) *world {
	x := newWorld(t, seed, topo)
	x.broadcast(2_000_000, 2*time.Second, d)
	for i := range n {
		x.join(time.Duration(i)*37*time.Millisecond, fmt.Sprintf("viewer %d", i+1),
			hostOptions{up: 8 * simnet.Mbps, down: 50 * simnet.Mbps, delay: time.Duration(5+i%6) * time.Millisecond})
	}
	return x
}

// both runs a test in a balanced room and in a mesh.
func both(t *testing.T, f func(t *testing.T, topo string)) {
	for _, topo := range []string{"balanced", "mesh"} {
		t.Run(topo, func(t *testing.T) { f(t, topo) })
	}
}

func TestTenViewersAddLittleLag(t *testing.T) {
	both(t, func(t *testing.T, topo string) {
		x := newWorld(t, 2, topo)
		x.broadcast(2_000_000, 2*time.Second, 20*time.Second)
		for i := range 10 {
			// 20 to 40 ms from viewer to viewer and back.
			x.join(time.Duration(i)*37*time.Millisecond, fmt.Sprintf("viewer %d", i+1), hostOptions{up: 20 * simnet.Mbps, down: 50 * simnet.Mbps, delay: time.Duration(5+i%6) * time.Millisecond})
		}
		x.run(22 * time.Second)
		s := x.totals()
		t.Log(s)
		for _, v := range x.viewers {
			x.complete(v)
		}
		// A piece comes over plain HTTP half a round trip after the seed took it in.
		if added := s.lagP95 - x.originRTT/2; added > 250*time.Millisecond {
			t.Errorf("added lag p95 is %v", added)
		}
		if s.share < 0.84 {
			t.Errorf("share %.3f", s.share)
		}
		if s.stalls > 0 {
			t.Errorf("%d stalls", s.stalls)
		}
	})
}

func TestAKilledViewerCostsTheOthersNothing(t *testing.T) {
	both(t, func(t *testing.T, topo string) {
		x := crowd(t, 3, topo, 8, 16*time.Second)
		x.w.After(6*time.Second, func() { x.viewers[2].host.Kill() })
		x.w.After(9*time.Second, func() { x.viewers[5].host.Kill() })
		x.run(18 * time.Second)
		live := slices.Concat(x.viewers[:2], x.viewers[3:5], x.viewers[6:])
		s := x.totals(live...)
		t.Log(s)
		for _, v := range live {
			x.complete(v)
		}
		if s.stalls > 0 {
			t.Errorf("%d stalls", s.stalls)
		}
		if s.share < 0.75 {
			t.Errorf("share %.3f", s.share)
		}
	})
}

func TestNobodyWhoIsInNoticesThatTheTrackerIsGone(t *testing.T) {
	both(t, func(t *testing.T, topo string) {
		x := crowd(t, 4, topo, 6, 22*time.Second)
		x.w.After(5*time.Second, func() { x.trGone = true })
		late := x.join(7*time.Second, "newcomer", hostOptions{})
		x.w.After(15*time.Second, func() {
			x.trGone = false
			late.proc.Do(func(now time.Time) { x.must(late.n.Reconnected(now, "match")) })
		})
		x.run(24 * time.Second)
		s := x.totals(x.viewers[:6]...)
		t.Log(s)
		for _, v := range x.viewers {
			x.complete(v)
			if v.stalls > 0 {
				t.Errorf("%s: %d stalls", v.name, v.stalls)
			}
		}
		if s.share < 0.75 {
			t.Errorf("share of those who were in: %.3f", s.share)
		}
		if r := late.report(); r.PeerBytes == 0 {
			t.Error("the newcomer met nobody when the tracker was back")
		}
	})
}

func TestASlowOriginAndThenNone(t *testing.T) {
	both(t, func(t *testing.T, topo string) {
		x := crowd(t, 5, topo, 6, 18*time.Second)
		x.w.After(3*time.Second, func() { x.originRTT = 400 * time.Millisecond })
		x.w.After(8*time.Second, func() { x.originDead = true })
		late := x.join(5*time.Second, "newcomer", hostOptions{})
		orphan := x.join(10*time.Second, "orphan", hostOptions{})
		x.run(20 * time.Second)
		t.Log(x.totals())
		t.Logf("first frame of the newcomer after %v, of the one without an origin after %v", late.first, orphan.first)
		for _, v := range x.viewers {
			x.complete(v)
			if v.stalls > 0 {
				t.Errorf("%s: %d stalls", v.name, v.stalls)
			}
		}
		if orphan.first > 3*time.Second {
			t.Errorf("without an origin the first frame came after %v", orphan.first)
		}
	})
}

func TestAPolluterIsLeftAndNoBadByteGetsOut(t *testing.T) {
	both(t, func(t *testing.T, topo string) {
		x := crowd(t, 6, topo, 8, 20*time.Second)
		bad := x.join(2*time.Second, "polluter", hostOptions{})
		sent := 0
		x.w.After(2*time.Second, func() {
			dice := x.w.Rand("polluter's dice")
			honest := bad.n.send
			bad.n.send = func(now time.Time, c xntp.ConnID, o xntp.Object) (xntp.ObjectID, error) {
				if kind, _, _ := wire.SwarmRoom(o.Data[0]); kind == wire.SwarmPiece && dice.IntN(10) == 0 {
					body := slices.Clone(o.Data[1])
					body[dice.IntN(len(body))] ^= 1 << dice.IntN(8)
					o.Data = [][]byte{o.Data[0], body}
					sent++
				}
				return honest(now, c, o)
			}
		})
		x.run(22 * time.Second)
		honest := x.viewers[:8]
		t.Log(x.totals(honest...), "bad pieces sent:", sent)
		caught := 0
		for _, v := range honest {
			x.complete(v)
			if v.stalls > 0 {
				t.Errorf("%s: %d stalls", v.name, v.stalls)
			}
			r := v.report()
			if r.PollutedBytes > 0 {
				caught++
				if !slices.ContainsFunc(v.downs, func(why string) bool { return strings.Contains(why, "did not sign") }) {
					t.Errorf("%s was polluted and did not leave: %q", v.name, v.downs)
				}
				if r.PollutedBytes > 16<<10 {
					t.Errorf("%s took %d bad bytes: more than one piece", v.name, r.PollutedBytes)
				}
			}
		}
		if sent == 0 || caught == 0 {
			t.Errorf("%d bad pieces sent, %d viewers noticed", sent, caught)
		}
	})
}

func TestAViewerWhoStopsReadingStallsOnlyHimself(t *testing.T) {
	both(t, func(t *testing.T, topo string) {
		x := crowd(t, 7, topo, 8, 18*time.Second)
		x.w.After(5*time.Second, func() { x.viewers[1].host.SetOnline(false) })
		x.w.After(11*time.Second, func() { x.viewers[1].host.SetOnline(true) })
		x.run(21 * time.Second)
		others := slices.Concat(x.viewers[:1], x.viewers[2:])
		s := x.totals(others...)
		t.Log(s)
		for _, v := range others {
			x.complete(v)
			if v.stalls > 0 {
				t.Errorf("%s: %d stalls", v.name, v.stalls)
			}
		}
		x.complete(x.viewers[1]) // it has caught up
		if s.share < 0.75 {
			t.Errorf("share %.3f", s.share)
		}
	})
}

func TestATenTimesSlowerUplinkStallsNobody(t *testing.T) {
	both(t, func(t *testing.T, topo string) {
		x := crowd(t, 8, topo, 8, 24*time.Second)
		x.join(500*time.Millisecond, "slow", hostOptions{up: 800 * simnet.Kbps, down: 50 * simnet.Mbps})
		x.run(26 * time.Second)
		s := x.totals()
		t.Log(s)
		for _, v := range x.viewers {
			x.complete(v)
			if v.stalls > 0 {
				t.Errorf("%s: %d stalls", v.name, v.stalls)
			}
		}
		if s.share < 0.75 {
			t.Errorf("share %.3f", s.share)
		}
	})
}

// noise sends random datagrams, some of which begin as ours do.
type noise struct {
	to   netip.AddrPort
	left int
	next time.Time
	x    *world
}

func (z *noise) Receive(time.Time, machine.Packet) {}
func (z *noise) Advance(now time.Time)             {}
func (z *noise) NextTimeout() time.Time            { return z.next }
func (z *noise) AppendDatagram(now time.Time, dst []byte) (machine.Packet, bool) {
	if z.left == 0 {
		z.next = time.Time{}
		return machine.Packet{}, false
	}
	if now.Before(z.next) {
		return machine.Packet{}, false
	}
	z.left--
	z.next = now.Add(time.Millisecond)
	n := 1 + z.x.rng.IntN(1200)
	for range n {
		dst = append(dst, byte(z.x.rng.Uint32()))
	}
	return machine.Packet{Remote: z.to, Data: dst}, true
}

func TestTenThousandRandomDatagramsDoNothing(t *testing.T) {
	x := crowd(t, 9, "balanced", 4, 15*time.Second)
	for i := range 2 {
		h := x.w.AddHost(simnet.HostConfig{Addr: netip.AddrFrom4([4]byte{203, 0, 113, byte(1 + i)})})
		x.w.After(2*time.Second, func() {
			to := x.seedProc.Addr(0)
			if i == 1 {
				to = x.viewers[0].proc.Addr(0)
			}
			h.Run(&noise{to: to, left: 5000, next: x.w.Now().Add(time.Millisecond), x: x}, 9, nil)
		})
	}
	x.run(18 * time.Second)
	t.Log(x.totals())
	for _, v := range x.viewers {
		x.complete(v)
		if v.stalls > 0 {
			t.Errorf("%s: %d stalls", v.name, v.stalls)
		}
	}
}

func TestTheBroadcasterBeginsAnew(t *testing.T) {
	both(t, func(t *testing.T, topo string) {
		x := crowd(t, 10, topo, 6, 6*time.Second)
		x.w.After(8*time.Second, func() { x.broadcast(2_000_000, 2*time.Second, 10*time.Second) })
		late := x.join(12*time.Second, "newcomer", hostOptions{})
		x.run(20 * time.Second)
		t.Log(x.totals())
		for _, v := range x.viewers {
			x.complete(v)
		}
		if late.from < len(x.input)/3 {
			t.Errorf("the newcomer began at %d of %d", late.from, len(x.input))
		}
	})
}

func TestAViewerLeavesCleanly(t *testing.T) {
	both(t, func(t *testing.T, topo string) {
		x := crowd(t, 11, topo, 6, 12*time.Second)
		x.w.After(6*time.Second, func() {
			x.viewers[3].proc.Do(func(now time.Time) { x.viewers[3].n.Close(now) })
		})
		before := int64(0)
		for range 140 {
			x.run(100 * time.Millisecond)
			after := x.viewers[0].report().OverheadBytes
			if after < before {
				t.Errorf("overhead falls from %d to %d bytes when a connection ends: counters only grow", before, after)
			}
			before = after
		}
		stay := slices.Concat(x.viewers[:3], x.viewers[4:])
		t.Log(x.totals(stay...))
		for _, v := range stay {
			x.complete(v)
			if v.stalls > 0 {
				t.Errorf("%s: %d stalls", v.name, v.stalls)
			}
			if !slices.ContainsFunc(v.downs, func(why string) bool { return strings.Contains(why, "goodbye") }) {
				t.Errorf("%s heard no goodbye: %q", v.name, v.downs)
			}
		}
	})
}

func TestLossOnEveryLinkIsHealed(t *testing.T) {
	both(t, func(t *testing.T, topo string) {
		x := newWorld(t, 12, topo)
		x.broadcast(2_000_000, 2*time.Second, 12*time.Second)
		for i := range 6 {
			x.join(time.Duration(i)*300*time.Millisecond, fmt.Sprintf("viewer %d", i+1), hostOptions{up: 10 * simnet.Mbps, down: 50 * simnet.Mbps, delay: 10 * time.Millisecond, loss: 0.01})
		}
		x.run(15 * time.Second)
		s := x.totals()
		t.Log(s)
		for _, v := range x.viewers {
			x.complete(v)
		}
	})
}

func TestTheSameSeedGivesTheSameTrace(t *testing.T) {
	both(t, func(t *testing.T, topo string) {
		trace := func() uint64 {
			x := crowd(t, 13, topo, 6, 6*time.Second)
			x.w.After(3*time.Second, func() { x.viewers[2].host.Kill() })
			x.run(8 * time.Second)
			return x.w.Trace()
		}
		if a, b := trace(), trace(); a != b {
			t.Errorf("two runs with one seed: %x and %x", a, b)
		}
	})
}

func TestWhenEverythingIsGoneNothingSpins(t *testing.T) {
	both(t, func(t *testing.T, topo string) {
		x := crowd(t, 14, topo, 4, 30*time.Second)
		// In the middle of a GOP: else a keyframe may be the last to come through,
		// with a hole before it that nobody can fill in time.
		x.w.After(8500*time.Millisecond, func() { x.seedHost.SetOnline(false); x.originDead = true; x.trGone = true })
		x.run(20 * time.Second)
		wakes := x.w.Stats().Wakes
		x.run(10 * time.Second)
		perSecond := float64(x.w.Stats().Wakes-wakes) / 10 / 5
		t.Logf("%.0f wake-ups a second and node with nothing to do", perSecond)
		if perSecond > 50 {
			t.Error("too many")
		}
		x.w.After(time.Second, func() { x.seedHost.SetOnline(true); x.originDead = false; x.trGone = false })
		for i := range 8 {
			x.run(2 * time.Second)
			for _, v := range x.viewers {
				t.Log(i, v.name, v.pos, v.last)
			}
		}
		for _, v := range x.viewers {
			x.complete(v)
		}
	})
}

package punch

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/nat"
)

// brief says that long tests are to be cut. The race detector makes them ten times as
// long and has little to look for: a machine has no goroutine.
func brief() bool { return testing.Short() || raceBuild }

func quantile(list []time.Duration, q float64) time.Duration {
	slices.Sort(list)
	return list[min(int(q*float64(len(list))), len(list)-1)]
}

// facts/nat.md §4: at least 99 of 100, p50 250 ms, p90 800 ms after the candidates are
// exchanged, a connection included, which takes 50 ms more than the way; 512 sockets and
// 1024 probes at most. Either side offers half of the times.
func TestManySocketsAndManyPortsMeet(t *testing.T) {
	var took []time.Duration
	sockets, probes := 0, uint64(0)
	tries := uint64(100)
	if brief() {
		tries = 10
	}
	for seed := range tries {
		a, b := nat.KindPortRestricted, nat.KindRandom
		if seed%2 == 1 {
			a, b = b, a
		}
		x, ok := between(t, 100+seed, a, b)
		if ok {
			took = append(took, x.a.at.Sub(x.heard))
		}
		for _, s := range []*side{x.a, x.b} {
			sockets = max(sockets, s.most)
			if s.Counts().Opened == 0 {
				probes = max(probes, s.Counts().Checks)
			}
		}
	}
	p50, p90 := quantile(took, 0.5), quantile(took, 0.9)
	t.Logf("%d of %d met, p50 %v, p90 %v, most %v; %d sockets, %d probes at most", len(took), tries, p50, p90, took[len(took)-1], sockets, probes)
	if uint64(len(took)) < tries-tries/100 || p50 > 120*time.Millisecond || p90 > 400*time.Millisecond || sockets > BirthdaySockets || probes > BirthdayProbes {
		t.Error("not as it should be")
	}
}

// The carrier's NAT gives each customer a block of 512 ports, of which we take 64.
func TestABlockOfPortsIsNotUsedUp(t *testing.T) {
	met := 0
	for seed := range uint64(20) {
		b, f := network(nat.KindRandom)
		b.configs[0].Allocation, f.Allocation, f.BlockSize = nat.Block, nat.Block, 512
		c, fc := network(nat.KindPortRestricted)
		x := newPair(t, 300+seed, c, b)
		// As ten sockets were seen: the box draws its block when it is made.
		x.w.RunFor(200 * time.Millisecond)
		f.Low = x.b.seen.Port() / 512 * 512
		f.High = f.Low + 500
		if x.meet(fc, f) {
			met++
		}
		if x.b.most > blockSockets {
			t.Errorf("%d sockets", x.b.most)
		}
	}
	if met < 19 {
		t.Errorf("%d of 20", met)
	}
}

// At least 98 % of 50 tries and at most 0.8 s from cold, with 20 allocations a second
// by others at each NAT; steps of one, of several, and downwards.
func TestTwoThatCountMeetAmongOthers(t *testing.T) {
	for _, step := range []int{1, 4, -2} {
		met, worst := 0, time.Duration(0)
		for seed := range uint64(50) {
			a, fa := network(nat.KindSequential)
			a.foreign = 20
			a.configs[0].Step, fa.Delta = step, step
			x := newPair(t, 500+seed, a, a)
			began := x.w.Now().Add(200 * time.Millisecond)
			if x.meet(fa, fa) {
				met++
				worst = max(worst, x.a.at.Sub(began))
			}
		}
		t.Logf("step %d: %d of 50, the last after %v", step, met, worst)
		if met < 49 {
			t.Errorf("step %d: %d of 50", step, met)
		}
		if worst > 800*time.Millisecond && met == 50 {
			t.Logf("step %d: one took %v, a round more", step, worst)
		}
	}
}

// With one box or two that a stranger's packet spoils, all of 50 within two rounds.
func TestBoxesThatClashAreOpenedInOrder(t *testing.T) {
	for _, c := range []struct{ a, b bool }{{true, false}, {false, true}, {true, true}} {
		for _, late := range []bool{false, true} { // the tracker's word is late for the answer: round two
			rounds := 0
			for seed := range uint64(50) {
				a, fa := network(nat.KindPortRestricted)
				b, fb := network(nat.KindPortRestricted)
				a.configs[0].Clash, b.configs[0].Clash = c.a, c.b
				x := newPair(t, 700+seed, a, b)
				if late { // both have been dialed at random before, and the tables are spoilt
					x.spoil()
				}
				if !x.meet(fa, fb) {
					t.Fatalf("%+v, spoilt %v: no way", c, late)
				}
				rounds = max(rounds, x.signal/2)
			}
			t.Logf("%+v, spoilt %v: %d rounds", c, late, rounds)
			if rounds > 2 || !late && rounds > 1 {
				t.Errorf("%+v, spoilt %v: %d rounds", c, late, rounds)
			}
		}
	}
}

// spoil has each side's packet come to the other's box before that has sent.
func (x *pair) spoil() {
	x.w.RunFor(200 * time.Millisecond)
	for _, s := range []*side{x.a, x.b} {
		s.proc.Do(func(time.Time) {
			s.replies.Push(reply{to: s.other.seen})
		})
		x.w.RunFor(200 * time.Millisecond)
	}
}

// A thousand pairs of networks drawn at random: nothing panics, no search is without
// end, no socket stays open, who can meet directly does, and the same seed gives the
// same trace.
func TestRandomPairsOfNetworks(t *testing.T) {
	n := 1000
	if brief() {
		n = 100
	}
	run := func(seed uint64, n int) (trace uint64, met, direct, could int) {
		rng := rand.New(rand.NewPCG(seed, 9))
		for i := range n {
			a, b := nat.Kinds()[rng.IntN(7)], nat.Kinds()[rng.IntN(7)]
			ba, fa := network(a)
			bb, fb := network(b)
			for _, x := range []*boxes{&ba, &bb} {
				if len(x.configs) > 0 && rng.IntN(2) == 0 && len(x.configs[0].Public) > 0 {
					x.foreign = float64(1 + rng.IntN(30))
				}
			}
			x := newPair(t, seed*100_000+uint64(i), ba, bb)
			loss := 0.05 * rng.Float64()
			drop := x.w.Rand("loss")
			x.w.Tap(func(time.Time, netip.AddrPort, netip.AddrPort, []byte) bool { return drop.Float64() >= loss })
			ok := x.meet(fa, fb)
			if way := nat.WayBetween(a, b); way == nat.Direct {
				if could++; ok {
					direct++
				} else {
					t.Logf("pair %d, %v and %v, loss %.3f: no way", i, a, b, loss)
				}
			}
			if ok {
				met++
				x.a.proc.Do(func(now time.Time) { x.a.Done(now, x.b.id, 0, netip.AddrPort{}) })
				x.b.proc.Do(func(now time.Time) { x.b.Done(now, x.a.id, 0, netip.AddrPort{}) })
			}
			x.w.RunFor(30 * time.Second)
			if x.a.Sockets()+x.b.Sockets() > 0 || x.a.Looks(x.b.id) || x.b.Looks(x.a.id) {
				t.Fatalf("seed %d, pair %d, %v and %v: %d and %d sockets stay", seed, i, a, b, x.a.Sockets(), x.b.Sockets())
			}
			trace = trace*31 + x.w.Trace()
		}
		return trace, met, direct, could
	}
	one, _, _, _ := run(2, n/5)
	if again, _, _, _ := run(2, n/5); again != one {
		t.Error("the same seed has another trace")
	}
	if other, _, _, _ := run(3, n/5); other == one {
		t.Error("another seed has the same trace")
	}
	_, met, direct, could := run(1, n)
	t.Logf("%d of %d met; %d of the %d that can directly", met, n, direct, could)
	if direct != could {
		t.Errorf("%d of %d that can meet directly do", direct, could)
	}
}

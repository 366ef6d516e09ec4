package punch

import (
	"net/netip"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/simnet"
)

// Whom nothing else reaches meets at a relay: one of the two has an allocation, which
// lets in what comes from an address that it has sent to.
func TestARelayReachesWhomNothingElseDoes(t *testing.T) {
	for _, c := range []struct {
		a, b   nat.Kind
		who    int // has an allocation: 0 the one who offers, 1 the other, 2 both
		wanted bool
	}{
		{nat.KindRandom, nat.KindRandom, 0, false},
		{nat.KindRandom, nat.KindSequential, 2, false},
		{nat.KindPortRestricted, nat.KindPortRestricted, 0, true}, // because the rest has failed
		{nat.KindPortRestricted, nat.KindRandom, 0, true},
	} {
		ba, fa := network(c.a)
		bb, fb := network(c.b)
		x := newPair(t, 900, ba, bb)
		x.relay = x.w.AddNAT(simnet.NATConfig{BoxConfig: nat.BoxConfig{
			Public: []netip.Addr{relayAddr}, Mapping: nat.EndpointIndependent, Filtering: nat.AddressDependent,
		}})
		x.a.SetRelay(c.who != 1)
		x.b.SetRelay(c.who != 0)
		x.w.RunFor(200 * time.Millisecond)
		x.a.SetFacts(fa)
		x.b.SetFacts(fb)
		x.a.proc.Do(func(now time.Time) { x.a.Meet(now, x.b.id, Say(fb), c.wanted) })
		x.w.RunUntil(func() bool { return x.a.path != nil || len(x.a.failed) > 0 }, 10*time.Second)
		if x.a.path == nil {
			t.Errorf("%v and %v: no way", c.a, c.b)
			continue
		}
		t.Logf("%v and %v: %v after %v", c.a, c.b, x.a.path.Way, x.a.at.Sub(x.heard))
		if f, ok := x.a.Done(x.w.Now(), x.b.id, x.a.path.Socket, x.a.path.Remote); !ok || f.Way != nat.Relayed && !(c.wanted && f.Way == nat.Direct) {
			t.Errorf("%v and %v: called %v", c.a, c.b, f.Way)
		}
	}
}

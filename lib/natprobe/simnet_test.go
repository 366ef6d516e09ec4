package natprobe

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/simnet"
	"github.com/xp2p/xp2p/lib/wire"
)

// Two hundred viewers start at once, 50 ms away, and a fifth of all packets is
// lost each way: the tries that follow each other fast are worth their bytes.
func TestEverybodyIsObservedThroughABadNetwork(t *testing.T) {
	run := func() (took []time.Duration, trace uint64) {
		w := simnet.New(7)
		bad := simnet.Link{Delay: 12500 * time.Microsecond, Loss: 0.1} // two access links each way
		server := w.AddHost(simnet.HostConfig{Addr: serverA.Addr(), Up: bad, Down: bad})
		r := NewResponder(ResponderConfig{TokenKey: tokenKey, Rand: w.Rand("responder")})
		server.Run(r, serverA.Port(), nil)
		for i := range 200 {
			addr := netip.AddrFrom4([4]byte{198, 51, 100, byte(1 + i)})
			h := w.AddHost(simnet.HostConfig{Addr: addr, Up: bad, Down: bad})
			b := NewBinding(BindingConfig{Entropy: entropySource(w.Rand(addr.String()).Uint32), Servers: []netip.AddrPort{serverA}, WantToken: true})
			want := netip.AddrPortFrom(addr, 4000)
			h.Run(b, 4000, func(now time.Time) {
				for {
					e, ok := b.NextEvent()
					if !ok {
						return
					}
					if e.Kind == Silent {
						continue // six tries lost: one in 600, who will be observed later
					}
					if e.Kind != Observed || e.Mapped != want || wire.VerifyToken(tokenPub, e.Token, want, now) != nil {
						t.Errorf("%s: %+v", addr, e)
					}
					if e.RTT != 50*time.Millisecond {
						t.Errorf("%s: a round trip of %v", addr, e.RTT)
					}
					took = append(took, w.Elapsed())
				}
			})
		}
		w.RunFor(10 * time.Second)
		return took, w.Trace()
	}
	took, trace := run()
	if len(took) != 200 {
		t.Fatalf("%d of 200 were observed", len(took))
	}
	slices.Sort(took)
	p50, p95, last := took[100], took[190], took[199]
	t.Logf("observed after %v (half), %v (95 %%), %v (all)", p50, p95, last)
	if p50 > 60*time.Millisecond || p95 > 500*time.Millisecond {
		t.Errorf("observed after %v (half), %v (95 %%)", p50, p95)
	}
	if _, again := run(); again != trace {
		t.Error("two runs differ")
	}
}

// entropySource makes a reader of a simulation's random numbers.
type entropySource func() uint32

func (f entropySource) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(f())
	}
	return len(p), nil
}

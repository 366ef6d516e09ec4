package endpoint

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/simnet"
)

func TestTheDuetKeepsTheContract(t *testing.T) {
	for _, sample := range [][]byte{[]byte("?\x00\x00\x00\x07more"), []byte("!\x00\x00\x00\x00")} {
		err := machine.Conform(func() machine.Machine {
			d := &duet{to: netip.MustParseAddrPort("192.0.2.1:9"), rounds: 50, pause: time.Millisecond}
			d.start(simnet.Epoch)
			return d
		}, simnet.Epoch, sample)
		if err != nil {
			t.Error(err)
		}
	}
}

const twinRounds = 20

func twinPair() (ask, answer *duet) {
	return &duet{rounds: twinRounds, pause: 2 * time.Millisecond, size: 1200}, &duet{}
}

// The simulation speaks about the product: one scenario, played on the
// virtual network and on real sockets, gives the same events.
func TestOneScenarioHasTheSameEventsInSimnetAndOnSockets(t *testing.T) {
	wantAsk, wantAnswer := twinInSimnet(t)
	if len(wantAsk) != 2*twinRounds+1 || len(wantAnswer) != twinRounds+1 {
		t.Fatalf("simnet: %q\n%q", wantAsk, wantAnswer)
	}
	for name, plain := range map[string]bool{"batched": false, "plain": true} {
		t.Run(name, func(t *testing.T) {
			ask, answer := twinOnSockets(t, plain)
			if !slices.Equal(ask, wantAsk) {
				t.Errorf("who asks:\nsimnet  %q\nsockets %q", wantAsk, ask)
			}
			if !slices.Equal(answer, wantAnswer) {
				t.Errorf("who answers:\nsimnet  %q\nsockets %q", wantAnswer, answer)
			}
		})
	}
}

func twinInSimnet(t *testing.T) (asked, answered []string) {
	ask, answer := twinPair()
	w := simnet.New(1)
	ha := w.AddHost(simnet.HostConfig{Addr: netip.MustParseAddr("10.0.0.1")})
	hb := w.AddHost(simnet.HostConfig{Addr: netip.MustParseAddr("10.0.0.2")})
	w.SetDelay(ha, hb, 10*time.Millisecond)
	pb := hb.Run(answer, 7, nil)
	ask.to = pb.Addr(0)
	pa := ha.Run(ask, 0, nil)
	pa.Do(ask.start)
	if !w.RunUntil(func() bool { return ask.round == twinRounds }, time.Minute) {
		t.Fatal("not done")
	}
	pa.Do(func(time.Time) { ask.leave() })
	w.RunFor(time.Second)
	return ask.events, answer.events
}

func twinOnSockets(t *testing.T, plain bool) (asked, answered []string) {
	ask, answer := twinPair()
	b := start(t, answer, Config{Listen: loopback, Plain: plain})
	ask.to = b.LocalAddr(0)
	done := make(chan struct{})
	a := start(t, ask, Config{
		Listen: loopback, Plain: plain,
		Step:  func(time.Time) { closeOnce(done, ask.round == twinRounds) },
		Leave: func(time.Time) { ask.leave() },
	})
	a.Do(ask.start)
	wait(t, done)
	a.stop()
	// The goodbye is in the answerer's socket, or on its way there.
	for b.count.packetsIn.Load() < twinRounds+1 && t.Context().Err() == nil {
		b.Call(t.Context(), func(time.Time) {})
	}
	b.stop()
	if ask.back || answer.back {
		t.Error("now went backwards")
	}
	return ask.events, answer.events
}

package xntp

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
)

func TestTheContractOfAMachine(t *testing.T) {
	// What two endpoints say to each other are the true datagrams.
	var samples [][]byte
	w := newWorld(t, 3)
	a, b := w.add("a", near), w.add("b", near)
	w.meddle = func(from, _ *node, p *machine.Packet) {
		if from == a {
			samples = append(samples, bytes.Clone(p.Data))
		}
	}
	start := w.now
	ac, _ := w.dial(a, b)
	for range 3 {
		a.Send(w.now, ac, Object{Data: [][]byte{make([]byte, 3000)}})
	}
	w.run(time.Second)
	fresh := func(dial bool) func() machine.Machine {
		return func() machine.Machine {
			e := New(Config{Key: b.key, Rand: rand.New(rand.NewPCG(1, 2)), Entropy: newSource(3, "b")})
			if dial {
				id, err := e.Dial(start, DialOptions{Remote: a.Public(), Addr: a.addr})
				if err != nil {
					t.Fatal(err)
				}
				e.Send(start, id, Object{Data: [][]byte{make([]byte, 3000)}})
			}
			return e
		}
	}
	for _, dial := range []bool{false, true} {
		if err := machine.Conform(fresh(dial), start, samples...); err != nil {
			t.Errorf("dialing %v: %v", dial, err)
		}
	}
}

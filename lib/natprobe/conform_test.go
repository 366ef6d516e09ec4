package natprobe

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

func TestBothSidesKeepTheContractOfMachines(t *testing.T) {
	samples := [][]byte{
		wire.AppendSTUNRequest(nil, wire.STUNTransaction{1}, true),
		wire.AppendSTUNRequest(nil, wire.STUNTransaction{2}, false),
		wire.AppendSTUNSuccess(nil, wire.STUNTransaction{3}, outside, nil, true),
		wire.AppendSTUNError(nil, wire.STUNTransaction{4}, 420, []uint16{3}, true),
	}
	for name, f := range map[string]func() machine.Machine{
		"responder": func() machine.Machine {
			return NewResponder(ResponderConfig{TokenKey: tokenKey, Rand: rand.New(rand.NewPCG(1, 1))})
		},
		"prober": func() machine.Machine {
			return NewProber(ProberConfig{Entropy: rand.NewChaCha8([32]byte{1}), Servers: []netip.AddrPort{serverA, serverB}, Lifetime: true, MTU: true, Gateway: netip.MustParseAddr("192.168.1.1")})
		},
		"binding": func() machine.Machine {
			return NewBinding(BindingConfig{Entropy: rand.NewChaCha8([32]byte{1}), Servers: []netip.AddrPort{serverA, serverB}, WantToken: true})
		},
	} {
		if err := machine.Conform(f, start, samples...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

package main

import (
	"context"

	"github.com/xp2p/xp2p/lib/bench"
	"github.com/xp2p/xp2p/lib/tool"
)

// realPeers is how many viewers --real starts unless --peers says otherwise.
const realPeers = 50

// runReal measures real processes: on loopback beside plain HTTP viewers, or
// behind emulated links beside the simulation.
func (o *swarmOptions) runReal(ctx context.Context, t *tool.IO) error {
	topology := o.topology
	if topology == "all" {
		topology = "balanced"
	}
	opt := bench.RealOptions{Bin: o.bin}
	if o.real {
		peers := o.peers
		if peers == 0 {
			peers = realPeers
		}
		swarm, plain, err := bench.Costs(ctx, bench.RealScenario(peers), topology, o.seed, opt)
		if err != nil {
			return err
		}
		return bench.WriteCosts(t.Out, swarm, plain)
	}
	name := o.scenario
	if name == "steady" {
		name = "calibrate"
	}
	s, err := loadScenario(t, name)
	if err != nil {
		return err
	}
	if o.peers > 0 {
		if s, err = s.Resized(o.peers); err != nil {
			return tool.Usage("--peers %d: %w", o.peers, err)
		}
	}
	seeds := make([]uint64, o.seeds)
	for i := range seeds {
		seeds[i] = o.seed + uint64(i)
	}
	c, err := bench.Calibrate(ctx, s, topology, seeds, opt, func(ctx context.Context, s *bench.Scenario, topology string, seed uint64) (*bench.Run, error) {
		// So few viewers can be simulated packet by packet; flows are held against
		// packets by their own tests.
		return o.simulate(ctx, s, topology, seed, bench.PacketLink, nil)
	})
	if err != nil {
		return err
	}
	if err := c.WriteText(t.Out); err != nil {
		return err
	}
	return c.Verdict()
}

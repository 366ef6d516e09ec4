package bench

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// RealScenario is what a real swarm on one machine's loopback is measured with:
// small enough that two cores carry 50 viewers.
func RealScenario(peers int) *Scenario {
	return &Scenario{Name: "real", Peers: peers, Seconds: 120, RateBPS: 1_000_000, Join: Join{Kind: "ramp", OverS: 10}}
}

// Costs runs a scenario with real processes on loopback twice: as a swarm, and
// with as many plain HTTP readers (curl) of /live/ROOM.flv of the same kind of
// seed. CPU time of both is counted the same way, by the kernel, for each
// process from its start to its end.
func Costs(ctx context.Context, sc *Scenario, topology string, seed uint64, opt RealOptions) (swarm, plain *Run, err error) {
	opt.Place = PlaceLoopback
	opt.Plain = false
	if swarm, err = RunReal(ctx, sc, topology, seed, opt); err != nil {
		return nil, nil, fmt.Errorf("swarm: %w", err)
	}
	opt.Plain = true
	if plain, err = RunReal(ctx, sc, topology, seed, opt); err != nil {
		return nil, nil, fmt.Errorf("plain HTTP: %w", err)
	}
	return swarm, plain, nil
}

// CPUPerViewer is the CPU time of a viewer, as a part of one core.
func (x *Real) CPUPerViewer() float64 {
	if x.WatchedSeconds <= 0 {
		return 0
	}
	return x.ViewerCPU.Seconds() / x.WatchedSeconds
}

// CPUPerGB is CPU time in seconds for each GB that viewers put out.
func (x *Real) CPUPerGB(cpu time.Duration) float64 {
	if x.DeliveredBytes <= 0 {
		return 0
	}
	return cpu.Seconds() / (float64(x.DeliveredBytes) / 1e9)
}

// WriteCosts writes what a swarm cost beside plain HTTP-FLV, for people.
func WriteCosts(w io.Writer, swarm, plain *Run) error {
	var b strings.Builder
	s, p := swarm.Real, plain.Real
	line := func(name string, of func(*Run, *Real) string) {
		fmt.Fprintf(&b, "%-30s %16s %16s\n", name, of(swarm, s), of(plain, p))
	}
	fmt.Fprintf(&b, "%-30s %16s %16s\n", "", "swarm "+swarm.Topology, "plain HTTP-FLV")
	line("viewers", func(_ *Run, x *Real) string { return fmt.Sprint(x.Viewers) })
	line("exact to the end, by SHA-256", func(_ *Run, x *Real) string { return fmt.Sprint(x.Exact) })
	line("wrong bytes put out", func(r *Run, _ *Real) string { return fmt.Sprint(r.PlayedBad) })
	line("put out", func(_ *Run, x *Real) string { return fmt.Sprintf("%.1f MB", float64(x.DeliveredBytes)/1e6) })
	line("from origin and seed", func(r *Run, _ *Real) string { return fmt.Sprintf("%.1f MB", float64(r.ServerEgress)/1e6) })
	line("start-up p50, p95", func(r *Run, _ *Real) string {
		return fmt.Sprintf("%d, %d ms", r.Startup.Quantile(0.5), r.Startup.Quantile(0.95))
	})
	line("lag p50, p95", func(_ *Run, x *Real) string { return fmt.Sprintf("%d, %d ms", x.LagP50MS, x.LagP95MS) })
	line("CPU of a viewer, of a core", func(_ *Run, x *Real) string { return fmt.Sprintf("%.2f %%", 100*x.CPUPerViewer()) })
	line("CPU of viewers, for a GB", func(_ *Run, x *Real) string { return fmt.Sprintf("%.1f s", x.CPUPerGB(x.ViewerCPU)) })
	line("CPU of the seed, for a GB", func(_ *Run, x *Real) string { return fmt.Sprintf("%.1f s", x.CPUPerGB(x.SeedCPU)) })
	line("CPU of the seed", func(_ *Run, x *Real) string { return fmt.Sprintf("%.2f s", x.SeedCPU.Seconds()) })
	line("memory of seed, of a viewer", func(_ *Run, x *Real) string {
		return fmt.Sprintf("%d, %d MiB", x.PeakSeedRSS>>20, x.PeakViewerRSS>>20)
	})
	line("processors busy", func(_ *Run, x *Real) string { return fmt.Sprintf("%.0f %%", 100*x.MachineBusy) })
	if total := swarm.PeerBytes + swarm.ServerEgress; total > 0 && swarm.ShareBound > 0 {
		share := float64(swarm.PeerBytes) / float64(total)
		fmt.Fprintf(&b, "peer share %.1f %%, bound %.1f %%: %.1f %% of it\n", 100*share, 100*swarm.ShareBound, 100*share/swarm.ShareBound)
	}
	for _, r := range []*Run{swarm, plain} {
		for _, d := range append(r.Real.Doubts, r.Real.Failures...) {
			fmt.Fprintf(&b, "doubt: %s\n", d)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/xp2p/xp2p/lib/measure"
)

// How far simulator and reality may be apart, as a part of what is real.
const (
	CalibrationShare  = 0.05 // peer share
	CalibrationLagP95 = 0.15 // p95 of added lag
)

// A Calibration is the same scenario twice: simulated, and with real processes
// in network namespaces. Viewers, delays and uplinks are the same (Draw); what
// is drawn inside of the programs is not.
type Calibration struct {
	Sim, Real []*Run   // one a seed
	Again     []string // why runs were measured again
	// Over all seeds together: a ratio, and milliseconds.
	Share, LagP95 Agreement
}

// An Agreement is one value as the simulator and as reality has it.
type Agreement struct {
	Sim, Real float64
	Off       float64 // |Sim-Real| / Real
	Bound     float64 // of Off
}

// Within reports whether the two are as near as they must be.
func (a Agreement) Within() bool { return a.Off <= a.Bound }

func agree(sim, real, bound float64) Agreement {
	a := Agreement{Sim: sim, Real: real, Off: math.Abs(sim-real) / real, Bound: bound}
	if sim == real {
		a.Off = 0 // even if both are zero
	}
	return a
}

// realTries is how often real processes are measured before a machine that is not in
// time is believed to stay so. Its host may give its processors to others for a while.
const realTries = 4

// trusted measures until there is no doubt of it, realTries times at the most, and
// tells what was in doubt of those that do not count.
func trusted(measure func() (*Run, error)) (r *Run, again []string, err error) {
	for try := 1; ; try++ {
		r, err = measure()
		if err != nil || len(r.Real.Doubts) == 0 || try == realTries {
			return r, again, err
		}
		again = append(again, strings.Join(r.Real.Doubts, "; "))
	}
}

// Calibrate carries a scenario out once a seed, with simulate and with real
// processes in network namespaces, and compares. It takes the broadcast's own
// time for every seed, and again for each time that the machine was not in time for
// it. To believe a quantile of lag to 15 % takes a few of them.
func Calibrate(ctx context.Context, sc *Scenario, topology string, seeds []uint64, opt RealOptions, simulate func(context.Context, *Scenario, string, uint64) (*Run, error)) (*Calibration, error) {
	if len(seeds) == 0 {
		return nil, errors.New("calibration: no seeds")
	}
	opt.Place, opt.Plain = PlaceNetns, false
	c := &Calibration{}
	for _, seed := range seeds {
		// One after the other: the real processes need the machine for themselves.
		r, again, err := trusted(func() (*Run, error) { return RunReal(ctx, sc, topology, seed, opt) })
		if err != nil {
			return nil, fmt.Errorf("calibration: seed %d, real: %w", seed, err)
		}
		s, err := simulate(ctx, sc, topology, seed)
		if err != nil {
			return nil, fmt.Errorf("calibration: seed %d, simulated: %w", seed, err)
		}
		c.Real, c.Sim, c.Again = append(c.Real, r), append(c.Sim, s), append(c.Again, again...)
	}
	c.compare()
	return c, nil
}

func (c *Calibration) compare() {
	pool := func(runs []*Run) (share, p95 float64) {
		var peer, all int64
		var lag measure.Histogram
		for _, r := range runs {
			peer += r.PeerBytes
			all += r.PeerBytes + r.SeedBytes + r.OriginBytes
			lag.Merge(&r.AddedLag)
		}
		if all > 0 {
			share = float64(peer) / float64(all)
		}
		return share, float64(lag.Quantile(0.95))
	}
	simShare, simLag := pool(c.Sim)
	realShare, realLag := pool(c.Real)
	c.Share = agree(simShare, realShare, CalibrationShare)
	c.LagP95 = agree(simLag, realLag, CalibrationLagP95)
}

// Doubts are why the real side may have measured the machine, or a swarm in
// which something went wrong: then nothing is proved either way.
func (c *Calibration) Doubts() (all []string) {
	for i, r := range c.Real {
		for _, what := range [][]string{r.Real.Doubts, r.Real.Failures} {
			for _, d := range what {
				all = append(all, fmt.Sprintf("run %d: %s", i+1, d))
			}
		}
		if r.PlayedBad > 0 {
			all = append(all, fmt.Sprintf("run %d: %d bytes that are not the broadcaster's were put out", i+1, r.PlayedBad))
		}
	}
	return all
}

// Verdict is nil if simulator and reality agree, and there is no doubt of it.
func (c *Calibration) Verdict() error {
	var wrong []string
	if !c.Share.Within() {
		wrong = append(wrong, fmt.Sprintf("peer share is %.1f %% off, at most %.0f %%", 100*c.Share.Off, 100*c.Share.Bound))
	}
	if !c.LagP95.Within() {
		wrong = append(wrong, fmt.Sprintf("added lag p95 is %.1f %% off, at most %.0f %%", 100*c.LagP95.Off, 100*c.LagP95.Bound))
	}
	wrong = append(wrong, c.Doubts()...)
	if len(wrong) > 0 {
		return fmt.Errorf("calibration: %s", strings.Join(wrong, "; "))
	}
	return nil
}

// WriteText writes the comparison for people.
func (c *Calibration) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%-14s %10s %10s %8s %8s\n", "", "simulated", "real", "off", "at most")
	line := func(name, unit string, scale float64, a Agreement) {
		mark := "ok"
		if !a.Within() {
			mark = "NO"
		}
		fmt.Fprintf(&b, "%-14s %8.1f %s %7.1f %s %6.1f %% %6.0f %%  %s\n", name, scale*a.Sim, unit, scale*a.Real, unit, 100*a.Off, 100*a.Bound, mark)
	}
	line("peer share", "%", 100, c.Share)
	line("added lag p95", "ms", 1, c.LagP95)
	for _, why := range c.Again {
		fmt.Fprintf(&b, "measured again: %s\n", why)
	}
	for i, r := range c.Real {
		x := r.Real
		fmt.Fprintf(&b, "real run %d: %d viewers, %d exact to the end; packets late by %.2f ms, frames by %.1f ms at p99; processors busy for %.0f %%, taken by the host for %.0f %%\n",
			i+1, x.Viewers, x.Exact, x.EmulatorLateMS, x.BroadcastLateMS, 100*x.MachineBusy, 100*x.MachineStolen)
	}
	for _, d := range c.Doubts() {
		fmt.Fprintf(&b, "doubt: %s\n", d)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

package transport

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// A Suite measures the table of targets: cells are what is measured, rows are
// what is asked of it. It needs TUN links.
type Suite struct {
	quick   bool
	cells   []cell
	results map[string][]Result
}

// A cell is a measurement that one or more rows read.
type cell struct {
	name string
	plan Plan
}

const (
	mbit        = 1_000_000
	milli       = time.Millisecond
	kb, mb      = 1000, 1000_000 // as the limits in the table are reckoned
	xntpName    = "xntp"
	suiteFlight = 60 * time.Second // a cold run is given up
	// suiteHurry leaves the time that the longest cells need for an hour and a
	// quarter in all.
	suiteHurry = 62 * time.Minute
)

// NewSuite makes the suite: medians of five, or quick, to see that all is well:
// one or two runs, and short.
func NewSuite(quick bool) *Suite {
	s := &Suite{quick: quick, results: map[string][]Result{}}
	tun := func(rate int64, rtt time.Duration) Link { return Link{Kind: TUN, Rate: rate, RTT: rtt, Seed: 1} }
	lossy := func(l Link, loss float64) Link { l.Loss = loss; return l }
	queue := func(l Link, bytes int) Link { l.Queue = bytes; return l }

	s.cold("cold-20M-1M", tun(20*mbit, 40*milli), mb, "quic", "tcp-cubic")
	s.cold("cold-100M-256K", tun(100*mbit, 40*milli), 256*kb, "quic", "tcp-cubic", "kcp")
	s.cold("cold-100M-1M", tun(100*mbit, 40*milli), mb, "quic", "tcp-cubic", "kcp")
	for _, c := range []cell{s.cells[len(s.cells)-2], s.cells[len(s.cells)-1]} {
		c.name += hinted
		c.plan.Only, c.plan.Hint = []string{xntpName}, c.plan.Link.Rate
		s.cells = append(s.cells, c)
	}
	s.cold("capacity-10M", tun(10*mbit, 40*milli), 256*kb)
	s.cold("capacity-50M", tun(50*mbit, 40*milli), 256*kb)
	s.cold("cold-1%", lossy(tun(50*mbit, 100*milli), 0.01), mb, "tcp-bbr", "kcp", "quic")
	s.cold("cold-5%", lossy(tun(50*mbit, 200*milli), 0.05), mb, "tcp-bbr", "kcp")

	const long, short = 15 * time.Second, 5 * time.Second
	s.bulk("bulk-1%", lossy(tun(50*mbit, 100*milli), 0.01), long, short, "tcp-bbr", "kcp", "quic")
	s.bulk("bulk-5%", lossy(tun(50*mbit, 200*milli), 0.05), long, short, "tcp-bbr", "kcp")
	s.bulk("bulk-20M", tun(20*mbit, 40*milli), long, short, "tcp-bbr", "quic", "tcp-cubic")
	bloat := tun(10*mbit, 20*milli)
	s.bulk("bulk-bloat", queue(bloat, int(bloat.Rate/8)), long, short, "tcp-bbr", "quic", "tcp-cubic") // a second
	step := tun(50*mbit, 40*milli)
	step.Steps = []Step{{stepDown, 10 * mbit}, {stepUp, 50 * mbit}}
	s.bulk("bulk-step", step, stepUp+short, stepUp+short, "tcp-bbr", "quic")

	for _, against := range []string{"tcp-cubic", "tcp-bbr"} {
		for _, bdp := range []int{1, 4} {
			l := tun(20*mbit, 40*milli)
			s.fair(fmt.Sprintf("fair-%s-%d", against, bdp), queue(l, bdp*l.BDP()), 1, against, 1)
		}
		s.fair("fair-four-"+against, tun(20*mbit, 40*milli), 1, against, 4)
	}
	s.fair("fair-own-2", tun(20*mbit, 40*milli), 2, "", 0)
	s.fair("fair-own-4", tun(20*mbit, 40*milli), 4, "", 0)
	apart := tun(20*mbit, 20*milli)
	apart.RTT2, apart.Queue = 80*milli, int(apart.Rate/8*40/1000)
	s.fair("fair-own-rtt", apart, 1, xntpName, 1)

	s.add("loopback", Plan{Link: Link{Kind: None}, Workload: Loopback, Only: []string{xntpName, "quic", "tls"}, Duration: short})
	s.add("cpu", Plan{Link: tun(100*mbit, 40*milli), Workload: CPU, Only: []string{xntpName, "quic", "tcp-cubic"}, Bitrate: 20 * mbit, Duration: long})
	s.live("live-1%", lossy(tun(50*mbit, 100*milli), 0.01))
	s.live("live-5%", lossy(tun(50*mbit, 200*milli), 0.05))
	return s
}

// hinted is what the names of cells end with in which XNTP is told the rate.
const hinted = "-hint"

// The rate of the step row: 50, then 10, then 50 Mbit/s.
const (
	stepDown = 5 * time.Second
	stepUp   = 10 * time.Second
)

func (s *Suite) add(name string, p Plan) {
	p.Runs, p.Attempts, p.Timeout = 5, 8, suiteFlight
	if s.quick {
		p.Runs, p.Attempts, p.Timeout = 1, 2, 20*time.Second
		p.Duration = min(p.Duration, max(5*time.Second, p.Link.stepsEnd()))
	}
	s.cells = append(s.cells, cell{name, p})
}

// stepsEnd is when the last step has had its time.
func (l *Link) stepsEnd() time.Duration {
	if len(l.Steps) == 0 {
		return 0
	}
	return l.Steps[len(l.Steps)-1].At + 5*time.Second
}

func (s *Suite) cold(name string, l Link, size int64, rivals ...string) {
	s.add(name, Plan{Link: l, Workload: Cold, Size: size, Only: append([]string{xntpName}, rivals...)})
}

func (s *Suite) bulk(name string, l Link, long, short time.Duration, rivals ...string) {
	d := long
	if s.quick {
		d = short
	}
	s.add(name, Plan{Link: l, Workload: Bulk, Duration: d, Parallel: 1, Only: append([]string{xntpName}, rivals...)})
}

func (s *Suite) fair(name string, l Link, own int, against string, others int) {
	s.add(name, Plan{Link: l, Workload: Fair, Duration: 30 * time.Second, Flows: own, Against: against, Others: others, Only: []string{xntpName}})
	if s.quick {
		s.cells[len(s.cells)-1].plan.Duration = 15 * time.Second
	}
}

// srtBudgets are what SRT may be given, in round trips: the best of them counts.
// gosrt plays out two round trips too early at the end that dialed (and one too
// late at the other), so that these are 1.7 to 3.5 round trips from write to read.
var srtBudgets = []float64{3.2, 3.6, 4, 5}

// live gives XNTP what the target says, and SRT several budgets.
func (s *Suite) live(name string, l Link) {
	p := Plan{Link: l, Workload: Live, Duration: 10 * time.Second, Bitrate: 6 * mbit, Only: []string{xntpName}, Latency: l.RTT * 13 / 10}
	s.add(name, p)
	for _, b := range srtBudgets {
		p.Only, p.Latency = []string{"srt"}, time.Duration(b*float64(l.RTT))
		s.add(srtCell(name, b), p)
	}
}

func srtCell(name string, budget float64) string { return fmt.Sprintf("%s-srt-%g", name, budget) }

// A SuiteProgress is how far a suite is.
type SuiteProgress struct {
	Cell     string
	Done, Of int
	Progress
}

// Do measures what some rows need; none given are all. Rows whose cells are not
// measured when ctx ends have no outcome.
func (s *Suite) Do(ctx context.Context, rows []int, progress func(SuiteProgress)) error {
	var need []cell
	for _, c := range s.cells {
		for _, r := range Rows {
			if (len(rows) == 0 || slices.Contains(rows, r.N)) && slices.ContainsFunc(r.cells, func(name string) bool { return cellOf(c.name, name) }) {
				need = append(need, c)
				break
			}
		}
	}
	begin := time.Now()
	for i := range need {
		c := &need[i]
		if time.Since(begin) > suiteHurry {
			c.plan.Attempts = c.plan.Runs // what is rejected from now on is not repeated
		}
		var tell func(Progress)
		if progress != nil {
			tell = func(p Progress) { progress(SuiteProgress{c.name, i, len(need), p}) }
		}
		all, err := c.plan.Do(ctx, tell)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		s.results[c.name] = all
	}
	return nil
}

// cellOf tells whether a row that names a cell reads another one, which begins
// with that name.
func cellOf(cell, name string) bool {
	return cell == name || len(cell) > len(name) && cell[:len(name)] == name && cell[len(name)] == '-'
}

// Results are all that was measured, by cell, in the order of the cells.
func (s *Suite) Results(each func(cell string, r *Result)) {
	for _, c := range s.cells {
		for i := range s.results[c.name] {
			each(c.name, &s.results[c.name][i])
		}
	}
}

// result finds what a transport came to in a cell; nil if it was not measured, or
// no run counts.
func (s *Suite) result(cell, transport string) *Result {
	for i, r := range s.results[cell] {
		if r.Transport == transport && r.Known() {
			return &s.results[cell][i]
		}
	}
	return nil
}

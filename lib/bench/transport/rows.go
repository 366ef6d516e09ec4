package transport

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// A Verdict says whether something holds.
type Verdict int

const (
	Unknown Verdict = iota // it was not measured, or no run counts
	Holds
	Misses
)

func (v Verdict) String() string { return [...]string{"not measured", "yes", "no"}[v] }

func verdict(ok bool) Verdict {
	if ok {
		return Holds
	}
	return Misses
}

// both holds if both do.
func both(a, b Verdict) Verdict {
	for _, v := range []Verdict{Unknown, Misses} {
		if a == v || b == v {
			return v
		}
	}
	return Holds
}

// A Row is a line of the table of targets.
type Row struct {
	N             int
	What          string
	Record, Least string   // the target, and the hard minimum, as they are said
	cells         []string // that it reads
	judge         func(*Suite) Outcome
}

// An Outcome is what became of a row.
type Outcome struct {
	Value, Rivals string
	Record, Least Verdict
}

// Judge works a row out from what was measured.
func (s *Suite) Judge(r *Row) Outcome {
	for _, name := range r.cells {
		found := false
		for _, c := range s.cells {
			if cellOf(c.name, name) {
				_, ok := s.results[c.name]
				found = found || ok
			}
		}
		if !found {
			return Outcome{}
		}
	}
	return r.judge(s)
}

// A reader is how a row reads results: what is missing makes its verdicts
// Unknown, and is a NaN on the way.
type reader struct{ s *Suite }

func (r reader) value(cell, transport string, of func(*Result) Median) float64 {
	if x := r.s.result(cell, transport); x != nil {
		if m := of(x); m.N > 0 {
			return m.Value
		}
	}
	return math.NaN()
}

func known(values ...float64) bool {
	for _, v := range values {
		if math.IsNaN(v) {
			return false
		}
	}
	return true
}

// when is a verdict that needs some values.
func when(ok bool, needs ...float64) Verdict {
	if !known(needs...) {
		return Unknown
	}
	return verdict(ok)
}

func limitOf(r *Result) Median   { return r.LimitRatio }
func elapsedOf(r *Result) Median { return r.ElapsedMS }
func goodputOf(r *Result) Median { return r.Goodput }
func usedOf(r *Result) Median    { return r.Utilisation }
func queueOf(r *Result) Median   { return r.QueueP95MS }
func dropsOf(r *Result) Median   { return r.Drops }
func cpuOf(r *Result) Median     { return r.CPUPerGB }
func jainOf(r *Result) Median    { return r.Jain }

// beside lists what rivals came to.
func (r reader) beside(cell string, of func(*Result) Median, times float64, format string, names ...string) string {
	var parts []string
	for _, n := range names {
		if v := r.value(cell, n, of); known(v) {
			parts = append(parts, n+" "+fmt.Sprintf(format, v*times))
		}
	}
	return strings.Join(parts, ", ")
}

// coldRow is a cold object without a hint: at most so many limits, and at most so
// much of quic-go's time.
func coldRow(cell string, record, ofQUIC, least, leastOfQUIC float64, rivals ...string) func(*Suite) Outcome {
	return func(s *Suite) Outcome {
		r := reader{s}
		l := r.value(cell, xntpName, limitOf)
		ratio := r.value(cell, xntpName, elapsedOf) / r.value(cell, "quic", elapsedOf)
		return Outcome{
			Value:  say("%.2f L, %.2f × quic", l, ratio),
			Rivals: r.beside(cell, limitOf, 1, "%.2f L", rivals...),
			Record: when(l <= record && ratio <= ofQUIC, l, ratio),
			Least:  when(l <= least && ratio <= leastOfQUIC, l, ratio),
		}
	}
}

// say formats values, of which those that are not known are dashes.
func say(format string, values ...float64) string {
	var args []any
	for _, v := range values {
		args = append(args, v)
	}
	return strings.ReplaceAll(fmt.Sprintf(format, args...), "NaN", "–")
}

// withHint adds to an outcome what it is with a rate hint.
func withHint(s *Suite, o Outcome, cell string, record, ofQUIC, least, leastOfQUIC float64) Outcome {
	r := reader{s}
	l := r.value(cell+hinted, xntpName, limitOf)
	ratio := r.value(cell+hinted, xntpName, elapsedOf) / r.value(cell, "quic", elapsedOf)
	o.Value += say(" / %.2f L, %.2f × quic", l, ratio)
	o.Record = both(o.Record, when(l <= record && ratio <= ofQUIC, l, ratio))
	o.Least = both(o.Least, when(l <= least && ratio <= leastOfQUIC, l, ratio))
	return o
}

// lossRow is a cold object on a lossy link.
func lossRow(cell string, record, least, ofBBR, ofKCP float64, rivals ...string) func(*Suite) Outcome {
	return func(s *Suite) Outcome {
		r := reader{s}
		l, t := r.value(cell, xntpName, limitOf), r.value(cell, xntpName, elapsedOf)
		bbr, kcp := t/r.value(cell, "tcp-bbr", elapsedOf), t/r.value(cell, "kcp", elapsedOf)
		return Outcome{
			Value:  say("%.2f L, %.2f × bbr, %.2f × kcp", l, bbr, kcp),
			Rivals: r.beside(cell, limitOf, 1, "%.2f L", rivals...),
			Record: when(l <= record && bbr <= ofBBR && kcp <= ofKCP, l, bbr, kcp),
			Least:  when(l <= least, l),
		}
	}
}

// bulkRow is goodput on a lossy link, against BBR.
func bulkRow(cell string, mbits, ofBBR, least float64, rivals ...string) func(*Suite) Outcome {
	return func(s *Suite) Outcome {
		r := reader{s}
		g := r.value(cell, xntpName, goodputOf)
		ratio := g / r.value(cell, "tcp-bbr", goodputOf)
		return Outcome{
			Value:  say("%.1f Mbit/s, %.2f × bbr", g/1e6, ratio),
			Rivals: r.beside(cell, goodputOf, 1e-6, "%.1f", rivals...),
			Record: when(g >= mbits*1e6 && ratio >= ofBBR, g, ratio),
			Least:  when(ratio >= least, ratio),
		}
	}
}

// queueRow is the queue of a flow that is alone.
func queueRow(cell string, record, ofBBR, least, leastOfBBR float64) func(*Suite) Outcome {
	return func(s *Suite) Outcome {
		const used = 0.93
		r := reader{s}
		q, u := r.value(cell, xntpName, queueOf), r.value(cell, xntpName, usedOf)
		ratio := q / r.value(cell, "tcp-bbr", queueOf)
		return Outcome{
			Value:  say("%.1f ms at %.1f %%, %.2f × bbr", q, 100*u, ratio),
			Rivals: r.beside(cell, queueOf, 1, "%.1f ms", "tcp-bbr", "quic", "tcp-cubic"),
			Record: when(q <= record && u >= used && ratio <= ofBBR, q, u, ratio),
			Least:  when(q <= least && u >= used && ratio <= leastOfBBR, q, u, ratio),
		}
	}
}

// Rows are the table of targets. The hard minimum is the stricter one where
// there are two.
var Rows = []Row{
	{1, "cold 1 MB, 20 Mbit/s 40 ms", "≤ 1.10 L, ≤ 0.92 × quic", "≤ 1.15 L", []string{"cold-20M-1M"},
		coldRow("cold-20M-1M", 1.10, 0.92, 1.15, math.Inf(1), "quic", "tcp-cubic")},
	{2, "cold 256 KB, 100 Mbit/s 40 ms, no hint / hint", "≤ 1.6 / 1.10 L, ≤ 0.52 / 0.36 × quic", "≤ 2.0 / 1.3 L", []string{"cold-100M-256K"},
		func(s *Suite) Outcome {
			const cell = "cold-100M-256K"
			o := coldRow(cell, 1.6, 0.52, 2.0, math.Inf(1), "quic", "tcp-cubic", "kcp")(s)
			return withHint(s, o, cell, 1.10, 0.36, 1.3, math.Inf(1))
		}},
	{3, "cold 1 MB, 100 Mbit/s 40 ms, no hint / hint", "≤ 1.30 / 1.10 L, ≤ 0.52 / 0.44 × quic", "≤ 1.5 / 1.2 L, ≤ 0.55 / 0.45 × quic", []string{"cold-100M-1M"},
		func(s *Suite) Outcome {
			const cell = "cold-100M-1M"
			o := coldRow(cell, 1.30, 0.52, 1.5, 0.55, "quic", "tcp-cubic", "kcp")(s)
			return withHint(s, o, cell, 1.10, 0.44, 1.2, 0.45)
		}},
	{4, "its price: drops, queue p95", "≤ 0.5 %, ≤ 15 ms", "≤ 2 %", []string{"cold-100M-1M"}, judgePrice},
	{5, "capacity known after one RTT, 9 of 10 starts", "within 5 %", "within 10 %", startCells, judgeCapacity},
	{6, "cold 1 MB, 50 Mbit/s 100 ms 1 %", "≤ 1.35 L, ≤ 0.36 × bbr, ≤ 0.75 × kcp", "≤ 1.8 L", []string{"cold-1%"},
		lossRow("cold-1%", 1.35, 1.8, 0.36, 0.75, "tcp-bbr", "kcp", "quic")},
	{7, "cold 1 MB, 50 Mbit/s 200 ms 5 %", "≤ 1.5 L, ≤ 0.20 × bbr", "≤ 1.9 L", []string{"cold-5%"},
		lossRow("cold-5%", 1.5, 1.9, 0.20, math.Inf(1), "tcp-bbr", "kcp")},
	{8, "bulk, 50 Mbit/s 100 ms 1 %", "≥ 45.5 Mbit/s, ≥ 1.06 × bbr", "≥ 1.0 × bbr", []string{"bulk-1%"},
		bulkRow("bulk-1%", 45.5, 1.06, 1.0, "tcp-bbr", "kcp", "quic")},
	{9, "bulk, 50 Mbit/s 200 ms 5 %", "≥ 42 Mbit/s, ≥ 1.4 × bbr", "≥ 1.2 × bbr", []string{"bulk-5%"},
		bulkRow("bulk-5%", 42, 1.4, 1.2, "tcp-bbr", "kcp")},
	{10, "sent again beyond the random loss, both of these", "≤ 1 %", "≤ 3 %", []string{"bulk-1%", "bulk-5%"}, judgeWaste},
	{11, "queue p95 alone, 20 Mbit/s 40 ms, 1 BDP", "≤ 8 ms at ≥ 93 %, ≤ 0.27 × bbr", "≤ 15 ms, ≤ 0.4 × bbr at ≥ 93 %", []string{"bulk-20M"},
		queueRow("bulk-20M", 8, 0.27, 15, 0.4)},
	{12, "queue p95 alone, 10 Mbit/s 20 ms, 1 s of queue", "≤ 10 ms at ≥ 93 %, ≤ 0.36 × bbr", "≤ 20 ms", []string{"bulk-bloat"},
		queueRow("bulk-bloat", 10, 0.36, 20, math.Inf(1))},
	{13, "step 50-10-50 Mbit/s: queue p95, time to 90 % after", "≤ 60 ms, ≤ 0.5 s", "≤ 111 ms, ≤ 1.0 s", []string{"bulk-step"}, judgeStep},
	{14, "Jain against 1 cubic, 1 bbr, 1 and 4 BDP; 1 against 4", "≥ 0.95 in all", "≥ 0.90 in all, nobody starves", []string{"fair-tcp-cubic", "fair-tcp-bbr", "fair-four"}, judgeFair},
	{15, "Jain among its own: 2, 4 flows; 20 against 80 ms", "≥ 0.98, ≥ 0.90", "≥ 0.95, ≥ 0.80", []string{"fair-own"}, judgeOwn},
	{16, "CPU on loopback, encrypted, both ends", "≤ 0.30 × quic", "≤ 0.45 × quic", []string{"loopback"}, judgeCPU("loopback", 0.30, 0.45, "quic", "tls")},
	{17, "throughput on loopback, encrypted", "≥ 3.5 × quic", "≥ 2.5 × quic", []string{"loopback"}, judgeThroughput},
	{18, "CPU paced at 20 Mbit/s, 40 ms", "≤ 0.45 × quic", "≤ 0.8 × quic", []string{"cpu"}, judgeCPU("cpu", 0.45, 0.8, "quic", "tcp-cubic")},
	{19, "live 6 Mbit/s, p99 at ≥ 99.9 %: 100 ms 1 %; 200 ms 5 %", "≤ 130, ≤ 260 ms; ≤ 0.46, ≤ 0.37 × srt", "≤ 0.6 × srt", []string{"live-1%", "live-5%"}, judgeLive},
}

// startCells are those whose starts row 5 reads: 10, 20, 50 and 100 Mbit/s.
var startCells = []string{"capacity-10M", "cold-20M-1M", "capacity-50M", "cold-100M-1M"}

// oneRTT is how many round trips after it was dialed the capacity must be known:
// one for the first train and its acknowledgement, and what the train takes.
const oneRTT = 1.75

func judgeCapacity(s *Suite) Outcome {
	all, five, ten := 0, 0, 0
	var worst float64
	var latest time.Duration
	for _, cell := range startCells {
		r := s.result(cell, xntpName)
		if r == nil {
			continue
		}
		for i := range r.Samples {
			x, link := &r.Samples[i], &r.Plan.Link
			all++
			if x.Capacity == 0 || x.CapacityAfter > time.Duration(oneRTT*float64(link.RTT)) {
				continue
			}
			off := math.Abs(x.Capacity/float64(link.Rate) - 1)
			worst, latest = max(worst, off), max(latest, x.CapacityAfter)
			if off <= 0.05 {
				five++
			}
			if off <= 0.10 {
				ten++
			}
		}
	}
	if all == 0 {
		return Outcome{}
	}
	return Outcome{
		Value:  fmt.Sprintf("%d of %d within 5 %%, %d within 10 %%; worst %.0f %%, latest %s", five, all, ten, 100*worst, durationText(latest)),
		Record: verdict(10*five >= 9*all),
		Least:  verdict(10*ten >= 9*all),
	}
}

func judgePrice(s *Suite) Outcome {
	const cell = "cold-100M-1M"
	r := reader{s}
	d, q := r.value(cell, xntpName, dropsOf), r.value(cell, xntpName, queueOf)
	return Outcome{
		Value:  say("%.2f %%, %.1f ms", 100*d, q),
		Rivals: r.beside(cell, dropsOf, 100, "%.2f %%", "quic", "tcp-cubic", "kcp"),
		Record: when(d <= 0.005 && q <= 15, d, q),
		Least:  when(d <= 0.02, d),
	}
}

func judgeWaste(s *Suite) Outcome {
	waste := func(x *Result) Median {
		var v []float64
		for i := range x.Samples {
			if p := &x.Samples[i]; p.KnowsRepeated {
				v = append(v, max(0, p.Repeated-p.lost()))
			}
		}
		return MedianOf(v)
	}
	r := reader{s}
	a, b := r.value("bulk-1%", xntpName, waste), r.value("bulk-5%", xntpName, waste)
	return Outcome{
		Value:  say("%.2f %%, %.2f %%", 100*a, 100*b),
		Rivals: r.beside("bulk-1%", waste, 100, "%.2f %%", "tcp-bbr", "kcp", "quic"),
		Record: when(a <= 0.01 && b <= 0.01, a, b),
		Least:  when(a <= 0.03 && b <= 0.03, a, b),
	}
}

func judgeStep(s *Suite) Outcome {
	const cell, rate = "bulk-step", 50 * mbit
	up := func(x *Result) Median {
		var v []float64
		for i := range x.Samples {
			v = append(v, timeTo(x.Samples[i].Tenths, stepUp, 0.9*rate/wireOverhead).Seconds())
		}
		return MedianOf(v)
	}
	r := reader{s}
	q, t := r.value(cell, xntpName, queueOf), r.value(cell, xntpName, up)
	return Outcome{
		Value:  say("%.0f ms, %.1f s", q, t),
		Rivals: r.beside(cell, queueOf, 1, "%.0f ms", "tcp-bbr", "quic") + "; " + r.beside(cell, up, 1, "%.1f s", "tcp-bbr", "quic"),
		Record: when(q <= 60 && t <= 0.5, q, t),
		Least:  when(q <= 111 && t <= 1.0, q, t),
	}
}

// timeTo is how long after a time two tenths of a second in a row had a rate; to
// the end of what there is, if none had.
func timeTo(tenths []int64, from time.Duration, rate float64) time.Duration {
	first := int(from / tenth)
	for i := first; i+1 < len(tenths); i++ {
		if tenthRate(tenths[i]+tenths[i+1])/2 >= rate {
			return time.Duration(i-first) * tenth
		}
	}
	return time.Duration(max(0, len(tenths)-first)) * tenth
}

// starving is less than a quarter of a fair share.
const starving = 0.25

func judgeFair(s *Suite) Outcome {
	r := reader{s}
	var cells, least []float64
	var text []string
	for _, against := range []string{"tcp-cubic", "tcp-bbr"} {
		for _, bdp := range []int{1, 4} {
			name := fmt.Sprintf("fair-%s-%d", against, bdp)
			v := r.value(name, xntpName, jainOf)
			cells = append(cells, v)
			text = append(text, say("%.2f (%.0f %%)", v, 100*r.value(name, xntpName, func(x *Result) Median { return x.Share })))
		}
		least = append(least, r.value("fair-four-"+against, xntpName, poorest))
	}
	worst, poor := minOf(cells), minOf(least)
	return Outcome{
		Value:  strings.Join(text, ", ") + say("; poorest of five %.2f of fair", poor),
		Record: when(worst >= 0.95, cells...),
		Least:  both(when(worst >= 0.90, cells...), when(poor >= starving, least...)),
	}
}

// poorest is what the flow with the least has, of a fair share.
func poorest(x *Result) Median {
	var v []float64
	for _, p := range x.Samples {
		var sum float64
		for _, e := range p.Each {
			sum += e
		}
		if sum > 0 {
			v = append(v, minOf(p.Each)*float64(len(p.Each))/sum)
		}
	}
	return MedianOf(v)
}

// minOf is a NaN if one of the values is.
func minOf(values []float64) float64 {
	m := math.Inf(1)
	for _, v := range values {
		m = min(m, v)
	}
	return m
}

func judgeOwn(s *Suite) Outcome {
	r := reader{s}
	two, four, apart := r.value("fair-own-2", xntpName, jainOf), r.value("fair-own-4", xntpName, jainOf), r.value("fair-own-rtt", xntpName, jainOf)
	return Outcome{
		Value:  say("%.3f, %.3f; %.3f", two, four, apart),
		Record: when(min(two, four) >= 0.98 && apart >= 0.90, two, four, apart),
		Least:  when(min(two, four) >= 0.95 && apart >= 0.80, two, four, apart),
	}
}

func judgeCPU(cell string, record, least float64, rivals ...string) func(*Suite) Outcome {
	return func(s *Suite) Outcome {
		r := reader{s}
		v := r.value(cell, xntpName, cpuOf)
		ratio := v / r.value(cell, "quic", cpuOf)
		return Outcome{
			Value:  say("%.2f s/GB, %.2f × quic", v, ratio),
			Rivals: r.beside(cell, cpuOf, 1, "%.2f", rivals...),
			Record: when(ratio <= record, ratio),
			Least:  when(ratio <= least, ratio),
		}
	}
}

func judgeThroughput(s *Suite) Outcome {
	r := reader{s}
	v := r.value("loopback", xntpName, goodputOf)
	ratio := v / r.value("loopback", "quic", goodputOf)
	return Outcome{
		Value:  say("%.2f Gbit/s, %.2f × quic", v/1e9, ratio),
		Rivals: r.beside("loopback", goodputOf, 1e-9, "%.2f", "quic", "tls"),
		Record: when(ratio >= 3.5, ratio),
		Least:  when(ratio >= 2.5, ratio),
	}
}

// whole is what counts as delivered.
const whole = 0.999

func judgeLive(s *Suite) Outcome {
	r := reader{s}
	p99 := func(x *Result) Median { return x.LatencyP99MS }
	delivered := func(x *Result) Median { return x.Delivered }
	o := Outcome{Record: Holds, Least: Holds}
	var values, rivals []string
	for _, c := range []struct {
		cell        string
		most, ofSRT float64
	}{{"live-1%", 130, 0.46}, {"live-5%", 260, 0.37}} {
		v, d := r.value(c.cell, xntpName, p99), r.value(c.cell, xntpName, delivered)
		best, bestShare, budget := math.NaN(), math.NaN(), 0.0
		for _, b := range srtBudgets {
			q, share := r.value(srtCell(c.cell, b), "srt", p99), r.value(srtCell(c.cell, b), "srt", delivered)
			switch {
			case !known(q, share):
			case !known(best), share >= whole && (bestShare < whole || q < best), share < whole && share > bestShare:
				best, bestShare, budget = q, share, b
			}
		}
		values = append(values, say("%.0f ms at %.2f %%", v, 100*d))
		if known(best) {
			rivals = append(rivals, fmt.Sprintf("srt %.0f ms at %.2f %% (given %g RTT)", best, 100*bestShare, budget))
		}
		o.Record = both(o.Record, when(d >= whole && v <= c.most && v/best <= c.ofSRT, v, d, best))
		o.Least = both(o.Least, when(d >= whole && v/best <= 0.6, v, d, best))
	}
	o.Value, o.Rivals = strings.Join(values, "; "), strings.Join(rivals, "; ")
	return o
}

package bench

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/xp2p/xp2p/lib/measure"
)

// classOf is the class of a topology: it has the same colour in every report.
func classOf(topology string) int { return max(0, slices.Index(Topologies, topology)) }

// withinChart is the distribution of times in milliseconds: which part of them
// was at most so long.
func withinChart(all []Summary, name, x, y string, of func(*Run) *measure.Histogram) *chart {
	c := &chart{
		name: name,
		x:    axis{label: x, log: true, unit: " s"},
		y:    axis{label: y, high: 1, times: 100, unit: " %"},
	}
	least, most := 1.0, 0.1
	for i := range all {
		var h measure.Histogram
		for _, r := range all[i].Runs {
			h.Merge(of(r))
		}
		if h.Count() == 0 {
			continue
		}
		k := curve{label: all[i].Topology, class: classOf(all[i].Topology)}
		const steps = 400
		for q := range steps + 1 {
			part := float64(q) / steps
			k.points = append(k.points, point{float64(h.Quantile(part)) / 1000, part})
		}
		c.curves = append(c.curves, k)
		least = min(least, float64(h.Quantile(0.001))/1000)
		most = max(most, float64(h.Quantile(0.999))/1000)
	}
	c.x.low = math.Pow(10, math.Floor(math.Log10(max(least, 0.01)))) // below 10 ms nobody asks
	c.x.high = roundUp(most)
	if c.x.high <= c.x.low {
		c.x.high = 10 * c.x.low
	}
	c.levels = []level{{"95 %", 0.95}, {"50 %", 0.5}}
	return c
}

func lagChart(all []Summary) *chart {
	return withinChart(all, "Distribution of the added lag", "added lag in seconds (logarithmic)", "part of all pieces",
		func(r *Run) *measure.Histogram { return &r.AddedLag })
}

func startupChart(all []Summary) *chart {
	return withinChart(all, "Distribution of the start-up", "start-up in seconds (logarithmic)", "part of all viewers",
		func(r *Run) *measure.Histogram { return &r.Startup })
}

// roundUp is the next of 1, 2, 5 times a power of ten.
func roundUp(v float64) float64 { return cmp.Or(tickStep(v), 1) }

// timeChart draws what of says of every second of every run: the mean of the
// seeds as a line, and as a band from the least to the most.
func timeChart(s *Scenario, all []Summary, name string, y axis, of func(*Run) []float64) *chart {
	c := &chart{name: name, x: axis{label: "seconds of the broadcast", high: s.Seconds, unit: " s"}, y: y}
	for i := range all {
		k := curve{label: all[i].Topology, class: classOf(all[i].Topology)}
		longest := 0
		for _, r := range all[i].Runs {
			longest = max(longest, len(of(r)))
		}
		for t := range longest {
			var sum, n float64
			low, high := math.NaN(), math.NaN()
			for _, r := range all[i].Runs {
				series := of(r)
				if t >= len(series) || math.IsNaN(series[t]) || math.IsInf(series[t], 0) {
					continue
				}
				v := series[t]
				sum, n = sum+v, n+1
				if n == 1 {
					low, high = v, v
				}
				low, high = min(low, v), max(high, v)
			}
			x := float64(t) + 0.5 // the middle of the second that it tells of
			k.points = append(k.points, point{x, sum / n})
			k.low, k.high = append(k.low, point{x, low}), append(k.high, point{x, high})
			if n > 0 && c.y.high < high {
				c.y.high = high
			}
		}
		if len(all[i].Runs) < 2 {
			k.low, k.high = nil, nil
		}
		if longest > 0 {
			c.curves = append(c.curves, k)
		}
	}
	if c.y.high <= c.y.low {
		c.y.high = c.y.low + 1
	}
	c.shades = shadesOf(s)
	return c
}

// shadesOf are the scenario's events, and its crowd.
func shadesOf(s *Scenario) (all []shade) {
	if s.Join.Kind == "flash" {
		all = append(all, shade{"the crowd comes", s.Join.AtS, s.Join.AtS + s.Join.OverS})
	}
	for _, e := range s.Events {
		label := map[string]string{"tracker_gone": "tracker gone", "origin_gone": "origin gone"}[e.Kind]
		switch e.Kind {
		case "leave":
			label = fmt.Sprintf("%s %% leave", plain(100*e.Ratio))
		case "origin_slow":
			label = fmt.Sprintf("origin %s× slower", plain(e.Factor))
		}
		all = append(all, shade{label, e.AtS, e.AtS + e.ForS})
	}
	return all
}

// shareChart has an axis of nines: what is between 0.98 and 0.99 is as plain to
// see as what is between 0 and 0.5.
func shareChart(s *Scenario, all []Summary) *chart {
	c := timeChart(s, all, "Peer share over time", axis{label: "peer share (nines)", high: 0.9, times: 100, unit: " %"},
		func(r *Run) []float64 { return r.ShareBySecond })
	// A second in which all came from peers is off every axis of nines: the bound
	// says how far up there is something to see.
	c.y.nines, c.y.high = true, 0.9
	for i := range all {
		if v := all[i].Find("peer_share_ratio"); v != nil && v.HasLimit {
			c.levels = []level{{"bound", v.Limit}}
			c.y.high = max(c.y.high, v.Limit)
		}
	}
	c.y.high = 1 - (1-min(c.y.high, mostNines))*0.7
	return c
}

// mostNines is a bound that a room of a hundred thousand has.
const mostNines = 0.99999

func lagOverTimeChart(s *Scenario, all []Summary) *chart {
	c := timeChart(s, all, "Added lag over time", axis{label: "added lag p95 in seconds", times: 0.001, unit: " s"},
		func(r *Run) []float64 { return r.LagP95BySecond })
	c.y.high = roundUp(c.y.high)
	return c
}

func viewersChart(s *Scenario, all []Summary) *chart {
	c := timeChart(s, all, "Viewers over time", axis{label: "viewers"}, func(r *Run) []float64 {
		out := make([]float64, len(r.ViewersBySecond))
		for i, n := range r.ViewersBySecond {
			out[i] = float64(n)
		}
		return out
	})
	c.y.high *= 1.05
	return c
}

// uploadChart is what viewers gave over what their uplinks carry, the least
// first.
func uploadChart(all []Summary) *chart {
	c := &chart{
		name: "Distribution of uploads",
		x:    axis{label: "viewers, from who gave the least part of his uplink to who gave the most", high: 1, times: 100, unit: " %"},
		y:    axis{label: "uploaded, of the uplink", times: 100, unit: " %", high: 0.1},
	}
	for i := range all {
		var used []float64
		for _, r := range all[i].Runs {
			used = append(used, r.UploadOverUplink...)
		}
		used = slices.DeleteFunc(used, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
		if len(used) == 0 {
			continue
		}
		slices.Sort(used)
		k := curve{label: all[i].Topology, class: classOf(all[i].Topology)}
		const steps = 300
		for q := range steps + 1 {
			at := float64(q) / steps
			k.points = append(k.points, point{at, used[int(math.Round(at*float64(len(used)-1)))]})
		}
		c.y.high = max(c.y.high, used[len(used)-1])
		c.curves = append(c.curves, k)
	}
	if c.y.high > 0.5 {
		c.y.high = max(1, c.y.high)
	}
	return c
}

package bench

import (
	"fmt"
	"math"
	"slices"

	"github.com/xp2p/xp2p/lib/bench/chart"
	"github.com/xp2p/xp2p/lib/measure"
)

// classOf is the class of a topology: it has the same colour in every report.
func classOf(topology string) int { return max(0, slices.Index(Topologies, topology)) }

// withinChart is the distribution of times in milliseconds: which part of them
// was at most so long.
func withinChart(all []Summary, name, x, y string, of func(*Run) *measure.Histogram) *chart.Chart {
	c := &chart.Chart{
		Name: name,
		X:    chart.Axis{Label: x, Log: true, Unit: " s"},
		Y:    chart.Axis{Label: y, High: 1, Times: 100, Unit: " %"},
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
		k := chart.Curve{Label: all[i].Topology, Class: classOf(all[i].Topology)}
		const steps = 400
		for q := range steps + 1 {
			part := float64(q) / steps
			k.Points = append(k.Points, chart.Point{X: float64(h.Quantile(part)) / 1000, Y: part})
		}
		c.Curves = append(c.Curves, k)
		least = min(least, float64(h.Quantile(0.001))/1000)
		most = max(most, float64(h.Quantile(0.999))/1000)
	}
	c.X.Low = math.Pow(10, math.Floor(math.Log10(max(least, 0.01)))) // below 10 ms nobody asks
	c.X.High = chart.RoundUp(most)
	if c.X.High <= c.X.Low {
		c.X.High = 10 * c.X.Low
	}
	c.Levels = []chart.Level{{Label: "95 %", Y: 0.95}, {Label: "50 %", Y: 0.5}}
	return c
}

func lagChart(all []Summary) *chart.Chart {
	return withinChart(all, "Distribution of the added lag", "added lag in seconds (logarithmic)", "part of all pieces",
		func(r *Run) *measure.Histogram { return &r.AddedLag })
}

func startupChart(all []Summary) *chart.Chart {
	return withinChart(all, "Distribution of the start-up", "start-up in seconds (logarithmic)", "part of all viewers",
		func(r *Run) *measure.Histogram { return &r.Startup })
}

// timeChart draws what of says of every second of every run: the mean of the
// seeds as a line, and as a band from the least to the most.
func timeChart(s *Scenario, all []Summary, name string, y chart.Axis, of func(*Run) []float64) *chart.Chart {
	c := &chart.Chart{Name: name, X: chart.Axis{Label: "seconds of the broadcast", High: s.Seconds, Unit: " s"}, Y: y}
	for i := range all {
		k := chart.Curve{Label: all[i].Topology, Class: classOf(all[i].Topology)}
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
			k.Points = append(k.Points, chart.Point{X: x, Y: sum / n})
			k.Low, k.High = append(k.Low, chart.Point{X: x, Y: low}), append(k.High, chart.Point{X: x, Y: high})
			if n > 0 && c.Y.High < high {
				c.Y.High = high
			}
		}
		if len(all[i].Runs) < 2 {
			k.Low, k.High = nil, nil
		}
		if longest > 0 {
			c.Curves = append(c.Curves, k)
		}
	}
	if c.Y.High <= c.Y.Low {
		c.Y.High = c.Y.Low + 1
	}
	c.Shades = shadesOf(s)
	return c
}

// shadesOf are the scenario's events, and its crowd.
func shadesOf(s *Scenario) (all []chart.Shade) {
	if s.Join.Kind == "flash" {
		all = append(all, chart.Shade{Label: "the crowd comes", From: s.Join.AtS, To: s.Join.AtS + s.Join.OverS})
	}
	for _, e := range s.Events {
		label := map[string]string{"tracker_gone": "tracker gone", "origin_gone": "origin gone"}[e.Kind]
		switch e.Kind {
		case "leave":
			label = fmt.Sprintf("%s %% leave", plain(100*e.Ratio))
		case "origin_slow":
			label = fmt.Sprintf("origin %s× slower", plain(e.Factor))
		}
		all = append(all, chart.Shade{Label: label, From: e.AtS, To: e.AtS + e.ForS})
	}
	return all
}

// shareChart has an axis of Nines: what is between 0.98 and 0.99 is as plain to
// see as what is between 0 and 0.5.
func shareChart(s *Scenario, all []Summary) *chart.Chart {
	c := timeChart(s, all, "Peer share over time", chart.Axis{Label: "peer share (nines)", High: 0.9, Times: 100, Unit: " %"},
		func(r *Run) []float64 { return r.ShareBySecond })
	// A second in which all came from peers is off every chart.Axis of Nines: the bound
	// says how far up there is something to see.
	c.Y.Nines, c.Y.High = true, 0.9
	for i := range all {
		if v := all[i].Find("peer_share_ratio"); v != nil && v.HasLimit {
			c.Levels = []chart.Level{{Label: "bound", Y: v.Limit}}
			c.Y.High = max(c.Y.High, v.Limit)
		}
	}
	c.Y.High = 1 - (1-min(c.Y.High, mostNines))*0.7
	return c
}

// mostNines is a bound that a room of a hundred thousand has.
const mostNines = 0.99999

func lagOverTimeChart(s *Scenario, all []Summary) *chart.Chart {
	c := timeChart(s, all, "Added lag over time", chart.Axis{Label: "added lag p95 in seconds", Times: 0.001, Unit: " s"},
		func(r *Run) []float64 { return r.LagP95BySecond })
	c.Y.High = chart.RoundUp(c.Y.High)
	return c
}

func viewersChart(s *Scenario, all []Summary) *chart.Chart {
	c := timeChart(s, all, "Viewers over time", chart.Axis{Label: "viewers"}, func(r *Run) []float64 {
		out := make([]float64, len(r.ViewersBySecond))
		for i, n := range r.ViewersBySecond {
			out[i] = float64(n)
		}
		return out
	})
	c.Y.High *= 1.05
	return c
}

// uploadChart is what viewers gave over what their uplinks carry, the least
// first.
func uploadChart(all []Summary) *chart.Chart {
	c := &chart.Chart{
		Name: "Distribution of uploads",
		X:    chart.Axis{Label: "viewers, from who gave the least part of his uplink to who gave the most", High: 1, Times: 100, Unit: " %"},
		Y:    chart.Axis{Label: "uploaded, of the uplink", Times: 100, Unit: " %", High: 0.1},
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
		k := chart.Curve{Label: all[i].Topology, Class: classOf(all[i].Topology)}
		const steps = 300
		for q := range steps + 1 {
			at := float64(q) / steps
			k.Points = append(k.Points, chart.Point{X: at, Y: used[int(math.Round(at*float64(len(used)-1)))]})
		}
		c.Y.High = max(c.Y.High, used[len(used)-1])
		c.Curves = append(c.Curves, k)
	}
	if c.Y.High > 0.5 {
		c.Y.High = max(1, c.Y.High)
	}
	return c
}

package transport

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/bench/chart"
	"github.com/xp2p/xp2p/lib/bench/rival"
)

//go:embed page.html
var page string

var pageTemplate = template.Must(template.New("transport").Parse(page))

// WriteHTML writes results as one page that needs nothing from anywhere: the
// table, the pictures, and what every number means.
func WriteHTML(w io.Writer, p *Plan, all []Result) error {
	v := pageView{
		Style: chart.Style, Workload: p.Workload, What: p.What(), Link: p.Link.String(), Bound: MaxLate.String(),
		Columns: Columns(p), Definitions: Definitions,
	}
	for i := range all {
		r := &all[i]
		row := pageRow{Class: classOf(r.Transport), Transport: r.Transport, About: aboutOf(r.Transport), Note: r.Note()}
		for _, c := range v.Columns {
			row.Cells = append(row.Cells, c.Show(r))
		}
		v.Rows = append(v.Rows, row)
	}
	v.add("Completion", "Which part of the runs had the last byte within how long of the dial. The farther left, the better; the line is the physical limit.", completionChart(p, all))
	v.add("Goodput over time", "Bytes of the application that came in each fifth of a second, in the run with the median goodput.", goodputChart(p, all))
	v.add("Queue over time", "The longest wait in the bottleneck's queue in each fifth of a second, of the same run.", queueChart(p, all))
	v.add("Fairness over time", "The part of all bytes that came in each second that the transport's own flows got, in the run with the median share; the line is a fair one.", fairChart(p, all))
	return pageTemplate.Execute(w, v)
}

// add draws a chart, if there is something to see. Colours have their key above
// all pictures: there are too many for one in each.
func (v *pageView) add(title, words string, c *chart.Chart) {
	if c == nil || len(c.Curves) == 0 {
		return
	}
	for i := range c.Curves {
		c.Curves[i].Label = ""
	}
	v.Figures = append(v.Figures, figure{title, words, c.SVG()})
}

type pageView struct {
	Style                       template.CSS
	Workload, What, Link, Bound string
	Columns                     []Column
	Rows                        []pageRow
	Figures                     []figure
	Definitions                 []Definition
}

type pageRow struct {
	Class                  int
	Transport, About, Note string
	Cells                  []string
}

type figure struct {
	Title, Words string
	SVG          template.HTML
}

// classOf is a transport's class in every report. The first two have lines without
// gaps: they are the ones to look for.
func classOf(transport string) int {
	const solid = 2
	return (max(0, slices.Index(rival.Names(), transport)) + solid) % chart.Classes
}

func aboutOf(transport string) string {
	s, err := rival.Find(transport)
	if err != nil {
		return ""
	}
	return s.About
}

// completionChart is the distribution of cold completion times.
func completionChart(p *Plan, all []Result) *chart.Chart {
	if p.Workload != Cold {
		return nil
	}
	c := &chart.Chart{
		Name: "Distribution of completion times",
		X:    chart.Axis{Label: "from the dial to the last byte (logarithmic)", Log: true, Unit: " ms"},
		Y:    chart.Axis{Label: "part of the runs", High: 1, Times: 100, Unit: " %"},
	}
	limit := p.Link.Limit(p.Size).Seconds() * 1000
	least, most := cmp.Or(limit, math.MaxFloat64), limit
	for i := range all {
		var at []float64
		for _, s := range all[i].Samples {
			at = append(at, s.Elapsed.Seconds()*1000)
		}
		if len(at) == 0 {
			continue
		}
		slices.Sort(at)
		k := chart.Curve{Label: all[i].Transport, Class: classOf(all[i].Transport)}
		for j, x := range at {
			k.Points = append(k.Points, chart.Point{X: x, Y: float64(j) / float64(len(at))}, chart.Point{X: x, Y: float64(j+1) / float64(len(at))})
		}
		least, most = min(least, at[0]), max(most, at[len(at)-1])
		c.Curves = append(c.Curves, k)
	}
	c.X.Low, c.X.High = max(least*0.8, 0.01), max(most*1.2, least)
	if limit > 0 {
		c.Shades = []chart.Shade{{Label: "limit", From: limit, To: limit}}
	}
	return c
}

// medianSample is the run whose value is in the middle.
func medianSample(r *Result, value func(*Sample) float64) *Sample {
	order := make([]*Sample, len(r.Samples))
	for i := range r.Samples {
		order[i] = &r.Samples[i]
	}
	if len(order) == 0 {
		return nil
	}
	slices.SortStableFunc(order, func(a, b *Sample) int { return cmp.Compare(value(a), value(b)) })
	return order[(len(order)-1)/2]
}

// perPoint is how many tenths of a second a point of a chart over time tells of.
const perPoint = 2

// overTime draws a value of each fifth of a second of each result's median run.
func overTime(p *Plan, all []Result, name string, y chart.Axis, of func(*Sample) []float64) *chart.Chart {
	if p.Workload == Cold {
		return nil
	}
	c := &chart.Chart{Name: name, X: chart.Axis{Label: "seconds since the dial", High: p.Duration.Seconds(), Unit: " s"}, Y: y}
	for i := range all {
		s := medianSample(&all[i], func(s *Sample) float64 { return s.Goodput })
		if s == nil {
			continue
		}
		k := chart.Curve{Label: all[i].Transport, Class: classOf(all[i].Transport)}
		for j, v := range of(s) {
			x := (float64(j) + 0.5) * perPoint * tenth.Seconds()
			if x > c.X.High {
				break
			}
			k.Points = append(k.Points, chart.Point{X: x, Y: v})
			c.Y.High = max(c.Y.High, v)
		}
		if len(k.Points) > 0 {
			c.Curves = append(c.Curves, k)
		}
	}
	c.Y.High = chart.RoundUp(c.Y.High)
	for _, s := range p.Link.Steps {
		c.Shades = append(c.Shades, chart.Shade{Label: rateText(s.Rate), From: s.At.Seconds(), To: s.At.Seconds()})
	}
	return c
}

func goodputChart(p *Plan, all []Result) *chart.Chart {
	c := overTime(p, all, "Goodput over time", chart.Axis{Label: "Mbit/s", Times: 1e-6}, func(s *Sample) (v []float64) {
		for part := range slices.Chunk(s.Tenths, perPoint) {
			var sum float64
			for _, b := range part {
				sum += tenthRate(b)
			}
			v = append(v, sum/float64(len(part)))
		}
		return v
	})
	if c != nil && p.Link.Rate > 0 {
		c.Levels = []chart.Level{{Label: "rate", Y: float64(p.Link.Rate)}}
		c.Y.High = max(c.Y.High, float64(p.Link.Rate)*1.05)
	}
	return c
}

func queueChart(p *Plan, all []Result) *chart.Chart {
	if p.Link.Rate == 0 {
		return nil
	}
	return overTime(p, all, "Queue over time", chart.Axis{Label: "wait in the queue", Unit: " ms"}, func(s *Sample) (v []float64) {
		for part := range slices.Chunk(s.Link.Tenths, perPoint) {
			var longest time.Duration
			for _, t := range part {
				longest = max(longest, t.Queue)
			}
			v = append(v, longest.Seconds()*1000)
		}
		return v
	})
}

// fairChart is the share of one side, second by second.
func fairChart(p *Plan, all []Result) *chart.Chart {
	if p.Workload != Fair || p.Others == 0 {
		return nil
	}
	c := &chart.Chart{
		Name: "Fairness over time",
		X:    chart.Axis{Label: "seconds since the dial", High: p.Duration.Seconds(), Unit: " s"},
		Y:    chart.Axis{Label: fmt.Sprintf("share against %d × %s", p.Others, p.Against), High: 1, Times: 100, Unit: " %"},
	}
	const second = 10
	for i := range all {
		s := medianSample(&all[i], func(s *Sample) float64 { return s.Share })
		if s == nil {
			continue
		}
		k := chart.Curve{Label: all[i].Transport, Class: classOf(all[i].Transport)}
		for t := 0; t+second <= max(len(s.Tenths), len(s.TheirTenths)); t += second {
			var own, their float64
			for j := t; j < t+second; j++ {
				if j < len(s.Tenths) {
					own += float64(s.Tenths[j])
				}
				if j < len(s.TheirTenths) {
					their += float64(s.TheirTenths[j])
				}
			}
			k.Points = append(k.Points, chart.Point{X: float64(t)/second + 0.5, Y: own / (own + their)})
		}
		c.Curves = append(c.Curves, k)
	}
	c.Levels = []chart.Level{{Label: "fair", Y: float64(p.Flows) / float64(p.Flows+p.Others)}}
	return c
}

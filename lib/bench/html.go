package bench

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/xp2p/xp2p/lib/bench/chart"
)

//go:embed report.html
var page string

var pageTemplate = template.Must(template.New("report").Parse(page))

// WriteHTML writes the report of a sweep as one page that needs nothing from
// anywhere: the table, the pictures, and what every number means.
func WriteHTML(w io.Writer, s *Scenario, all []Summary) error {
	v := pageView{
		Style: chart.Style, Title: s.Name, About: s.About, Headline: s.Headline(), Seeds: SeedsText(all),
		Facts: factsOf(s), Measures: Measures, Scenario: string(s.JSON()),
	}
	if len(all) > 0 {
		v.Headline += ", " + all[0].Link + " links"
	}
	for i := range all {
		v.Columns = append(v.Columns, column{all[i].Topology, classOf(all[i].Topology), all[i].Trace})
	}
	for _, m := range Measures {
		if r, ok := rowOf(all, m); ok {
			v.Rows = append(v.Rows, r)
			v.Marked = v.Marked || BestOf(all, m) >= 0
		}
	}
	v.figures(s, all)
	if v.Trees = treePictures(all); len(v.Trees) > 0 {
		v.TreeSeed = all[0].Runs[0].Seed
	}
	return pageTemplate.Execute(w, v)
}

type pageView struct {
	Style                         template.CSS
	Title, About, Headline, Seeds string
	Facts                         []fact
	Columns                       []column
	Rows                          []row
	Marked                        bool // a row has a best
	Figures                       []figure
	Trees                         []treePicture
	TreeSeed                      uint64
	Measures                      []*Measure
	Scenario                      string
}

type column struct {
	Topology string
	Class    int
	Trace    string
}

type row struct {
	*Measure
	Cells []cell
}

type cell struct {
	Value, Bound string
	Best         bool
}

type figure struct {
	Title, Words string
	SVG          template.HTML
}

func rowOf(all []Summary, m *Measure) (r row, any bool) {
	r.Measure = m
	best := BestOf(all, m)
	for i := range all {
		v := all[i].Find(m.Name)
		if v == nil {
			r.Cells = append(r.Cells, cell{})
			continue
		}
		any = true
		r.Cells = append(r.Cells, cell{v.Show(), v.ShowBound(), i == best})
	}
	return r, any
}

// Arrow says in a sign which way is better.
func (r row) Arrow() string { return [...]string{"", "↑", "↓"}[r.Best] }

func (v *pageView) figures(s *Scenario, all []Summary) {
	band := ""
	for i := range all {
		if all[i].Seeds > 1 {
			band = " The line is the mean of the seeds, the band goes from the least to the most of them."
		}
	}
	add := func(title, words string, c *chart.Chart) {
		if len(c.Curves) > 0 {
			v.Figures = append(v.Figures, figure{title, words, c.SVG()})
		}
	}
	add("Added lag", "Which part of all pieces, at all viewers and of all seeds, came at most so much later than from the origin alone. The farther left, the better.", lagChart(all))
	add("Start-up", "Which part of the viewers had the first byte of their first keyframe within how long of joining.", startupChart(all))
	add("Peer share over time", "Of the payload that came in each second, the part that came from other viewers. On an axis of nines 90, 99 and 99.9 % are equally far apart."+band, shareChart(s, all))
	add("Added lag over time", "The added lag that 95 % of the pieces of each second did not exceed."+band, lagOverTimeChart(s, all))
	add("Viewers over time", "Those who were in the room in each second."+band, viewersChart(s, all))
	add("Uploads", "What each viewer gave over what his uplink could carry while he was there, all seeds together. The flatter, the fairer.", uploadChart(all))
}

type fact struct{ Name, Value string }

// factsOf tells a scenario's settings as a person would.
func factsOf(s *Scenario) []fact {
	join := map[string]string{
		"ramp":    fmt.Sprintf("evenly within %s s", plain(s.Join.OverS)),
		"flash":   fmt.Sprintf("%d from the start, the others from %s s on within %s s", s.Join.First, plain(s.Join.AtS), plain(s.Join.OverS)),
		"poisson": "one after another at random (Poisson)",
	}[s.Join.Kind]
	stay := "to the end"
	if s.Session.Kind == "pareto" {
		stay = fmt.Sprintf("%s s on average, with a heavy tail (Pareto, alpha %s)", plain(s.Session.MeanS), plain(s.Session.Alpha))
	}
	var classes []string
	var weights float64
	for _, u := range s.Uplinks {
		weights += u.Weight
	}
	for _, u := range s.Uplinks {
		text := fmt.Sprintf("%s to %s", plain(u.Low), plain(u.High))
		if u.Low == u.High {
			text = plain(u.Low)
		}
		if len(s.Uplinks) > 1 {
			text = fmt.Sprintf("%.0f %%: %s", 100*u.Weight/weights, text)
		}
		classes = append(classes, text)
	}
	servers := plain(s.ServerStreams) + " streams together"
	if s.ServerStreams < 0 {
		servers = "unbounded"
	}
	facts := []fact{
		{"Stream", fmt.Sprintf("%s Mbit/s for %s s, a keyframe every %s s, %s times as large as the mean frame", plain(float64(s.RateBPS)/1e6), plain(s.Seconds), plain(float64(s.GOPMS)/1000), plain(s.KeyFactor))},
		{"Viewers", fmt.Sprintf("%d; they come %s and stay %s", s.Peers, join, stay)},
		{"Uplinks", strings.Join(classes, "; ") + " times the bitrate"},
		{"Downlinks", plain(s.Downlink) + " times the bitrate"},
		{"Uplink of origin and seed", servers},
		{"Round trips between viewers", fmt.Sprintf("%s to %s ms", plain(s.RTTMS[0]), plain(s.RTTMS[1]))},
	}
	add := func(on bool, name, format string, args ...any) {
		if on {
			facts = append(facts, fact{name, fmt.Sprintf(format, args...)})
		}
	}
	add(s.Zones > 1, "Zones", "%d, %s ms more between two of them", s.Zones, plain(s.CrossRTTMS))
	add(s.ZoneStreams > 0, "Budget of a zone", "%d streams in, and as many out", s.ZoneStreams)
	add(s.Loss > 0, "Loss", "%s %% of datagrams on every access link", plain(100*s.Loss))
	add(s.Unconnectable > 0, "Pairs that cannot connect", "%s %%", plain(100*s.Unconnectable))
	add(s.Polluters > 0, "Polluters", "%s %% of viewers change every hundredth piece", plain(100*s.Polluters))
	add(s.Slow > 0, "Slow", "the uplinks of %d are ten times slower than they say", s.Slow)
	add(s.NoUpload > 0, "Who give nothing", "%s %% of viewers", plain(100*s.NoUpload))
	for _, e := range shadesOf(s) {
		when := fmt.Sprintf("at %s s", plain(e.From))
		if e.To > e.From {
			when = fmt.Sprintf("from %s to %s s", plain(e.From), plain(e.To))
		}
		facts = append(facts, fact{"Event", e.Label + " " + when})
	}
	return facts
}

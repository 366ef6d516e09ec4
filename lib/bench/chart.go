package bench

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// A chart is a picture of curves over two axes, as SVG without anything from
// elsewhere. Colours come from the page's style, by class; a second mark, the
// dashes, tells the curves apart without colour.
type chart struct {
	name   string // for those who do not see it
	x, y   axis
	curves []curve
	shades []shade
	levels []level
}

// An axis runs from low to high, in its own unit.
type axis struct {
	label     string
	low, high float64
	log       bool    // low is more than 0
	nines     bool    // high is less than 1: 0.9, 0.99 and 0.999 are equally far from each other
	times     float64 // what numbers are shown as; 0 is 1
	unit      string  // behind the numbers
}

// A curve has a class (0, 1, 2 by topology) and one or more strokes: a gap in
// what is known is a gap in the curve. Its band, if it has one, is from low to
// high at the same places.
type curve struct {
	label     string
	class     int
	points    []point
	low, high []point
}

type point struct{ x, y float64 } // a y that is no number is a gap

// A shade marks a time in which something was wrong; one without a length is a
// line.
type shade struct {
	label    string
	from, to float64
}

// A level is a horizontal line: a bound.
type level struct {
	label string
	y     float64
}

// The picture's measures, in the units of its viewBox.
const (
	chartWide, chartHigh     = 560.0, 310.0
	chartLeft, chartRight    = 58.0, 26.0
	chartTop, chartBottom    = 46.0, 48.0
	chartPlotW               = chartWide - chartLeft - chartRight
	chartPlotH               = chartHigh - chartTop - chartBottom
	letterWide, lineHigh     = 6.6, 12.0 // about, at 12 units
	ticksWanted              = 6
	minTickGap, tickNumberUp = 4.0, 16.0
)

// at is where v stands on the axis, from 0 to 1; what is off it stands at its
// end.
func (a axis) at(v float64) float64 {
	low, high := a.low, a.high
	switch {
	case a.log:
		v, low, high = math.Log10(max(v, a.low)), math.Log10(low), math.Log10(high)
	case a.nines:
		v, low, high = -math.Log10(1-min(v, high)), -math.Log10(1-low), -math.Log10(1-high)
	}
	if high <= low {
		return 0
	}
	return min(1, max(0, (v-low)/(high-low)))
}

// ticks are round numbers on the axis: 1, 2 or 5 times a power of ten.
func (a axis) ticks() (at []float64) {
	if a.log {
		for e := math.Floor(math.Log10(a.low)); e <= math.Ceil(math.Log10(a.high)); e++ {
			for _, m := range []float64{1, 2, 5} {
				if v := m * math.Pow(10, e); v >= a.low*0.999 && v <= a.high*1.001 {
					at = append(at, v)
				}
			}
		}
		return at
	}
	if a.nines {
		for e := 1.0; e > 1e-9; e /= 10 {
			for _, m := range []float64{1, 0.5, 0.2} {
				if v := 1 - m*e; v >= a.low && v <= a.high*1.00001 {
					at = append(at, v)
				}
			}
		}
		return at
	}
	step := tickStep((a.high - a.low) * a.scale() / ticksWanted)
	if step <= 0 {
		return []float64{a.low}
	}
	for i := math.Ceil(a.low*a.scale()/step-1e-9) + 0; i*step <= a.high*a.scale()*(1+1e-9); i++ {
		at = append(at, i*step/a.scale())
	}
	return at
}

func (a axis) scale() float64 {
	if a.times == 0 {
		return 1
	}
	return a.times
}

// tickStep is the least of 1, 2, 5, 10, 20, … that is at least about.
func tickStep(about float64) float64 {
	if !(about > 0) || math.IsInf(about, 0) {
		return 0
	}
	e := math.Pow(10, math.Floor(math.Log10(about)))
	for _, m := range []float64{1, 2, 5} {
		if m*e >= about*(1-1e-9) {
			return m * e
		}
	}
	return 10 * e
}

func (a axis) number(v float64) string {
	return strconv.FormatFloat(math.Round(v*a.scale()*1e4)/1e4, 'f', -1, 64) + a.unit
}

func (c *chart) px(p point) (x, y float64) {
	return chartLeft + c.x.at(p.x)*chartPlotW, chartTop + (1-c.y.at(p.y))*chartPlotH
}

// svg draws the chart.
func (c *chart) svg() template.HTML {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="chart" viewBox="0 0 %g %g" role="img" aria-label="%s">`, chartWide, chartHigh, html.EscapeString(c.name))
	c.drawShades(&b)
	c.drawAxes(&b)
	for _, l := range c.levels {
		_, y := c.px(point{c.x.low, l.y})
		fmt.Fprintf(&b, `<path class="level" d="M%g %sH%g"/>`, chartLeft, coord(y), chartWide-chartRight)
		svgText(&b, "note", chartLeft+4, y-4, l.label)
	}
	for _, k := range c.curves {
		if len(k.low) > 0 {
			fmt.Fprintf(&b, `<path class="band t%d" d="%s"/>`, k.class, c.band(k))
		}
	}
	for _, k := range c.curves {
		fmt.Fprintf(&b, `<path class="curve t%d" d="%s"/>`, k.class, c.path(k.points))
	}
	c.drawLegend(&b)
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

func (c *chart) drawShades(b *strings.Builder) {
	for _, s := range c.shades {
		x, _ := c.px(point{s.from, 0})
		to, _ := c.px(point{s.to, 0})
		fmt.Fprintf(b, `<rect class="shade" x="%s" y="%g" width="%s" height="%g"/>`, coord(x), chartTop, coord(max(1, to-x)), chartPlotH)
		at, class := x, "note"
		if x > chartWide*0.8 {
			at, class = x, "note end"
		}
		svgText(b, class, at, chartTop-5, s.label)
	}
}

func (c *chart) drawAxes(b *strings.Builder) {
	bottom, last := chartTop+chartPlotH, -math.MaxFloat64
	for _, v := range c.x.ticks() {
		x, _ := c.px(point{v, 0})
		n := c.x.number(v)
		fmt.Fprintf(b, `<path class="grid" d="M%s %gV%g"/>`, coord(x), chartTop, bottom)
		if half := float64(len(n)) * letterWide / 2; x-half >= last+minTickGap {
			svgText(b, "tick mid", x, bottom+tickNumberUp, n)
			last = x + half
		}
	}
	last = math.MaxFloat64
	for _, v := range c.y.ticks() {
		_, y := c.px(point{c.x.low, v})
		fmt.Fprintf(b, `<path class="grid" d="M%g %sH%g"/>`, chartLeft, coord(y), chartWide-chartRight)
		if y <= last-lineHigh {
			svgText(b, "tick end", chartLeft-6, y+4, c.y.number(v))
			last = y
		}
	}
	fmt.Fprintf(b, `<path class="axis" d="M%g %gV%gH%g"/>`, chartLeft, chartTop, bottom, chartWide-chartRight)
	svgText(b, "label mid", chartLeft+chartPlotW/2, chartHigh-10, c.x.label)
	svgText(b, "label", 4, 18, c.y.label)
}

// drawLegend writes the curves' names in one row at the top, or lets it be where
// there is nothing to tell apart.
func (c *chart) drawLegend(b *strings.Builder) {
	x := chartWide - chartRight
	for i := len(c.curves) - 1; i >= 0; i-- {
		k := c.curves[i]
		if k.label == "" {
			continue
		}
		x -= float64(len(k.label)) * letterWide
		svgText(b, "key", x, 18, k.label)
		fmt.Fprintf(b, `<path class="curve t%d" d="M%s 14h24"/>`, k.class, coord(x-30))
		x -= 48
	}
}

// path is the curve as strokes.
func (c *chart) path(points []point) string {
	var b strings.Builder
	pen := byte('M')
	for _, p := range points {
		if math.IsNaN(p.y) || math.IsInf(p.y, 0) {
			pen = 'M'
			continue
		}
		x, y := c.px(p)
		fmt.Fprintf(&b, "%c%s %s", pen, coord(x), coord(y))
		pen = 'L'
	}
	return b.String()
}

// band is the area between the least and the most. Points that are no numbers
// are left out, and the area spans the gap.
func (c *chart) band(k curve) string {
	var b strings.Builder
	pen := byte('M')
	add := func(p point) {
		if math.IsNaN(p.y) || math.IsInf(p.y, 0) {
			return
		}
		x, y := c.px(p)
		fmt.Fprintf(&b, "%c%s %s", pen, coord(x), coord(y))
		pen = 'L'
	}
	for _, p := range k.high {
		add(p)
	}
	for i := len(k.low) - 1; i >= 0; i-- {
		add(k.low[i])
	}
	if b.Len() > 0 {
		b.WriteByte('Z')
	}
	return b.String()
}

func svgText(b *strings.Builder, class string, x, y float64, s string) {
	fmt.Fprintf(b, `<text class="%s" x="%s" y="%s">%s</text>`, class, coord(x), coord(y), html.EscapeString(s))
}

// coord is a coordinate: a tenth of a unit is finer than the eye.
func coord(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

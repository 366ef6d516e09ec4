// Package chart draws curves over two axes as SVG, in the one style that the pages
// of xp2p-bench have.
package chart

import (
	"cmp"
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// A Chart is a picture of curves over two axes, as SVG without anything from
// elsewhere. Colours come from the page's style, by class; a second mark, the
// dashes, tells the curves apart without colour.
type Chart struct {
	Name   string // for those who do not see it
	X, Y   Axis
	Curves []Curve
	Shades []Shade
	Levels []Level
}

// An Axis runs from Low to High, in its own unit.
type Axis struct {
	Label     string
	Low, High float64
	Log       bool    // Low is more than 0
	Nines     bool    // High is less than 1: 0.9, 0.99 and 0.999 are equally far from each other
	Times     float64 // what numbers are shown as; 0 is 1
	Unit      string  // behind the numbers
}

// A Curve has a class, 0 to Classes-1, and one or more strokes: a gap in what is
// known is a gap in the curve. Its band, if it has one, is from Low to High at
// the same places.
type Curve struct {
	Label     string
	Class     int
	Points    []Point
	Low, High []Point
}

// Classes is how many curves can be told apart.
const Classes = 10

// A Point with a Y that is no number is a gap.
type Point struct{ X, Y float64 }

// A Shade marks a time in which something was wrong; one without a length is a
// line.
type Shade struct {
	Label    string
	From, To float64
}

// A Level is a horizontal line: a bound.
type Level struct {
	Label string
	Y     float64
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

// At is where v stands on the axis, from 0 to 1; what is off it stands at its
// end.
func (a Axis) At(v float64) float64 {
	low, high := a.Low, a.High
	switch {
	case a.Log:
		v, low, high = math.Log10(max(v, a.Low)), math.Log10(low), math.Log10(high)
	case a.Nines:
		v, low, high = -math.Log10(1-min(v, high)), -math.Log10(1-low), -math.Log10(1-high)
	}
	if high <= low {
		return 0
	}
	return min(1, max(0, (v-low)/(high-low)))
}

// Ticks are round numbers on the axis: 1, 2 or 5 times a power of ten.
func (a Axis) Ticks() (at []float64) {
	if a.Log {
		for e := math.Floor(math.Log10(a.Low)); e <= math.Ceil(math.Log10(a.High)); e++ {
			for _, m := range []float64{1, 2, 5} {
				if v := m * math.Pow(10, e); v >= a.Low*0.999 && v <= a.High*1.001 {
					at = append(at, v)
				}
			}
		}
		return at
	}
	if a.Nines {
		for e := 1.0; e > 1e-9; e /= 10 {
			for _, m := range []float64{1, 0.5, 0.2} {
				if v := 1 - m*e; v >= a.Low && v <= a.High*1.00001 {
					at = append(at, v)
				}
			}
		}
		return at
	}
	step := tickStep((a.High - a.Low) * a.scale() / ticksWanted)
	if step <= 0 {
		return []float64{a.Low}
	}
	for i := math.Ceil(a.Low*a.scale()/step-1e-9) + 0; i*step <= a.High*a.scale()*(1+1e-9); i++ {
		at = append(at, i*step/a.scale())
	}
	return at
}

func (a Axis) scale() float64 {
	if a.Times == 0 {
		return 1
	}
	return a.Times
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

// Number is a number on the axis as it is shown.
func (a Axis) Number(v float64) string {
	return strconv.FormatFloat(math.Round(v*a.scale()*1e4)/1e4, 'f', -1, 64) + a.Unit
}

func (c *Chart) px(p Point) (x, y float64) {
	return chartLeft + c.X.At(p.X)*chartPlotW, chartTop + (1-c.Y.At(p.Y))*chartPlotH
}

// SVG draws the chart.
func (c *Chart) SVG() template.HTML {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="chart" viewBox="0 0 %g %g" role="img" aria-label="%s">`, chartWide, chartHigh, html.EscapeString(c.Name))
	c.drawShades(&b)
	c.drawAxes(&b)
	for _, l := range c.Levels {
		_, y := c.px(Point{c.X.Low, l.Y})
		fmt.Fprintf(&b, `<path class="level" d="M%g %sH%g"/>`, chartLeft, Coord(y), chartWide-chartRight)
		Text(&b, "note", chartLeft+4, y-4, l.Label)
	}
	for _, k := range c.Curves {
		if len(k.Low) > 0 {
			fmt.Fprintf(&b, `<path class="band t%d" d="%s"/>`, k.Class, c.band(k))
		}
	}
	for _, k := range c.Curves {
		fmt.Fprintf(&b, `<path class="curve t%d" d="%s"/>`, k.Class, c.path(k.Points))
	}
	c.drawLegend(&b)
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

func (c *Chart) drawShades(b *strings.Builder) {
	for _, s := range c.Shades {
		x, _ := c.px(Point{s.From, 0})
		to, _ := c.px(Point{s.To, 0})
		fmt.Fprintf(b, `<rect class="shade" x="%s" y="%g" width="%s" height="%g"/>`, Coord(x), chartTop, Coord(max(1, to-x)), chartPlotH)
		at, class := x, "note"
		if x > chartWide*0.8 {
			at, class = x, "note end"
		}
		Text(b, class, at, chartTop-5, s.Label)
	}
}

func (c *Chart) drawAxes(b *strings.Builder) {
	bottom, last := chartTop+chartPlotH, -math.MaxFloat64
	for _, v := range c.X.Ticks() {
		x, _ := c.px(Point{v, 0})
		n := c.X.Number(v)
		fmt.Fprintf(b, `<path class="grid" d="M%s %gV%g"/>`, Coord(x), chartTop, bottom)
		if half := float64(len(n)) * letterWide / 2; x-half >= last+minTickGap {
			Text(b, "tick mid", x, bottom+tickNumberUp, n)
			last = x + half
		}
	}
	last = math.MaxFloat64
	for _, v := range c.Y.Ticks() {
		_, y := c.px(Point{c.X.Low, v})
		fmt.Fprintf(b, `<path class="grid" d="M%g %sH%g"/>`, chartLeft, Coord(y), chartWide-chartRight)
		if y <= last-lineHigh {
			Text(b, "tick end", chartLeft-6, y+4, c.Y.Number(v))
			last = y
		}
	}
	fmt.Fprintf(b, `<path class="axis" d="M%g %gV%gH%g"/>`, chartLeft, chartTop, bottom, chartWide-chartRight)
	Text(b, "label mid", chartLeft+chartPlotW/2, chartHigh-10, c.X.Label)
	Text(b, "label", 4, 18, c.Y.Label)
}

// drawLegend writes the curves' names in one row at the top, or lets it be where
// there is nothing to tell apart.
func (c *Chart) drawLegend(b *strings.Builder) {
	x := chartWide - chartRight
	for i := len(c.Curves) - 1; i >= 0; i-- {
		k := c.Curves[i]
		if k.Label == "" {
			continue
		}
		x -= float64(len(k.Label)) * letterWide
		Text(b, "key", x, 18, k.Label)
		fmt.Fprintf(b, `<path class="curve t%d" d="M%s 14h24"/>`, k.Class, Coord(x-30))
		x -= 48
	}
}

// path is the curve as strokes.
func (c *Chart) path(points []Point) string {
	var b strings.Builder
	pen := byte('M')
	for _, p := range points {
		if math.IsNaN(p.Y) || math.IsInf(p.Y, 0) {
			pen = 'M'
			continue
		}
		x, y := c.px(p)
		fmt.Fprintf(&b, "%c%s %s", pen, Coord(x), Coord(y))
		pen = 'L'
	}
	return b.String()
}

// band is the area between the least and the most. Points that are no numbers
// are left out, and the area spans the gap.
func (c *Chart) band(k Curve) string {
	var b strings.Builder
	pen := byte('M')
	add := func(p Point) {
		if math.IsNaN(p.Y) || math.IsInf(p.Y, 0) {
			return
		}
		x, y := c.px(p)
		fmt.Fprintf(&b, "%c%s %s", pen, Coord(x), Coord(y))
		pen = 'L'
	}
	for _, p := range k.High {
		add(p)
	}
	for i := len(k.Low) - 1; i >= 0; i-- {
		add(k.Low[i])
	}
	if b.Len() > 0 {
		b.WriteByte('Z')
	}
	return b.String()
}

// Text writes text at a place.
func Text(b *strings.Builder, class string, x, y float64, s string) {
	fmt.Fprintf(b, `<text class="%s" x="%s" y="%s">%s</text>`, class, Coord(x), Coord(y), html.EscapeString(s))
}

// Coord is a coordinate: a tenth of a unit is finer than the eye.
func Coord(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

// RoundUp is the next of 1, 2, 5 times a power of ten.
func RoundUp(v float64) float64 { return cmp.Or(tickStep(v), 1) }

package bench

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"

	"github.com/xp2p/xp2p/lib/bench/chart"
)

// A treePicture shows who got one piece from whom: the servers in the middle,
// every viewer as far from it as the piece was late at his place, and lines from
// giver to taker. Who was fed through whom lies in one sector.
type treePicture struct {
	Topology string
	Words    string // what there is to see
	SVG      template.HTML
}

// From of an Edge that is no viewer.
const (
	fromSeed   = -1
	fromOrigin = -2
)

// A leafing is a tree made of edges: nodes by hops, each before those that it
// feeds.
type leafing struct {
	nodes []treeNode
	lost  int // edges that hang together with no server
	roots []int
}

type treeNode struct {
	id, parent int // parent: an index into nodes; -1 for who was fed by a server
	hops       int
	origin     bool // fed by the origin itself
	lag        float64
	children   []int
	angle      float64
}

// leaf builds the tree. A viewer that stands in several edges got the piece by
// the one with the least lag; edges in a circle are lost.
func leaf(edges []Edge) *leafing {
	edges = slices.Clone(edges)
	slices.SortStableFunc(edges, func(a, b Edge) int {
		return cmp.Or(cmp.Compare(a.LagMS, b.LagMS), cmp.Compare(a.To, b.To), cmp.Compare(a.From, b.From))
	})
	fed := map[int][]Edge{} // by giver
	got := map[int]bool{}
	for _, e := range edges {
		if !got[e.To] {
			got[e.To] = true
			fed[e.From] = append(fed[e.From], e)
		}
	}
	t := &leafing{}
	grow := func(parent int, e Edge) {
		n := treeNode{id: e.To, parent: parent, hops: 1, origin: e.From == fromOrigin, lag: max(0, e.LagMS)}
		if math.IsNaN(n.lag) || math.IsInf(n.lag, 0) {
			n.lag = 0
		}
		i := len(t.nodes)
		if parent >= 0 {
			n.hops = t.nodes[parent].hops + 1
			t.nodes[parent].children = append(t.nodes[parent].children, i)
		} else {
			t.roots = append(t.roots, i)
		}
		t.nodes = append(t.nodes, n)
	}
	for _, server := range []int{fromSeed, fromOrigin} {
		for _, e := range fed[server] {
			grow(-1, e)
		}
	}
	for i := 0; i < len(t.nodes); i++ {
		for _, e := range fed[t.nodes[i].id] {
			grow(i, e)
		}
	}
	t.lost = len(got) - len(t.nodes)
	t.place()
	return t
}

// place gives every leaf an equal part of the circle, and every other node the
// middle of what it feeds.
func (t *leafing) place() {
	leaves := make([]int, len(t.nodes)) // below and with each
	total := 0
	for i := len(t.nodes) - 1; i >= 0; i-- {
		n := &t.nodes[i]
		if len(n.children) == 0 {
			leaves[i] = 1
			total++
		}
		if n.parent >= 0 {
			leaves[n.parent] += leaves[i]
		}
	}
	from := make([]float64, len(t.nodes)) // in leaves, from the top
	spread := func(children []int, at float64) {
		for _, c := range children {
			from[c] = at
			at += float64(leaves[c])
		}
	}
	spread(t.roots, 0)
	for i := range t.nodes {
		n := &t.nodes[i]
		n.angle = (from[i] + float64(leaves[i])/2) / float64(total) * 2 * math.Pi
		spread(n.children, from[i])
	}
}

// The picture's measures.
const (
	treeWide   = 640.0
	treeRadius = 296.0
	// A lag beyond this quantile stands at the rim, so that one straggler does not
	// press all others together.
	treeRim = 0.99
	// The slowest topology may be so much slower than the fastest before what it
	// has beyond stands at the rim.
	treeScales = 4
	treeHues   = 5 // classes of colour for hops; those beyond share the last
)

// treePictures draws the first run of each topology, all to the same scale. One
// that is far slower than the best does not press the others into the middle.
func treePictures(all []Summary) (pictures []treePicture) {
	var trees []*leafing
	widest, least := 0.0, math.Inf(1)
	for i := range all {
		t := leaf(all[i].Runs[0].Tree)
		trees = append(trees, t)
		if len(t.nodes) > 0 {
			widest, least = max(widest, t.rim()), min(least, t.rim())
		}
	}
	rim := min(widest, treeScales*least)
	for i, t := range trees {
		if len(t.nodes) > 0 {
			pictures = append(pictures, treePicture{all[i].Topology, t.words(), t.svg(all[i].Topology, rim)})
		}
	}
	return pictures
}

// svg draws the tree with rim milliseconds from the middle to the edge.
func (t *leafing) svg(topology string, rim float64) template.HTML {
	at := func(i int) (x, y float64) {
		if i < 0 {
			return treeWide / 2, treeWide / 2
		}
		n := t.nodes[i]
		return polar(treeRadius*min(1, n.lag/rim), n.angle)
	}
	var edges, dots [treeHues + 1]strings.Builder // the last for the origin
	for i, n := range t.nodes {
		k := min(n.hops, treeHues) - 1
		if n.origin {
			k = treeHues
		}
		x0, y0 := at(n.parent)
		x, y := at(i)
		if n.parent < 0 {
			fmt.Fprintf(&edges[k], "M%s %sL%s %s", chart.Coord(x0), chart.Coord(y0), chart.Coord(x), chart.Coord(y))
		} else {
			// Out along the giver's direction first, then over to the taker's.
			p := t.nodes[n.parent]
			mid := treeRadius * (min(1, p.lag/rim) + min(1, n.lag/rim)) / 2
			ax, ay := polar(mid, p.angle)
			bx, by := polar(mid, n.angle)
			fmt.Fprintf(&edges[k], "M%s %sC%s %s %s %s %s %s", chart.Coord(x0), chart.Coord(y0), chart.Coord(ax), chart.Coord(ay), chart.Coord(bx), chart.Coord(by), chart.Coord(x), chart.Coord(y))
		}
		fmt.Fprintf(&dots[k], "M%s %sh0", chart.Coord(x), chart.Coord(y))
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="tree" viewBox="0 0 %g %g" role="img" aria-label="Who got one piece from whom: %s">`, treeWide, treeWide, template.HTMLEscapeString(topology))
	rings := chart.Axis{High: rim, Unit: " ms"}
	for _, v := range rings.Ticks() {
		if v > 0 {
			fmt.Fprintf(&b, `<circle class="grid" cx="%g" cy="%g" r="%s"/>`, treeWide/2, treeWide/2, chart.Coord(treeRadius*v/rim))
		}
	}
	width := thickness(len(t.nodes))
	for k := range edges {
		if edges[k].Len() > 0 {
			fmt.Fprintf(&b, `<path class="edge h%d" stroke-width="%s" d="%s"/>`, k, hundredths(width*0.7), edges[k].String())
		}
	}
	for k := range dots {
		if dots[k].Len() > 0 {
			fmt.Fprintf(&b, `<path class="dot h%d" stroke-width="%s" d="%s"/>`, k, hundredths(width*2.6), dots[k].String())
		}
	}
	fmt.Fprintf(&b, `<circle class="hub" cx="%g" cy="%g" r="7"/>`, treeWide/2, treeWide/2)
	for _, v := range rings.Ticks() {
		if v > 0 {
			chart.Text(&b, "ring mid", treeWide/2, treeWide/2-treeRadius*v/rim+7, rings.Number(v))
		}
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

func polar(radius, angle float64) (x, y float64) {
	return treeWide/2 + radius*math.Sin(angle), treeWide/2 - radius*math.Cos(angle)
}

// thickness of a line: thinner the more there are.
func thickness(nodes int) float64 { return min(2.4, max(0.45, 40/math.Sqrt(float64(nodes)))) }

func hundredths(v float64) string { return fmt.Sprintf("%.2f", v) }

// rim is the lag, in ms, that the picture wants at its edge.
func (t *leafing) rim() float64 {
	lags := make([]float64, len(t.nodes))
	for i, n := range t.nodes {
		lags[i] = n.lag
	}
	slices.Sort(lags)
	return max(1, lags[int(math.Ceil(treeRim*float64(len(lags)-1)))])
}

// words says what the picture shows in numbers.
func (t *leafing) words() string {
	var seed, origin, deepest, widest, givers int
	for _, n := range t.nodes {
		switch {
		case n.hops == 1 && n.origin:
			origin++
		case n.hops == 1:
			seed++
		}
		deepest = max(deepest, n.hops)
		widest = max(widest, len(n.children))
		if len(n.children) > 0 {
			givers++
		}
	}
	s := fmt.Sprintf("%d viewers; %d fed by the seed, %d by the origin; %d passed it on, to %d at the most; %d hops at the most.",
		len(t.nodes), seed, origin, givers, widest, deepest)
	if t.lost > 0 {
		s += fmt.Sprintf(" Of %d more it is not known through whom.", t.lost)
	}
	return s
}

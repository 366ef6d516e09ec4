package main

import (
	"strings"
	"unicode/utf8"

	"github.com/xp2p/xp2p/lib/bench"
	"github.com/xp2p/xp2p/lib/tool"
)

// table is the report for people: a column for each topology, and for each
// measure its value and, below, how much of its bound that is.
func table(style tool.Styles, s *bench.Scenario, all []bench.Summary) string {
	rows := []tableRow{{title: "", style: style.Title}}
	for i := range all {
		rows[0].cells = append(rows[0].cells, all[i].Topology)
	}
	marked := false
	for _, m := range bench.Measures {
		values, bounds := tableRow{title: m.Title, best: bench.BestOf(all, m)}, tableRow{style: style.Dim, best: -1}
		known, bounded := false, false
		for i := range all {
			v := all[i].Find(m.Name)
			if v == nil {
				values.cells, bounds.cells = append(values.cells, "-"), append(bounds.cells, "")
				continue
			}
			known = true
			text := v.Show()
			if i == values.best {
				text, marked = "* "+text, true
			}
			of := v.ShowBound()
			bounded = bounded || of != ""
			values.cells, bounds.cells = append(values.cells, text), append(bounds.cells, of)
		}
		if known {
			rows = append(rows, values)
		}
		if known && bounded {
			rows = append(rows, bounds)
		}
	}
	traces := tableRow{title: "trace hash", style: style.Dim, best: -1}
	for i := range all {
		traces.cells = append(traces.cells, all[i].Trace)
	}
	rows = append(rows, traces)

	var b strings.Builder
	b.WriteString(style.Title(s.Headline()) + ", " + all[0].Link + " links\n")
	b.WriteString(style.Dim(bench.SeedsText(all)) + "\n\n")
	draw(&b, style, rows)
	b.WriteString("\n" + style.Dim("Below a value: how much of its bound it is, and the bound."))
	if marked {
		b.WriteString(style.Dim(" * is clear of the others."))
	}
	b.WriteByte('\n')
	return b.String()
}

type tableRow struct {
	title string
	cells []string
	best  int // this cell is; -1: none
	style func(...string) string
}

// draw writes titles to the left and cells to the right. Widths are counted
// before colours come in.
func draw(b *strings.Builder, style tool.Styles, rows []tableRow) {
	const gap = 2
	title := 0
	widths := make([]int, len(rows[0].cells))
	for _, r := range rows {
		title = max(title, utf8.RuneCountInString(r.title))
		for i, c := range r.cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(c)+gap)
		}
	}
	for _, r := range rows {
		b.WriteString(r.title + strings.Repeat(" ", title-utf8.RuneCountInString(r.title)))
		for i, c := range r.cells {
			b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c)))
			switch {
			case r.style != nil:
				c = r.style(c)
			case i == r.best:
				c = style.OK(c)
			}
			b.WriteString(c)
		}
		b.WriteByte('\n')
	}
}

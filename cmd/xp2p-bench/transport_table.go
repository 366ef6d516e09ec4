package main

import (
	"strings"

	"github.com/xp2p/xp2p/lib/bench/transport"
	"github.com/xp2p/xp2p/lib/tool"
)

// transportTable is the report for people: a row for each transport, and below
// the table why a row is empty.
func transportTable(style tool.Styles, p *transport.Plan, all []transport.Result, busy string) string {
	columns := transport.Columns(p)
	rows := []tableRow{{style: style.Title}}
	for _, c := range columns {
		rows[0].cells = append(rows[0].cells, c.Title)
	}
	var notes []string
	for i := range all {
		r := &all[i]
		if n := r.Note(); n != "" {
			notes = append(notes, r.Transport+": "+n)
		}
		if r.Skipped != nil {
			continue
		}
		row := tableRow{title: r.Transport, best: -1}
		for _, c := range columns {
			row.cells = append(row.cells, c.Show(r))
		}
		rows = append(rows, row)
	}
	var b strings.Builder
	b.WriteString(style.Title(p.What()) + "\n")
	b.WriteString(style.Dim(p.Link.String()) + "\n\n")
	draw(&b, style, rows)
	if p.Runs > 1 {
		b.WriteString("\n" + style.Dim("In brackets the 95 % interval of the median; of five runs or fewer the least and the most.") + "\n")
	}
	if busy != "" {
		notes = append(notes, busy)
	}
	for _, n := range notes {
		b.WriteString(style.Dim(n) + "\n")
	}
	return b.String()
}

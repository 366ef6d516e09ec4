package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/xp2p/xp2p/lib/bench/transport"
	"github.com/xp2p/xp2p/lib/netlab"
	"github.com/xp2p/xp2p/lib/tool"
)

func suiteCommand() *tool.Command {
	var quick, asJSON bool
	var rows string
	return &tool.Command{
		Name:    "suite",
		Summary: "measure the table of targets and say which hold (root, Linux)",
		Flags: []tool.Flag{
			tool.Bool(&quick, "quick", "one short run of each instead of medians of five"),
			tool.String(&rows, "rows", "`N,…` of the rows, with commas between them; all if not given"),
			tool.Bool(&asJSON, "json", "JSON Lines instead of a table"),
		},
		Run: func(ctx context.Context, t *tool.IO, _ []string) error {
			numbers, err := parseRows(rows)
			if err != nil {
				return err
			}
			return runSuite(ctx, t, quick, asJSON, numbers)
		},
	}
}

func parseRows(s string) (rows []int, err error) {
	if s == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(s, ",") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 || n > len(transport.Rows) {
			return nil, tool.Usage("--rows %s: want numbers from 1 to %d", s, len(transport.Rows))
		}
		rows = append(rows, n)
	}
	return rows, nil
}

func runSuite(ctx context.Context, t *tool.IO, quick, asJSON bool, rows []int) error {
	if err := netlab.Available(); err != nil {
		return tool.Failed("suite: %w", err)
	}
	s := transport.NewSuite(quick)
	start, where := time.Now(), machine()
	var progress func(transport.SuiteProgress)
	if t.StatusShown() {
		progress = func(p transport.SuiteProgress) {
			t.Status("%d of %d, %s: %s, run %d of %d; %d rejected", p.Done+1, p.Of, p.Cell, p.Transport, p.Round, p.Rounds, p.Rejected)
		}
	}
	err := s.Do(ctx, rows, progress)
	t.Status("")
	if err != nil && !tool.Interrupted(err) {
		return err
	}
	var out []byte
	if asJSON {
		s.Results(func(_ string, r *transport.Result) { out = transport.AppendResult(out, r) })
		out = append(out, rowLines(s, rows)...)
	} else {
		out = []byte(suiteTable(s, where, rows, quick, time.Since(start)))
	}
	if _, e := t.Out.Write(out); e != nil {
		return e
	}
	if err != nil {
		return err
	}
	missed := 0
	each(s, rows, func(_ *transport.Row, o transport.Outcome) {
		if o.Least != transport.Holds {
			missed++
		}
	})
	if missed > 0 {
		return tool.Incomplete("%d rows do not hold their hard minimum", missed)
	}
	return nil
}

// each hands out rows with their outcomes.
func each(s *transport.Suite, rows []int, to func(*transport.Row, transport.Outcome)) {
	for i := range transport.Rows {
		r := &transport.Rows[i]
		wanted := len(rows) == 0
		for _, n := range rows {
			wanted = wanted || n == r.N
		}
		if wanted {
			to(r, s.Judge(r))
		}
	}
}

// rowLines are the rows for programs.
func rowLines(s *transport.Suite, rows []int) (out []byte) {
	each(s, rows, func(r *transport.Row, o transport.Outcome) {
		line, err := json.Marshal(struct {
			Type        string `json:"type"`
			Row         int    `json:"row"`
			What        string `json:"what"`
			Value       string `json:"value"`
			Rivals      string `json:"rivals,omitempty"`
			Least       string `json:"minimum"`
			LeastHolds  string `json:"minimum_holds"`
			Record      string `json:"record"`
			RecordHolds string `json:"record_holds"`
		}{"row", r.N, r.What, o.Value, o.Rivals, r.Least, o.Least.String(), r.Record, o.Record.String()})
		if err == nil {
			out = append(append(out, line...), '\n')
		}
	})
	return out
}

// suiteTable is the report for people: Markdown, to be kept.
func suiteTable(s *transport.Suite, where string, rows []int, quick bool, took time.Duration) string {
	table := [][]string{{"#", "what", "xntp", "rivals", "hard minimum", "holds", "record", "holds"}}
	least, record, n := 0, 0, 0
	each(s, rows, func(r *transport.Row, o transport.Outcome) {
		table = append(table, []string{strconv.Itoa(r.N), r.What, o.Value, o.Rivals, r.Least, o.Least.String(), r.Record, o.Record.String()})
		n++
		if o.Least == transport.Holds {
			least++
		}
		if o.Record == transport.Holds {
			record++
		}
	})
	widths := make([]int, len(table[0]))
	for _, line := range table {
		for i, c := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	var b strings.Builder
	kind := "medians of 5"
	if quick {
		kind = "one run each"
	}
	rejected, runs, late := 0, 0, time.Duration(0)
	s.Results(func(_ string, r *transport.Result) {
		rejected, runs, late = rejected+r.Rejected, runs+len(r.Samples), max(late, r.LateWorst)
	})
	fmt.Fprintf(&b, "%s; %s, TUN links, %d min. %d runs count, %d were rejected (emulator more than 1 ms late at p99; the worst was %.1f ms).\n\n",
		where, kind, int(took.Minutes()+0.5), runs, rejected, late.Seconds()*1000)
	for j, line := range table {
		for i, c := range line {
			b.WriteString("| " + c + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c)+1))
		}
		b.WriteString("|\n")
		if j == 0 {
			for _, w := range widths {
				b.WriteString("| " + strings.Repeat("-", w) + " ")
			}
			b.WriteString("|\n")
		}
	}
	fmt.Fprintf(&b, "\nHard minimum: %d of %d rows. Record: %d of %d. L is the physical limit.\n", least, n, record, n)
	return b.String()
}

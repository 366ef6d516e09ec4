package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/xp2p/xp2p/lib/bench/switching"
	"github.com/xp2p/xp2p/lib/tool"
)

type abrOptions struct {
	program, modes, dir string
	cells, moments      int
	jobs                int
	only, mpegts        string
	seed                uint64
	json                bool
}

func abrCommand() *tool.Command {
	o := &abrOptions{modes: "keyframe,now", cells: 40, moments: 3, jobs: 2, seed: 1}
	return &tool.Command{
		Name: "abr", Summary: "switch between renditions in many ways, and look for anything that could be seen or heard",
		Flags: []tool.Flag{
			tool.String(&o.program, "program", "the xp2p-abr to measure; the one beside xp2p-bench if not given"),
			tool.String(&o.modes, "modes", "`MODES` of switching: keyframe, now or both"),
			tool.Int(&o.cells, "cells", "ways to make renditions, at least"),
			tool.Int(&o.moments, "moments", "random moments for each cell and mode"),
			tool.Int(&o.jobs, "jobs", "cells to run at a time"),
			tool.String(&o.only, "only", "cells whose `WORDS` are all among these, such as hevc,open"),
			tool.String(&o.dir, "films", "keep the films in `DIR` for the next run"),
			tool.String(&o.mpegts, "mpegts", "mpegts.js, a `FILE`: then Chromium plays FLV, too"),
			tool.Uint64(&o.seed, "seed", "of cells and moments"),
			tool.Bool(&o.json, "json", "JSON Lines instead of a table"),
		},
		Run: o.run,
	}
}

func (o *abrOptions) run(ctx context.Context, t *tool.IO, _ []string) error {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		return tool.Failed("%w", err).Hint("renditions are made and judged with ffmpeg")
	}
	if o.program == "" {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		o.program = filepath.Join(filepath.Dir(self), "xp2p-abr")
	}
	if _, err := os.Stat(o.program); err != nil {
		return tool.Failed("%w", err).Hint("--program names it")
	}
	dir := o.dir
	if dir == "" {
		tmp, err := os.MkdirTemp("", "xp2p-abr-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		dir = tmp
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	begin := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var rows []chan outcome // in the order of cells
	slots := make(chan *switching.Bench, max(1, o.jobs))
	for range cap(slots) {
		out, err := os.MkdirTemp(dir, "out-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(out)
		b := &switching.Bench{Program: o.program, Dir: dir, Out: out, MPEGTS: o.mpegts}
		defer b.Close()
		slots <- b
	}
	for i, c := range switching.Cells(o.cells, o.seed) {
		if !matches(c.String(), o.only) {
			continue
		}
		row := make(chan outcome, 1)
		rows = append(rows, row)
		go func() {
			b := <-slots
			defer func() { slots <- b }()
			results, err := o.cell(ctx, b, c, o.seed+uint64(i))
			row <- outcome{c, results, err}
		}()
	}
	table := switching.Table{}
	for i, row := range rows {
		t.Status("cell %d of %d: %v", i+1, len(rows), time.Since(begin).Truncate(time.Second))
		got := <-row
		if got.err != nil {
			cancel()
			for range cap(slots) { // let them end before their files go
				<-slots
			}
			return got.err
		}
		text := table.Add(got.cell, got.row)
		if !o.json {
			if _, err := fmt.Fprint(t.Out, text); err != nil {
				return err
			}
			continue
		}
		for _, r := range got.row {
			line, err := json.Marshal(r)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(t.Out, "%s\n", line); err != nil {
				return err
			}
		}
	}
	if !o.json {
		fmt.Fprint(t.Out, table.Summary(time.Since(begin)))
	}
	if table.Wrong > 0 {
		return tool.Incomplete("%d of %d switches could be seen or heard", table.Wrong, table.Switches)
	}
	return nil
}

// An outcome is what came of a cell.
type outcome struct {
	cell switching.Cell
	row  []switching.Result
	err  error
}

// cell makes all switches of one.
func (o *abrOptions) cell(ctx context.Context, b *switching.Bench, c switching.Cell, seed uint64) (row []switching.Result, err error) {
	for _, mode := range strings.Split(o.modes, ",") {
		for n, at := range switching.Moments(c, o.moments, seed) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			r, err := b.Run(ctx, c, at, mode)
			if err != nil {
				return nil, err
			}
			if n == 0 && mode == "keyframe" {
				if err := b.Play(ctx, &r); err != nil {
					return nil, err
				}
			}
			row = append(row, r)
		}
	}
	return row, nil
}

// matches reports whether all words of only, with commas between them, are
// among those of a cell.
func matches(cell, only string) bool {
	for _, w := range strings.FieldsFunc(only, func(r rune) bool { return r == ',' }) {
		if !strings.Contains(" "+cell+" ", " "+w+" ") {
			return false
		}
	}
	return true
}

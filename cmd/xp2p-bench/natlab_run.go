package main

import (
	"context"
	"encoding/json"
	"os/exec"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xp2p/xp2p/lib/tool"
)

// labApart is the time between the first starts of those that run at the same time: so
// no two begin together, neither then nor later, as all take as long.
const labApart = 1500 * time.Millisecond

// eachLab runs so many labs, o.jobs at the same time, and hands over what came of each, one
// after another, as soon as it is there. If one fails, or ctx ends, the others end, too;
// what was handed over until then stands.
func eachLab[T any](ctx context.Context, jobs, n int, run func(ctx context.Context, i int) (T, error), done func(i int, r T) error) error {
	var one sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(jobs)
	for i := range n {
		if i > 0 && i < jobs {
			select {
			case <-time.After(labApart):
			case <-ctx.Done():
			}
		}
		g.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			r, err := run(ctx, i)
			if err != nil {
				return err
			}
			one.Lock()
			defer one.Unlock()
			return done(i, r)
		})
	}
	return g.Wait()
}

// A labSummary is the last line of matrix, home or punch, whether all was done or not.
type labSummary struct {
	Type   string `json:"type"` // "natlab-summary"
	Of     string `json:"of"`   // matrix, home, punch
	Runs   int    `json:"runs"` // pairs, or cases, that were to be run
	Done   int    `json:"done"`
	Good   int    `json:"good"`
	Direct int    `json:"without_relay"` // of those that are done
	TookS  int    `json:"took_s"`
	began  time.Time
}

func newSummary(of string, runs int) labSummary {
	return labSummary{Type: "natlab-summary", Of: of, Runs: runs, began: time.Now()}
}

func (s *labSummary) count(good, direct bool) {
	s.Done++
	if good {
		s.Good++
	}
	if direct {
		s.Direct++
	}
}

// end closes the report: err is why it ended.
func (s *labSummary) end(o *natlabOptions, t *tool.IO, err error, text string) error {
	s.TookS = int(time.Since(s.began).Seconds())
	if werr := o.say(t, s, text); werr != nil {
		return werr
	}
	switch {
	case err != nil:
		return err
	case s.Good < s.Done:
		return tool.Incomplete("%d of %d are not good", s.Done-s.Good, s.Done)
	}
	return nil
}

// say writes a line at once: what it says as JSON, or in words.
func (o *natlabOptions) say(t *tool.IO, v any, text string) error {
	if o.json {
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		text = string(b)
	}
	_, err := t.Out.Write([]byte(text + "\n"))
	return err
}

// head writes the line above the table.
func (o *natlabOptions) head(t *tool.IO, text string) error {
	if o.json {
		return nil
	}
	_, err := t.Out.Write([]byte(text + "\n"))
	return err
}

// programs makes sure that there is what the labs run.
func (o *natlabOptions) programs(names ...string) error {
	for _, name := range names {
		if _, err := exec.LookPath(o.program(name)); err != nil {
			return tool.Failed("%w", err).Hint("--bin DIR has xp2p-natprobe, xp2p-slice, xp2p-seed and xp2p-peer; scripts/natlab builds them")
		}
	}
	return nil
}

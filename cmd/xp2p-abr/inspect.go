package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/xp2p/xp2p/lib/abr"
	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/tool"
)

type inspectOptions struct {
	json bool
	span time.Duration
}

// inspect says whether renditions can be switched between, and what to tell the
// encoder if not.
func (o *inspectOptions) inspect(ctx context.Context, t *tool.IO, args []string) error {
	all, err := sources(args)
	if err != nil {
		return err
	}
	var lines []*abr.Timeline
	for _, s := range all {
		l, err := o.read(ctx, t, s)
		if err != nil {
			return err
		}
		lines = append(lines, l)
	}
	report := abr.Inspect(lines...)
	if o.json {
		line, err := json.Marshal(struct {
			Type string `json:"type"`
			*abr.Report
		}{"inspect", report})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(t.Out, "%s\n", line)
		if err != nil {
			return err
		}
	} else if _, err := io.WriteString(t.Out, report.Text()); err != nil {
		return err
	}
	if report.Broken() {
		return tool.Incomplete("these renditions cannot be switched between without a trace")
	}
	return nil
}

// read reads a rendition's timeline: all of it, or as much as is asked for.
func (o *inspectOptions) read(ctx context.Context, t *tool.IO, s source) (*abr.Timeline, error) {
	in, err := open(ctx, t, s)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	r := abr.NewReader(s.name, in.container)
	for p, err := in.head, in.err; ; p, err = in.Next() {
		r.Feed(p)
		r.Discard()
		for _, n := range r.Notes() {
			t.Log.Info(n, "rendition", s.name)
		}
		switch {
		case err == io.EOF:
			r.End()
			r.Discard()
			return r.Timeline(), nil
		case err != nil:
			return nil, err
		case o.long(r.Timeline()):
			return r.Timeline(), nil
		}
	}
}

// long reports whether enough of a timeline is there.
func (o *inspectOptions) long(t *abr.Timeline) bool {
	for _, k := range []media.Track{media.Video, media.Audio} {
		l := t.Track(k)
		if l == nil || len(l.Frames) == 0 || l.Timescale == 0 {
			continue
		}
		d := l.Frames[len(l.Frames)-1].DTS - l.Frames[0].DTS
		return d/int64(l.Timescale) >= int64(o.span.Seconds())
	}
	return false
}

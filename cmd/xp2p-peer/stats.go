package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/xp2p/xp2p/lib/measure"
)

// statsEvery is how often counters are taken.
const statsEvery = time.Second

// count takes the node's counters every second and at the end: for /stat, for
// --stats, for the status line.
func (s *session) count(ctx context.Context) error {
	var file *os.File
	if s.o.stats != "" {
		var err error
		if file, err = os.OpenFile(s.o.stats, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
			return err
		}
		defer file.Close()
	}
	tick := time.NewTicker(statsEvery)
	defer tick.Stop()
	why := ""
	for last := false; ; {
		r, err := s.take(context.WithoutCancel(ctx))
		if err != nil {
			return nil // the node has left: the line before was the last
		}
		s.report.Store(r)
		if r.UploadReason != why {
			why = r.UploadReason
			s.io.Log.Info("uploading", "allowed", why == "", "why", why)
		}
		if file != nil {
			if err := json.NewEncoder(file).Encode(struct {
				Type string `json:"type"`
				Time string `json:"time"`
				*measure.Report
			}{"stat", time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), r}); err != nil {
				return fmt.Errorf("--stats: %w", err)
			}
		}
		if s.io.StatusShown() {
			s.io.Status("%s", statusLine(s.name, r))
		}
		if last {
			return nil
		}
		select {
		case <-ctx.Done():
			last = true
		case <-tick.C:
		}
	}
}

// take asks the node for its counters.
func (s *session) take(ctx context.Context) (*measure.Report, error) {
	var r measure.Report
	var ok bool
	if err := s.ep.Call(ctx, func(now time.Time) { r, ok = s.node.Stats(now, s.name) }); err != nil {
		return nil, err
	}
	if !ok {
		return nil, os.ErrNotExist
	}
	s.measureEdge(time.Now(), &r)
	return &r, nil
}

func statusLine(room string, r *measure.Report) string {
	line := fmt.Sprintf("%s  %.1f MB  share %.0f %%  neighbours %d", room, float64(r.TotalBytes())/1e6, r.ShareRatio*100, len(r.Neighbours))
	if r.BufferMS != nil {
		line += fmt.Sprintf("  buffer %.1f s", float64(*r.BufferMS)/1e3)
	}
	if r.LagMS != nil {
		line += fmt.Sprintf("  lag %d ms", *r.LagMS)
	}
	if r.UploadReason != "" {
		line += "  uploads nothing (" + r.UploadReason + ")"
	}
	if r.StalledMS > 0 {
		line += fmt.Sprintf("  stalled %.1f s", float64(r.StalledMS)/1e3)
	}
	return line
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// How often, and how long, the log is told.
const (
	logEvery   = 10 * time.Second
	logTimeout = 5 * time.Second
)

// log reports to the room's log server. The tracker takes reports over the
// connection that is there anyway, and passes them to the log in its process; so
// this is only for a log elsewhere, or while the tracker is away.
func (s *session) log(ctx context.Context, b *briefing) error {
	select {
	case <-b.done:
	case <-ctx.Done():
		return nil
	}
	if b.doc == nil || b.doc.Log == "" {
		return nil
	}
	elsewhere := !sameServer(b.doc.Log, b.doc.Signal)
	tick := time.NewTicker(logEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			if elsewhere || !s.online.Load() {
				s.post(context.WithoutCancel(ctx), b.doc.Log, leaveWithin)
			}
			return nil
		}
		if elsewhere || !s.online.Load() {
			s.post(ctx, b.doc.Log, logTimeout)
		}
	}
}

// post sends the counters once. Nobody waits for an answer.
func (s *session) post(ctx context.Context, to string, within time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	err := func() error {
		report, err := s.take(ctx)
		if err != nil {
			return err
		}
		report.QuotaLeftBytes = nil // the user's own business
		body, err := json.Marshal(report)
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode >= 400 {
			return fmt.Errorf("%s", resp.Status)
		}
		return nil
	}()
	if err != nil {
		s.io.Log.Info("the log does not take our counters", "log", to, "err", err)
	}
}

// sameServer reports whether two URLs name one host and port.
func sameServer(a, b string) bool {
	u, errA := url.Parse(a)
	v, errB := url.Parse(b)
	return errA == nil && errB == nil && u.Host == v.Host
}

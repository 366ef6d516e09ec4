package main

import (
	"context"
	"net"
	"net/http"

	"github.com/xp2p/xp2p/lib/monitor"
	"github.com/xp2p/xp2p/lib/origin"
	"github.com/xp2p/xp2p/lib/store"
	"github.com/xp2p/xp2p/lib/tool"
)

// serve gives the room to players on this machine, and the counters to whoever
// asks.
func (s *session) serve(ctx context.Context) error {
	ln, err := net.Listen("tcp", s.o.http)
	if err != nil {
		return tool.Failed("--http: %w", err)
	}
	rooms := store.New()
	if err := rooms.Add(s.local); err != nil {
		return err
	}
	media := origin.NewHandler(rooms, origin.Config{Parts: origin.Live | origin.Page, Latency: s.o.nearness, Log: s.io.Log})
	mux := http.NewServeMux()
	mux.Handle("/", media)
	mux.Handle("GET /stat", monitor.Stat(func(r *http.Request) any {
		report, err := s.take(r.Context())
		if err != nil {
			return nil
		}
		return report
	}))
	s.io.Milestone("serving players", "url", "http://"+ln.Addr().String()+"/live/"+s.name+"."+s.local.Container().String())
	return origin.Serve(ctx, ln, mux, media.Stop, leaveWithin)
}

package main

import (
	"net/http"
	"time"

	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/monitor"
	"github.com/xp2p/xp2p/lib/wire"
)

// newMonitor counts what this seed does and what viewers report.
func (s *seed) newMonitor() *monitor.Monitor {
	m := monitor.New(monitor.Config{Rooms: s.roomsNow})
	if s.content != nil {
		served := s.content.Served()
		for name, n := range map[string]func() int64{
			"start": served.StartBytes.Load, "live": served.LiveBytes.Load, "piece": served.PieceBytes.Load, "at": served.AtBytes.Load,
			"segment": served.SegmentBytes.Load, "init": served.InitBytes.Load, "other": served.OtherBytes.Load,
		} {
			m.Counter("xp2p_origin_"+name+"_bytes_total", "Bytes that the origin gave out in such answers.", func() float64 { return float64(n()) })
		}
		m.Counter("xp2p_origin_requests_total", "Requests to the origin.", func() float64 { return float64(served.Requests.Load()) })
		m.Counter("xp2p_origin_refused_total", "Requests answered with a status of 400 or above.", func() float64 { return float64(served.Refused.Load()) })
		m.Counter("xp2p_origin_dropped_total", "Streams cut off because their reader was too slow.", func() float64 { return float64(served.Dropped.Load()) })
		m.Gauge("xp2p_origin_streams", "Streams that are open now.", func() float64 { return float64(served.Streams.Load()) })
	}
	if s.tracker != nil {
		m.Gauge("xp2p_tracker_connections", "Viewers that signal now.", func() float64 { return float64(s.tracker.Stats().Open) })
		m.Counter("xp2p_tracker_messages_total", "Signalling messages that came in.", func() float64 { return float64(s.tracker.Stats().Received) })
	}
	if s.ep != nil {
		m.Counter("xp2p_udp_received_total", "Datagrams that came in.", func() float64 { return float64(s.ep.Stats().PacketsIn) })
		m.Counter("xp2p_udp_sent_total", "Datagrams that went out.", func() float64 { return float64(s.ep.Stats().PacketsOut) })
		m.Counter("xp2p_udp_wakeups_total", "Times that the UDP loop woke up.", func() float64 { return float64(s.ep.Stats().Wakeups) })
	}
	return m
}

// roomsNow says which rooms there are and who is in them.
func (s *seed) roomsNow() (all []monitor.Room) {
	for _, room := range s.rooms.Rooms() {
		r := monitor.Room{Name: room.Name()}
		if s.tracker != nil {
			if st, ok := s.tracker.RoomStats(r.Name); ok {
				r.Peers, r.Seeds = st.Peers, st.Seeds
			}
		}
		all = append(all, r)
	}
	return all
}

// report takes what a viewer said of itself over the tracker's connection.
func (s *seed) report(room string, id wire.PeerID, body []byte) {
	if r, err := measure.ParseReport(body); err == nil {
		s.monitor.Report(time.Now(), room, id.String(), r)
	}
}

// watch adds what operators look at.
func (s *seed) watch(mux *http.ServeMux) {
	mux.Handle("GET /metrics", s.monitor.Metrics())
	mux.Handle("GET /healthz", monitor.Health(func() error { return nil }))
	if s.o.serves(partLog) {
		mux.Handle("POST /v1/rooms/{room}/log", s.monitor.Log())
	}
}

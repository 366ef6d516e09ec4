package main

import (
	"context"
	"net/http"
	"time"

	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/monitor"
	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/wire"
)

// newMonitor counts what this seed does and what viewers report.
func (s *seed) newMonitor() *monitor.Monitor {
	m := monitor.New(monitor.Config{Rooms: s.roomsNow, Account: s.account, Ways: s.ways})
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
		m.Counter("xp2p_origin_busy_total", "Requests refused because --uplink had no room.", func() float64 { return float64(served.Busy.Load()) })
		m.Counter("xp2p_origin_dropped_total", "Streams cut off because their reader was too slow.", func() float64 { return float64(served.Dropped.Load()) })
		m.Gauge("xp2p_origin_streams", "Streams that are open now.", func() float64 { return float64(served.Streams.Load()) })
	}
	if s.tracker != nil {
		m.Gauge("xp2p_tracker_connections", "Viewers that signal now.", func() float64 { return float64(s.tracker.Stats().Open) })
		m.Counter("xp2p_tracker_messages_total", "Signalling messages that came in.", func() float64 { return float64(s.tracker.Stats().Received) })
	}
	s.countRelay(m)
	if s.ep != nil {
		s.countNode(m)
		m.Counter("xp2p_udp_received_total", "Datagrams that came in.", func() float64 { return float64(s.ep.Stats().PacketsIn) })
		m.Counter("xp2p_udp_sent_total", "Datagrams that went out.", func() float64 { return float64(s.ep.Stats().PacketsOut) })
		m.Counter("xp2p_udp_wakeups_total", "Times that the UDP loop woke up.", func() float64 { return float64(s.ep.Stats().Wakeups) })
	}
	return m
}

// countNode adds what the node counts: XNTP and STUN.
func (s *seed) countNode(m *monitor.Monitor) {
	m.Gauge("xp2p_xntp_connections", "XNTP connections that are up.", func() float64 { return float64(s.counts().Conns) })
	for _, c := range []struct {
		name, help string
		of         func(*node.Counts) uint64
	}{
		{"xp2p_xntp_payload_bytes_total", "Bytes of pieces over XNTP, both ways.", func(c *node.Counts) uint64 { return uint64(c.Payload) }},
		{"xp2p_xntp_foreign_total", "Datagrams that are no packets of XNTP.", func(c *node.Counts) uint64 { return c.Dropped.Foreign }},
		{"xp2p_xntp_stray_total", "Packets for no connection of ours.", func(c *node.Counts) uint64 { return c.Dropped.Stray }},
		{"xp2p_xntp_forged_total", "Packets that did not open.", func(c *node.Counts) uint64 { return c.Dropped.Forged }},
		{"xp2p_xntp_replayed_total", "Packets that came again.", func(c *node.Counts) uint64 { return c.Dropped.Replayed }},
		{"xp2p_xntp_refused_total", "Handshakes beyond a limit.", func(c *node.Counts) uint64 { return c.Dropped.Refused }},
		{"xp2p_xntp_retried_total", "Handshakes answered with a cookie.", func(c *node.Counts) uint64 { return c.Dropped.Retried }},
		{"xp2p_stun_requests_total", "Well-formed Binding requests.", func(c *node.Counts) uint64 { return c.STUN.Requests }},
		{"xp2p_stun_answered_total", "Binding requests that were answered.", func(c *node.Counts) uint64 { return c.STUN.Answered }},
		{"xp2p_stun_tokens_total", "Answers that proved an address.", func(c *node.Counts) uint64 { return c.STUN.Tokens }},
		{"xp2p_stun_malformed_total", "Messages that are no requests.", func(c *node.Counts) uint64 { return c.STUN.Malformed }},
		{"xp2p_stun_limited_total", "Requests over a limit.", func(c *node.Counts) uint64 { return c.STUN.Limited }},
	} {
		m.Counter(c.name, c.help, func() float64 { n := s.counts(); return float64(c.of(&n)) })
	}
}

// counts asks the node for its counters, once for all who want to know at the
// same time.
func (s *seed) counts() node.Counts {
	s.counted.Lock()
	defer s.counted.Unlock()
	if s.ep != nil && time.Since(s.countedAt) > 100*time.Millisecond {
		ctx, cancel := context.WithTimeout(s.ctx, leaveWithin)
		defer cancel()
		var c node.Counts
		if s.ep.Call(ctx, func(time.Time) { c = s.node.Counts() }) == nil {
			s.lastCounts, s.countedAt = c, time.Now()
		}
	}
	return s.lastCounts
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
	if s.tracker != nil {
		for _, name := range s.tracker.Guests() {
			st, _ := s.tracker.RoomStats(name)
			all = append(all, monitor.Room{Name: name, Peers: st.Peers, Seeds: st.Seeds})
		}
	}
	if !s.o.pullsRooms() {
		for _, up := range s.o.pulls {
			all = append(all, monitor.Room{Name: up.Room})
		}
	}
	return all
}

// account is what the tracker in this process makes of a room's receipts.
func (s *seed) account(room string) (monitor.Account, bool) {
	if s.tracker == nil {
		return monitor.Account{}, false
	}
	a, ok := s.tracker.Account(room)
	return monitor.Account{
		PayloadBytes: a.PayloadBytes, VouchedBytes: a.VouchedBytes, LocalBytes: a.LocalBytes, ClaimedBytes: a.ClaimedBytes,
		CutBytes: a.CutBytes, VouchedShare: a.VouchedShare, Refused: a.Refused, FreeRiders: len(a.FreeRiders), Polluters: len(a.Polluters),
	}, ok
}

// ways is how viewers behind NATs met, as the tracker in this process counted.
func (s *seed) ways() (list []monitor.Way) {
	if s.tracker == nil {
		return nil
	}
	for w, n := range s.tracker.Ways() {
		list = append(list, monitor.Way{A: w.A.Label(), B: w.B.Label(), Path: w.Path, Count: n})
	}
	return list
}

// tallyEvery is how often the log says how the rooms are.
const tallyEvery = time.Minute

// tally writes a line for every room that has viewers, now and then: what a chart
// of the metrics shows, for those who have but the log.
func (s *seed) tally(ctx context.Context) error {
	tick := time.NewTicker(tallyEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for _, r := range s.roomsNow() {
			if r.Peers > 0 {
				s.tallyRoom(r)
			}
		}
	}
}

func (s *seed) tallyRoom(r monitor.Room) {
	a, ok := s.account(r.Name)
	if !ok {
		return
	}
	s.t.Log.Info("the room", "room", r.Name, "peers", r.Peers, "payload_bytes", a.PayloadBytes, "vouched_bytes", a.VouchedBytes,
		"claimed_bytes", a.ClaimedBytes, "vouched_share_ratio", a.VouchedShare, "free_riders", a.FreeRiders, "polluters", a.Polluters)
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
	mux.Handle("GET /healthz", monitor.Health(s.check))
	if s.o.serves(partLog) {
		mux.Handle("POST /v1/rooms/{room}/log", s.monitor.Log())
	}
}

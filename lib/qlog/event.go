package qlog

import (
	"fmt"
	"time"

	"github.com/xp2p/xp2p/lib/wire"
	"github.com/xp2p/xp2p/lib/xntp"
)

// An event is a record of a file.
type event struct {
	Time float64        `json:"time"` // ms since the reference time
	Name string         `json:"name"`
	Data map[string]any `json:"data"`
}

func ms(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

// describe returns what a record is called in qlog, and its data; no name if it
// has no place there.
func describe(t *xntp.Trace) (name string, data map[string]any) {
	switch t.Kind {
	case xntp.TraceStarted:
		return "connectivity:connection_started", map[string]any{
			"dst_ip": t.Addr.Addr().String(), "dst_port": t.Addr.Port(), "protocol": "XNTP", "peer": t.Key.String(),
		}
	case xntp.TraceConnected:
		return "connectivity:connection_state_updated", map[string]any{"old": "handshake_started", "new": "handshake_confirmed"}
	case xntp.TraceSent:
		return "transport:packet_sent", packet(t)
	case xntp.TraceReceived:
		return "transport:packet_received", packet(t)
	case xntp.TraceDropped:
		return "transport:packet_dropped", map[string]any{"raw": map[string]any{"length": t.Bytes}, "trigger": t.Dropped}
	case xntp.TraceLost:
		trigger := "reordering_threshold"
		if t.Late {
			trigger = "time_threshold"
		}
		return "recovery:packet_lost", map[string]any{
			"header": map[string]any{"packet_type": "1RTT", "packet_number": t.Number}, "trigger": trigger,
		}
	case xntp.TraceRecovered:
		return "recovery:packet_recovered", map[string]any{"header": map[string]any{"packet_type": "1RTT", "packet_number": t.Number}}
	case xntp.TraceMetrics:
		return "recovery:metrics_updated", map[string]any{
			"min_rtt": ms(t.MinRTT), "smoothed_rtt": ms(t.SRTT), "latest_rtt": ms(t.RTT), "rtt_variance": ms(t.RTTVar),
			"congestion_window": t.Cwnd, "bytes_in_flight": t.InFlight, "pacing_rate": int64(8 * min(t.PacingRate, 1e15)), // bits per second
		}
	case xntp.TraceKeys:
		return "security:key_updated", map[string]any{"key_type": "client_1rtt_secret", "generation": t.Number, "trigger": "local_update"}
	case xntp.TraceMTU:
		return "recovery:mtu_updated", map[string]any{"mtu": t.Bytes}
	case xntp.TraceMoved:
		return "connectivity:migration_state_updated", map[string]any{"new": "migration_complete", "dst_ip": t.Addr.Addr().String(), "dst_port": t.Addr.Port()}
	case xntp.TraceClosed:
		owner := "local"
		if t.Reason == xntp.ClosedByPeer {
			owner = "remote"
		}
		return "connectivity:connection_closed", map[string]any{"owner": owner, "reason": t.Reason.String(), "application_code": t.Code}
	}
	return "", nil
}

func packet(t *xntp.Trace) map[string]any {
	header := map[string]any{}
	switch t.Type {
	case wire.PacketShort:
		header["packet_type"], header["packet_number"] = "1RTT", t.Number
	case wire.PacketInitial:
		header["packet_type"], header["packet_number"] = "initial", t.Number
	case wire.PacketResponse:
		header["packet_type"], header["packet_number"] = "handshake", t.Number
	case wire.PacketRetry:
		header["packet_type"] = "retry"
	}
	frames := make([]map[string]any, 0, len(t.Frames))
	for i := range t.Frames {
		frames = append(frames, frame(&t.Frames[i]))
	}
	return map[string]any{"header": header, "raw": map[string]any{"length": t.Bytes}, "frames": frames}
}

func frame(f *xntp.TraceFrame) map[string]any {
	named := func(name string, more ...any) map[string]any {
		m := map[string]any{"frame_type": name}
		for i := 0; i < len(more); i += 2 {
			m[more[i].(string)] = more[i+1]
		}
		return m
	}
	switch f.Type {
	case wire.FramePadding:
		return named("padding", "length", f.Length)
	case wire.FramePing:
		return named("ping")
	case wire.FrameAck, wire.FrameAckECN:
		ranges := make([][]uint64, len(f.Ranges)) // highest first, as qlog allows
		for i, r := range f.Ranges {
			ranges[i] = []uint64{r.First, r.Last}
			if r.First == r.Last {
				ranges[i] = ranges[i][:1]
			}
		}
		m := named("ack", "ack_delay", ms(f.Delay), "acked_ranges", ranges)
		if f.Type == wire.FrameAckECN {
			m["ce"] = f.CE
		}
		return m
	case wire.FrameOpen:
		return named("open", "stream_id", f.ID, "size", f.Value)
	case wire.FrameCancel:
		return named("reset_stream", "stream_id", f.ID, "final_size", f.Value, "error_code", "cancelled")
	case wire.FrameExpired:
		return named("reset_stream", "stream_id", f.ID, "final_size", f.Value, "error_code", "expired")
	case wire.FrameWindow:
		return named("max_data", "maximum", f.Value)
	case wire.FrameChallenge:
		return named("path_challenge")
	case wire.FrameResponse:
		return named("path_response")
	case wire.FrameShard:
		return named("shard", "block", f.ID, "index", f.Value)
	case wire.FrameParity:
		return named("parity", "block", f.ID, "index", f.Value, "length", f.Length)
	case wire.FrameRecovered:
		return named("recovered", "packet_numbers", f.Numbers)
	case wire.FrameClose:
		return named("connection_close", "error_space", "application", "raw_error_code", f.Value)
	case wire.FrameObj:
		return named("stream", "stream_id", f.ID, "offset", f.Offset, "length", f.Length, "fin", f.Fin)
	}
	return named("unknown", "raw_frame_type", fmt.Sprintf("%#x", uint64(f.Type)))
}

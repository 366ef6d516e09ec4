// Package measure defines what xp2p counts, once: bytes by where they came
// from, the model player that says what was late, quantiles, the bounds that no
// swarm can pass. Every report, metric and benchmark uses these definitions.
package measure

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
)

// A Report is what a peer knows of itself in one room: the JSON of /stat, of
// --stats and of the log. Counters are since the peer joined and only grow.
// What is not known is absent.
type Report struct {
	Room string `json:"room,omitempty"`
	ID   string `json:"id,omitempty"` // 16 hexadecimal digits, as the tracker calls the peer
	Role string `json:"role,omitempty"`
	// AgeMS is how long ago the peer joined: the counters are of this time.
	AgeMS int64 `json:"age_ms,omitempty"`

	// Payload that was received, verified and not had before, by source. Relayed
	// bytes are server bytes, whoever sent them.
	PeerBytes   int64 `json:"peer_bytes"`
	SeedBytes   int64 `json:"seed_bytes"`
	OriginBytes int64 `json:"origin_bytes"`
	RelayBytes  int64 `json:"relay_bytes"`
	// StreamBytes is a seed's: the payload that the stream had since it joined.
	StreamBytes int64 `json:"stream_bytes,omitempty"`
	// UploadedBytes is the payload handed to others.
	UploadedBytes int64 `json:"uploaded_bytes"`
	// DuplicateBytes is payload that was here already, PollutedBytes payload that
	// failed its hash, OverheadBytes all else that was sent and received.
	DuplicateBytes int64 `json:"duplicate_bytes"`
	PollutedBytes  int64 `json:"polluted_bytes"`
	OverheadBytes  int64 `json:"overhead_bytes"`
	// InterZoneBytes is what of the payload came from another zone, as far as the
	// tracker's costs tell: from whom a byte costs more than nothing.
	InterZoneBytes int64 `json:"inter_zone_bytes"`

	// ShareRatio is the peer share: PeerBytes of all payload, start-up included.
	ShareRatio float64 `json:"share_ratio"`

	LagMS     *int64 `json:"lag_ms,omitempty"`     // behind the origin's ingest of the same DTS, now
	LagP50MS  *int64 `json:"lag_p50_ms,omitempty"` // of all pieces so far
	LagP95MS  *int64 `json:"lag_p95_ms,omitempty"`
	BufferMS  *int64 `json:"buffer_ms,omitempty"`  // of stream time that could be played without the network
	StartupMS *int64 `json:"startup_ms,omitempty"` // process start to first keyframe byte out
	// EdgeDistanceMS is the newest DTS at the origin minus the source's DTS at the
	// playhead of a model player that reads what the peer writes: of Player with B =
	// 1 s or, where the peer hurries its player (package squeeze), of that one.
	EdgeDistanceMS *int64 `json:"edge_distance_ms,omitempty"`

	// Against the model player of Player, with B = 1 s and B = 0.4 s.
	DuePieces          int64    `json:"due_pieces"`
	LatePieces         int64    `json:"late_pieces"`
	MissingPieces      int64    `json:"missing_pieces"`
	StalledMS          int64    `json:"stalled_ms"`
	ContinuityRatio    *float64 `json:"continuity_ratio,omitempty"`
	Continuity400Ratio *float64 `json:"continuity_400ms_ratio,omitempty"`

	UplinkBPS int64 `json:"uplink_bps,omitempty"` // measured
	RateBPS   int64 `json:"rate_bps,omitempty"`   // of the stream, as a seed takes it in
	// UploadAllowed says whether the peer gives to others now, and UploadReason if
	// not, why: flag, metered, quota or ratio. QuotaLeftBytes is for its owner.
	UploadAllowed  *bool  `json:"upload_allowed,omitempty"`
	UploadReason   string `json:"upload_reason,omitempty"`
	QuotaLeftBytes *int64 `json:"quota_left_bytes,omitempty"`

	Neighbours []Neighbour `json:"neighbours"`
}

// A Neighbour is one connection of a peer. Its ReceivedBytes are what the
// receiver says that it had of it, and not what the sender says. One that was
// left because it sent bad bytes stays in the list, for the tracker to hear of
// it: with PollutedBytes, and no counters of a connection.
type Neighbour struct {
	ID            string         `json:"id"`
	Addr          netip.AddrPort `json:"addr,omitzero"`
	Role          string         `json:"role,omitempty"`
	Path          string         `json:"path,omitempty"`       // direct, predicted, birthday, tcp, relay
	ConnectMS     *int64         `json:"connect_ms,omitempty"` // from when it was to be met
	PunchMS       *int64         `json:"punch_ms,omitempty"`   // from when both had exchanged addresses; absent if it was just dialed
	PunchRounds   int            `json:"punch_rounds,omitempty"`
	PunchSockets  int            `json:"punch_sockets,omitempty"` // that were opened for it here, in a round
	PunchProbes   int            `json:"punch_probes,omitempty"`  // that were sent from here
	RTTMS         float64        `json:"rtt_ms,omitempty"`
	LossRatio     float64        `json:"loss_ratio,omitempty"`
	RateBPS       int64          `json:"rate_bps,omitempty"`       // delivery rate towards it
	SentBytes     int64          `json:"sent_bytes"`               // payload
	ReceivedBytes int64          `json:"received_bytes"`           // verified payload
	PollutedBytes int64          `json:"polluted_bytes,omitempty"` // that did not verify
}

// TotalBytes returns all payload that was received and counted once.
func (r *Report) TotalBytes() int64 {
	return r.PeerBytes + r.SeedBytes + r.OriginBytes + r.RelayBytes
}

// Share returns PeerBytes / TotalBytes; zero before the first byte.
func (r *Report) Share() float64 {
	if t := r.TotalBytes(); t > 0 {
		return float64(r.PeerBytes) / float64(t)
	}
	return 0
}

// Bounds of a report from somebody else.
const (
	MaxReport           = 32 << 10
	MaxReportNeighbours = 256
	maxReportText       = 64
	// maxCount keeps sums of many reports within 63 bits.
	maxCount = 1 << 52
)

// ParseReport reads and checks a report that came over the network. Its ratio
// is computed anew.
func ParseReport(b []byte) (*Report, error) {
	if len(b) > MaxReport {
		return nil, fmt.Errorf("report: longer than %d bytes", MaxReport)
	}
	r := new(Report)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	r.ShareRatio = r.Share()
	return r, nil
}

func (r *Report) check() error {
	for _, v := range []int64{
		r.PeerBytes, r.SeedBytes, r.OriginBytes, r.RelayBytes, r.UploadedBytes, r.DuplicateBytes, r.PollutedBytes,
		r.OverheadBytes, r.AgeMS, r.StreamBytes, r.DuePieces, r.LatePieces, r.MissingPieces, r.StalledMS, r.UplinkBPS,
		r.RateBPS, r.InterZoneBytes,
		value(r.BufferMS), value(r.StartupMS), value(r.EdgeDistanceMS), value(r.QuotaLeftBytes), // the lag may be negative: clocks differ
	} {
		if v < 0 || v > maxCount {
			return fmt.Errorf("a counter of %d", v)
		}
	}
	for _, v := range []int64{value(r.LagMS), value(r.LagP50MS), value(r.LagP95MS)} {
		if v < -maxCount || v > maxCount {
			return fmt.Errorf("a lag of %d ms", v)
		}
	}
	if len(r.Room) > maxReportText || len(r.ID) > maxReportText || len(r.Role) > maxReportText || len(r.UploadReason) > maxReportText {
		return fmt.Errorf("a name of more than %d bytes", maxReportText)
	}
	if len(r.Neighbours) > MaxReportNeighbours {
		return fmt.Errorf("more than %d neighbours", MaxReportNeighbours)
	}
	for i := range r.Neighbours {
		n := &r.Neighbours[i]
		if n.SentBytes < 0 || n.SentBytes > maxCount || n.ReceivedBytes < 0 || n.ReceivedBytes > maxCount ||
			n.PollutedBytes < 0 || n.PollutedBytes > maxCount {
			return errors.New("neighbour: a counter out of range")
		}
		if len(n.ID) > maxReportText || len(n.Role) > maxReportText || len(n.Path) > maxReportText {
			return fmt.Errorf("neighbour: a name of more than %d bytes", maxReportText)
		}
	}
	return nil
}

func value(p *int64) int64 {
	if p == nil {
		return 0
	}
	return *p
}

package measure

import "time"

// A Source is where a piece came from.
type Source uint8

const (
	Peer Source = iota
	Seed
	Origin
	Relay // from whomever, through a relay: a server's bytes
)

// String returns the word that reports and explanations use.
func (s Source) String() string {
	return [...]string{"peer", "seed", "origin", "relay"}[s&3]
}

// A Meter gathers one peer's numbers in one room. The zero value counts bytes;
// NewMeter also plays the model players.
type Meter struct {
	received  [4]int64
	uploaded  int64
	duplicate int64
	polluted  int64
	overhead  int64
	interZone int64

	lag      Histogram
	lastLag  *int64
	startup  *int64
	players  [2]*Player // B = 1 s, B = 0.4 s
	uplink   int64
	bufferMS *int64
}

// The two starting buffers that reports give (DESIGN §8).
const (
	PlayerBuffer      = time.Second
	PlayerBufferShort = 400 * time.Millisecond
)

// NewMeter returns a meter with both model players.
func NewMeter() *Meter {
	return &Meter{players: [2]*Player{NewPlayer(PlayerBuffer), NewPlayer(PlayerBufferShort)}}
}

// Received counts n bytes of verified payload that were not here before.
func (m *Meter) Received(s Source, n int) { m.received[s&3] += int64(n) }

// Uploaded counts payload handed to another peer.
func (m *Meter) Uploaded(n int) { m.uploaded += int64(n) }

// Duplicate counts payload that was here already.
func (m *Meter) Duplicate(n int) { m.duplicate += int64(n) }

// Polluted counts payload that failed its check.
func (m *Meter) Polluted(n int) { m.polluted += int64(n) }

// Overhead counts bytes sent or received that are not payload.
func (m *Meter) Overhead(n int) { m.overhead += int64(n) }

// InterZone counts payload that Received has counted and that came from another
// zone.
func (m *Meter) InterZone(n int) { m.interZone += int64(n) }

// Lag notes how far behind the origin a piece was when it was written.
func (m *Meter) Lag(d time.Duration) {
	ms := d.Milliseconds()
	m.lastLag = &ms
	m.lag.Add(ms)
}

// Startup notes the time from the process's start to the first keyframe byte;
// only the first counts.
func (m *Meter) Startup(d time.Duration) {
	if m.startup == nil {
		ms := d.Milliseconds()
		m.startup = &ms
	}
}

// Buffer notes how much stream time is here and not yet played.
func (m *Meter) Buffer(d time.Duration) {
	ms := d.Milliseconds()
	m.bufferMS = &ms
}

// Uplink notes the measured uplink in bit/s.
func (m *Meter) Uplink(bps int64) { m.uplink = bps }

// Keyframe tells the model players that the first whole keyframe is here.
func (m *Meter) Keyframe(now time.Time, dts int64) {
	for _, p := range m.players {
		if p != nil {
			p.Start(now, dts)
		}
	}
}

// Play tells the model players the next piece in stream order: its DTS in
// milliseconds and when it was here.
func (m *Meter) Play(dts int64, arrived time.Time) {
	for _, p := range m.players {
		if p != nil {
			p.Play(dts, arrived)
		}
	}
}

// Skip tells the model players that the next piece will never be here.
func (m *Meter) Skip(dts int64) {
	for _, p := range m.players {
		if p != nil {
			p.Skip(dts)
		}
	}
}

// Jump tells the model players that the timeline goes on elsewhere.
func (m *Meter) Jump(dts int64) {
	for _, p := range m.players {
		if p != nil {
			p.Jump(dts)
		}
	}
}

// Fill writes the meter's numbers into r; its names and neighbours stay.
func (m *Meter) Fill(r *Report) {
	r.PeerBytes, r.SeedBytes = m.received[Peer], m.received[Seed]
	r.OriginBytes, r.RelayBytes = m.received[Origin], m.received[Relay]
	r.UploadedBytes, r.DuplicateBytes = m.uploaded, m.duplicate
	r.PollutedBytes, r.OverheadBytes = m.polluted, m.overhead
	r.InterZoneBytes = m.interZone
	r.ShareRatio = r.Share()
	r.UplinkBPS = m.uplink
	r.LagMS, r.StartupMS, r.BufferMS = clone(m.lastLag), clone(m.startup), clone(m.bufferMS)
	r.LagP50MS, r.LagP95MS = nil, nil
	if m.lag.Count() > 0 {
		p50, p95 := m.lag.Quantile(0.5), m.lag.Quantile(0.95)
		r.LagP50MS, r.LagP95MS = &p50, &p95
	}
	r.ContinuityRatio, r.Continuity400Ratio = nil, nil
	if p := m.players[0]; p != nil && p.Due > 0 {
		r.DuePieces, r.LatePieces, r.MissingPieces = p.Due, p.Late, p.Missing
		r.StalledMS = p.Stalled.Milliseconds()
		c := p.Continuity()
		r.ContinuityRatio = &c
	}
	if p := m.players[1]; p != nil && p.Due > 0 {
		c := p.Continuity()
		r.Continuity400Ratio = &c
	}
	if r.Neighbours == nil {
		r.Neighbours = []Neighbour{} // an empty list, not null: scripts iterate
	}
}

func clone(p *int64) *int64 {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

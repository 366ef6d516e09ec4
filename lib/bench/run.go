package bench

import "github.com/xp2p/xp2p/lib/measure"

// A Run is what one simulated (or real) room came to: one topology, one seed.
// Ratios are of the whole run, start-up included.
type Run struct {
	Scenario string
	Topology string
	Peers    int // at the most, at one time
	Seed     uint64
	Link     string // flow, packet or real

	// Bytes of payload that viewers got, by where it came from, and what else went
	// over the wires.
	PeerBytes, SeedBytes, OriginBytes int64
	UploadedBytes                     int64 // payload that peers gave
	DuplicateBytes                    int64
	PollutedBytes                     int64 // that was refused
	PlayedBad                         int64 // bytes put out that were not the broadcaster's: must be 0
	ControlBytes                      int64 // messages and descriptors between members, handshakes; 0: not known
	WireBytes                         int64 // all datagrams, headers of XNTP included
	InterZoneBytes                    int64 // payload that crossed zones
	ServerEgress                      int64 // payload that origin and seed sent
	StreamBytes                       int64 // of the broadcast: one copy

	// The model player with a buffer of 1 s, and of 0.4 s beside it.
	DuePieces, LatePieces, MissingPieces int64
	StalledMS, PlayedMS                  int64
	WorstAfterMS                         int64 // the same from the first event on; -1: not known
	Continuity400                        float64
	WorstStallMS                         int64 // the longest that any one viewer stood

	AddedLag measure.Histogram // ms, over all viewers and pieces
	Startup  measure.Histogram // ms, join to the first keyframe's byte
	Jain     float64           // of uploads over capacity

	ShareBound float64 // min(1-1/N, capacity/demand)
	LagBoundMS float64 // the lag law of measure.LagBound

	// Over time, one value a second, and over peers.
	ShareBySecond    []float64
	ViewersBySecond  []int
	LagP95BySecond   []float64
	UploadOverUplink []float64 // by peer, ascending: uploaded / what its uplink could carry
	Tree             []Edge    // who got a piece from whom, for one piece in the middle of the run

	TraceHash   uint64
	Seconds     float64 // of the stream
	WallSeconds float64
	PeakRSS     int64

	Real *Real // nil: simulated
}

// An Edge is one handing-on of a piece. From is -1 for the seed, -2 for the
// origin.
type Edge struct {
	From, To int
	LagMS    float64
	Group    uint64
}

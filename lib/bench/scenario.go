package bench

// A Scenario says who watches, over what network, and what goes wrong: data,
// in a JSON file. Zero fields mean the defaults in parentheses.
type Scenario struct {
	Name  string `json:"name"`
	About string `json:"about,omitempty"`
	Peers int    `json:"peers,omitempty"` // viewers (1000)

	Seconds   float64 `json:"seconds,omitempty"`    // of broadcast (120)
	RateBPS   int64   `json:"rate_bps,omitempty"`   // of the stream (2,000,000)
	GOPMS     int     `json:"gop_ms,omitempty"`     // from keyframe to keyframe (2000)
	KeyFactor float64 `json:"key_factor,omitempty"` // a keyframe's size over the mean frame's (8)

	Join     Join     `json:"join"`
	Session  Session  `json:"session"`
	Uplinks  []Uplink `json:"uplinks,omitempty"`  // (uniform from 1 to 3 times the bitrate)
	Downlink float64  `json:"downlink,omitempty"` // times the bitrate (20)

	RTTMS         [2]float64 `json:"rtt_ms,omitempty"`         // between viewers, evenly drawn (20 to 120)
	Loss          float64    `json:"loss,omitempty"`           // of datagrams on every access link; packet links only
	ServerStreams float64    `json:"server_streams,omitempty"` // uplink of origin and seed together, in streams (20); negative: unbounded
	Zones         int        `json:"zones,omitempty"`          // ISPs of equal size, the seed in the first (1)
	CrossRTTMS    float64    `json:"cross_rtt_ms,omitempty"`   // more between zones
	ZoneStreams   int        `json:"zone_streams,omitempty"`   // the budget of each zone's border, in streams each way; 0: none

	Unconnectable float64 `json:"unconnectable,omitempty"` // share of pairs of viewers that cannot connect, by NAT class
	Polluters     float64 `json:"polluters,omitempty"`     // share of viewers who change bytes of every hundredth piece they send
	Slow          int     `json:"slow,omitempty"`          // viewers whose uplink is ten times slower than they say
	NoUpload      float64 `json:"no_upload,omitempty"`     // share of viewers who give nothing

	Events []Event `json:"events,omitempty"`
}

// Join says when viewers come.
type Join struct {
	Kind  string  `json:"kind,omitempty"`   // ramp (default), flash, poisson
	First int     `json:"first,omitempty"`  // flash: those who are there from the start (10)
	AtS   float64 `json:"at_s,omitempty"`   // flash: when the crowd comes (20)
	OverS float64 `json:"over_s,omitempty"` // within how long (ramp 20, flash 10)
}

// Session says how long viewers stay.
type Session struct {
	Kind  string  `json:"kind,omitempty"`   // stay (default), pareto
	MeanS float64 `json:"mean_s,omitempty"` // (60)
	Alpha float64 `json:"alpha,omitempty"`  // of the tail (1.5)
}

// An Uplink is a class of access links: from Low to High times the bitrate,
// evenly drawn, for Weight of the viewers.
type Uplink struct {
	Weight float64 `json:"weight"`
	Low    float64 `json:"low"`
	High   float64 `json:"high,omitempty"`
}

// An Event is something that happens.
type Event struct {
	AtS    float64 `json:"at_s"`
	Kind   string  `json:"kind"`             // leave, tracker_gone, origin_slow, origin_gone
	Ratio  float64 `json:"ratio,omitempty"`  // leave: of those who are there
	ForS   float64 `json:"for_s,omitempty"`  // how long
	Factor float64 `json:"factor,omitempty"` // origin_slow: times slower
}

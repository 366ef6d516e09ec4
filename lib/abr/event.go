package abr

// A Mode is how a switch was made or is to be made.
type Mode string

const (
	// Keyframe switches at the next IDR of the new rendition where the old one
	// can end without a trace.
	Keyframe Mode = "keyframe"
	// Bridge switches where it was asked for: from there to the next IDR of the
	// new rendition its pictures are encoded anew.
	Bridge Mode = "bridge"
)

// A Switch is what happened. Times are milliseconds of the stream written, from
// its first picture on.
type Switch struct {
	Type    string `json:"type"` // "switch"
	From    string `json:"from"`
	To      string `json:"to"`
	AskedMS int64  `json:"asked_ms"`
	AtMS    int64  `json:"at_ms"`
	Mode    Mode   `json:"mode"`
	Reason  string `json:"reason"`
}

// A Made tells what a bridge took to encode. Times are milliseconds.
type Made struct {
	Type     string `json:"type"` // "bridge"
	To       string `json:"to"`
	AheadMS  int64  `json:"ahead_ms"`  // how much of the stream was to be written before it was needed
	ReadyMS  int64  `json:"ready_ms"`  // how long its first pictures were in coming
	LengthMS int64  `json:"length_ms"` // how much of the stream it made up
	CPUMS    int64  `json:"cpu_ms"`    // CPU time of the encoder
}

// Why a switch was made, if nobody gave a reason.
const (
	ByPlan    = "plan"
	ByControl = "control"
	ByEnd     = "ended"   // the rendition that was played ended
	ByStall   = "stalled" // nothing of it came
	ByCodec   = "codec"   // its codec changed
)

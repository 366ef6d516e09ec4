package xntp

import (
	"time"

	"github.com/xp2p/xp2p/lib/wire"
)

// rateState measures how fast data arrives, on the receiver's clock: bytes
// acknowledged between two packets over the time between their arrivals. So
// neither acknowledgements that were held back nor those that came in a bunch
// disturb it.
type rateState struct {
	bps       float64 // the latest measurement, bytes per second
	delivered int64   // bytes acknowledged in all
	from      int64   // delivered when the measurement in progress began
	fromStamp time.Duration
	measuring bool
}

func (r *rateState) onAck(a *wire.Ack, bytes int, rtt *rttState) {
	r.delivered += int64(bytes)
	stamps := a.Stamps()
	if len(stamps) == 0 {
		return
	}
	at := stamps[0]
	if !r.measuring || at < r.fromStamp {
		r.measuring, r.from, r.fromStamp = true, r.delivered, at
		return
	}
	// Half a round trip evens out bursts and is soon enough for a controller.
	if dt := at - r.fromStamp; dt >= max(rtt.smoothed/2, 4*granularity) {
		r.bps = float64(r.delivered-r.from) / dt.Seconds()
		r.from, r.fromStamp = r.delivered, at
	}
}

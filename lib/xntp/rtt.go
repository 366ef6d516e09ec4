package xntp

import "time"

// rttState estimates the round trip time (RFC 9002 §5).
type rttState struct {
	have                bool
	latest, min         time.Duration
	smoothed, variation time.Duration
}

// init forgets everything, as for a new path.
func (r *rttState) init() {
	// RFC 9002 §6.2.2: "When no previous RTT is available, the initial RTT
	// SHOULD be set to 333 milliseconds." variation is half of it (§5.3).
	*r = rttState{smoothed: 333 * time.Millisecond, variation: 333 * time.Millisecond / 2}
}

// sample takes a measured time; delay is what the peer says it held the
// acknowledgement.
func (r *rttState) sample(rtt, delay time.Duration) {
	if rtt <= 0 {
		rtt = time.Microsecond
	}
	r.latest = rtt
	if !r.have {
		r.have, r.min, r.smoothed, r.variation = true, rtt, rtt, rtt/2
		return
	}
	r.min = min(r.min, rtt)
	// §5.3: "MUST NOT subtract the acknowledgment delay from the RTT sample if
	// the resulting value is smaller than the min_rtt".
	delay = min(delay, maxAckDelay)
	if rtt >= r.min+delay {
		rtt -= delay
	}
	r.variation = (3*r.variation + (r.smoothed - rtt).Abs()) / 4
	r.smoothed = (7*r.smoothed + rtt) / 8
}

// granularity is kGranularity of RFC 9002 §6.1.2.
const granularity = time.Millisecond

// pto is the probe timeout without backoff (RFC 9002 §6.2.1).
func (r *rttState) pto() time.Duration {
	return r.smoothed + max(4*r.variation, granularity) + maxAckDelay
}

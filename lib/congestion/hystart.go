package congestion

import "time"

// Constants of RFC 9406 §4.3.
const (
	minRTTThresh     = 4 * time.Millisecond
	maxRTTThresh     = 16 * time.Millisecond
	minRTTDivisor    = 8
	minRTTSamples    = 8
	cssGrowthDivisor = 4
	cssRounds        = 5
)

type growth uint8

const (
	growFully growth = iota
	growCarefully
	stopGrowing
)

// A hystart watches round trips during slow start (RFC 9406 §4.2): when those
// of a round are clearly longer than those of the round before, the queue is
// filling; a conservative slow start follows, and if the rise was no mistake,
// congestion avoidance.
type hystart struct {
	lastMin, currentMin time.Duration
	samples             int
	css                 bool
	cssBaseline         time.Duration
	cssRound            int
}

const infinite = time.Duration(1<<63 - 1)

func (h *hystart) reset() { *h = hystart{lastMin: infinite, currentMin: infinite} }

func (h *hystart) onAck(a Ack) growth {
	if a.RoundEnd {
		h.lastMin, h.currentMin, h.samples = h.currentMin, infinite, 0
		if h.css {
			if h.cssRound++; h.cssRound >= cssRounds {
				return stopGrowing
			}
		}
	}
	if a.RTT > 0 {
		h.currentMin = min(h.currentMin, a.RTT)
		h.samples++
	}
	if h.css {
		if h.samples >= minRTTSamples && h.currentMin < h.cssBaseline {
			h.css, h.cssBaseline = false, infinite // the rise was a mistake
			return growFully
		}
		return growCarefully
	}
	if h.samples >= minRTTSamples && h.currentMin != infinite && h.lastMin != infinite {
		thresh := min(max(h.lastMin/minRTTDivisor, minRTTThresh), maxRTTThresh)
		if h.currentMin >= h.lastMin+thresh {
			h.css, h.cssBaseline, h.cssRound = true, h.currentMin, 0
			return growCarefully
		}
	}
	return growFully
}

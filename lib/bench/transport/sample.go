package transport

import (
	"time"

	"github.com/xp2p/xp2p/lib/internal/link"
)

// A Sample is one run of one transport.
type Sample struct {
	Elapsed time.Duration // cold: from the dial to the last byte
	First   time.Duration // from the dial to the first
	Over    time.Duration // what Bytes are counted over
	Bytes   int64         // of the application, that came
	Goodput float64       // bit/s
	// Tenths are the bytes that came in tenths of a second; TheirTenths are those
	// of the other transport of a fairness run.
	Tenths, TheirTenths []int64

	CPU      time.Duration // of both ends
	KnowsCPU bool

	LatencyP50, LatencyP99 time.Duration
	Delivered              float64 // share of live messages; of those that were written
	Messages               int

	Jain  float64   // of all flows
	Share float64   // of the bytes of all flows, that of the transport's own
	Each  []float64 // bit/s: the transport's own flows, then the others

	Repeated      float64 // share of bytes that had been sent before
	KnowsRepeated bool

	// Capacity is what XNTP first took for the capacity of the link, in bit/s, and
	// CapacityAfter how long after it was dialed; 0 if it never knew.
	Capacity      float64
	CapacityAfter time.Duration

	// Of the emulator.
	Emulated bool
	Late50   time.Duration // its lateness, at the median
	Late     time.Duration // and at the 99th percentile
	Link     link.Count    // the bottleneck
	Rejected error         // why the run does not count
	Failed   error         // why the transport did not do what it should; then Elapsed is the timeout
}

// drops is the share of packets that the queue dropped, of those that came to
// it.
func (s *Sample) drops() float64 {
	if all := s.Link.Packets + s.Link.LostQueue; all > 0 {
		return float64(s.Link.LostQueue) / float64(all)
	}
	return 0
}

// lost is the share of packets that the link lost at random.
func (s *Sample) lost() float64 {
	if all := s.Link.Packets + s.Link.LostQueue + s.Link.LostRandom; all > 0 {
		return float64(s.Link.LostRandom) / float64(all)
	}
	return 0
}

// cpuPerGB is CPU seconds for 10^9 bytes that came.
func (s *Sample) cpuPerGB() (v float64, ok bool) {
	if !s.KnowsCPU || s.Bytes == 0 {
		return 0, false
	}
	return s.CPU.Seconds() / (float64(s.Bytes) / 1e9), true
}

// tenthRate is the bit/s of a tenth of a second.
func tenthRate(bytes int64) float64 { return float64(bytes) * 8 / tenth.Seconds() }

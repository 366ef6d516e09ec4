// Package congestion decides how much a sender may have in flight, and how
// fast it may send. There is one seam, Controller. Behind it stand XNTP's own
// Model, which knows the link's capacity, what arrives and what queues, and
// three others to hold it against: CUBIC (RFC 9438), TFRC (RFC 5348), and BBR
// after its first version.
//
// A controller sees bytes, times and round trips. It knows neither packets'
// numbers nor frames; loss detection, RTT estimation and pacing belong to the
// transport.
package congestion

import "time"

// Ack tells a controller that bytes arrived.
type Ack struct {
	Now      time.Time
	Sent     time.Time     // when the newest acknowledged packet was sent
	Bytes    int           // newly acknowledged
	InFlight int           // bytes in flight after this acknowledgement
	RTT      time.Duration // this sample; zero if the acknowledgement gave none
	SRTT     time.Duration
	MinRTT   time.Duration
	// Arrivals are the acknowledged packets whose receive times are known, in
	// the order in which they were sent. The slice is the caller's.
	Arrivals []Arrival
	// DeliveryRate is in bytes per second by the receiver's clock, over about half
	// a round trip; zero if unknown.
	DeliveryRate float64
	// AppLimited: the window was not the limit, so a full round says nothing
	// about the path (RFC 9002 §7.8: it SHOULD NOT grow then).
	AppLimited bool
	// Starved: the application had nothing more to send.
	Starved bool
	// RoundEnd: a packet sent after the previous round's end was acknowledged.
	RoundEnd bool
}

// An Arrival is a packet that arrived.
type Arrival struct {
	Sent  time.Duration // on the sender's clock, from any fixed moment
	At    time.Duration // on the receiver's, from another
	Bytes int
}

// Loss tells a controller of lost bytes, or of a CE mark with Bytes zero.
type Loss struct {
	Now   time.Time
	Sent  time.Time // when the newest lost or marked packet was sent
	Bytes int
	// InFlight is what is in flight without the lost bytes.
	InFlight int
	// CE: the network marked instead of dropping.
	CE bool
	// Persistent: nothing arrived for several probe timeouts (RFC 9002 §7.6).
	Persistent bool
}

// A Controller decides about one path. Calls come in the order of time.
type Controller interface {
	// OnSent: bytes left, and inFlight counts them.
	OnSent(now time.Time, bytes, inFlight int)
	OnAck(Ack)
	OnLoss(Loss)
	// OnSpurious: everything that the latest reduction answered to has arrived
	// after all, so the reduction is taken back.
	OnSpurious(now time.Time)
	// Window is the most bytes to have in flight.
	Window() int
	// Rate is the pacing rate in bytes per second for a smoothed RTT.
	Rate(srtt time.Duration) float64
	// Burst is how many bytes may leave at one moment when nothing is in
	// flight.
	Burst() int
	// SetMTU: full datagrams have a new size.
	SetMTU(mtu int)
}

// initialWindow is RFC 9002 §7.2: "Endpoints SHOULD use an initial congestion
// window of ten times the maximum datagram size (max_datagram_size), while
// limiting the window to the larger of 14,720 bytes or twice the maximum
// datagram size."
func initialWindow(mtu int) int { return min(10*mtu, max(14720, 2*mtu)) }

// minimumWindow is RFC 9002 §7.2: "The RECOMMENDED value is 2 *
// max_datagram_size."
func minimumWindow(mtu int) int { return 2 * mtu }

// restBurst is what may leave at one moment once sending is under way: four
// packets, so that a sender of video wakes up less often.
const restBurst = 4

// windowRate spreads a window over a round trip, a little faster than it is
// acknowledged (RFC 9002 §7.7: a factor "such as 1.25 … ensures that variations
// in RTT do not result in underutilization").
func windowRate(window int, factor float64, srtt time.Duration) float64 {
	return factor * float64(window) / max(srtt, time.Microsecond).Seconds()
}

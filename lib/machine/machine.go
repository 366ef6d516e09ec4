// Package machine is the contract between a protocol and whoever runs it.
//
// A machine is a value without goroutine, clock, socket, lock or logger. The
// same machine runs on real sockets (package endpoint) and, thousands at a
// time, on virtual links under a virtual clock (package simnet). A driver
// keeps one rhythm:
//
//	input, or time, or a command
//	→ drain datagrams (AppendDatagram until it says no)
//	→ drain events (the machine's own typed NextEvent)
//	→ ask for the timeout (NextTimeout)
//
// Rules that keep a run repeatable:
//
//   - now is an argument, and never goes backwards for one machine.
//   - Randomness is a *rand.Rand given at construction; secrets come from an
//     io.Reader given at construction.
//   - Map order never reaches an output.
//   - What must survive a call is copied inside; the caller owns all buffers.
//   - A machine has one owner and is not safe for concurrent use.
//   - Every queue has a bound, and says what happens at it.
package machine

import (
	"net/netip"
	"time"
)

// A Socket is the number that a driver gave to a UDP socket, a TURN
// allocation or a TCP carrier. Zero is the first socket of every driver.
type Socket uint32

// ECN is the two-bit field of the IP header (RFC 3168 §5).
type ECN uint8

const (
	NotECT ECN = 0
	ECT1   ECN = 1
	ECT0   ECN = 2
	CE     ECN = 3
)

// A Packet is a datagram with what the kernel knows about it.
type Packet struct {
	Socket Socket
	Remote netip.AddrPort
	Data   []byte
	// Stamp is when the kernel received the datagram; zero if it did not say.
	// Only for packets received.
	Stamp time.Time
	ECN   ECN
	// TTL is the hop limit to send with; zero means the system's default.
	TTL uint8
	// DontFragment asks for the DF bit on this packet.
	DontFragment bool
	// Segment is the size of the datagrams that Data consists of, but for the
	// last, which may be shorter (GSO); zero means that Data is one datagram. Only
	// for packets sent: what came together is given to a machine one by one.
	Segment int
	// Alone asks that the packet does not leave as one with others (GSO), for
	// there are ways out of a machine that spoil such runs.
	Alone bool
}

// A Machine is a protocol without I/O.
type Machine interface {
	// Receive takes a datagram. It never blocks, never keeps p.Data and never
	// fails: bad input is counted and dropped.
	Receive(now time.Time, p Packet)
	// Advance tells that time has passed. It is idempotent and tolerates being
	// late.
	Advance(now time.Time)
	// NextTimeout returns when Advance wants to be called; zero means never.
	NextTimeout() time.Time
	// AppendDatagram appends the next datagram to dst and returns it as
	// Packet.Data, which aliases dst's array. With ok false there is nothing to
	// send now; pacing lives here, in NextTimeout.
	AppendDatagram(now time.Time, dst []byte) (p Packet, ok bool)
}

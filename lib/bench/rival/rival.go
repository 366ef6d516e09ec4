// Package rival is the transports that xp2p-bench measures on one link in one
// run: XNTP and what people would use instead. It is the door of their modules.
//
// Each is used as its own documentation advises, with buffers that never are the
// limit of the links measured here (a window of at least 4 MB). What was chosen
// stands beside each: tcp.go, tls.go, quic.go, kcp.go, utp.go, srt.go, xntp.go.
package rival

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// A Transport opens the two ends of connections that carry bytes, in order, from
// the end that was dialed to the one that dialed, or the other way. Live
// (Options) they carry messages, which may be missing and may overtake others.
type Transport interface {
	// Listen opens an end that answers. serve is called on a goroutine of its
	// own for every connection, and closes it.
	Listen(at Place, serve func(Conn)) (Listener, error)
	// Dial begins a connection with a request of RequestBytes, which leaves as
	// early as the transport permits. It may return before anybody has
	// answered.
	Dial(ctx context.Context, at Place, to Peer, request []byte) (Conn, error)
}

// RequestBytes is the length of every request.
const RequestBytes = 32

// A Listener is an end that answers.
type Listener interface {
	Peer() Peer
	Close() error
}

// A Conn is one connection.
type Conn interface {
	// Request is what the dialing end sent first.
	Request() []byte
	// Next returns the next bytes, or the next message, which are valid until
	// Next is called again.
	Next() ([]byte, error)
	// Write sends p, as a message where the transport has messages. The bytes
	// must never change afterwards: they may be kept by reference.
	Write(p []byte) (int, error)
	// Close ends the connection at once. It may be called at any time, by
	// anybody, more than once.
	Close() error
}

// A Peer is whom to dial.
type Peer struct {
	Addr netip.AddrPort
	Key  string // of XNTP
}

// A Place is where an end stands.
type Place struct {
	Addr netip.AddrPort // port 0 is any
	// Do calls f where sockets that it opens belong to the place; nil is here.
	Do func(f func() error) error
}

func (p Place) do(f func() error) error {
	if p.Do == nil {
		return f()
	}
	return p.Do(f)
}

// Options say what a transport is to be good for.
type Options struct {
	// Live is the budget from write to read of live messages; zero: bytes.
	Live time.Duration
	// Hint is what both ends know of their access links, in bit/s, and that the
	// dialed end trusts the other's address, as peers do that have met: of use to
	// XNTP alone. Zero is nothing.
	Hint int64
	// Expect is how many bytes the dialing end asks for, if it knows: XNTP pads
	// its request to earn an answer of that size where it has no token.
	Expect int
	// MessageBytes is the size of every live message.
	MessageBytes int
}

// A Spec describes a transport.
type Spec struct {
	Name  string
	About string
	// UDP says that it runs over UDP: it can pass a relay of datagrams.
	UDP bool
	// LiveOnly: it has no reliable bytes.
	LiveOnly bool
	// Missing says why this machine, or this program, cannot have it; nil if it
	// can.
	Missing func() error
	New     func(Options) (Transport, error)
}

func here() error { return nil }

// All are the transports, in the order in which reports have them.
var All = []Spec{
	{"xntp", "XNTP as peers use it", true, false, here, newXNTP("")},
	{"xntp-cubic", "XNTP under CUBIC", true, false, here, newXNTP("cubic")},
	{"xntp-tfrc", "XNTP under TFRC", true, false, here, newXNTP("tfrc")},
	{"quic", "QUIC: quic-go", true, false, here, newQUIC},
	{"tcp-cubic", "kernel TCP under CUBIC, not encrypted", false, false, hasTCP("cubic"), newTCP("cubic")},
	{"tcp-bbr", "kernel TCP under BBR, not encrypted", false, false, hasTCP("bbr"), newTCP("bbr")},
	{"tls", "TLS 1.3 over kernel TCP under CUBIC", false, false, hasTCP("cubic"), newTLS},
	{"srt", "SRT, live mode: gosrt, not encrypted", true, true, here, newSRT},
	{"kcp", "KCP, turbo: kcp-go, no congestion control, not encrypted", true, false, here, newKCP},
	{"utp", "uTP: anacrolix/utp, no LEDBAT, not encrypted", true, false, here, newUTP},
}

// ErrUnknown says that there is no such transport.
var ErrUnknown = errors.New("no such transport")

// Find returns a transport by its name.
func Find(name string) (Spec, error) {
	for _, s := range All {
		if s.Name == name {
			return s, nil
		}
	}
	return Spec{}, fmt.Errorf("%w: %q; there are %s", ErrUnknown, name, strings.Join(Names(), ", "))
}

// Names lists all transports.
func Names() (names []string) {
	for _, s := range All {
		names = append(names, s.Name)
	}
	return names
}

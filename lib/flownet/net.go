package flownet

import (
	"net/netip"
	"time"

	"github.com/xp2p/xp2p/lib/simnet"
)

// A Net is the flows of one world.
type Net struct {
	world *simnet.World
	links map[*simnet.Host]*Link
	at    map[netip.AddrPort]*Endpoint

	// Blocked says that two hosts cannot reach each other, whoever begins; nil:
	// all can.
	Blocked func(a, b *simnet.Host) bool
	// Tap sees every object that an endpoint sends, and may replace its bytes,
	// never change them.
	Tap func(from, to *simnet.Host, data [][]byte) [][]byte

	slots   []transfer
	free    []uint32
	onCome  func(uint32)
	onAcked func(uint32)

	Stats Stats
}

// Stats counts what a Net carried.
type Stats struct {
	Objects     int64 // sent by endpoints
	ObjectBytes int64 // of these
	BodyBytes   int64 // of these, the second parts: bodies of pieces and inits
	WireBytes   int64 // UDP payload that left: objects, handshakes and messages, with headers and acknowledgements
	PlainBytes  int64 // of these, what Link.Send sent: no endpoint's
	Messages    int64 // of Link.Send
}

// New returns the flows of a world.
func New(w *simnet.World) *Net {
	n := &Net{world: w, links: map[*simnet.Host]*Link{}, at: map[netip.AddrPort]*Endpoint{}}
	n.onCome, n.onAcked = n.came, n.acked
	return n
}

// Sizes of what goes with the bytes of an object: XNTP's header (7), tag (16) and
// a frame's head (6) in each packet of 1,472, OPEN (11) in the first; a datagram
// with an acknowledgement (7, 16 and about 19) for the end of the object, and one
// for every twelfth packet before.
const (
	packetPayload = 1472 - packetCost
	packetCost    = 29
	objectCost    = 11
	objectShare   = 17 // a frame's head and OPEN: of an object in the datagram of another
	udpCost       = 28
	ackCost       = 42
	ackEach       = 12
)

// wireSize returns the bytes of UDP payload that n bytes of objects become, and
// the datagrams they travel in.
func wireSize(n int) (bytes, packets int) {
	n += objectCost
	packets = (n + packetPayload - 1) / packetPayload
	return n + packets*packetCost, packets
}

// nanos is how long bytes of UDP payload in packets take at a link's rate.
func nanos(bytes, packets int, rate simnet.Rate) time.Duration {
	if rate <= 0 {
		return 0
	}
	return time.Duration(float64(bytes+packets*udpCost) * 8e9 / float64(rate))
}

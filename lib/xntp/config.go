package xntp

import (
	"crypto/ed25519"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/xp2p/xp2p/lib/congestion"
	"github.com/xp2p/xp2p/lib/machine"
)

// Errors that callers branch on.
var (
	// ErrBlocked: the bounded send queue is full. EventWritable follows when it
	// has room.
	ErrBlocked = errors.New("send queue full")
	// ErrClosed: there is no such connection, or no longer.
	ErrClosed = errors.New("connection closed")
	// ErrTooLarge: the object, or the early request, is larger than allowed.
	ErrTooLarge = errors.New("object too large")
	// ErrConnected: there is an open connection with the peer; its id comes with
	// the error.
	ErrConnected = errors.New("already connected")
	// ErrTooMany: the endpoint has as many connections as it may.
	ErrTooMany = errors.New("too many connections")
	// ErrAddr: no address.
	ErrAddr = errors.New("no address")
	// ErrExpired: the deadline of the object has passed already.
	ErrExpired = errors.New("deadline passed")
)

// MaxEarly is the size of the largest request that Dial can put into the first
// datagram.
const MaxEarly = 1000

// Defaults of Config, each with its reason.
const (
	DefaultMTU        = 1400    // UDP payload with which a path begins: fits PPPoE, most tunnels, and leaves TURN its header
	DefaultMaxObject  = 1 << 20 // a piece is 16 KiB; an init may be larger
	DefaultWindow     = 4 << 20 // 100 Mbit/s for 300 ms
	DefaultQueueBytes = 4 << 20 // the same, on the sending side
	DefaultQueueLen   = 1024    // objects per connection
	DefaultMaxConns   = 4096
	DefaultMaxHalf    = 512              // 2 s of newcomers at freeHandshakes
	DefaultKeepalive  = 15 * time.Second // RFC 4787 REQ-5: a mapping lives at least 2 minutes, but many do 20 s
	DefaultIdle       = 30 * time.Second
	DefaultHandshake  = 10 * time.Second
	DefaultKeyLife    = 1 << 24 // packets; AES-GCM's bound is 2^23 for 2^-57 of confidentiality and far more in practice

	ethernetMTU    = 1472 // Ethernet's 1500 without IPv4 and UDP headers
	maxMTU         = 8848 // the same of networks that carry jumbo frames: a cloud's have 8896 and more
	maxFreeObjects = 1024
)

// A Cipher is an AEAD for data packets.
type Cipher uint8

const (
	AES128GCM        Cipher = iota // hardware on every CPU of a server or a phone of today
	ChaCha20Poly1305               // where AES has no hardware
)

// Config is what an Endpoint is made from. Zero fields mean the defaults.
type Config struct {
	Key     PrivateKey
	Rand    *rand.Rand // decides, reproducibly, what need not be secret
	Entropy io.Reader  // secrets: keys, connection IDs, challenges

	// NewController makes the congestion controller of a connection; nil means
	// XNTP's own, congestion.Model. SetMTU follows when a packet is not of DefaultMTU, or Config.MTU if
	// that is less.
	NewController func(now time.Time) congestion.Controller

	// TokenKeys and VerifyToken prove a dialing peer's address before the first
	// round trip. VerifyToken is asked with the token as it came and the address
	// it came from; nil means that no token is believed.
	TokenKeys   []ed25519.PublicKey
	VerifyToken func(keys []ed25519.PublicKey, token []byte, addr netip.AddrPort, now time.Time) bool

	// Uplink and Downlink are what our access link carries, in bit/s, as far as is
	// known; zero if not. The downlink is told to peers. A start where both ends'
	// links are known sends at once at 0.99 of the narrower, at half of it
	// where one is known: a wrong value makes a queue for a round trip.
	Uplink, Downlink int64

	Cipher     Cipher
	NoParity   bool          // neither send nor ask for packets that bring back lost ones: for comparison
	MTU        int           // largest UDP payload to try; zero is what Ethernet carries, and in a near network jumbo frames; DefaultMTU or less tries nothing
	MaxObject  int           // largest object to accept
	Window     int           // receive memory per connection
	QueueBytes int           // send queue per connection: bytes kept until acknowledged
	QueueLen   int           // send queue per connection: objects
	MaxConns   int           // connections, half-open ones included; beyond it dials fail and strangers are ignored
	MaxHalf    int           // accepted but unconfirmed connections; half of it reached, cookies are asked for
	Keepalive  time.Duration // silence after which a PING is sent; negative means never
	Idle       time.Duration // silence after which the peer is gone
	Handshake  time.Duration // time a handshake may take
	KeyLife    uint64        // packets sealed with one key before it is updated
	Trace      int           // records that wait for NextTrace at most; zero records nothing
}

// A Class says what becomes of an object that meets loss or lateness.
type Class uint8

const (
	Reliable   Class = iota // sent until acknowledged; a deadline only orders it
	Deadline                // sent and resent until its deadline, then dropped and reported
	BestEffort              // sent once; a lost part drops it
)

func (c Class) String() string {
	switch c {
	case Reliable:
		return "reliable"
	case Deadline:
		return "deadline"
	default:
		return "best effort"
	}
}

// An Object is a message to send.
type Object struct {
	Class    Class
	Priority uint8     // 0 is the most urgent; objects of a priority go earliest deadline first
	Deadline time.Time // zero means none
	// Data is kept by reference until the object is delivered, expired,
	// cancelled or its connection closed; nobody may change its bytes. The same
	// bytes may be in any number of objects.
	Data [][]byte
	// Quiet: nobody asks what became of it, and no EventDelivered or EventExpired
	// follows.
	Quiet bool
}

// DialOptions say whom to connect to.
type DialOptions struct {
	Remote PublicKey
	Socket machine.Socket
	Addr   netip.AddrPort
	Token  []byte // an address token for our address, to let the peer answer at once
	Early  []byte // at most MaxEarly bytes: an idempotent request in the first datagram
	// Earn is how many bytes of data the peer may answer with before it has heard
	// from us again, although we have no Token: the Initial is repeated for every
	// 3600 of them (at most 64 times in all), because an answer to an address that is
	// not proved is held to three times what came from there.
	Earn int
}

// Stats is what a connection knows of its path and its queues.
type Stats struct {
	SRTT, MinRTT, RTTVar time.Duration
	Loss                 float64 // packets lost / packets sent, spurious ones taken back
	DeliveryRate         float64 // bytes per second, from the receiver's stamps
	PacingRate           float64 // bytes per second
	Cwnd                 int
	InFlight             int   // bytes sent and neither acknowledged nor lost
	QueuedBytes          int   // bytes of objects waiting to be sent
	HeldBytes            int   // bytes of objects not yet delivered, sent or not
	QueuedObjects        int   // objects not yet delivered
	SentBytes            int64 // UDP payload
	ReceivedBytes        int64
	SentPackets          int64
	ReceivedPackets      int64
	LostPackets          int64
	SpuriousPackets      int64
	ObjectBytes          int64 // object bytes sent, repetitions included
	RepeatedBytes        int64 // of these, the repetitions
	ParityBytes          int64 // of what brings back lost packets
	RecoveredPackets     int64 // of the peer's, brought back
	MTU                  int
	Connected            bool
}

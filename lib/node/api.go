package node

import (
	"crypto/ed25519"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/playout"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/wire"
	"github.com/xp2p/xp2p/lib/xntp"
)

// Config is what a node is made from. Key, Rand and Entropy must be there.
type Config struct {
	Key     xntp.PrivateKey
	Rand    *rand.Rand
	Entropy io.Reader

	Role  wire.Role        // RolePeer unless it says RoleSeed
	Name  string           // for people, in signalling and logs
	Hosts []netip.AddrPort // addresses of the node's own interfaces, with the port that it listens at

	MaxUpload int64 // bits per second of pieces that the node gives to others; 0: no bound
	NoUpload  bool  // gives nothing; others are told and do not count on it
	Uplink    int64 // bits per second that the node can upload, as far as it knows; 0: not known
	// NAT is what is known of the node's NAT; SetNAT tells it later. Lifetime bounds
	// the time between two keepalives, if it is known here.
	NAT nat.Facts
	// Hard: the node's NAT is known to give each destination another port. Two STUN
	// servers tell it too, and after a while those whom it did not reach.
	Hard bool
	// Polite bounds what a viewer gives in all its rooms together; nil: nothing
	// does. SetPolite changes it. A seed takes no notice.
	Polite *Polite

	// TokenKey lets a seed's STUN responder prove addresses; TokenKeys are the
	// responders whose proofs the node believes.
	TokenKey  ed25519.PrivateKey
	TokenKeys []ed25519.PublicKey
	// STUNTrusted are responders for whose clients a seed's responder sends packets
	// that test filters. Its addresses beside socket 0 are said by STUNSites.
	STUNTrusted []ed25519.PublicKey

	// Transport carries the connections; nil means XNTP, with Key.
	Transport Transport
	// Verifier checks the records of all rooms; nil means one of its own for each
	// room. Nodes of one simulation share one, which checks each record once.
	Verifier *segment.Verifier

	// Streams: what peers write to streams is told, and what becomes of connections:
	// EventStream, EventConn, EventWritable, EventConnGone.
	Streams bool
	// AtHome: a seed that stands behind a NAT, perhaps. It knows those whom it feeds,
	// and connects with them where a way is found; others wait to be dialed.
	AtHome bool

	// NoReceipts: nothing is signed for others. A simulation of thousands may do
	// without, where nobody looks at accounts.
	NoReceipts bool
	// Explain asks for an EventExplain for every piece.
	Explain bool
	// Trace is how many records of what connections do wait for NextTrace at most;
	// zero records nothing.
	Trace int
	// Born is when the process started; start-up is counted from there. Zero: from
	// Join.
	Born time.Time
}

// A Room is what Join needs to know of a room, mostly out of the tracker's room
// document.
type Room struct {
	Name     string
	Key      ed25519.PublicKey // signs every record
	Topology string            // the tracker's word for it; empty: balanced

	Seeds []wire.RoomSeed  // dialed at once, before the tracker has spoken
	STUN  []netip.AddrPort // asked for our address
	// NoSignal: there is no tracker to talk to; no EventSignal comes.
	NoSignal bool

	Start   playout.Start
	Buffer  time.Duration // of the model player, for deadlines; 0: 1 s
	Patient bool          // it is joined before it is played: others' needs come first (package swarm)
	Edge    bool          // the real player is hurried to the live edge (playout.Config)
	// OriginRTT is how long an answer of the origin takes, until one was
	// measured; 0: 200 ms.
	OriginRTT time.Duration
	// NoOrigin: there is no origin to ask; no EventNeedOrigin comes.
	NoOrigin bool
	// AtHome: the room's seeds are its origin (wire.RoomDocument.AtHome): a viewer
	// stays connected to them whatever the tracker's list says, and what the origin
	// supplies counts as a seed's.
	AtHome bool
	// NoPlayer: nothing is played here. The node is in the room for what streams
	// bring.
	NoPlayer bool
	// Resume makes a viewer go on behind a piece that it wrote in an earlier
	// life, instead of at Start.
	Resume segment.ID
	// Arrivals asks for an EventArrival for every new piece.
	Arrivals bool
	// Window bounds the time of the stream that the node keeps for others, and
	// WindowBytes the bytes; 0: 30 s and 64 MiB.
	Window      time.Duration
	WindowBytes int64
}

// An EventKind says what happened. The fields that are valid stand behind it;
// Room always is, but with Up and Down of a connection that serves no room yet.
type EventKind uint8

const (
	// EventSignal: Signal is for the tracker of the room.
	EventSignal EventKind = iota + 1
	// EventNeedOrigin: Origin asks the room's origin for something. Answer with
	// Supply, naming Origin.ID.
	EventNeedOrigin
	// EventStopOrigin: the answer to the request Origin.ID is of no use any more:
	// cancel it. Supply for it is ignored from now on, and need not be called.
	EventStopOrigin
	// EventOutput: Output is the next of the bytes that the viewer gets.
	EventOutput
	// EventUp: Neighbour, at Addr, is in the room, and may send.
	EventUp
	// EventDown: Neighbour is no longer; Why says the reason.
	EventDown
	// EventExplain: Piece came from Source (Neighbour, if it was one), Why in
	// words.
	EventExplain
	// EventArrival: Output is a piece that has come, in whatever order. With
	// Room.Arrivals.
	EventArrival
	// EventStall: the player has nothing to play: the piece Piece was not there
	// at its deadline. EventResume: it is now; Late says by how much.
	EventStall
	EventResume
	// EventGap: what follows in the output does not follow on what was before:
	// nobody had the bytes any more. Output goes on at Piece, with its init.
	EventGap
	// EventRestart: the broadcaster began anew; the output goes on with the new
	// stream's init and its first piece, Piece.
	EventRestart
	// EventEnd: the stream is over, and Output has given all of it.
	EventEnd
	// With Config.Streams. EventStream: Neighbour wrote Data to Stream; Fin says that
	// it is the last. EventConn: there is a connection with Neighbour, at Addr, which
	// is Stream.Conn. EventWritable: a write that was refused there has room.
	// EventConnGone: it has ended, and its streams with it.
	EventStream
	EventConn
	EventWritable
	EventConnGone
	// EventOpenSocket: the node wants the socket that Open describes. Answer with
	// Opened, naming Open.Ref, whether there is one now or not.
	EventOpenSocket
	// EventCloseSocket: the node has no use for Socket any more: close it.
	EventCloseSocket
	// EventObserveTCP: ask a STUN server of the room over TCP how it sees us, with a
	// token. Answer with ObservedTCP, naming Open.Ref; the port must be free then.
	EventObserveTCP
)

func (k EventKind) String() string {
	names := [...]string{1: "signal", "need-origin", "stop-origin", "output", "up", "down", "explain", "arrival", "stall", "resume", "gap", "restart", "end", "stream", "conn", "writable", "conn-gone", "open-socket", "close-socket", "observe-tcp"}
	if k >= 1 && int(k) < len(names) {
		return names[k]
	}
	return "event"
}

// An Event is what the owner of a node must know or do.
type Event struct {
	Kind      EventKind
	Room      string
	Signal    wire.Signal
	Origin    Origin
	Output    Output
	Neighbour wire.PeerID
	Addr      netip.AddrPort
	Piece     segment.ID
	Source    measure.Source
	Late      time.Duration
	Why       string
	Stream    Stream
	Data      []byte
	Fin       bool
	Open      OpenSocket
	Socket    machine.Socket
}

// A SocketKind says what a socket stands for: to the node each is one more way.
type SocketKind uint8

const (
	SocketUDP   SocketKind = iota + 1 // a UDP socket of its own
	SocketRelay                       // an allocation at a TURN server
	SocketTCP                         // a TCP connection that carries datagrams
)

func (k SocketKind) String() string {
	return [...]string{"none", "udp", "relay", "tcp"}[min(k, SocketTCP)]
}

// An OpenSocket describes a socket that the node wants.
type OpenSocket struct {
	Ref  uint64 // names the request
	Kind SocketKind
	// Local is where to listen: UDP, and TCP that is opened from both sides at
	// once. Zero is any port of the addresses that socket 0 listens at.
	Local netip.AddrPort
	// Remote is whom a TCP carrier connects to. Packets on it come from there and
	// go there, whatever stands between.
	Remote netip.AddrPort
	// URL, of a TCP carrier, is where a GET is upgraded to datagrams; Remote is then
	// what the node calls the other end.
	URL string
	// Relay is the TURN server, with credentials, of SocketRelay. Whatever is sent
	// from that socket goes through it, and opens it to the address's answers; the
	// local address in Opened is the one at which the relay takes packets for us.
	Relay wire.RoomRelay
}

// Output is the next part of the exact stream.
type Output = playout.Output

// An Origin is a request to the room's origin.
type Origin struct {
	ID   uint64 // names the request
	Kind OriginKind
	// Start: where a stream of records should begin.
	Start playout.Start
	// After: the piece behind which a stream of records should begin, and after how
	// much stream time it should end (segment.Span); 0: never.
	After segment.ID
	For   time.Duration
	// Pieces: which pieces are needed, in order, with the hash where it is known.
	Pieces []segment.ID
	// Init: the init that is needed.
	Init segment.Hash
	// Deadline is when the first of it should be here; zero if it is overdue or
	// nobody knows.
	Deadline time.Time
}

// An OriginKind is a kind of request to the origin.
type OriginKind uint8

const (
	OriginStart  OriginKind = iota + 1 // GET /start?from=Start: stream records until it is stopped
	OriginAfter                        // GET /start?after=After&for=For: the same behind a piece
	OriginPieces                       // the records of Pieces, each by itself or not
	OriginInit                         // the init with the hash Init
)

// A Supply is a part of the origin's answer. A stream of records comes as one
// Supply for each record, as it arrives.
type Supply struct {
	ID     uint64         // of the request
	Record segment.Record // verified here, not by the caller; Kind 0 if there is none
	Ingest time.Time      // when the seed took it in, if the origin said so
	// Done: nothing more will come. Err then says why, if not because the answer
	// was complete.
	Done bool
	Err  error
}

// Errors that callers branch on.
var (
	ErrNoRoom     = errors.New("not in that room")
	ErrJoined     = errors.New("already in that room")
	ErrTooMany    = errors.New("too many rooms")
	ErrRoomKey    = errors.New("room key: want 32 bytes of Ed25519")
	ErrSignature  = errors.New("record does not verify with the room's key")
	ErrNotSeed    = errors.New("only a seed offers records")
	ErrNodeClosed = errors.New("node is closed")
	// ErrBusy is for Supply.Err: the origin has more to do than its uplink carries
	// (503). Who has not begun yet begins with what neighbours have.
	ErrBusy = errors.New("origin is busy")
	// ErrGone is for Supply.Err: the origin does not have it any more and never
	// will (404, 410). Any other error is tried again.
	ErrGone = errors.New("gone from the origin")
)

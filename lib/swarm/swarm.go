package swarm

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/internal/fifo"
	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
)

// A Peer names a member of the room.
type Peer = wire.PeerID

// Config is what a swarm is made from. Zero fields mean the defaults, but for
// Name, Key, Self and Rand.
type Config struct {
	Name     string            // of the room
	Key      ed25519.PublicKey // signs its records
	Self     Peer
	Seed     bool  // has the stream from elsewhere and wants nothing
	Upload   bool  // gives pieces to others
	Uplink   int64 // bits per second, as far as we know
	Topology string
	Rand     *rand.Rand

	MaxUpload   int64 // bits per second of pieces given; 0: no bound
	Window      time.Duration
	WindowBytes int
	Patient     bool // what is missing is needed later here than where it is played live
	Explain     bool // say of every record why it came from there

	ReceiptKey ed25519.PrivateKey // signs what others gave us; nil: no receipts

	Verifier *segment.Verifier // checks records; nil: one of its own
	Polite   *Polite           // what bounds the giving in all rooms of a member; nil: nothing
}

// Bounds and times, our choices where nothing else is said.
const (
	defaultWindow      = 30 * time.Second
	defaultWindowBytes = 64 << 20
	maxPeers           = 128              // neighbours of a member
	maxSeedPeers       = 4096             // and of a seed
	maxInits           = 32               // kept for those who ask
	maxActions         = 1 << 16          // a full queue drops what can be asked for again
	strangerTime       = 15 * time.Second // a neighbour whom the tracker never named
)

// A Swarm is one room.
type Swarm struct {
	cfg    Config
	tag    wire.RoomTag
	top    topology.Topology
	verify *segment.Verifier
	win    window
	inits  []heldInit
	end    *segment.Record
	closed []closing // segment records, oldest first

	peers  []*neighbour // by ID
	ids    []Peer       // of peers
	banned map[Peer]bool
	view   topology.View // a member's
	listed bool          // the tracker has given it

	strangerAt time.Time     // when to look whom the tracker has not named
	groups     []*group      // a seed's, by number
	feed       topology.View // what is routed by: of a view, who is there and willing
	able       []uint64
	again      byte // flags of what is handed to another a second time
	route      topology.Route
	order      []topology.ID

	key       segment.ID // where neighbours say that playing can begin
	keyAt     time.Time  // when the first of them did
	keyRun    wire.Run   // the piece of key, and those behind it that exist
	keyWake   time.Time  // when they have been listened to
	want      want
	interests []interest
	give      give
	tellWake  time.Time
	newest    segment.ID // of the pieces that came
	newestAt  time.Time
	lastGot   time.Time // when a neighbour last brought a new piece, or in a mesh could have
	up        uplink
	reportAt  time.Time
	needTold  need          // what neighbours were told of ours,
	needAt    time.Time     // and when
	lag       time.Duration // of the newest piece, ingest to here
	delay     delay
	loud      bool // neighbours may count on us, for all they know
	ledger    ledger

	caught      bool      // who is patient has all that others have
	caughtAt    time.Time // since when
	behindSince time.Time // and when he began to ask for it
	gained      int64     // ms that the newest piece is ahead of the clock, at most,
	gainedAt    time.Time // and since when

	actions fifo.Queue[Action]
	tags    uint64
	Meter   Counters
}

// A heldInit is an init with its descriptor as it travels.
type heldInit struct {
	rec  segment.Record
	desc []byte
}

// A closing is a segment whose record has come.
type closing struct {
	epoch, seq int64
}

// Counters are what a swarm counts of payload and messages.
type Counters struct {
	Received  [4]int64 // verified and new, by measure.Source
	InterZone int64    // of these, from another zone
	Uploaded  int64    // given to neighbours and acknowledged
	Duplicate int64    // was here already
	Polluted  int64    // did not verify
	Messages  int64    // received
	Bad       int64    // of these, not understood
}

// TagOf returns how messages name the room.
func TagOf(name string, key ed25519.PublicKey) wire.RoomTag {
	h := sha256.New()
	h.Write([]byte("xp2p room\x00"))
	h.Write(key)
	h.Write([]byte(name))
	return wire.RoomTag(h.Sum(nil)[:4])
}

// New returns a swarm without neighbours.
func New(cfg Config) (*Swarm, error) {
	if cfg.Topology == "" {
		cfg.Topology = topology.BalancedName
	}
	top, err := topology.New(cfg.Topology, nil)
	if err != nil {
		return nil, fmt.Errorf("room %s: %w", cfg.Name, err)
	}
	if cfg.Window <= 0 {
		cfg.Window = defaultWindow
	}
	if cfg.WindowBytes <= 0 {
		cfg.WindowBytes = defaultWindowBytes
	}
	if cfg.Verifier == nil {
		cfg.Verifier = segment.NewVerifier(cfg.Key)
	}
	s := &Swarm{cfg: cfg, tag: TagOf(cfg.Name, cfg.Key), top: top, verify: cfg.Verifier, banned: map[Peer]bool{}}
	if s.cfg.Polite == nil {
		s.cfg.Polite = &Polite{Allowance: Unbounded}
	}
	s.cfg.Polite.weigh()
	s.loud = s.uploads()
	s.view = topology.View{Self: topology.ID(cfg.Self), Members: []topology.Member{s.selfMember()}}
	s.want.init()
	s.give.init(cfg.MaxUpload)
	s.ledger.init(cfg.ReceiptKey)
	return s, nil
}

// Tag returns how messages name the room.
func (s *Swarm) Tag() wire.RoomTag { return s.tag }

func (s *Swarm) selfMember() topology.Member {
	return topology.Member{ID: topology.ID(s.cfg.Self), Seed: s.cfg.Seed, Upload: s.uploads(), Uplink: s.cfg.Uplink}
}

// An ActionKind is what the owner shall do.
type ActionKind uint8

const (
	// Send: send Object to Peer; then tell Delivered or Failed with Tag, if it is
	// not 0.
	Send ActionKind = iota + 1
	// Cancel: the object that was sent to Peer with Tag is of no use any more.
	Cancel
	// Got: Record is new and verified, and came from Peer.
	Got
	// Up: Peer is in the room. Down: it is not any more; the room needs no
	// connection to it. Ban: it is never to be let in again.
	Up
	Down
)

// An Action is something that the swarm decided.
type Action struct {
	Kind     ActionKind
	Peer     Peer
	Tag      uint64
	Deadline time.Time // Send: zero is reliable
	Priority uint8
	Data     [][]byte
	Record   segment.Record
	Source   measure.Source
	Ingest   uint64 // Unix milliseconds; 0: not known
	Code     uint64 // Down: wire.Bye…
	Ban      bool
	Why      string
}

// Priorities of objects, the most urgent first.
const (
	prioControl = 0 // hello, have, want, inits
	prioUrgent  = 1 // the asker's player needs it soon
	prioNew     = 3 // any other piece
)

// Next returns the next action, oldest first.
func (s *Swarm) Next() (Action, bool) { return s.actions.Pop() }

func (s *Swarm) act(a Action) {
	if s.actions.Len() < maxActions {
		s.actions.Push(a)
	}
}

// control sends a small message that nothing waits for.
func (s *Swarm) control(n *neighbour, msg []byte) {
	s.act(Action{Kind: Send, Peer: n.id, Priority: prioControl, Data: [][]byte{msg}})
}

// Receive takes an object from a neighbour: data, and what of it lies behind in
// tail, if the transport did not copy both into one.
func (s *Swarm) Receive(now time.Time, from Peer, data, tail []byte) {
	s.Meter.Messages++
	m, err := wire.ParseSwarmParts(data, tail)
	if err != nil || m.Room != s.tag {
		s.Meter.Bad++
		// A type that is not known is a later version's: its sender means no harm.
		if n := s.peer(from); n != nil && err != nil && !errors.Is(err, wire.ErrSwarmType) {
			s.leave(now, n, wire.ByeProtocol, false, "sent a message that is none: "+err.Error())
		}
		return
	}
	n := s.peer(from)
	if m.Type == wire.SwarmHello {
		s.onHello(now, from, n, &m.Hello)
		return
	}
	if n == nil {
		return // left, banned, or too many
	}
	n.heard = now
	if n.owed == 0 {
		n.stuck = false // it is back
	}
	switch m.Type {
	case wire.SwarmPiece:
		s.onPiece(now, n, &m.Piece)
	case wire.SwarmInit:
		s.onInit(now, n, &m.Init)
	case wire.SwarmRecord:
		s.onRecord(now, n, &m.Record)
	case wire.SwarmHave:
		s.onHave(now, n, m.Flags, m.Runs)
	case wire.SwarmWant:
		s.onWant(now, n, m.Flags, m.Budget, m.Runs)
	case wire.SwarmCancel:
		s.onCancel(n, m.Runs)
	case wire.SwarmGone:
		s.onGone(now, n, m.Runs, true)
	case wire.SwarmBusy:
		s.onGone(now, n, m.Runs, false)
	case wire.SwarmFrom:
		s.onFrom(n, m.Runs)
	case wire.SwarmDue:
		n.onDue(now, &m.Due)
	case wire.SwarmAskInit:
		s.onAskInit(n, segment.Hash(m.Hash))
	case wire.SwarmBye:
		s.forget(now, n, m.Bye.Code, false, "said goodbye: "+m.Bye.Reason)
	case wire.SwarmReport:
		n.report = m.Report
	case wire.SwarmReceipt:
		s.onReceipt(n, m.Receipt)
	}
	s.run(now)
}

// Advance tells that time has passed.
func (s *Swarm) Advance(now time.Time) { s.run(now) }

// run does what is due: push what the budget held back, tell what is new, ask
// for what is missing.
func (s *Swarm) run(now time.Time) {
	if !s.keyWake.IsZero() && !now.Before(s.keyWake) {
		s.keyWake = time.Time{}
	}
	s.runMembers(now)
	s.runReports(now)
	s.runPolite()
	s.runDelay(now)
	s.runNeed(now)
	s.runBehind(now)
	s.runGive(now)
	s.runWant(now)
	s.runTell(now)
}

// NextTimeout returns when Advance wants to be called.
func (s *Swarm) NextTimeout() time.Time {
	t := earlier(s.tellWake, s.want.wake)
	t = earlier(t, s.give.wake)
	t = earlier(t, s.keyWake)
	return earlier(t, s.strangerAt)
}

// earlier returns the earlier of two times of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// trim keeps the window within its bounds.
func (s *Swarm) trim(now time.Time) {
	if !s.win.trim(now, s.cfg.Window, s.cfg.WindowBytes) {
		return
	}
	for _, n := range s.peers {
		n.have.drop(s.win.floor)
	}
	s.want.drop(s, s.win.floor)
	n := 0
	for n < len(s.closed) && (segment.ID{Epoch: s.closed[n].epoch, Seq: s.closed[n].seq}).Compare(s.win.floor) < 0 {
		n++
	}
	s.closed = slices.Delete(s.closed, 0, n)
}

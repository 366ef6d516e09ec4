// Package tracker decides who meets whom: rooms, the peers and seeds in them,
// the groups that a topology puts them into. Tencent's talk calls it the COM
// service.
//
// A Tracker is a value without clock, lock or socket; package signal puts it on
// HTTP and WebSocket. Sessions go in, messages come out: a message is composed
// when it is taken, from what is true then, so that a peer that was touched by
// a hundred joins hears once, and no queue can grow beyond the number of peers.
//
// # NATs
//
// Peers say what kind of NAT they are behind. Two between whom there is no way but a
// relay (nat.WayBetween) are not told of each other. Who is behind a NAT that gives
// each destination another port which nobody can foretell is hard to reach, and so
// is who has reported, as others in two networks have of it, that they found no way
// to each other: the word of one alone counts for nothing, for he may have left. Two
// such peers are not told of each other either, and the topology is told which
// they are (topology.Member.Hard).
//
// Two who know of each other and want to meet through their NATs exchange messages
// through the tracker (wire.SignalPunch). It passes on no address that no server
// has observed, private ones among peers at one public address aside, and makes the
// key that only the two of them have.
//
// # Accounts
//
// What a peer says that it gave counts for nothing. Receivers sign for their
// senders (wire.Receipt) how much they have had of them; senders show the receipts
// with their reports, and the tracker checks them against the receipt key of the
// receiver's hello. Of each pair the newest counts, so that an old one, shown
// again, says nothing, and what a peer signs counts on after it has left.
//
// Liars cannot sign for each other without end: all that one receiver vouches for
// counts at most for what it can have received, which is a quarter more than the
// stream had in its time (the seeds say how much that was; without their word,
// what the viewer in the middle received), and not more than it says itself that
// it had of peers. What is beyond is cut, in proportion. Who joins with ten names
// is ten viewers, who can vouch for ten streams: no signature helps against that.
// Bytes between two at one address are counted, and beside that counted apart.
//
// Who takes from peers and gives less than a twentieth of it in the last minutes,
// by the receivers' word, is a free-rider, whether it says that it uploads or not:
// others are told its standing, and serve it last. Of whom two fellows in two
// networks report bytes that do not verify is a polluter: for ten minutes it meets
// nobody. A new key is a new viewer; it has to find its way in anew.
package tracker

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/measure"
	"github.com/xp2p/xp2p/lib/nat"
	"github.com/xp2p/xp2p/lib/topology"
	"github.com/xp2p/xp2p/lib/wire"
	"github.com/xp2p/xp2p/lib/zone"
)

// Bounds by default.
const (
	DefaultMaxRooms   = 1000
	DefaultMaxPeers   = 20_000 // in a room
	DefaultMaxPerAddr = 256    // in a room, from one IPv4 address or IPv6 /64
	// maxSeeds keeps a list of a group and all seeds within one message.
	maxSeeds = 16
	// maxNotices bounds goodbyes that were not taken yet; older ones are dropped.
	maxNotices = 1024
)

// Config configures a Tracker.
type Config struct {
	Rand    *rand.Rand // draws neighbours
	Entropy io.Reader  // secrets of sessions
	// TokenKeys are the keys of the STUN responders whose word on addresses
	// counts.
	TokenKeys []ed25519.PublicKey
	// SeedKeys may take the role of a seed without being attached in process.
	SeedKeys []wire.Key
	// Zones says who is near whom; nil: everybody is.
	Zones zone.Source
	// Relays are the addresses of TURN servers, at which they take packets for peers.
	Relays     []netip.Addr
	MaxRooms   int // 0: DefaultMaxRooms, and so on
	MaxPeers   int
	MaxPerAddr int
}

// A Session is a connection to a peer, numbered by whoever owns connections;
// numbers are not used twice.
type Session uint64

// Errors of Open and Join. Those of Join become codes of wire.SignalError.
var (
	ErrNoRoom    = errors.New("no such room")
	ErrRoomName  = errors.New("not a name for a room")
	ErrRoomOpen  = errors.New("the room is open already")
	ErrFull      = errors.New("full")
	ErrKeyInUse  = errors.New("another connection holds this key")
	ErrForbidden = errors.New("not a seed of this room")
	ErrProtocol  = errors.New("not a message to a tracker at this time")
)

// A Tracker holds rooms. It is not safe for concurrent use.
type Tracker struct {
	cfg      Config
	rooms    map[string]*room
	sessions map[Session]*peer
	pending  []*peer // those with something to hear, each once
	notices  []Message
	nextTick time.Time
	nextTend time.Time
	punchKey []byte // makes the keys of SignalPunch; nil before the first
	ways     ways
	clock    time.Time // of the last call that said what time it is
}

type room struct {
	name    string
	top     topology.Topology
	peers   map[wire.PeerID]*peer
	seeds   []*peer // ascending by id
	perAddr map[netip.Prefix]int
	zones   zone.Source // of the Config
	inZone  map[zone.ID]int
	version uint64
	// groups holds the version at which each group last changed.
	groups map[uint64]uint64
	books  books
	// relayed: there is a relay for those who find no other way.
	relayed bool
	gone    int // since it was last put in order
}

// A peer is in a room from its first hello to the end of its session.
type peer struct {
	session  Session
	room     *room
	id       wire.PeerID
	hello    *wire.SignalHello
	resume   string
	remote   netip.Addr
	observed []netip.AddrPort // proved by tokens, or given by the operator
	token    wire.Token       // for observed[0]
	expiry   time.Time        // of the token
	trusted  bool
	placed   bool // in the topology
	zone     zone.ID
	located  bool // counted in its zone
	uplink   int64
	// Of hello.NAT: the row of the matrix, if there is one, and whether others like
	// it are out of reach.
	kind      nat.Kind
	kindKnown bool
	isHard    bool
	report    *measure.Report
	account   *account // nil at a seed
	stream    source   // a seed's word
	joined    time.Time

	punches   []*wire.SignalPunch // to be passed on to it
	met       []wire.PeerID       // whose way to it was counted, ascending
	unreached []wire.PeerID       // by its last report
	apart     []netip.Prefix      // of those who and it found no way to each other

	queued  bool          // in Tracker.pending
	welcome bool          // to be sent
	list    bool          // neighbours to be sent
	left    []wire.PeerID // who left since the last list, of those whom it knew
	told    []wire.PeerID // whom the last list named, ascending
	knowers []knower      // whose last list did not name it, but one before
	version uint64
	reset   bool     // of the feed
	feed    []uint64 // groups to be sent, ascending
}

// New returns a tracker without rooms.
func New(cfg Config) *Tracker {
	if cfg.MaxRooms == 0 {
		cfg.MaxRooms = DefaultMaxRooms
	}
	if cfg.MaxPeers == 0 {
		cfg.MaxPeers = DefaultMaxPeers
	}
	if cfg.MaxPerAddr == 0 {
		cfg.MaxPerAddr = DefaultMaxPerAddr
	}
	return &Tracker{cfg: cfg, rooms: map[string]*room{}, sessions: map[Session]*peer{}}
}

// Open makes a room, with the named topology.
func (t *Tracker) Open(now time.Time, name, topo string) error {
	if !wire.CheckRoomName(name) {
		return fmt.Errorf("%w: %.70q", ErrRoomName, name)
	}
	if t.rooms[name] != nil {
		return fmt.Errorf("%w: %s", ErrRoomOpen, name)
	}
	if len(t.rooms) >= t.cfg.MaxRooms {
		return fmt.Errorf("%w: %d rooms", ErrFull, len(t.rooms))
	}
	top, err := topology.New(topo, t.cfg.Rand)
	if err != nil {
		return err
	}
	r := &room{
		name: name, top: top, peers: map[wire.PeerID]*peer{}, perAddr: map[netip.Prefix]int{}, groups: map[uint64]uint64{},
		zones: t.cfg.Zones, inZone: map[zone.ID]int{}, books: newBooks(), relayed: len(t.cfg.Relays) > 0,
		// Versions go on growing over a restart of the tracker.
		version: uint64(max(0, now.UnixMilli())),
	}
	if z := t.cfg.Zones; z != nil {
		top.SetCost(func(from, to uint32) uint32 { return z.Cost(zone.ID(from), zone.ID(to)) })
		if top, ok := top.(interface{ SetBound(func(zone uint32) int) }); ok {
			top.SetBound(func(id uint32) int { return t.crossings(r, zone.ID(id)) })
		}
	}
	t.rooms[name] = r
	return nil
}

// CloseRoom ends a room and the sessions in it.
func (t *Tracker) CloseRoom(name string) {
	r := t.rooms[name]
	if r == nil {
		return
	}
	for _, id := range r.ids() {
		p := r.peers[id]
		t.notice(p.session, &wire.SignalError{Code: wire.SignalNoRoom, Message: "the room has closed"})
		delete(t.sessions, p.session)
		t.forget(p)
	}
	delete(t.rooms, name)
}

// Topology returns the name of a room's topology; empty if there is no room.
func (t *Tracker) Topology(name string) string {
	if r := t.rooms[name]; r != nil {
		return r.top.Name()
	}
	return ""
}

// Seeds returns the seeds of a room that anybody may dial, as far as their
// addresses are known; those of the operator's own process say theirs elsewhere.
func (t *Tracker) Seeds(name string) (list []wire.RoomSeed) {
	r := t.rooms[name]
	if r == nil {
		return nil
	}
	for _, p := range r.seeds {
		if !p.trusted && len(p.observed) > 0 {
			list = append(list, wire.RoomSeed{Key: p.hello.Key, Addrs: p.withMapped(p.observed), NAT: p.hello.NAT})
		}
	}
	return list
}

// ids returns the peers' names, ascending.
func (r *room) ids() []wire.PeerID {
	ids := make([]wire.PeerID, 0, len(r.peers))
	for id := range r.peers {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

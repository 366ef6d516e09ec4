// Package topology says who is near whom in a room and who hands a piece to
// whom. The tracker asks it where a peer belongs; every member of the swarm
// asks it, with nothing but what the tracker told him, whom to feed with a
// piece and from whom to expect one. Both use one value of one type, so a
// topology is written in one place.
//
// # The three
//
// Balanced groups of up to five, the default, on several levels: each piece is
// brought into a group by one member, another for each piece, who hands it to the
// groups below and to its fellows; so all upload about one stream. Tencent's talk
// calls it by the same name. It stands on SplitStream, where every member is an
// inner node for some part of the stream and a leaf for the rest.
//
// A tree over the whole room, in which members push along fixed edges: lean and
// quick while nobody leaves, but the leaves give nothing, and a whole stream is
// the smallest thing that an uplink can carry. It is built as in Overcast, which
// has a member stand as deep as it may where its bandwidth allows and know its
// ancestors as a reserve; as in AnySee, which prefers the near; and as in ROST,
// which has members with more to give rise above the others. A tracker that sees
// all does at once what these negotiate.
//
// A mesh, in which everybody tells a dozen neighbours what it has and is asked
// for it: whole as long as anybody is, but each hop costs a word and an answer.
// It is built as in CoolStreaming and GridMedia (partners, buffer maps, pull),
// with what was found later: degrees that follow uplinks (Chunkyspread), most
// partners near and some far, so that the graph stays an expander (biased
// neighbour selection, P4P), and several copies handed out among strong members
// (Abeni, Kiraly and Lo Cigno: all have a piece in log2 N steps of its time).
package topology

import (
	"fmt"
	"math/rand/v2"
)

// An ID names a peer; it is the wire.PeerID. Zero is nobody.
type ID uint64

// A Member is a peer as a topology sees it.
type Member struct {
	ID     ID
	Seed   bool  // has the stream from elsewhere; belongs to no group
	Upload bool  // willing to feed others
	Uplink int64 // bit/s, as the tracker tells everybody; 0: not known
	// Hard is behind a NAT that gives each destination another port
	// (nat.PerDestination): two of these cannot connect.
	Hard bool

	// Where it stands, as seen from the View's Self. Tier says who feeds whom
	// across groups: Above feeds Self, Self feeds Below, Fellow is of the same
	// group (or, in a mesh, simply a neighbour). Group is its own group.
	Tier  Tier
	Group uint64
	Zone  uint32 // where it is in the network; 0: not known
	Cost  uint32 // from Self's zone to its own; 0: near, or nobody knows

	Standing uint8 // 0 is good; whoever has more is served when the others are
}

// A Tier is where a member stands in the flow of the stream, seen from another.
type Tier int8

const (
	Above  Tier = -1
	Fellow Tier = 0
	Below  Tier = 1
)

// A Piece names a piece of the stream; it is convertible from segment.ID.
type Piece struct {
	Epoch, Seq int64
	Index      int
}

// A View is what one member knows: the tracker builds it, the messages carry
// it, and the member decides with it alone.
type View struct {
	Self  ID
	Group uint64
	// Members holds all whom the tracker named, self and the seeds included, by
	// ascending ID. Members of a group at the same version hold equal lists.
	Members []Member
	// Short says that the room's uplinks carry less than all members need: then
	// what matters is that none is idle, and not how soon a copy leaves.
	Short bool
}

// A Route is what a member does with a piece that it has just got.
type Route struct {
	Push []ID // send it to these at once, in this order
	Tell []ID // let these know that it is here; they ask if they want it
	Hand []ID // of Push: these hand it on
}

// A Change says who must hear of what a join, an update or a leave did.
type Change struct {
	Members []ID     // whose View is another now, ascending
	Groups  []uint64 // groups that are another now for the seeds, or gone, ascending
}

// A Topology places the members of one room and routes its pieces. It is not
// safe for concurrent use.
type Topology interface {
	Name() string
	// Way is how pieces travel.
	Way() Way

	// SetCost sets what a byte costs between two zones; 0 is near. Call it before
	// the first join. SetRate tells the stream's rate in bit/s; 0: not known.
	SetCost(cost func(from, to uint32) uint32)
	SetRate(bps int64) Change

	// Join, Update and Leave are the tracker's. A peer that is in already is
	// updated; one that is not in changes nothing by leaving.
	Join(m Member) Change
	Update(m Member) Change
	Leave(id ID) Change
	// View returns what a peer should know; a seed sees the other seeds.
	View(id ID) (View, bool)
	// Groups returns the groups that seeds feed, ascending, and Group what a
	// seed should know of one of them; ok is false when it is gone.
	Groups() []uint64
	Group(seed ID, group uint64) (v View, ok bool)

	// Route fills r, reusing its slices, with what v.Self does with p, which
	// came from a member, or from elsewhere (from is 0): the origin, or, at a
	// seed, the broadcaster.
	Route(v *View, p Piece, from ID, r *Route)
	// Sources appends to dst whom v.Self may get p from: first the one who is
	// going to push it, if the topology pushes, then whom to ask in order;
	// seeds come last unless it is their push that is expected.
	Sources(v *View, p Piece, dst []ID) []ID
}

// Names of the topologies.
const (
	BalancedName = "balanced"
	MeshName     = "mesh"
	TreeName     = "tree"
)

// New returns an empty topology by its name. A member of the swarm, which uses
// only Route and Sources, may pass a nil rng.
func New(name string, rng *rand.Rand) (Topology, error) {
	switch name {
	case BalancedName:
		return NewBalanced(rng), nil
	case MeshName:
		return NewMesh(rng), nil
	case TreeName:
		return NewTree(rng), nil
	}
	return nil, fmt.Errorf("topology: %q is not one of %s, %s, %s", name, BalancedName, MeshName, TreeName)
}

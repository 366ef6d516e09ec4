package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
)

// Signalling is JSON, one object per WebSocket message, whose member "type"
// names the message. Unknown members are ignored, so that a later version may
// add some; unknown types are an error that the receiver may skip.
const (
	MaxSignal        = 64 << 10 // bytes of one message
	MaxSignalMembers = 64       // members in one message, all groups together
	MaxSignalAddrs   = 8        // addresses of one member
	MaxSignalReport  = 32 << 10 // bytes of a report
	// Receipts beside one report: a group's fellows many times over. Whoever holds
	// more shows the rest with the next.
	MaxSignalReceipts = 64
	maxSignalName     = 64
	maxSignalText     = 512
)

// ErrSignalType is in the chain of the error for a message of unknown type.
var ErrSignalType = errors.New("unknown type of signalling message")

// A Signal is a signalling message: one of SignalAnnounce, SignalHello,
// SignalReport and SignalBye from a peer, one of SignalWelcome, SignalNeighbours, SignalFeed and
// SignalError from the tracker, SignalPunch from one peer to another through it,
// always by pointer.
type Signal interface {
	signalType() string
	check() error
}

// A Role is what a peer is in a room.
type Role string

const (
	RolePeer Role = "peer" // plays, and feeds its fellows
	RoleSeed Role = "seed" // has the stream from elsewhere, and feeds groups
)

// SignalHello is what a peer says first on every connection.
type SignalHello struct {
	Key Key `json:"key"`
	// Tokens prove that a STUN responder saw the peer at an address; the first
	// is the preferred one.
	Tokens []Token `json:"addr_tokens,omitempty"`
	// Mapped is a port that the peer's router passes on to it, at the address of the
	// first token, as the router says; 0: none.
	Mapped uint16 `json:"mapped_port,omitempty"`
	// Hosts are addresses of the peer's own interfaces. The tracker passes on
	// private ones only, and only to peers behind the same public address.
	Hosts     []netip.AddrPort `json:"hosts,omitempty"`
	Role      Role             `json:"role"`
	Upload    bool             `json:"upload"`
	UplinkBPS int64            `json:"uplink_bps,omitempty"` // 0: not known
	// NAT is what the peer knows of the network that it is in; nil: nothing.
	NAT  *SignalNAT `json:"nat,omitempty"`
	Name string     `json:"name,omitempty"` // for people and logs
	// Resume is what the last SignalWelcome said: it lets a peer that comes
	// back from another address take its old place.
	Resume string `json:"resume,omitempty"`
	// ReceiptKey is the Ed25519 key that the peer signs receipts with, for as long
	// as it is in the room: Key cannot sign.
	ReceiptKey Key `json:"receipt_key,omitzero"`
}

// SignalReport carries a peer's counters: the JSON object of measure.Report.
type SignalReport struct {
	Report json.RawMessage `json:"report"`
	// Receipts are those that others signed for the peer since its last report,
	// and those of its own whose senders cannot show them any more.
	Receipts []Receipt `json:"receipts,omitempty"`
	// Unreached are neighbours, as the tracker named them, to whom the peer has
	// found no way for some seconds.
	Unreached []PeerID `json:"unreached,omitempty"`
}

// SignalBye says that the peer leaves.
type SignalBye struct{}

// SignalWelcome answers a SignalHello.
type SignalWelcome struct {
	ID         PeerID `json:"id"`
	TimeUnixMS int64  `json:"time_unix_ms"`
	Resume     string `json:"resume,omitempty"`
}

// A SignalMember is what others need to know to meet a peer.
type SignalMember struct {
	ID        PeerID           `json:"id"`
	Key       Key              `json:"key"`
	Addrs     []netip.AddrPort `json:"addrs,omitempty"`
	Token     Token            `json:"token,omitempty"` // proof that Addrs[0] was observed
	Role      Role             `json:"role"`
	Upload    bool             `json:"upload"`
	UplinkBPS int64            `json:"uplink_bps,omitempty"`
	Hard      bool             `json:"hard_nat,omitempty"`
	NAT       *SignalNAT       `json:"nat,omitempty"` // by its own word
	// Where it stands, seen from the receiver (package topology): -1 feeds it, 1
	// is fed by it, 0 is a fellow. Group is its group, Cost what a byte costs
	// between the two (package zone).
	Tier  int8   `json:"tier,omitempty"`
	Group uint64 `json:"group,omitempty,string"`
	Cost  uint32 `json:"cost,omitempty"`
	// Standing is what the tracker thinks of it: 0 is good, 1 takes and does not
	// give, and whatever is more is worse. It is served when the others are.
	Standing uint8 `json:"standing,omitempty"`
}

// SignalNeighbours says whom a peer should know: the whole list, which
// replaces the one before it. It holds the seeds and not the peer itself.
type SignalNeighbours struct {
	Version  uint64 `json:"version"` // grows with every list to this peer
	Topology string `json:"topology"`
	Group    uint64 `json:"group,string"`
	// UplinkBPS is what the others were told of the receiver: all members of a
	// group must count with the same numbers.
	UplinkBPS int64          `json:"uplink_bps,omitempty"`
	Upload    bool           `json:"upload"`
	Short     bool           `json:"short,omitempty"`    // the room's uplinks carry less than all need
	Hard      bool           `json:"hard_nat,omitempty"` // the receiver, as the others were told: none of them is, then
	Members   []SignalMember `json:"members"`
	// SeedCost is what a byte from the nearest seed costs, also to those who are
	// not told of any; 0: it is near, or nobody knows.
	SeedCost uint32 `json:"seed_cost,omitempty"`
	// Banned are those who were found of late to send bytes that do not verify:
	// whoever is connected to one leaves it at once.
	Banned []PeerID `json:"banned,omitempty"`
	// Left names some who were in the list before and have left the room: nobody
	// need wait for them to fall silent.
	Left []PeerID `json:"left,omitempty"`
}

// A SignalGroup is a group as a seed sees it: its members and the other seeds.
type SignalGroup struct {
	Group   uint64         `json:"group,string"`
	Version uint64         `json:"version"`
	Members []SignalMember `json:"members"` // none: the group is gone
	Short   bool           `json:"short,omitempty"`
}

// SignalFeed tells a seed whom to feed. Each group in it replaces what was
// known of that group; the others stay as they are, unless Reset is set.
type SignalFeed struct {
	Topology string        `json:"topology"`
	Reset    bool          `json:"reset,omitempty"` // forget all groups first
	Groups   []SignalGroup `json:"groups"`
}

// Codes of SignalError.
const (
	SignalBadMessage = "bad-message" // what came was not understood
	SignalFull       = "full"        // the room or the tracker takes no more
	SignalForbidden  = "forbidden"   // not with this role or key
	SignalNoRoom     = "no-room"     // there is no such room, or it has closed
	SignalKeyInUse   = "key-in-use"  // another connection holds this key
	SignalReplaced   = "replaced"    // a newer connection of this peer took over
	SignalTooFast    = "too-fast"    // too many messages
	SignalTooSlow    = "too-slow"    // messages were not read in time
)

// SignalError says why the tracker will not go on.
type SignalError struct {
	Code    string `json:"code"`
	Message string `json:"message,omitempty"`
}

// Error makes SignalError an error for its receiver.
func (m *SignalError) Error() string {
	if m.Message == "" {
		return "tracker: " + m.Code
	}
	return "tracker: " + m.Code + ": " + m.Message
}

func (*SignalAnnounce) signalType() string   { return "announce" }
func (*SignalHello) signalType() string      { return "hello" }
func (*SignalReport) signalType() string     { return "report" }
func (*SignalBye) signalType() string        { return "bye" }
func (*SignalWelcome) signalType() string    { return "welcome" }
func (*SignalNeighbours) signalType() string { return "neighbours" }
func (*SignalFeed) signalType() string       { return "feed" }
func (*SignalError) signalType() string      { return "error" }
func (*SignalPunch) signalType() string      { return "punch" }

func newSignal(name string) Signal {
	switch name {
	case "announce":
		return new(SignalAnnounce)
	case "hello":
		return new(SignalHello)
	case "report":
		return new(SignalReport)
	case "bye":
		return new(SignalBye)
	case "welcome":
		return new(SignalWelcome)
	case "neighbours":
		return new(SignalNeighbours)
	case "feed":
		return new(SignalFeed)
	case "error":
		return new(SignalError)
	case "punch":
		return new(SignalPunch)
	}
	return nil
}

// AppendSignal appends the JSON of m. It refuses what ParseSignal would.
func AppendSignal(b []byte, m Signal) ([]byte, error) {
	if err := m.check(); err != nil {
		return b, fmt.Errorf("signal: %s: %w", m.signalType(), err)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // it is not for HTML, and would outgrow its bounds
	if err := enc.Encode(m); err != nil {
		return b, fmt.Errorf("signal: %s: %w", m.signalType(), err)
	}
	body := bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	start := len(b)
	b = append(b, `{"type":"`...)
	b = append(b, m.signalType()...)
	b = append(b, '"')
	if len(body) > len("{}") {
		b = append(b, ',')
	}
	b = append(b, body[1:]...)
	if n := len(b) - start; n > MaxSignal {
		return b[:start], fmt.Errorf("signal: %s: %d bytes are more than %d", m.signalType(), n, MaxSignal)
	}
	return b, nil
}

// ParseSignal reads one message. Nothing in it aliases b.
func ParseSignal(b []byte) (Signal, error) {
	if len(b) > MaxSignal {
		return nil, fmt.Errorf("signal: %d bytes are more than %d", len(b), MaxSignal)
	}
	var head struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, fmt.Errorf("signal: %w", err)
	}
	m := newSignal(head.Type)
	if m == nil {
		return nil, fmt.Errorf("signal: %w: %.32q", ErrSignalType, head.Type)
	}
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("signal: %s: %w", head.Type, err)
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("signal: %s: %w", head.Type, err)
	}
	return m, nil
}

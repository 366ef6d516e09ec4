package wire

import (
	"errors"
	"fmt"
)

// Swarm messages: what two neighbours in a room say to each other. One XNTP
// object carries one message; objects arrive whole and in any order, so no
// message depends on another having come first.
//
//	message = type (1 byte) room (4 bytes) content
//
// Room is RoomTag of the room: connections are shared between rooms, and a
// message names its room by the first bytes of a hash, which needs no
// agreement between the two ends. Integers are those of RFC 9000 §16; "signed"
// ones are zigzag-coded first; strings and byte strings follow their length.
//
//	HELLO   version flags name uplink_kbps window_kib
//	PIECE   flags hops ingest_ms descriptor body…
//	INIT    descriptor body…
//	RECORD  flags descriptor…
//	HAVE    flags runs…
//	WANT    flags budget_ms runs…
//	CANCEL  runs…
//	GONE    runs…
//	ASKINIT hash
//	BYE     code reason
//	REPORT  unique_bytes duplicate_bytes lag_ms missing
//	RECEIPT sender receiver since_ms bytes signature (see Receipt)
//	BUSY    runs…
//	FROM    runs…
//	DUE     epoch (signed) dts (signed) left_ms (signed)
//
// Descriptors are forms of package segment and opaque here: a PIECE's is the
// binary one (segment.AppendPiece), an INIT's and a RECORD's the JSON line with
// its proof (segment.AppendStored), for these are rare. They carry their own
// proofs, so a message needs none.
type SwarmType byte

const (
	SwarmHello   SwarmType = 1  // who I am in this room, and what you may send me
	SwarmPiece   SwarmType = 2  // a piece, pushed or asked for
	SwarmInit    SwarmType = 3  // an init that pieces refer to by hash
	SwarmRecord  SwarmType = 4  // a segment or end record: bodyless, descriptor only
	SwarmHave    SwarmType = 5  // pieces that I hold
	SwarmWant    SwarmType = 6  // pieces that I ask you for
	SwarmCancel  SwarmType = 7  // pieces that I no longer ask you for
	SwarmGone    SwarmType = 8  // pieces that you asked for and will not get from me
	SwarmAskInit SwarmType = 9  // send me the init with this hash
	SwarmBye     SwarmType = 10 // I leave the room
	SwarmReport  SwarmType = 11 // how your pieces arrive here
	SwarmReceipt SwarmType = 12 // the same, signed, to be shown to the tracker
	SwarmBusy    SwarmType = 13 // pieces that I have, and cannot send you in time
	SwarmFrom    SwarmType = 14 // I want nothing before this piece
	SwarmDue     SwarmType = 15 // until when pieces are of use to me
)

func (t SwarmType) String() string {
	names := [...]string{1: "hello", "piece", "init", "record", "have", "want", "cancel", "gone", "ask-init", "bye", "report", "receipt", "busy", "from", "due"}
	if int(t) < len(names) && names[t] != "" {
		return names[t]
	}
	return fmt.Sprintf("type-%d", byte(t))
}

// SwarmVersion is the version that HELLO carries. A neighbour with another
// version is left.
const SwarmVersion = 1

// Bounds of a message. What exceeds them is refused as a whole.
const (
	MaxSwarmName       = 64       // a room's name
	MaxSwarmReason     = 128      // the words of BYE
	MaxSwarmDescriptor = 64 << 10 // a segment's line with 256 keyframes and its proof
	MaxSwarmRuns       = 256      // runs of a HAVE, WANT, CANCEL or GONE
	MaxSwarmBits       = 8 << 10  // pieces in one run
	MaxSwarmIndex      = 1 << 20  // pieces in one segment
	swarmHead          = 1 + 4
)

// Flags of HELLO.
const (
	HelloUpload   = 1 << iota // I forward: I may be a stripe's owner
	HelloSeed                 // I am a seed: I have everything and want nothing
	HelloReply                // the answer to your HELLO
	HelloReceipts             // I know what to do with a RECEIPT
	HelloStart                // I have nothing to play yet: tell me where to begin
	HelloBehind               // I am behind, and ask for what I lack: send me nothing else
)

// Flags of PIECE.
const (
	PieceDistribute = 1 << iota // hand it on: you own its stripe, or a fellow who does has you do his part
	PieceAsked                  // the answer to a WANT
	PieceAgain                  // hand it on even if a fellow gave it to you: he has left since
)

// Flags of HAVE and WANT.
const (
	HaveSnapshot = 1 << 0 // all that I hold; without it, only what is new
	HaveKey      = 1 << 1 // one piece: the newest that a viewer can begin with
	WantUrgent   = 1 << 0 // the player needs these next
)

// RoomTag names a room within a connection.
type RoomTag [4]byte

// A Swarm is one swarm message, parsed. Only the part that Type names is
// filled in. Byte strings alias the message that was parsed.
type Swarm struct {
	Type    SwarmType
	Room    RoomTag
	Hello   Hello
	Piece   PieceMessage
	Init    InitMessage
	Record  RecordMessage
	Flags   byte          // HAVE, WANT
	Budget  uint64        // WANT: milliseconds until the pieces are of no use
	Runs    []Run         // HAVE, WANT, CANCEL, GONE, BUSY, FROM
	Hash    [32]byte      // ASKINIT
	Bye     Bye           // BYE
	Report  ReportMessage // REPORT
	Receipt *Receipt      // RECEIPT; nobody has verified it
	Due     Due           // DUE
}

// Due says until when pieces are of use to its sender: one whose first sample has
// this DTS for LeftMS milliseconds from now, any other of the epoch as much longer
// as its DTS is greater. What would come later is there by then, from elsewhere.
type Due struct {
	Epoch, DTS int64
	LeftMS     int64
}

// Hello opens a room between two neighbours.
type Hello struct {
	Flags      byte
	Name       string // the room
	UplinkKbps uint64 // what I can upload, 0 if I do not know
	WindowKiB  uint64 // unacknowledged bytes of pieces that you may have under way to me
}

// A PieceMessage carries a piece.
type PieceMessage struct {
	Flags      byte
	Hops       uint64 // how many nodes have passed it on since the seed
	IngestMS   uint64 // Unix milliseconds at which the seed took it in
	Descriptor []byte
	Body       []byte
}

// An InitMessage carries an init.
type InitMessage struct {
	Descriptor []byte
	Body       []byte
}

// A RecordMessage carries a record without a body. Its flags are those of
// PIECE.
type RecordMessage struct {
	Flags      byte
	Descriptor []byte
}

// Bye codes.
const (
	ByeLeaving  = 0 // the viewer stopped
	ByePolluted = 1 // you sent bytes that do not verify
	ByeProtocol = 2 // you broke the grammar, or speak another version
	ByeFull     = 3 // I have as many neighbours as I can serve
	ByeSlow     = 4 // others serve me better
	ByeNoRoom   = 5 // I am not in that room
)

// Bye ends the room between two neighbours, not the connection.
type Bye struct {
	Code   uint64
	Reason string
}

// A ReportMessage tells a sender what became of what it sent.
type ReportMessage struct {
	UniqueBytes    uint64 // verified bytes of pieces that came from you first
	DuplicateBytes uint64
	LagMS          uint64 // of the newest piece, ingest to here
	Missing        uint64 // pieces of the window that I lack
}

// ErrSwarmType says that a message is of a type that is not known here: a later
// version's, perhaps. It is skipped, and its sender stays.
var ErrSwarmType = errors.New("swarm message: unknown type")

var (
	errSwarmShort = errors.New("swarm message: too short")
	errSwarmLong  = errors.New("swarm message: a field exceeds its bound")
	errSwarmTail  = errors.New("swarm message: bytes behind the end")
)

func appendSwarm(b []byte, t SwarmType, room RoomTag) []byte {
	b = append(b, byte(t))
	return append(b, room[:]...)
}

func appendBytes[T []byte | string](b []byte, p T) []byte {
	b = AppendVarint(b, uint64(len(p)))
	return append(b, p...)
}

// AppendHello appends a HELLO.
func AppendHello(b []byte, room RoomTag, h *Hello) []byte {
	b = appendSwarm(b, SwarmHello, room)
	b = append(b, SwarmVersion, h.Flags)
	b = appendBytes(b, h.Name)
	b = AppendVarint(b, h.UplinkKbps)
	return AppendVarint(b, h.WindowKiB)
}

// AppendPieceHead appends a PIECE up to its body, which travels beside it: a
// body is held once and shared by every neighbour that it goes to.
func AppendPieceHead(b []byte, room RoomTag, p *PieceMessage) []byte {
	b = appendSwarm(b, SwarmPiece, room)
	b = append(b, p.Flags)
	b = AppendVarint(b, p.Hops)
	b = AppendVarint(b, p.IngestMS)
	return appendBytes(b, p.Descriptor)
}

// AppendInitHead appends an INIT up to its body.
func AppendInitHead(b []byte, room RoomTag, descriptor []byte) []byte {
	return appendBytes(appendSwarm(b, SwarmInit, room), descriptor)
}

// AppendRecord appends a RECORD.
func AppendRecord(b []byte, room RoomTag, flags byte, descriptor []byte) []byte {
	return append(append(appendSwarm(b, SwarmRecord, room), flags), descriptor...)
}

// AppendHave appends a HAVE.
func AppendHave(b []byte, room RoomTag, flags byte, runs []Run) []byte {
	return appendRuns(append(appendSwarm(b, SwarmHave, room), flags), runs)
}

// AppendWant appends a WANT. Budget is the time in milliseconds after which
// the pieces are of no use to the asker; 0 if it did not say.
func AppendWant(b []byte, room RoomTag, flags byte, budget uint64, runs []Run) []byte {
	b = append(appendSwarm(b, SwarmWant, room), flags)
	return appendRuns(AppendVarint(b, budget), runs)
}

// AppendCancel appends a CANCEL.
func AppendCancel(b []byte, room RoomTag, runs []Run) []byte {
	return appendRuns(appendSwarm(b, SwarmCancel, room), runs)
}

// AppendGone appends a GONE.
func AppendGone(b []byte, room RoomTag, runs []Run) []byte {
	return appendRuns(appendSwarm(b, SwarmGone, room), runs)
}

// AppendAskInit appends an ASKINIT.
func AppendAskInit(b []byte, room RoomTag, hash [32]byte) []byte {
	return append(appendSwarm(b, SwarmAskInit, room), hash[:]...)
}

// AppendBusy appends a BUSY.
func AppendBusy(b []byte, room RoomTag, runs []Run) []byte {
	return appendRuns(appendSwarm(b, SwarmBusy, room), runs)
}

// AppendFrom appends a FROM: its one run begins with the piece.
func AppendFrom(b []byte, room RoomTag, r Run) []byte {
	return appendRuns(appendSwarm(b, SwarmFrom, room), []Run{r})
}

// AppendDue appends a DUE.
func AppendDue(b []byte, room RoomTag, d Due) []byte {
	b = appendSwarm(b, SwarmDue, room)
	for _, v := range [...]int64{d.Epoch, d.DTS, d.LeftMS} {
		b = appendSigned(b, v)
	}
	return b
}

// AppendBye appends a BYE.
func AppendBye(b []byte, room RoomTag, bye *Bye) []byte {
	b = AppendVarint(appendSwarm(b, SwarmBye, room), bye.Code)
	return appendBytes(b, bye.Reason)
}

// AppendReport appends a REPORT.
func AppendReport(b []byte, room RoomTag, r *ReportMessage) []byte {
	b = appendSwarm(b, SwarmReport, room)
	for _, v := range [...]uint64{r.UniqueBytes, r.DuplicateBytes, r.LagMS, r.Missing} {
		b = AppendVarint(b, min(v, MaxVarint))
	}
	return b
}

// SwarmRoom returns the type and the room of a message without parsing the
// rest of it.
func SwarmRoom(b []byte) (t SwarmType, room RoomTag, ok bool) {
	if len(b) < swarmHead {
		return 0, room, false
	}
	return SwarmType(b[0]), RoomTag(b[1:swarmHead]), true
}

// ParseSwarm parses a message, which must be whole and nothing else. The
// result aliases b.
func ParseSwarm(b []byte) (m Swarm, err error) { return ParseSwarmParts(b, nil) }

// ParseSwarmParts parses a message whose end, the body of a piece or an init,
// may lie apart from its head.
func ParseSwarmParts(b, tail []byte) (m Swarm, err error) {
	var ok bool
	if m.Type, m.Room, ok = SwarmRoom(b); !ok {
		return m, errSwarmShort
	}
	c := fields{b: b[swarmHead:]}
	switch m.Type {
	case SwarmHello:
		if v := c.byte(); v != SwarmVersion && c.err == nil {
			return m, fmt.Errorf("swarm message: hello of version %d", v)
		}
		m.Hello = Hello{Flags: c.byte(), Name: string(c.bytes(MaxSwarmName)),
			UplinkKbps: c.varint(), WindowKiB: c.varint()}
	case SwarmPiece:
		m.Piece = PieceMessage{Flags: c.byte(), Hops: c.varint(), IngestMS: c.varint(), Descriptor: c.bytes(MaxSwarmDescriptor)}
		m.Piece.Body = c.body(&tail)
	case SwarmInit:
		m.Init = InitMessage{Descriptor: c.bytes(MaxSwarmDescriptor)}
		m.Init.Body = c.body(&tail)
	case SwarmRecord:
		m.Record = RecordMessage{Flags: c.byte(), Descriptor: c.rest()}
		if len(m.Record.Descriptor) > MaxSwarmDescriptor {
			return m, errSwarmLong
		}
	case SwarmHave:
		m.Flags = c.byte()
		m.Runs = c.runs()
	case SwarmWant:
		m.Flags = c.byte()
		m.Budget = c.varint()
		m.Runs = c.runs()
	case SwarmCancel, SwarmGone, SwarmBusy, SwarmFrom:
		m.Runs = c.runs()
	case SwarmDue:
		m.Due = Due{Epoch: c.signed(), DTS: c.signed(), LeftMS: c.signed()}
	case SwarmAskInit:
		copy(m.Hash[:], c.take(32))
	case SwarmBye:
		m.Bye = Bye{Code: c.varint(), Reason: string(c.bytes(MaxSwarmReason))}
	case SwarmReport:
		m.Report = ReportMessage{UniqueBytes: c.varint(), DuplicateBytes: c.varint(), LagMS: c.varint(), Missing: c.varint()}
	case SwarmReceipt:
		if b := c.take(ReceiptLen); b != nil {
			m.Receipt, c.err = parseReceipt(b)
		}
	default:
		return m, ErrSwarmType
	}
	if c.err == nil && len(c.b)+len(tail) > 0 {
		c.err = errSwarmTail
	}
	return m, c.err
}

// fields reads one field after another and remembers the first failure.
type fields struct {
	b   []byte
	err error
}

func (c *fields) take(n int) []byte {
	if c.err == nil && len(c.b) < n {
		c.err = errSwarmShort
	}
	if c.err != nil {
		return nil
	}
	p := c.b[:n:n]
	c.b = c.b[n:]
	return p
}

func (c *fields) byte() byte {
	if p := c.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (c *fields) varint() uint64 {
	if c.err != nil {
		return 0
	}
	v, n := ConsumeVarint(c.b)
	if n == 0 {
		c.err = errSwarmShort
		return 0
	}
	c.b = c.b[n:]
	return v
}

func (c *fields) bytes(bound uint64) []byte {
	n := c.varint()
	if c.err == nil && n > bound {
		c.err = errSwarmLong
	}
	if c.err != nil {
		return nil
	}
	return c.take(int(n))
}

func (c *fields) rest() []byte { return c.take(len(c.b)) }

// body is the rest of a message: what is left of the head, or the tail.
func (c *fields) body(tail *[]byte) []byte {
	if len(c.b) > 0 {
		return c.rest()
	}
	b := *tail
	*tail = nil
	return b
}

package wire

import (
	"errors"
	"fmt"
	"time"
)

// A FrameType is the first varint of a frame.
type FrameType uint64

// The frames of XNTP. OBJ takes eight types: its three low bits say which
// fields are there.
const (
	FramePadding   FrameType = 0x00 // nothing; runs of zero bytes fill a datagram
	FramePing      FrameType = 0x01 // nothing, but it wants an acknowledgement
	FrameAck       FrameType = 0x02
	FrameAckECN    FrameType = 0x03 // ACK with the receiver's count of CE marks
	FrameOpen      FrameType = 0x04 // an object begins
	FrameCancel    FrameType = 0x05 // an object was given up by its owner
	FrameExpired   FrameType = 0x06 // an object was given up by time or loss
	FrameWindow    FrameType = 0x07 // how much the peer may send
	FrameChallenge FrameType = 0x08 // prove that you receive at this address
	FrameResponse  FrameType = 0x09 // the proof
	FrameClose     FrameType = 0x0a // the connection ends
	FrameShard     FrameType = 0x0c // the rest of the packet belongs to a block
	FrameParity    FrameType = 0x0d // what brings back a packet of a block that was lost
	FrameRecovered FrameType = 0x0e // which packets were brought back so
	FrameObj       FrameType = 0x10 // a part of an object

	objFin    = 1 // the part ends the object
	objOffset = 2 // the part does not begin at 0
	objLen    = 4 // a length follows; without, the part fills the packet
)

var frameNames = map[FrameType]string{
	FramePadding: "PADDING", FramePing: "PING", FrameAck: "ACK", FrameAckECN: "ACK", FrameOpen: "OPEN",
	FrameCancel: "CANCEL", FrameExpired: "EXPIRED", FrameWindow: "WINDOW", FrameChallenge: "CHALLENGE",
	FrameResponse: "RESPONSE", FrameClose: "CLOSE", FrameShard: "SHARD", FrameParity: "PARITY", FrameRecovered: "RECOVERED",
	FrameObj: "OBJ",
}

func (t FrameType) String() string {
	if s, ok := frameNames[t]; ok {
		return s
	}
	return fmt.Sprintf("frame(%#x)", uint64(t))
}

// AckEliciting reports that a packet with such a frame must be acknowledged
// (RFC 9002 §2).
func (t FrameType) AckEliciting() bool {
	switch t {
	case FramePadding, FrameAck, FrameAckECN, FrameClose, FrameShard, FrameRecovered:
		return false
	}
	return true
}

// ErrFrame is returned for bytes that are no frame.
var ErrFrame = errors.New("malformed frame")

const (
	// MaxShards is how many packets a block has at most, and MaxParity how many
	// PARITY frames.
	MaxShards, MaxParity = 128, 32
	// ShardHeaderLen is what stands before the rest of a packet when it is taken for a
	// shard: 32 bits of its number and 16 of the length of the rest.
	ShardHeaderLen = 4 + 2
	// MaxRecovered is how many numbers a RECOVERED has at most.
	MaxRecovered = 32
)

// MaxCloseText bounds the words in a CLOSE frame.
const MaxCloseText = 64

// An Open says what object begins.
type Open struct {
	Class    uint8 // 0 reliable, 1 deadline, 2 best effort
	Priority uint8
	Endless  bool          // no size: an ordered stream of bytes
	Size     uint64        // unless Endless
	Timed    bool          // there is a deadline
	Left     time.Duration // until the deadline when the frame was sent, in whole milliseconds
}

const (
	openEndless = 4
	openTimed   = 8
)

// A Frame is any frame. Which fields are valid depends on Type. One Frame is
// meant to be used again and again: parsing allocates nothing.
type Frame struct {
	Type   FrameType
	ID     uint64 // OPEN, OBJ, CANCEL, EXPIRED: the object, SHARD, PARITY: the block
	Open   Open
	Offset uint64  // OBJ
	Fin    bool    // OBJ
	Fill   bool    // OBJ: the data reaches to the end of the packet, without a length
	Data   []byte  // OBJ: the part, CLOSE: UTF-8 text, PARITY: all behind the header; aliases the packet
	Value  uint64  // WINDOW: the limit, CANCEL and EXPIRED: what was charged, CLOSE: the code
	Token  [8]byte // CHALLENGE, RESPONSE
	Index  uint8   // SHARD, PARITY: which one
	Shards uint8   // PARITY: packets of the block
	Ack    Ack

	numbers [MaxRecovered]uint64 // RECOVERED, highest first
	n       int
}

// Numbers are those of a RECOVERED, highest first. The slice is the Frame's own.
func (f *Frame) Numbers() []uint64 { return f.numbers[:f.n] }

// SetNumbers takes what a RECOVERED is to tell: at most MaxRecovered, highest first.
func (f *Frame) SetNumbers(numbers []uint64) { f.n = copy(f.numbers[:], numbers) }

// Append appends the frame's bytes to b. Of PADDING one byte is appended.
func (f *Frame) Append(b []byte) []byte {
	switch f.Type {
	case FrameAck, FrameAckECN:
		return f.Ack.append(b, f.Type)
	case FrameObj:
		return append(AppendObjHeader(b, f.ID, f.Offset, len(f.Data), f.Fin, f.Fill), f.Data...)
	}
	b = AppendVarint(b, uint64(f.Type))
	switch f.Type {
	case FramePadding, FramePing:
	case FrameOpen:
		b = AppendVarint(b, f.ID)
		flags := f.Open.Class & 3
		if f.Open.Endless {
			flags |= openEndless
		}
		if f.Open.Timed {
			flags |= openTimed
		}
		b = append(b, flags, f.Open.Priority)
		if !f.Open.Endless {
			b = AppendVarint(b, f.Open.Size)
		}
		if f.Open.Timed {
			b = AppendVarint(b, uint64(max(f.Open.Left, 0)/time.Millisecond))
		}
	case FrameCancel, FrameExpired:
		b = AppendVarint(b, f.ID)
		b = AppendVarint(b, f.Value)
	case FrameWindow:
		b = AppendVarint(b, f.Value)
	case FrameShard:
		b = append(AppendVarint(b, f.ID), f.Index)
	case FrameParity:
		b = append(AppendVarint(b, f.ID), f.Shards, f.Index)
		b = append(b, f.Data...)
	case FrameRecovered:
		b = AppendVarint(b, uint64(f.n))
		above := uint64(0)
		for i, v := range f.numbers[:f.n] {
			if i > 0 {
				v, above = above-v-1, v
			} else {
				above = v
			}
			b = AppendVarint(b, v)
		}
	case FrameChallenge, FrameResponse:
		b = append(b, f.Token[:]...)
	case FrameClose:
		b = AppendVarint(b, f.Value)
		b = AppendVarint(b, uint64(len(f.Data)))
		b = append(b, f.Data...)
	default:
		panic("wire: no such frame " + f.Type.String())
	}
	return b
}

// AppendObjHeader appends an OBJ frame up to its data, of which n bytes are to
// follow; with fill they must reach to the end of the packet.
func AppendObjHeader(b []byte, id, offset uint64, n int, fin, fill bool) []byte {
	t := byte(FrameObj)
	if fin {
		t |= objFin
	}
	if offset > 0 {
		t |= objOffset
	}
	if !fill {
		t |= objLen
	}
	b = append(b, t)
	b = AppendVarint(b, id)
	if offset > 0 {
		b = AppendVarint(b, offset)
	}
	if !fill {
		b = AppendVarint(b, uint64(n))
	}
	return b
}

// Parse reads the frame at the front of b, which is the rest of a packet, and
// returns what follows it. A run of PADDING is one frame.
func (f *Frame) Parse(b []byte) (rest []byte, err error) {
	c := cursor{b: b}
	t := FrameType(c.varint())
	f.Type = t
	switch {
	case t == FramePadding:
		for len(c.b) > 0 && c.b[0] == 0 {
			c.b = c.b[1:]
		}
	case t == FramePing:
	case t == FrameAck || t == FrameAckECN:
		f.Ack.parse(&c, t)
	case t == FrameOpen:
		f.ID = c.varint()
		flags := c.byte()
		f.Open = Open{Class: flags & 3, Endless: flags&openEndless != 0, Timed: flags&openTimed != 0, Priority: c.byte()}
		if flags>>4 != 0 || f.Open.Class == 3 {
			c.fail()
		}
		if !f.Open.Endless {
			f.Open.Size = c.varint()
		}
		if f.Open.Timed {
			// A deadline a month away is none: the bound keeps arithmetic safe.
			f.Open.Left = time.Duration(min(c.varint(), 1<<32)) * time.Millisecond
		}
	case t == FrameCancel || t == FrameExpired:
		f.ID = c.varint()
		f.Value = c.varint()
	case t == FrameWindow:
		f.Value = c.varint()
	case t == FrameShard:
		f.ID = c.varint()
		f.Index = c.byte()
		if f.Index >= MaxShards {
			c.fail()
		}
	case t == FrameParity:
		f.ID = c.varint()
		f.Shards, f.Index = c.byte(), c.byte()
		if f.Shards == 0 || f.Shards > MaxShards || f.Index >= MaxParity || len(c.b) < ShardHeaderLen {
			c.fail()
		}
		f.Data = c.bytes(len(c.b))
	case t == FrameRecovered:
		f.parseNumbers(&c)
	case t == FrameChallenge || t == FrameResponse:
		copy(f.Token[:], c.bytes(len(f.Token)))
	case t == FrameClose:
		f.Value = c.varint()
		n := c.varint()
		if n > MaxCloseText {
			c.fail()
		}
		f.Data = c.bytes(int(n))
	case t >= FrameObj && t < FrameObj+8:
		f.Type = FrameObj
		f.Fin = t&objFin != 0
		f.Fill = t&objLen == 0
		f.ID = c.varint()
		f.Offset = 0
		if t&objOffset != 0 {
			f.Offset = c.varint()
		}
		n := uint64(len(c.b))
		if !f.Fill {
			n = c.varint()
		}
		if n > uint64(len(c.b)) || f.Offset+n > MaxVarint {
			c.fail()
			n = 0
		}
		f.Data = c.bytes(int(n))
	default:
		c.fail() // an unknown frame has an unknown length
	}
	if c.bad {
		return nil, ErrFrame
	}
	return c.b, nil
}

func (f *Frame) parseNumbers(c *cursor) {
	f.n = 0
	n := c.varint()
	if n == 0 || n > MaxRecovered {
		c.fail()
		return
	}
	above := uint64(0)
	for i := range int(n) {
		v := c.varint()
		if i > 0 {
			if v+1 > above {
				c.fail()
			}
			v = above - v - 1
		}
		if c.bad {
			return
		}
		f.numbers[i], above = v, v
	}
	f.n = int(n)
}

// A cursor reads fields in a row and remembers whether one was missing, so
// that it need be asked only once.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) fail() { c.bad, c.b = true, nil }

func (c *cursor) varint() uint64 {
	v, n := ConsumeVarint(c.b)
	if n == 0 {
		c.fail()
		return 0
	}
	c.b = c.b[n:]
	return v
}

func (c *cursor) byte() byte {
	if len(c.b) == 0 {
		c.fail()
		return 0
	}
	v := c.b[0]
	c.b = c.b[1:]
	return v
}

func (c *cursor) bytes(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.fail()
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}

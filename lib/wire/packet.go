package wire

import (
	"encoding/binary"
	"errors"
)

const (
	// Version is the version of XNTP that this package describes.
	Version = 1

	// CIDLen is the length of a connection ID. Every datagram carries one, so it is
	// no longer than it must be: some thousand of them are in use at one socket.
	CIDLen = 4
	// MaxNumberLen is how many bytes of a packet number are sent at most.
	MaxNumberLen = 4
	// MaxShortHeaderLen is the greatest length of a data packet's header: flags,
	// connection ID, packet number.
	MaxShortHeaderLen = 1 + CIDLen + MaxNumberLen
	// TagLen is the length of the AEAD's tag.
	TagLen = 16
	// SampleLen is how many bytes of ciphertext header protection samples.
	SampleLen = 16
	// MinShortLen is the shortest data packet: packet number and frames together
	// have at least MaxNumberLen bytes, so that there is a sample behind them.
	MinShortLen = MaxShortHeaderLen + TagLen

	// HandshakeLen is what Initial and Response packets are padded to, so that
	// the path is known to carry it and an Initial earns room for an answer
	// (RFC 9000 §14.1 asks the same for the same reasons).
	HandshakeLen = 1200
	// MaxCookie bounds the cookie in Initial and Retry.
	MaxCookie = 64
	// MaxToken bounds the address token in an Initial.
	MaxToken = 255
	// MaxNoise bounds a Noise message.
	MaxNoise = 1180

	// KeyPhase is the bit of a data packet's flags that toggles at a key update.
	KeyPhase = 0x20
	// shortBits are the protected bits of a data packet's flags, and numberBits
	// those that hold the length of the packet number, less one.
	shortBits  = 0x3f
	numberBits = 0x03
)

// A CID is a connection ID, chosen by whoever receives packets that carry it.
type CID [CIDLen]byte

// A PacketType says what a datagram holds.
type PacketType uint8

const (
	PacketNone     PacketType = iota // not XNTP
	PacketShort                      // data
	PacketInitial                    // Noise message 1
	PacketResponse                   // Noise message 2
	PacketRetry                      // a cookie
	PacketVersions                   // the versions that the sender speaks
)

// ErrPacket is returned for bytes that are no long header packet.
var ErrPacket = errors.New("malformed packet")

// Classify looks at the first byte: 64 to 127 are data packets, 192 to 255 have
// a long header. Everything else belongs to others: 0 to 3 is STUN (RFC 7983).
func Classify(b []byte) PacketType {
	if len(b) == 0 {
		return PacketNone
	}
	switch b[0] >> 6 {
	case 1:
		return PacketShort
	case 3:
		return PacketInitial + PacketType(b[0]>>4&3)
	}
	return PacketNone
}

// NumberLen is how many bytes of a packet number must be sent for the receiver to
// recover it, if acked is one more than the highest number that it has
// acknowledged: twice as many numbers as it may lack (RFC 9000 appendix A.2).
func NumberLen(number, acked uint64) int {
	switch n := number - min(acked, number) + 1; {
	case n < 1<<7:
		return 1
	case n < 1<<15:
		return 2
	case n < 1<<23:
		return 3
	}
	return 4
}

// AppendShort appends the header of a data packet, not yet protected, with the n
// low bytes of the number.
func AppendShort(b []byte, flags byte, dst CID, number uint64, n int) []byte {
	b = append(b, 0x40|flags&shortBits&^numberBits|byte(n-1))
	b = append(b, dst[:]...)
	for i := n - 1; i >= 0; i-- {
		b = append(b, byte(number>>(8*i)))
	}
	return b
}

// ShortHeaderLen is the length of a data packet's header, by its unprotected
// flags.
func ShortHeaderLen(flags byte) int { return 1 + CIDLen + int(flags&numberBits) + 1 }

// ShortCID returns the connection ID of a data packet; ok is false if the
// packet is too short to be one.
func ShortCID(b []byte) (c CID, ok bool) {
	if len(b) < MinShortLen {
		return CID{}, false
	}
	return CID(b[1 : 1+CIDLen]), true
}

// ShortSample returns the bytes of a data packet that the mask is made from:
// those behind a packet number of the greatest length, however long this one
// is (RFC 9001 §5.4.2). The packet has at least MinShortLen bytes.
func ShortSample(b []byte) []byte { return b[MaxShortHeaderLen:][:SampleLen] }

// Mask applies header protection to a header, whose flags say how long it is.
// The mask is the AES encryption, under the header key, of the sample.
func Mask(header []byte, mask *[16]byte) {
	n := ShortHeaderLen(header[0])
	header[0] ^= mask[0] & shortBits
	for i := 1 + CIDLen; i < n; i++ {
		header[i] ^= mask[i-CIDLen]
	}
}

// Unmask removes header protection. It returns the length of the header and the
// number as it was sent; b has at least MaxShortHeaderLen bytes.
func Unmask(b []byte, mask *[16]byte) (n int, low uint32) {
	b[0] ^= mask[0] & shortBits
	n = ShortHeaderLen(b[0])
	for i := 1 + CIDLen; i < n; i++ {
		b[i] ^= mask[i-CIDLen]
		low = low<<8 | uint32(b[i])
	}
	return n, low
}

// ExpandNumber recovers a packet number from its n low bytes: it is the one
// nearest to next, the number after the highest received (RFC 9000 appendix
// A.3).
func ExpandNumber(next uint64, low uint32, n int) uint64 {
	win := uint64(1) << (8 * n)
	number := next&^(win-1) | uint64(low)
	switch {
	case number+win/2 <= next && number+win <= MaxVarint:
		return number + win
	case number > next+win/2 && number >= win:
		return number - win
	}
	return number
}

// A Long is a packet with a long header. Slices alias the datagram.
type Long struct {
	Type     PacketType
	Version  uint32
	Dst      CID    // all but Initial: the connection ID of the initiator
	Src      CID    // Initial: where the sender wants to receive; that of a Response is inside its Noise message
	Cookie   []byte // Initial, Retry
	Token    []byte // Initial: an address token
	Noise    []byte // Initial, Response
	Versions []byte // Versions: four bytes each
}

// Append appends the packet, without padding.
func (p *Long) Append(b []byte) []byte {
	b = append(b, 0xc0|byte(p.Type-PacketInitial)<<4)
	b = binary.BigEndian.AppendUint32(b, p.Version)
	if p.Type != PacketInitial {
		b = append(b, p.Dst[:]...)
	}
	if p.Type == PacketInitial {
		b = append(b, p.Src[:]...)
	}
	if p.Type == PacketInitial || p.Type == PacketRetry {
		b = append(b, byte(len(p.Cookie)))
		b = append(b, p.Cookie...)
	}
	if p.Type == PacketInitial {
		b = append(b, byte(len(p.Token)))
		b = append(b, p.Token...)
	}
	if p.Type == PacketInitial || p.Type == PacketResponse {
		b = binary.BigEndian.AppendUint16(b, uint16(len(p.Noise)))
		b = append(b, p.Noise...)
	}
	if p.Type == PacketVersions {
		b = append(b, byte(len(p.Versions)/4))
		b = append(b, p.Versions...)
	}
	return b
}

// ParseLong reads a long header packet; what follows it is padding. Of a packet
// of another version only Type, Version and, of an Initial, Src are read: that
// much never changes.
func ParseLong(b []byte) (p Long, err error) {
	c := cursor{b: b}
	first := c.byte()
	p.Type = Classify(b)
	p.Version = uint32(c.uint(4))
	if p.Type <= PacketShort || first&0x0f != 0 && p.Version == Version {
		return Long{}, ErrPacket
	}
	if p.Type != PacketInitial {
		p.Dst = c.cid()
	}
	if p.Type == PacketInitial {
		p.Src = c.cid()
	}
	if p.Version != Version && p.Type != PacketVersions {
		if c.bad {
			return Long{}, ErrPacket
		}
		return p, nil
	}
	if p.Type == PacketInitial || p.Type == PacketRetry {
		p.Cookie = c.short(MaxCookie)
	}
	if p.Type == PacketInitial {
		p.Token = c.short(MaxToken)
	}
	if p.Type == PacketInitial || p.Type == PacketResponse {
		n := c.uint(2)
		if n > MaxNoise {
			c.fail()
		}
		p.Noise = c.bytes(int(n))
	}
	if p.Type == PacketVersions {
		p.Versions = c.bytes(int(c.byte()) * 4)
	}
	if c.bad {
		return Long{}, ErrPacket
	}
	return p, nil
}

func (c *cursor) uint(n int) (v uint64) {
	for _, x := range c.bytes(n) {
		v = v<<8 | uint64(x)
	}
	return v
}

func (c *cursor) cid() (id CID) {
	copy(id[:], c.bytes(CIDLen))
	return id
}

// short reads a byte of length and that many bytes.
func (c *cursor) short(most int) []byte {
	n := int(c.byte())
	if n > most {
		c.fail()
	}
	return c.bytes(n)
}

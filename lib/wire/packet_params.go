package wire

import "time"

// Ciphers that data packets can be sealed with, as bits of Params.Ciphers.
const (
	CipherAES128GCM        = 1 << 0
	CipherChaCha20Poly1305 = 1 << 1
)

// Params are what each end tells the other inside the encrypted payload of its
// Noise message: a list of (id varint, length varint, value), of which unknown
// ids are skipped, so that later ends can say more.
type Params struct {
	Window    uint64 // what the sender of the message is ready to receive
	MaxObject uint64
	Idle      time.Duration
	Ciphers   uint64 // message 1: the ciphers offered, message 2: the one taken
	MTU       uint64 // the largest datagram it is ready to receive
	CID       CID    // message 2: where the responder wants to receive
	Downlink  uint64 // what its access link receives, in bit/s; zero if it does not know
	Early     []byte // message 1: the request
	Reset     ResetToken
	Flight    uint64 // message 1: how many Initials leave at one moment; zero is one
	Parity    bool   // it understands SHARD, PARITY and RECOVERED
}

// ResetLen is the length of a ResetToken.
const ResetLen = 16

// A ResetToken at the end of a datagram that looks like a data packet says that
// its sender knows nothing of the connection any more. All zero is none.
type ResetToken [ResetLen]byte

const (
	paramWindow = iota + 1
	paramMaxObject
	paramIdle
	paramCiphers
	paramMTU
	paramEarly
	paramCID
	paramDownlink
	paramReset
	paramParity
	paramFlight
)

// Append appends the parameters.
func (p *Params) Append(b []byte) []byte {
	for _, f := range [...]struct{ id, v uint64 }{
		{paramWindow, p.Window},
		{paramMaxObject, p.MaxObject},
		{paramIdle, uint64(p.Idle / time.Millisecond)},
		{paramCiphers, p.Ciphers},
		{paramMTU, p.MTU},
	} {
		b = AppendVarint(b, f.id)
		b = AppendVarint(b, uint64(SizeVarint(f.v)))
		b = AppendVarint(b, f.v)
	}
	if p.CID != (CID{}) {
		b = AppendVarint(b, paramCID)
		b = AppendVarint(b, CIDLen)
		b = append(b, p.CID[:]...)
	}
	if p.Downlink > 0 {
		b = AppendVarint(b, paramDownlink)
		b = AppendVarint(b, uint64(SizeVarint(p.Downlink)))
		b = AppendVarint(b, p.Downlink)
	}
	if p.Reset != (ResetToken{}) {
		b = AppendVarint(b, paramReset)
		b = AppendVarint(b, ResetLen)
		b = append(b, p.Reset[:]...)
	}
	if p.Flight > 0 {
		b = AppendVarint(b, paramFlight)
		b = AppendVarint(b, uint64(SizeVarint(p.Flight)))
		b = AppendVarint(b, p.Flight)
	}
	if p.Parity {
		b = append(b, paramParity, 1, 1)
	}
	if len(p.Early) > 0 {
		b = AppendVarint(b, paramEarly)
		b = AppendVarint(b, uint64(len(p.Early)))
		b = append(b, p.Early...)
	}
	return b
}

// ParseParams reads a list of parameters. Early aliases b.
func ParseParams(b []byte) (p Params, err error) {
	c := cursor{b: b}
	for len(c.b) > 0 {
		id, n := c.varint(), c.varint()
		if n > uint64(len(c.b)) {
			return Params{}, ErrPacket
		}
		v := cursor{b: c.bytes(int(n))}
		switch id {
		case paramWindow:
			p.Window = v.varint()
		case paramMaxObject:
			p.MaxObject = v.varint()
		case paramIdle:
			p.Idle = time.Duration(min(v.varint(), 1<<32)) * time.Millisecond
		case paramCiphers:
			p.Ciphers = v.varint()
		case paramMTU:
			p.MTU = v.varint()
		case paramEarly:
			p.Early = v.b
		case paramCID:
			p.CID = v.cid()
		case paramDownlink:
			p.Downlink = v.varint()
		case paramFlight:
			p.Flight = v.varint()
		case paramParity:
			p.Parity = v.varint() == 1
		case paramReset:
			copy(p.Reset[:], v.bytes(ResetLen))
		}
		if v.bad {
			c.fail()
		}
	}
	if c.bad {
		return Params{}, ErrPacket
	}
	return p, nil
}

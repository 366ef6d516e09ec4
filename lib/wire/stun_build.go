package wire

import (
	"encoding/binary"
	"net/netip"

	"github.com/pion/stun/v2"
)

// Messages carry FINGERPRINT, which keeps them apart from other protocols on
// the same port (RFC 8489 §14.7), and never SOFTWARE, which costs bytes and helps
// only who looks for old versions.

func startSTUN(class stun.MessageClass, id STUNTransaction) *stun.Message {
	m := &stun.Message{Raw: make([]byte, stunHeader, 192), TransactionID: id}
	m.Type = stun.NewType(stun.MethodBinding, class)
	m.WriteHeader()
	return m
}

func finishSTUN(b []byte, m *stun.Message, fingerprint bool) []byte {
	if fingerprint {
		_ = stun.Fingerprint.AddTo(m) // it has no way to fail
	}
	return append(b, m.Raw...)
}

// AppendSTUNRequest appends a Binding request. One that asks for an address
// token is padded to the size that lets a responder give one.
func AppendSTUNRequest(b []byte, id STUNTransaction, wantToken bool) []byte {
	return AppendSTUNQuery(b, id, STUNQuery{Token: wantToken})
}

// A STUNQuery is a Binding request of behaviour discovery. The zero value is a
// bare one.
type STUNQuery struct {
	Change STUNChange
	Ports  bool // ask for AttrPorts, and pay for what RFC 5780 adds to a response
	Token  bool // ask for an address token
	// AssistFor and AssistToken make AttrAssist, if there is a token.
	AssistFor   STUNTransaction
	AssistToken Token
	// Delay, in seconds, and DelayToken make AttrDelay, if there is a token.
	Delay      uint32
	DelayToken Token
	// Size is that of the whole message, if not 0: it is filled up with an
	// attribute that any server skips. It counts four bytes at a time.
	Size int
}

// AppendSTUNQuery appends a Binding request.
func AppendSTUNQuery(b []byte, id STUNTransaction, q STUNQuery) []byte {
	m := startSTUN(stun.ClassRequest, id)
	if q.Change != 0 {
		m.Add(stun.AttrChangeRequest, []byte{0, 0, 0, byte(q.Change)})
	}
	if q.Token {
		m.Add(AttrToken, make([]byte, stunTokenRoom))
	}
	if len(q.AssistToken) > 0 {
		m.Add(AttrAssist, append(q.AssistFor[:], q.AssistToken...))
	}
	if len(q.DelayToken) > 0 {
		m.Add(AttrDelay, append(binary.BigEndian.AppendUint32(nil, q.Delay), q.DelayToken...))
	}
	if q.Ports {
		m.Add(AttrPorts, make([]byte, stunPortsRoom))
	}
	const fingerprint, header = 8, 4
	if room := min(q.Size, maxSTUN) - len(m.Raw) - fingerprint - header; room >= 0 && q.Size > 0 {
		m.Add(attrFiller, make([]byte, room&^3))
	}
	return finishSTUN(b, m, true)
}

// attrFiller has no meaning and may be skipped by anybody: PADDING (RFC 5780
// §7.6) must be understood, which plain servers do not.
const attrFiller stun.AttrType = 0xC0F6

// A STUNAnswer is a success response to a Binding request.
type STUNAnswer struct {
	Mapped        netip.AddrPort
	Token         Token          // nil: none
	Origin, Other netip.AddrPort // RESPONSE-ORIGIN, OTHER-ADDRESS; invalid: none
	Ports         bool           // AttrPorts with what follows
	OtherPort     uint16
	Help          STUNHelp
	Fingerprint   bool
}

// AppendSTUNAnswer appends a success response.
func AppendSTUNAnswer(b []byte, id STUNTransaction, a STUNAnswer) []byte {
	m := startSTUN(stun.ClassSuccessResponse, id)
	x := stun.XORMappedAddress{IP: a.Mapped.Addr().Unmap().AsSlice(), Port: int(a.Mapped.Port())}
	_ = x.AddTo(m) // fails for an invalid address only; the answer then is without it
	if len(a.Token) > 0 {
		m.Add(AttrToken, a.Token)
	}
	if a.Origin.IsValid() {
		m.Add(stun.AttrResponseOrigin, appendPlainAddr(nil, a.Origin))
	}
	if a.Other.IsValid() {
		m.Add(stun.AttrOtherAddress, appendPlainAddr(nil, a.Other))
	}
	if a.Ports {
		m.Add(AttrPorts, binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, a.OtherPort), uint16(a.Help)))
	}
	return finishSTUN(b, m, a.Fingerprint)
}

// Size returns how long AppendSTUNAnswer will be, with a token if that is asked for.
func (a STUNAnswer) Size(token bool) int {
	n := SizeSTUNSuccess(a.Mapped, token, a.Fingerprint)
	for _, at := range []netip.AddrPort{a.Origin, a.Other} {
		switch {
		case at.IsValid() && at.Addr().Unmap().Is4():
			n += 4 + 8
		case at.IsValid():
			n += 4 + 20
		}
	}
	if a.Ports {
		n += 4 + 4
	}
	return n
}

func appendPlainAddr(b []byte, at netip.AddrPort) []byte {
	ip, family := at.Addr().Unmap(), byte(1)
	if ip.Is6() {
		family = 2
	}
	b = binary.BigEndian.AppendUint16(append(b, 0, family), at.Port())
	return append(b, ip.AsSlice()...)
}

// AppendSTUNSuccess appends the success response to a Binding request that came
// from mapped. A nil token is left out; fingerprint should be as in the request,
// so that the answer to a bare one stays small.
func AppendSTUNSuccess(b []byte, id STUNTransaction, mapped netip.AddrPort, token Token, fingerprint bool) []byte {
	return AppendSTUNAnswer(b, id, STUNAnswer{Mapped: mapped, Token: token, Fingerprint: fingerprint})
}

// AppendSTUNError appends an error response. unknown goes into
// UNKNOWN-ATTRIBUTES, as code 420 requires (RFC 8489 §6.3.1.1).
func AppendSTUNError(b []byte, id STUNTransaction, code int, unknown []uint16, fingerprint bool) []byte {
	m := startSTUN(stun.ClassErrorResponse, id)
	m.Add(stun.AttrErrorCode, []byte{0, 0, byte(code / 100), byte(code % 100)})
	if len(unknown) > 0 {
		// By hand: the codec below spends four bytes on each instead of two.
		v := make([]byte, 0, 2*len(unknown))
		for _, t := range unknown {
			v = binary.BigEndian.AppendUint16(v, t)
		}
		m.Add(stun.AttrUnknownAttributes, v)
	}
	return finishSTUN(b, m, fingerprint)
}

// SizeSTUNSuccess returns how long AppendSTUNSuccess will be.
func SizeSTUNSuccess(mapped netip.AddrPort, token, fingerprint bool) int {
	n, ip := stunHeader+4+8, mapped.Addr().Unmap()
	if ip.Is6() {
		n += 12
	}
	if token {
		size := tokenSize4
		if ip.Is6() {
			size = tokenSize6
		}
		n += 4 + (size+3)&^3
	}
	if fingerprint {
		n += 8
	}
	return n
}

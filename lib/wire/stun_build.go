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
	m := startSTUN(stun.ClassRequest, id)
	if wantToken {
		m.Add(AttrToken, make([]byte, stunTokenRoom))
	}
	return finishSTUN(b, m, true)
}

// AppendSTUNSuccess appends the success response to a Binding request that came
// from mapped. A nil token is left out; fingerprint should be as in the request,
// so that the answer to a bare one stays small.
func AppendSTUNSuccess(b []byte, id STUNTransaction, mapped netip.AddrPort, token Token, fingerprint bool) []byte {
	m := startSTUN(stun.ClassSuccessResponse, id)
	x := stun.XORMappedAddress{IP: mapped.Addr().Unmap().AsSlice(), Port: int(mapped.Port())}
	_ = x.AddTo(m) // fails for an invalid address only; the answer then is without it
	if len(token) > 0 {
		m.Add(AttrToken, token)
	}
	return finishSTUN(b, m, fingerprint)
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

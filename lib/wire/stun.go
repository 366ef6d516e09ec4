package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/pion/stun/v2"
)

// A STUNClass is the class of a STUN message (RFC 8489 §5).
type STUNClass uint8

const (
	STUNRequest    STUNClass = 0
	STUNIndication STUNClass = 1
	STUNSuccess    STUNClass = 2
	STUNError      STUNClass = 3
)

// STUNBinding is the one method that we speak (RFC 8489 §3).
const STUNBinding = 1

// A STUNTransaction is the transaction ID, which a response repeats.
type STUNTransaction [stun.TransactionIDSize]byte

// AttrToken is our attribute, from the comprehension-optional range that
// designated experts assign (RFC 8489 §18.3), so that any server skips it. In a
// request it is a run of zeros that asks for an address token and pays for it:
// the response must not be much larger than the request. In a response it is
// the Token.
const AttrToken = 0xC0F2

const (
	stunHeader    = 20
	maxSTUN       = 1500 - 20 - 8 // one Ethernet frame
	maxSTUNAttrs  = 32
	stunTokenRoom = 100 // zeros in a request that asks for a token
)

// ErrSTUN is in the chain of every error of STUN.Parse.
var ErrSTUN = errors.New("stun")

// A STUN is a parsed STUN message. The zero value is ready; a value may be used
// again and again, and what it holds is valid until then.
type STUN struct {
	Class       STUNClass
	Method      uint16
	Transaction STUNTransaction
	// Mapped is XOR-MAPPED-ADDRESS, or MAPPED-ADDRESS of a server that is too
	// old for it.
	Mapped      netip.AddrPort
	Token       Token // of a response; nil without
	WantsToken  bool  // of a request
	Fingerprint bool  // present, and right
	ErrorCode   int   // of an error response
	// Unknown holds the comprehension-required attributes that this package
	// gives no meaning to (RFC 8489 §6.3.1).
	Unknown []uint16

	msg stun.Message
}

// IsSTUN says whether a datagram claims to be STUN (RFC 7983 §7, RFC 8489 §5).
func IsSTUN(b []byte) bool {
	return len(b) >= stunHeader && b[0] <= 3 && binary.BigEndian.Uint32(b[4:]) == 0x2112A442
}

// Parse reads a datagram. It refuses more than the codec below it does: bytes
// behind the message, attributes behind MESSAGE-INTEGRITY, a FINGERPRINT that is
// wrong or not last, addresses of impossible length. It never panics.
func (m *STUN) Parse(b []byte) (err error) {
	*m = STUN{Unknown: m.Unknown[:0], msg: m.msg}
	if !IsSTUN(b) || len(b) > maxSTUN || int(binary.BigEndian.Uint16(b[2:]))+stunHeader != len(b) || len(b)%4 != 0 {
		return fmt.Errorf("%w: not one whole message", ErrSTUN)
	}
	// The codec has panicked on crafted attributes (GHSA-34rh-wp3j-6cxc). The
	// guards below keep known ones from it; this one stands for the others.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: codec: %v", ErrSTUN, r)
		}
	}()
	if err := stun.Decode(b, &m.msg); err != nil {
		return fmt.Errorf("%w: %w", ErrSTUN, err)
	}
	m.Class = STUNClass(m.msg.Type.Class)
	m.Method = uint16(m.msg.Type.Method)
	m.Transaction = m.msg.TransactionID
	return m.attributes()
}

func (m *STUN) attributes() error {
	if len(m.msg.Attributes) > maxSTUNAttrs {
		return fmt.Errorf("%w: more than %d attributes", ErrSTUN, maxSTUNAttrs)
	}
	integrity := false
	var old netip.AddrPort
	for i, a := range m.msg.Attributes {
		if m.Fingerprint {
			return fmt.Errorf("%w: FINGERPRINT is not the last attribute", ErrSTUN) // RFC 8489 §14.7
		}
		switch a.Type {
		case stun.AttrFingerprint:
			if len(a.Value) != 4 || stun.Fingerprint.Check(&m.msg) != nil {
				return fmt.Errorf("%w: wrong FINGERPRINT", ErrSTUN)
			}
			m.Fingerprint = true
			continue
		case stun.AttrMessageIntegrity, stun.AttrMessageIntegritySHA256:
			// Both may be there, the older one first (RFC 8489 §9.2.3).
			if integrity && a.Type != stun.AttrMessageIntegritySHA256 {
				return fmt.Errorf("%w: MESSAGE-INTEGRITY twice", ErrSTUN)
			}
			integrity = true
			continue
		}
		if integrity {
			// RFC 8489 §14.5 has them ignored; who sends them wants to be misread.
			return fmt.Errorf("%w: an attribute behind MESSAGE-INTEGRITY", ErrSTUN)
		}
		if m.repeated(i) {
			continue // RFC 8489 §14: only the first counts
		}
		switch a.Type {
		case stun.AttrXORMappedAddress:
			if len(a.Value) != 8 && len(a.Value) != 20 {
				return fmt.Errorf("%w: XOR-MAPPED-ADDRESS of %d bytes", ErrSTUN, len(a.Value))
			}
			var x stun.XORMappedAddress
			if err := x.GetFrom(&m.msg); err != nil {
				return fmt.Errorf("%w: %w", ErrSTUN, err)
			}
			ip, _ := netip.AddrFromSlice(x.IP)
			m.Mapped = netip.AddrPortFrom(ip.Unmap(), uint16(x.Port))
		case stun.AttrMappedAddress:
			if len(a.Value) != 8 && len(a.Value) != 20 {
				return fmt.Errorf("%w: MAPPED-ADDRESS of %d bytes", ErrSTUN, len(a.Value))
			}
			ip, _ := netip.AddrFromSlice(a.Value[4:])
			old = netip.AddrPortFrom(ip.Unmap(), binary.BigEndian.Uint16(a.Value[2:]))
		case stun.AttrErrorCode:
			if len(a.Value) < 4 {
				return fmt.Errorf("%w: ERROR-CODE of %d bytes", ErrSTUN, len(a.Value))
			}
			m.ErrorCode = int(a.Value[2]&7)*100 + int(a.Value[3])
		case AttrToken:
			m.WantsToken = m.Class == STUNRequest
			if t := Token(a.Value); m.Class == STUNSuccess && t.check() == nil && len(t) > 0 {
				m.Token = t
			}
		case stun.AttrUsername, stun.AttrRealm, stun.AttrNonce, stun.AttrUnknownAttributes,
			stun.AttrPasswordAlgorithm, stun.AttrUserhash:
			// Understood, and without meaning to a server that asks nobody who he is.
		default:
			if a.Type.Required() {
				m.Unknown = append(m.Unknown, uint16(a.Type))
			}
		}
	}
	if !m.Mapped.IsValid() {
		m.Mapped = old
	}
	return nil
}

// repeated says whether an attribute of this type stood before the i-th.
func (m *STUN) repeated(i int) bool {
	for _, a := range m.msg.Attributes[:i] {
		if a.Type == m.msg.Attributes[i].Type {
			return true
		}
	}
	return false
}

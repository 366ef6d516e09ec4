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

// AttrPorts is our attribute, too. In a request it is a run of zeros that pays for
// the attributes of behaviour discovery, and asks a responder of ours what only it
// can say: in a response it holds the responder's other port (2 bytes, 0: none)
// and what it does for others (2 bytes of STUNHelp). A server with one address
// must not use OTHER-ADDRESS for that: clients take it for a second address.
const AttrPorts = 0xC0F3

// AttrAssist is our attribute in a request to a second responder: "send a success
// response to the address in this Token, for this transaction". 12 bytes of
// transaction, then the Token that the first responder gave to that address. So
// one who may be behind a filter gets a packet from where it never sent to.
const AttrAssist = 0xC0F4

// AttrDelay is our attribute: in a request the seconds (4 bytes) to wait before the
// answer, and then a Token for the address that the request comes from, so
// that nobody is answered late who cannot be answered at once.
const AttrDelay = 0xC0F5

// A STUNHelp is a set of what a responder does beyond RFC 5780.
type STUNHelp uint16

const (
	HelpAssist STUNHelp = 1 << iota // AttrAssist, for those whose Token it believes
	HelpDelay                       // AttrDelay
)

// A STUNChange is the flags of CHANGE-REQUEST (RFC 5780 §7.2).
type STUNChange uint8

const (
	ChangePort STUNChange = 2
	ChangeAddr STUNChange = 4
)

const (
	stunHeader    = 20
	maxSTUN       = 2000 // more than one Ethernet frame: RFC 5780 §4.6 has requests that are cut on the way
	maxSTUNAttrs  = 32
	stunTokenRoom = 100 // zeros in a request that asks for a token
	stunPortsRoom = 40  // zeros in one that asks for AttrPorts and for RFC 5780's addresses
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
	// Change is of a request with CHANGE-REQUEST; Changes says that it has one.
	Change  STUNChange
	Changes bool
	// ResponsePort is of a request with RESPONSE-PORT: the answer goes there, at the
	// address that the request came from (RFC 5780 §7.5). 0: without.
	ResponsePort uint16
	// Other is OTHER-ADDRESS, or CHANGED-ADDRESS of an older server; Origin is
	// RESPONSE-ORIGIN (RFC 5780 §7.3, §7.4).
	Other, Origin netip.AddrPort
	WantsPorts    bool     // of a request: AttrPorts
	OtherPort     uint16   // of a response: AttrPorts
	Help          STUNHelp // of a response: AttrPorts
	OwnServer     bool     // of a response: it has AttrPorts
	// AssistFor and AssistToken are of a request with AttrAssist; a nil token is
	// one without.
	AssistFor   STUNTransaction
	AssistToken Token
	// Delay and DelayToken are of a request with AttrDelay.
	Delay      uint32
	DelayToken Token
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
			old = plainAddr(a.Value)
		case stun.AttrOtherAddress, stun.AttrChangedAddress, stun.AttrResponseOrigin, stun.AttrSourceAddress:
			if len(a.Value) != 8 && len(a.Value) != 20 {
				return fmt.Errorf("%w: %s of %d bytes", ErrSTUN, a.Type, len(a.Value))
			}
			switch at := plainAddr(a.Value); {
			case a.Type == stun.AttrOtherAddress || a.Type == stun.AttrChangedAddress && !m.Other.IsValid():
				m.Other = at
			case a.Type == stun.AttrResponseOrigin:
				m.Origin = at
			}
		case stun.AttrChangeRequest:
			if len(a.Value) != 4 {
				return fmt.Errorf("%w: CHANGE-REQUEST of %d bytes", ErrSTUN, len(a.Value))
			}
			m.Changes, m.Change = true, STUNChange(a.Value[3])&(ChangePort|ChangeAddr)
		case stun.AttrResponsePort:
			if len(a.Value) != 2 && len(a.Value) != 4 {
				return fmt.Errorf("%w: RESPONSE-PORT of %d bytes", ErrSTUN, len(a.Value))
			}
			m.ResponsePort = binary.BigEndian.Uint16(a.Value)
		case AttrPorts:
			m.WantsPorts = m.Class == STUNRequest
			if m.Class == STUNSuccess && len(a.Value) == 4 {
				m.OwnServer = true
				m.OtherPort, m.Help = binary.BigEndian.Uint16(a.Value), STUNHelp(binary.BigEndian.Uint16(a.Value[2:]))
			}
		case AttrAssist:
			if m.Class == STUNRequest && len(a.Value) > len(m.AssistFor) {
				if t := Token(a.Value[len(m.AssistFor):]); t.check() == nil {
					m.AssistFor, m.AssistToken = STUNTransaction(a.Value), t
				}
			}
		case AttrDelay:
			if m.Class == STUNRequest && len(a.Value) > 4 {
				if t := Token(a.Value[4:]); t.check() == nil {
					m.Delay, m.DelayToken = binary.BigEndian.Uint32(a.Value), t
				}
			}
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
			stun.AttrPasswordAlgorithm, stun.AttrUserhash, stun.AttrPadding:
			// Understood, and without meaning to a server that asks nobody who he is.
			// Who pads may do so for no more than that (RFC 5780 §7.6).
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

// plainAddr reads the value of MAPPED-ADDRESS and its like, of 8 or 20 bytes.
func plainAddr(v []byte) netip.AddrPort {
	ip, _ := netip.AddrFromSlice(v[4:])
	return netip.AddrPortFrom(ip.Unmap(), binary.BigEndian.Uint16(v[2:]))
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

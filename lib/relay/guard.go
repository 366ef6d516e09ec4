package relay

import "encoding/binary"

// Attributes of STUN and TURN (RFC 8489 §18.3, RFC 8656 §18).
const (
	attrIntegrity       = 0x0008
	attrPeerAddress     = 0x0012
	attrRelayedAddress  = 0x0016
	attrIntegritySHA256 = 0x001c
	attrMappedAddress   = 0x0020 // XOR-MAPPED-ADDRESS
	attrMappedAddressMS = 0x8020 // the same, in old servers
	attrFingerprint     = 0x8028
)

const (
	stunHeader  = 20
	magicCookie = 0x2112a442
	maxAttrs    = 32
)

// sound reports whether a message may be handed to pion's libraries, which look at
// addresses without looking at their length (GHSA-34rh-wp3j-6cxc), and at attributes
// that no integrity covers (RFC 8489 §14.5 has them ignored). ChannelData is none of
// that.
func sound(b []byte) bool {
	if len(b) < 4 || b[0] >= 4 {
		return len(b) >= 4
	}
	if len(b) < stunHeader || binary.BigEndian.Uint32(b[4:]) != magicCookie {
		return false
	}
	size := int(binary.BigEndian.Uint16(b[2:]))
	if size%4 != 0 || len(b) < stunHeader+size {
		return false
	}
	sealed := false
	b = b[stunHeader : stunHeader+size]
	for n := 0; len(b) > 0; n++ {
		if len(b) < 4 || n == maxAttrs {
			return false
		}
		kind, size := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		padded := 4 + (size+3)&^3
		if len(b) < padded {
			return false
		}
		value := b[4 : 4+size]
		b = b[padded:]
		if sealed && kind != attrFingerprint && kind != attrIntegritySHA256 {
			return false
		}
		switch kind {
		case attrPeerAddress, attrRelayedAddress, attrMappedAddress, attrMappedAddressMS:
			v4 := size == 8 && value[1] == 1
			v6 := size == 20 && value[1] == 2
			if !v4 && !v6 {
				return false
			}
		case attrIntegrity:
			if size != 20 {
				return false
			}
			sealed = true
		}
	}
	return true
}

package wire

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// NATPMPPort is where a router answers (RFC 6886 §3).
const NATPMPPort = 5351

// ErrNATPMP says that a datagram is no answer to AppendNATPMPQuery.
var ErrNATPMP = errors.New("nat-pmp: no answer about the external address")

// AppendNATPMPQuery appends the question for a router's external address: version
// 0, opcode 0.
func AppendNATPMPQuery(b []byte) []byte { return append(b, 0, 0) }

// ParseNATPMP reads the answer (RFC 6886 §3.2): version 0, opcode 128, a result
// code, the seconds since the router began, the address.
func ParseNATPMP(b []byte) (netip.Addr, error) {
	if len(b) != 12 || b[0] != 0 || b[1] != 128 || binary.BigEndian.Uint16(b[2:]) != 0 {
		return netip.Addr{}, ErrNATPMP
	}
	a := netip.AddrFrom4([4]byte(b[8:]))
	if a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() {
		return netip.Addr{}, ErrNATPMP
	}
	return a, nil
}

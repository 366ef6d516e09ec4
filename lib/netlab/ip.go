package netlab

import "encoding/binary"

// lowerTTL takes hops off an IPv4 packet's TTL, as that many routers would,
// and reports whether the packet survives.
func lowerTTL(ip []byte, hops uint8) bool {
	if ip[8] <= hops {
		return false
	}
	old := binary.BigEndian.Uint16(ip[8:])
	ip[8] -= hops
	patchChecksum(ip, old, binary.BigEndian.Uint16(ip[8:]))
	return true
}

// markCE sets Congestion Experienced on a packet of an ECN-capable transport
// (RFC 3168 §5).
func markCE(ip []byte) {
	if ip[1]&3 == 0 {
		return
	}
	old := binary.BigEndian.Uint16(ip)
	ip[1] |= 3
	patchChecksum(ip, old, binary.BigEndian.Uint16(ip))
}

// patchChecksum mends the header checksum after one of its words has changed.
func patchChecksum(ip []byte, old, new uint16) { patchSum(ip[10:], old, new) }

// patchSum mends a checksum (RFC 1624 §3, equation 3).
func patchSum(at []byte, old, new uint16) {
	sum := uint32(^binary.BigEndian.Uint16(at)) + uint32(^old) + uint32(new)
	sum = sum&0xffff + sum>>16
	sum = sum&0xffff + sum>>16
	binary.BigEndian.PutUint16(at, ^uint16(sum))
}

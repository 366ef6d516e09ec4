package netlab

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/xp2p/xp2p/lib/nat"
)

// endsOf reads protocol and addresses of an IPv4 packet; ok is false for those
// that a NAT here does not know: other protocols, and fragments.
func endsOf(ip []byte) (proto uint8, from, to netip.AddrPort, header int, ok bool) {
	header = int(ip[0]&15) * 4
	proto = ip[9]
	if header < 20 || len(ip) < header+8 || proto != nat.ProtoUDP && proto != nat.ProtoTCP || proto == nat.ProtoTCP && len(ip) < header+20 ||
		binary.BigEndian.Uint16(ip[6:])&0x3fff != 0 {
		return proto, from, to, header, false
	}
	from = netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[12:])), binary.BigEndian.Uint16(ip[header:]))
	to = netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[16:])), binary.BigEndian.Uint16(ip[header+2:]))
	return proto, from, to, header, true
}

// outward takes a packet from inside through the boxes, and reports whether it
// survives. One that is for a box itself comes back, if that box does so.
func outward(boxes []*nat.Box, now time.Time, ip []byte) bool {
	proto, from, to, header, ok := endsOf(ip)
	for _, b := range boxes {
		if !ok {
			return false
		}
		if from, ok = b.Out(now, proto, from, to); ok && b.Owns(to.Addr()) && !b.Hairpins() {
			return false
		}
	}
	if ok {
		rewrite(ip, header, 12, header, from)
	}
	return ok
}

// inward takes a packet from outside through the boxes.
func inward(boxes []*nat.Box, now time.Time, ip []byte) bool {
	proto, from, to, header, ok := endsOf(ip)
	for i := len(boxes) - 1; i >= 0 && ok; i-- {
		to, ok = boxes[i].In(now, proto, from, to)
	}
	if ok {
		rewrite(ip, header, 16, header+2, to)
	}
	return ok
}

// rewrite puts an address and a port into a packet, at these offsets, and mends
// the checksums of IP and of what it carries (RFC 3022 §4.2).
func rewrite(ip []byte, header, at, portAt int, a netip.AddrPort) {
	sumAt, udp := header+16, ip[9] == nat.ProtoUDP
	if udp {
		sumAt = header + 6
	}
	none := udp && binary.BigEndian.Uint16(ip[sumAt:]) == 0
	addr := a.Addr().As4()
	for i := 0; i < 4; i += 2 {
		old, word := binary.BigEndian.Uint16(ip[at+i:]), binary.BigEndian.Uint16(addr[i:])
		binary.BigEndian.PutUint16(ip[at+i:], word)
		patchChecksum(ip, old, word)
		if !none {
			patchSum(ip[sumAt:], old, word)
		}
	}
	old := binary.BigEndian.Uint16(ip[portAt:])
	binary.BigEndian.PutUint16(ip[portAt:], a.Port())
	if none {
		return
	}
	patchSum(ip[sumAt:], old, a.Port())
	if udp && binary.BigEndian.Uint16(ip[sumAt:]) == 0 {
		binary.BigEndian.PutUint16(ip[sumAt:], 0xffff) // RFC 768: zero means that there is none
	}
}

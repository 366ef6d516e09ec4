package simnet

import "github.com/xp2p/xp2p/lib/internal/link"

// Link is one direction of an access link. The zero Link is a perfect one.
type Link = link.Link

// A Rate is in bits per second, and counts whole IP packets. Zero is
// unlimited.
type Rate = link.Rate

// The rates that people say.
const (
	Kbps = link.Kbps
	Mbps = link.Mbps
	Gbps = link.Gbps
)

// fragments returns the size on the wire of a UDP datagram with n bytes of
// payload, and whether it is in one piece.
func fragments(l *link.Line, n int, v6 bool) (size int, whole bool) {
	ip := 20
	if v6 {
		ip = 40
	}
	size = n + 8 + ip
	if size <= l.PathMTU() {
		return size, true
	}
	room := (l.PathMTU() - ip) &^ 7 // RFC 791: offsets count eight bytes
	pieces := (n + 8 + room - 1) / max(8, room)
	return n + 8 + pieces*ip, false
}

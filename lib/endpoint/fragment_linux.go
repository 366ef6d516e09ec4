package endpoint

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// dontFragment sets the DF bit of all that a socket sends. As a wish: without
// it a large datagram may travel in pieces.
func (io *plainIO) dontFragment(conn *net.UDPConn, v6 bool) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE)
		if v6 {
			unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE)
		}
	})
}

// tooBig tells that a datagram was larger than its way out carries.
func tooBig(err error) bool { return errors.Is(err, unix.EMSGSIZE) }

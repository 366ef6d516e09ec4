package endpoint

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

func (io *plainIO) dontFragment(conn *net.UDPConn, v6 bool) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		// An IPv6 socket takes one of them, whichever family it speaks.
		unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_DONTFRAG, 1)
		if v6 {
			unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_DONTFRAG, 1)
		}
	})
}

func tooBig(err error) bool { return errors.Is(err, unix.EMSGSIZE) }

package endpoint

import (
	"errors"
	"net"

	"golang.org/x/sys/windows"
)

// IP_DONTFRAGMENT and IPV6_DONTFRAG of ws2ipdef.h.
const optionDontFragment = 14

func (io *plainIO) dontFragment(conn *net.UDPConn, v6 bool) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		windows.SetsockoptInt(windows.Handle(fd), windows.IPPROTO_IP, optionDontFragment, 1)
		if v6 {
			windows.SetsockoptInt(windows.Handle(fd), windows.IPPROTO_IPV6, optionDontFragment, 1)
		}
	})
}

func tooBig(err error) bool { return errors.Is(err, windows.WSAEMSGSIZE) }

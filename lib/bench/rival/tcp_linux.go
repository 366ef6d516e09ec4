package rival

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

func setCongestion(c syscall.RawConn, control string) error {
	var err error
	if e := c.Control(func(fd uintptr) {
		// What it has already needs no right to be chosen.
		if has, e := unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION); e != nil || has != control {
			err = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, control)
		}
	}); e != nil {
		return e
	}
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("only root may choose TCP %s here (net.ipv4.tcp_allowed_congestion_control)", control)
	}
	if err != nil {
		return fmt.Errorf("the kernel has no TCP %s: %w", control, err)
	}
	return nil
}

// repeatedBy asks the kernel what a connection sent again; of anything but TCP
// nobody knows.
func repeatedBy(c net.Conn) func() (part, of int64, ok bool) {
	t, ok := c.(*net.TCPConn)
	if !ok {
		return nil
	}
	return func() (part, of int64, ok bool) {
		raw, err := t.SyscallConn()
		if err != nil {
			return 0, 0, false
		}
		raw.Control(func(fd uintptr) {
			i, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
			if err == nil && i.Bytes_sent > 0 {
				part, of, ok = int64(i.Bytes_retrans), int64(i.Bytes_sent), true
			}
		})
		return part, of, ok
	}
}

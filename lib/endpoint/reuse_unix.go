//go:build unix

package endpoint

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// reusePort lets a listener and the connections that are dialed from its port have
// that port together.
func reusePort(_, _ string, c syscall.RawConn) error {
	var err error
	control := c.Control(func(fd uintptr) {
		err = errors.Join(
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
	})
	return errors.Join(control, err)
}

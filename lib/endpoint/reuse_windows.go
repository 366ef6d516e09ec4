package endpoint

import (
	"errors"
	"syscall"

	"golang.org/x/sys/windows"
)

// reusePort lets a listener and the connections that are dialed from its port have
// that port together.
func reusePort(_, _ string, c syscall.RawConn) error {
	var err error
	control := c.Control(func(fd uintptr) {
		err = windows.SetsockoptInt(windows.Handle(fd), windows.SOL_SOCKET, windows.SO_REUSEADDR, 1)
	})
	return errors.Join(control, err)
}

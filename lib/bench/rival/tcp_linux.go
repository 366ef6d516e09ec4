package rival

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

func setCongestion(c syscall.RawConn, control string) error {
	var err error
	if e := c.Control(func(fd uintptr) {
		err = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, control)
	}); e != nil {
		return e
	}
	if err != nil {
		return fmt.Errorf("the kernel has no TCP %s: %w", control, err)
	}
	return nil
}

//go:build !linux

package rival

import (
	"fmt"
	"net"
	"runtime"
	"syscall"
)

func setCongestion(_ syscall.RawConn, control string) error {
	return fmt.Errorf("no way to ask for TCP %s on %s", control, runtime.GOOS)
}

func repeatedBy(net.Conn) func() (part, of int64, ok bool) { return nil }

//go:build !linux && !darwin && !windows

package endpoint

import (
	"errors"
	"net"
	"syscall"
)

func (io *plainIO) dontFragment(*net.UDPConn, bool) {}

func tooBig(err error) bool { return errors.Is(err, syscall.EMSGSIZE) }

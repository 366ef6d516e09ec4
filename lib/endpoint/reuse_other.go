//go:build !unix && !windows

package endpoint

import "syscall"

func reusePort(string, string, syscall.RawConn) error { return nil }

package main

import (
	"golang.org/x/sys/unix"
)

// widenPipes asks for more room in the pipes that stdin and stdout may be:
// with the usual 64 KiB two processes take turns more often than they work.
// Where it is not granted, things go on as they are.
func widenPipes() {
	for fd := range uintptr(2) {
		unix.FcntlInt(fd, unix.F_SETPIPE_SZ, 1<<20)
	}
}

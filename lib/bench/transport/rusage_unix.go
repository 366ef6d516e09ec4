//go:build unix

package transport

import (
	"syscall"
	"time"
)

// cpuTime is what this process has used so far, user and system: of both ends,
// and of the measuring itself. An emulator in a process of its own is not in it.
func cpuTime() (d time.Duration, ok bool) {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0, false
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), true
}

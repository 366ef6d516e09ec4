package udplink

import (
	"encoding/binary"
	"net"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// prepare asks for room, for the time at which a datagram came, and for how many
// the kernel dropped. Each is a wish.
func prepare(c *net.UDPConn) {
	c.SetReadBuffer(bufferBytes)
	c.SetWriteBuffer(bufferBytes)
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1)
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, bufferBytes)
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, bufferBytes)
	})
}

// controls reads the control messages of a datagram: when it came (Unix ns, 0 if
// unknown), and how many the kernel has dropped, if it says so.
func controls(b []byte) (stamp int64, drops uint32, known bool) {
	for len(b) >= unix.SizeofCmsghdr {
		h, data, rest, err := unix.ParseOneSocketControlMessage(b)
		if err != nil {
			return stamp, drops, known
		}
		b = rest
		switch {
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_TIMESTAMPNS && len(data) >= int(unsafe.Sizeof(unix.Timespec{})):
			stamp = (*unix.Timespec)(unsafe.Pointer(&data[0])).Nano()
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_RXQ_OVFL && len(data) >= 4:
			drops, known = binary.NativeEndian.Uint32(data), true
		}
	}
	return stamp, drops, known
}

// precise makes this goroutine one that sleep wakes some 50 µs late, where the
// runtime's timers are a millisecond late: it gets a thread of its own, which
// waits in the kernel with the least slack, before all others where that is
// allowed (root), and ends with it.
func precise() {
	runtime.LockOSThread()
	unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	a := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1, Flags: unix.SCHED_FLAG_RESET_ON_FORK}
	unix.SchedSetAttr(0, &a, 0)
}

func sleep(d time.Duration) {
	for until := time.Now().Add(d); d > 0; d = time.Until(until) {
		t := unix.NsecToTimespec(int64(d))
		unix.Nanosleep(&t, nil)
	}
}

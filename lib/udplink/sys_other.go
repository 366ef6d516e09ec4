//go:build !linux

package udplink

import (
	"net"
	"time"
)

func prepare(c *net.UDPConn) {
	c.SetReadBuffer(bufferBytes)
	c.SetWriteBuffer(bufferBytes)
}

func controls([]byte) (stamp int64, drops uint32, known bool) { return 0, 0, false }

// precise has no better way here than the runtime's timers; how late they are is
// reported.
func precise() {}

func sleep(d time.Duration) { time.Sleep(d) }

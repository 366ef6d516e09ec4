package xntp

import (
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

// appendHeader begins a data packet.
func (c *conn) appendHeader(b []byte, number uint64) []byte {
	acked := uint64(0)
	if c.loss.acked {
		acked = c.loss.largest + 1
	}
	return wire.AppendShort(b, c.protect.phase, c.remote, number, wire.NumberLen(number, acked))
}

// sealPacket ends a data packet.
func (c *conn) sealPacket(now time.Time, to path, b []byte, start int, number uint64) []byte {
	if c.e.trace.on() {
		c.notePacket(now, TraceSent, wire.PacketShort, to.addr, number, max(len(b)-start+wire.TagLen, wire.MinShortLen), b[start+wire.ShortHeaderLen(b[start]):])
	}
	return c.protect.seal(b, start, number)
}

// packet wraps what was appended to dst behind start.
func (c *conn) packet(now time.Time, b []byte, start int, to path) machine.Packet {
	n := int64(len(b) - start)
	c.spoke = now
	c.stats.sentBytes += n
	if to == c.path.path && !c.path.proved {
		c.path.sent += n
	}
	ecn := machine.ECT0
	if c.ecnOff {
		ecn = machine.NotECT
	}
	return machine.Packet{Socket: to.socket, Remote: to.addr, Data: b, ECN: ecn, DontFragment: true}
}

package udplink

import (
	"net"
	"net/netip"
	"time"
)

// A reader takes datagrams from a socket, with the time at which the kernel had
// them.
type reader struct {
	path  *Path
	conn  *net.UDPConn
	oob   [128]byte
	drops uint32 // what the kernel had dropped when it last said so
}

func newReader(p *Path, c *net.UDPConn) *reader { return &reader{path: p, conn: c} }

func (r *reader) read() (k packet, from netip.AddrPort, err error) {
	k.buf = r.path.buffers.Get().(*[maxPayload + 1]byte)
	n, oob, _, from, err := r.conn.ReadMsgUDPAddrPort(k.buf[:], r.oob[:])
	if err != nil {
		r.path.buffers.Put(k.buf)
		return packet{}, from, err
	}
	now := time.Now()
	k.n, k.at = n, int64(now.Sub(r.path.start))
	stamp, drops, known := controls(r.oob[:oob])
	// The kernel's stamp is of the wall clock, which may jump.
	if age := now.UnixNano() - stamp; stamp != 0 && age > 0 && age < int64(time.Second) {
		k.at -= age
	}
	if known && drops != r.drops {
		r.path.overrun.Add(uint64(drops - r.drops)) // it counts on, and wraps
		r.drops = drops
	}
	return k, from, nil
}

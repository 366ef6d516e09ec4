package endpoint

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/xp2p/xp2p/lib/machine"
)

// batchSys is what recvmmsg writes beside the datagrams.
type batchSys struct {
	hdrs    [batchSize]mmsghdr
	iovs    [batchSize]unix.Iovec
	names   [batchSize]unix.RawSockaddrInet6
	control [batchSize][controlBytes]byte
}

// controlBytes has room for a stamp, two kinds of traffic class, the count of
// drops and the length of a segment.
const controlBytes = 160

func (y *batchSys) init(b *batch) {
	for i := range y.hdrs {
		y.iovs[i].Base = &b.bufs[i][0]
		y.iovs[i].SetLen(len(b.bufs[i]))
		h := &y.hdrs[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&y.names[i]))
		h.Iov = &y.iovs[i]
		h.SetIovlen(1)
		h.Control = &y.control[i][0]
	}
}

// arm resets what the kernel changes in each call.
func (y *batchSys) arm() {
	for i := range y.hdrs {
		h := &y.hdrs[i].hdr
		h.Namelen = unix.SizeofSockaddrInet6
		h.SetControllen(controlBytes)
		h.Flags = 0
	}
}

// A receiver reads batches of one socket.
type receiver struct {
	b      *batch
	err    error
	once   func(fd uintptr) bool // a closure that is made once
	lastIf uint32                // the zone of a link-local address, as text
	zone   string
	drops  uint32 // what the kernel had dropped when it last said so
}

func (r *receiver) read(s *socket, e *Endpoint) (*batch, error) {
	if r.once == nil {
		r.once = func(fd uintptr) bool { return r.try(fd, s, e) }
	}
	r.b, r.err = nil, nil
	if err := s.sys.raw.Read(r.once); err != nil {
		if r.b != nil {
			e.pool <- r.b
		}
		return nil, err
	}
	if r.err != nil {
		return nil, r.err
	}
	r.parse(s, e)
	return r.b, nil
}

// try reads what is there. A batch is taken only for the moment of the call,
// so that hundreds of idle sockets hold no memory.
func (r *receiver) try(fd uintptr, s *socket, e *Endpoint) (done bool) {
	b := e.take(s)
	if b == nil {
		r.err = net.ErrClosed
		return true
	}
	b.sys.arm()
	for {
		// Raw: as in sender.try.
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&b.sys.hdrs[0])), batchSize, unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			b.n = int(n)
			r.b = b
			return true
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			e.pool <- b
			return false
		default:
			e.pool <- b
			r.err = os.NewSyscallError("recvmmsg", errno)
			return true
		}
	}
}

// parse turns what the kernel wrote into packets.
func (r *receiver) parse(s *socket, e *Endpoint) {
	b := r.b
	b.socket = s
	got := b.n
	b.n = 0
	for i := range got {
		h := &b.sys.hdrs[i]
		if h.hdr.Flags&unix.MSG_TRUNC != 0 {
			e.count.tooBig.Add(1)
			continue
		}
		from := r.addr(&b.sys.names[i])
		if !from.IsValid() {
			continue
		}
		p := machine.Packet{Remote: from, Data: b.bufs[i][:h.len]}
		b.stamps[b.n] = r.controls(e, &p, b.sys.control[i][:h.hdr.Controllen])
		if each := p.Segment; each > maxDatagram || each == 0 && len(p.Data) > maxDatagram {
			e.count.tooBig.Add(1)
			continue
		}
		b.pkts[b.n] = p
		b.n++
	}
}

func (r *receiver) addr(sa *unix.RawSockaddrInet6) netip.AddrPort {
	port := nativePort(sa.Port)
	switch sa.Family {
	case unix.AF_INET:
		sa4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(sa4.Addr), port)
	case unix.AF_INET6:
		a := netip.AddrFrom16(sa.Addr).Unmap()
		if sa.Scope_id != 0 && a.IsLinkLocalUnicast() {
			if r.lastIf != sa.Scope_id {
				r.lastIf, r.zone = sa.Scope_id, strconv.Itoa(int(sa.Scope_id))
			}
			a = a.WithZone(r.zone)
		}
		return netip.AddrPortFrom(a, port)
	}
	return netip.AddrPort{}
}

// controls reads the control messages of a packet.
func (r *receiver) controls(e *Endpoint, p *machine.Packet, b []byte) (stamp int64) {
	for len(b) >= unix.SizeofCmsghdr {
		h, data, rest, err := unix.ParseOneSocketControlMessage(b)
		if err != nil {
			return stamp
		}
		b = rest
		switch {
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_TIMESTAMPNS && len(data) >= int(unsafe.Sizeof(unix.Timespec{})):
			t := (*unix.Timespec)(unsafe.Pointer(&data[0]))
			stamp = t.Nano()
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_RXQ_OVFL && len(data) >= 4:
			if n := binary.NativeEndian.Uint32(data); n != r.drops {
				e.count.kernelDrops.Add(uint64(n - r.drops)) // it counts on, and wraps
				r.drops = n
			}
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_TOS && len(data) >= 1:
			p.ECN = machine.ECN(data[0] & 3)
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_TCLASS && len(data) >= 4:
			p.ECN = machine.ECN(binary.NativeEndian.Uint32(data) & 3)
		case h.Level == unix.SOL_UDP && h.Type == unix.UDP_GRO && len(data) >= 4:
			p.Segment = int(binary.NativeEndian.Uint32(data))
		}
	}
	return stamp
}

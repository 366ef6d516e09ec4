package endpoint

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/xp2p/xp2p/lib/machine"
)

// A sender writes batches to one socket. Its memory is made at the first
// write: of hundreds of sockets few write more than once.
type sender struct {
	msgs     *messages
	first    int // of msgs, still to be written
	n        int
	err      error
	once     func(fd uintptr) bool
	dontFrag dontFragment
	single   bool // the kernel does not segment for this socket
}

type dontFragment uint8

const (
	fragmentAsSystem dontFragment = iota // nothing was asked of this socket yet
	fragmentYes
	fragmentNo
)

type messages struct {
	hdrs    [writeBatch]mmsghdr
	iovs    [writeBatch]unix.Iovec
	names   [writeBatch]unix.RawSockaddrInet6
	control [writeBatch][sendControl]byte
	holds   [writeBatch]int // datagrams
}

const (
	sendControl = 96 // three control messages of an int or less
	// What one message holds at most. The kernel's own bounds are 64 datagrams
	// (UDP_MAX_SEGMENTS, before Linux 6.9) and what an IP packet's length can say.
	messageDatagrams = 64
	messageBytes     = 65000
)

// write sends datagrams. It never waits: what the kernel has no room for is
// lost, as it would be at the next router, and so is what is too big for its way
// out: the machine finds that out as it does for the rest of the path.
func (w *sender) write(s *socket, pkts []machine.Packet) (all written) {
	if w.msgs == nil {
		w.msgs = &messages{}
		w.once = w.try
	}
	for len(pkts) > 0 {
		want := pkts[0].DontFragment
		w.setDontFragment(s, want)
		n := 0
		for n < len(pkts) && pkts[n].DontFragment == want {
			n++
		}
		w.run(s, pkts[:n], w.single, &all)
		pkts = pkts[n:]
	}
	return all
}

// run sends datagrams that agree about fragments, several in a message or each by
// itself.
func (w *sender) run(s *socket, pkts []machine.Packet, single bool, all *written) {
	total := 0
	for rest := pkts; len(rest) > 0; {
		n := 1
		if !single {
			n = together(rest)
		}
		if w.msgs.put(total, s.v6, s.class, rest[:n]) {
			total++
		}
		rest = rest[n:]
	}
	for w.first = 0; w.first < total; {
		w.n = total - w.first
		if err := s.sys.raw.Write(w.once); err != nil {
			break
		}
		if w.err != nil { // the first of them is what the kernel would not have
			if w.msgs.holds[w.first] > 1 && w.refused() {
				w.run(s, w.msgs.rest(pkts, w.first), true, all)
				return
			}
			if tooBig(w.err) {
				all.tooBig += w.msgs.holds[w.first]
			}
			w.first++
			continue
		}
		for i := w.first; i < w.first+w.n; i++ {
			all.bytes += int(w.msgs.hdrs[i].len)
			all.packets += w.msgs.holds[i]
		}
		all.messages += w.n
		w.first += w.n
	}
}

// refused says whether the kernel would not cut a message into datagrams, though
// it may take them one by one: where nobody can work out the checksums, for good;
// and where they are larger than the route's MTU and have to become fragments,
// which only single ones may.
func (w *sender) refused() bool {
	switch w.err {
	case unix.EIO, unix.EINVAL:
		w.single = true
		return true
	}
	return w.err == unix.EMSGSIZE
}

// together is how many of the datagrams one message can hold: to one address,
// alike, one behind the other in memory, and of one length but for the last.
func together(pkts []machine.Packet) int {
	p := &pkts[0]
	size, total := len(p.Data), len(p.Data)
	if p.Alone || size == 0 {
		return 1
	}
	n := 1
	for n < min(len(pkts), messageDatagrams) {
		q := &pkts[n]
		behind := unsafe.Pointer(unsafe.SliceData(q.Data)) == unsafe.Add(unsafe.Pointer(unsafe.SliceData(p.Data)), total)
		if !behind || q.Alone || q.Remote != p.Remote || q.TTL != p.TTL || q.ECN != p.ECN ||
			len(q.Data) == 0 || len(q.Data) > size || total+len(q.Data) > messageBytes {
			break
		}
		n, total = n+1, total+len(q.Data)
		if len(q.Data) < size {
			break
		}
	}
	return n
}

// rest are the packets from message i on.
func (m *messages) rest(pkts []machine.Packet, i int) []machine.Packet {
	at := unsafe.Pointer(m.iovs[i].Base)
	for len(pkts) > 0 && unsafe.Pointer(unsafe.SliceData(pkts[0].Data)) != at {
		pkts = pkts[1:]
	}
	return pkts
}

// try is a system call that never waits, and that the Go scheduler need not know
// of: told of each, it wakes a thread that watches for long ones.
func (w *sender) try(fd uintptr) bool {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&w.msgs.hdrs[w.first])), uintptr(w.n), unix.MSG_DONTWAIT, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		w.n, w.err = int(n), nil
		if errno != 0 {
			w.err = errno
		}
		return true
	}
}

func (w *sender) setDontFragment(s *socket, on bool) {
	mode := fragmentYes
	if on {
		mode = fragmentNo
	}
	if mode == w.dontFrag || !on && w.dontFrag == fragmentAsSystem {
		return
	}
	w.dontFrag = mode
	s.sys.setDontFragment(s.v6, on)
}

// put makes message i of packets that go together; false if their address is not
// of the socket's family.
func (m *messages) put(i int, v6 bool, class uint8, pkts []machine.Packet) bool {
	p := &pkts[0]
	to := p.Remote.Addr().Unmap()
	h := &m.hdrs[i].hdr
	sa := &m.names[i]
	*sa = unix.RawSockaddrInet6{}
	switch {
	case !v6 && to.Is4():
		*(*unix.RawSockaddrInet4)(unsafe.Pointer(sa)) = unix.RawSockaddrInet4{
			Family: unix.AF_INET, Port: nativePort(p.Remote.Port()), Addr: to.As4(),
		}
		h.Namelen = unix.SizeofSockaddrInet4
	case v6 && to.IsValid():
		*sa = unix.RawSockaddrInet6{
			Family: unix.AF_INET6, Port: nativePort(p.Remote.Port()), Addr: to.As16(), Scope_id: scope(to),
		}
		h.Namelen = unix.SizeofSockaddrInet6
	default:
		return false
	}
	h.Name = (*byte)(unsafe.Pointer(sa))
	m.iovs[i].Base = unsafe.SliceData(p.Data)
	last := pkts[len(pkts)-1]
	m.iovs[i].SetLen((len(pkts)-1)*len(p.Data) + len(last.Data))
	m.holds[i] = len(pkts)
	h.Iov = &m.iovs[i]
	h.SetIovlen(1)
	n := 0
	c := &m.control[i]
	// IPv4 takes its own control messages on an IPv6 socket too.
	level, ttl, tos := int32(unix.IPPROTO_IP), int32(unix.IP_TTL), int32(unix.IP_TOS)
	if !to.Is4() {
		level, ttl, tos = unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT, unix.IPV6_TCLASS
	}
	if p.TTL != 0 {
		n += putInt(c[n:], level, ttl, uint32(p.TTL))
	}
	if p.ECN != machine.NotECT {
		n += putInt(c[n:], level, tos, uint32(class)|uint32(p.ECN)) // in place of the socket's
	}
	if len(pkts) > 1 { // never for one: some drivers mangle a single segment
		n += putUint16(c[n:], unix.SOL_UDP, unix.UDP_SEGMENT, uint16(len(p.Data)))
	}
	h.Control = nil
	if n > 0 {
		h.Control = &c[0]
	}
	h.SetControllen(n)
	return true
}

// putInt writes a control message that holds an int.
func putInt(b []byte, level, kind int32, v uint32) int {
	binary.NativeEndian.PutUint32(putHeader(b, level, kind, 4), v)
	return unix.CmsgSpace(4)
}

// putUint16 writes a control message that holds 16 bits.
func putUint16(b []byte, level, kind int32, v uint16) int {
	binary.NativeEndian.PutUint16(putHeader(b, level, kind, 2), v)
	return unix.CmsgSpace(2)
}

// putHeader begins a control message with n bytes of data, and returns their place.
func putHeader(b []byte, level, kind int32, n int) []byte {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = level, kind
	h.SetLen(unix.CmsgLen(n))
	return b[unix.CmsgLen(0):]
}

// scope is the number of a link-local address's interface.
func scope(a netip.Addr) uint32 {
	z := a.Zone()
	if z == "" {
		return 0
	}
	if n, err := strconv.ParseUint(z, 10, 32); err == nil {
		return uint32(n)
	}
	if i, err := net.InterfaceByName(z); err == nil {
		return uint32(i.Index)
	}
	return 0
}

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
}

const sendControl = 64 // two control messages of an int

// write sends datagrams. It never waits: what the kernel has no room for is
// lost, as it would be at the next router, and so is what is too big for its way
// out: the machine finds that out as it does for the rest of the path.
func (w *sender) write(s *socket, pkts []machine.Packet) (sent, bytes, big int) {
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
		a, b, c := w.run(s, pkts[:n])
		sent, bytes, big, pkts = sent+a, bytes+b, big+c, pkts[n:]
	}
	return sent, bytes, big
}

// run sends datagrams that agree about fragments.
func (w *sender) run(s *socket, pkts []machine.Packet) (sent, bytes, big int) {
	total := 0
	for i := range pkts {
		if w.msgs.put(total, s.v6, s.class, &pkts[i]) {
			total++
		}
	}
	for w.first = 0; w.first < total; {
		w.n = total - w.first
		if err := s.sys.raw.Write(w.once); err != nil {
			break
		}
		if w.err != nil { // the first of them is what the kernel would not have
			w.first++
			if tooBig(w.err) {
				big++
			}
			continue
		}
		for i := w.first; i < w.first+w.n; i++ {
			bytes += int(w.msgs.hdrs[i].len)
		}
		sent += w.n
		w.first += w.n
	}
	return sent, bytes, big
}

func (w *sender) try(fd uintptr) bool {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&w.msgs.hdrs[w.first])), uintptr(w.n), unix.MSG_DONTWAIT, 0, 0)
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

// put makes message i of a packet; false if its address is not of the
// socket's family.
func (m *messages) put(i int, v6 bool, class uint8, p *machine.Packet) bool {
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
	m.iovs[i].SetLen(len(p.Data))
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
	h.Control = nil
	if n > 0 {
		h.Control = &c[0]
	}
	h.SetControllen(n)
	return true
}

// putInt writes a control message that holds an int.
func putInt(b []byte, level, kind int32, v uint32) int {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = level, kind
	h.SetLen(unix.CmsgLen(4))
	binary.NativeEndian.PutUint32(b[unix.CmsgLen(0):], v)
	return unix.CmsgSpace(4)
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

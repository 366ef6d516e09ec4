package endpoint

import (
	"errors"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/xp2p/xp2p/lib/machine"
)

// socketSys is how Linux moves datagrams: recvmmsg and sendmmsg, of messages that
// hold many datagrams each (UDP_GRO, UDP_SEGMENT), by way of the runtime's
// poller; or the plain way if asked.
type socketSys struct {
	plain *plainIO
	raw   syscall.RawConn
	recv  receiver
	send  sender
}

func (y *socketSys) init(s *socket, plain bool) error {
	if plain {
		y.plain = &plainIO{}
		y.plain.dontFragment(s.conn, s.v6)
		return nil
	}
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return err
	}
	y.raw = raw
	return raw.Control(func(fd uintptr) {
		// Each of these is a wish: without it a field of Packet stays empty.
		on := func(level, option int) { unix.SetsockoptInt(int(fd), level, option, 1) }
		on(unix.SOL_SOCKET, unix.SO_TIMESTAMPNS)
		// With the right to it, more room than the system's limit.
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, bufferBytes)
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, bufferBytes)
		on(unix.SOL_SOCKET, unix.SO_RXQ_OVFL)
		on(unix.IPPROTO_IP, unix.IP_RECVTOS)
		if s.v6 {
			on(unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS)
		}
		on(unix.SOL_UDP, unix.UDP_GRO) // datagrams that came together come as one
	})
}

func (y *socketSys) read(s *socket, e *Endpoint) (*batch, error) {
	if y.plain != nil {
		return y.plain.read(s, e)
	}
	return y.recv.read(s, e)
}

func (y *socketSys) write(s *socket, pkts []machine.Packet) written {
	if y.plain != nil {
		return y.plain.write(s, pkts)
	}
	return y.send.write(s, pkts)
}

// messageRoom is the memory of a message that is read: as much as UDP_GRO makes
// one of, of which only the pages are used that the kernel writes to.
const messageRoom = 64 << 10

// mmsghdr is struct mmsghdr of recvmmsg(2); Go pads it as C does.
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// setDontFragment sets the DF bit of what is sent from now on: the kernel has
// no way to say it for one datagram.
func (y *socketSys) setDontFragment(v6, on bool) error {
	mode4, mode6 := unix.IP_PMTUDISC_DONT, unix.IPV6_PMTUDISC_DONT
	if on {
		// PROBE sets the bit and sends whatever fits the interface, so that the
		// machine, not the kernel, finds the path's MTU (RFC 8899 §4.2).
		mode4, mode6 = unix.IP_PMTUDISC_PROBE, unix.IPV6_PMTUDISC_PROBE
	}
	var err error
	control := y.raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, mode4)
		if v6 {
			err = errors.Join(err, unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, mode6))
		}
	})
	return errors.Join(control, err)
}

// nativePort is a port as it stands in a raw socket address: big endian.
func nativePort(p uint16) uint16 {
	b := [2]byte{byte(p >> 8), byte(p)}
	return *(*uint16)(unsafe.Pointer(&b))
}

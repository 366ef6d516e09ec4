package netlab

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// addDefaultRoute sends every IPv4 packet that is not for this host through a
// device: one RTM_NEWROUTE message (rtnetlink(7)).
func addDefaultRoute(device string) error {
	i, err := net.InterfaceByName(device)
	if err != nil {
		return err
	}
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return os.NewSyscallError("netlink socket", err)
	}
	defer unix.Close(s)
	if err := unix.Sendto(s, defaultRoute(uint32(i.Index)), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("netlink send", err)
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(s, answer, 0)
	if err != nil {
		return os.NewSyscallError("netlink receive", err)
	}
	// struct nlmsghdr, then struct nlmsgerr, which begins with -errno.
	if n < unix.NLMSG_HDRLEN+4 || binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return fmt.Errorf("netlink: no acknowledgement in %d bytes", n)
	}
	if e := int32(binary.NativeEndian.Uint32(answer[unix.NLMSG_HDRLEN:])); e != 0 {
		return fmt.Errorf("default route: %w", unix.Errno(-e))
	}
	return nil
}

func defaultRoute(index uint32) []byte {
	const size = unix.NLMSG_HDRLEN + unix.SizeofRtMsg + unix.SizeofRtAttr + 4
	ne := binary.NativeEndian
	b := make([]byte, 0, size)
	b = ne.AppendUint32(b, size)
	b = ne.AppendUint16(b, unix.RTM_NEWROUTE)
	b = ne.AppendUint16(b, unix.NLM_F_REQUEST|unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	b = ne.AppendUint32(b, 1) // sequence
	b = ne.AppendUint32(b, 0) // port: the kernel
	b = append(b, unix.AF_INET, 0, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_BOOT, unix.RT_SCOPE_LINK, unix.RTN_UNICAST)
	b = ne.AppendUint32(b, 0) // flags
	b = ne.AppendUint16(b, unix.SizeofRtAttr+4)
	b = ne.AppendUint16(b, unix.RTA_OIF)
	return ne.AppendUint32(b, index)
}

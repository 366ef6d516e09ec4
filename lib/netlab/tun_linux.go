package netlab

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	tunName = "lab0"
	tunMTU  = 1500
	// tunQueue is how many packets wait for the emulator. It is there so that
	// nothing is lost in a moment in which the emulator does not run.
	tunQueue = 10000
)

// newPlace makes a host: a namespace with loopback, and a device that all else
// goes through: a TUN device, or an Ethernet to the gateway.
func newPlace(h Host, gateway *place) (*place, error) {
	ns, err := newNamespace()
	if err != nil {
		return nil, err
	}
	p := &place{Host: h, ns: ns}
	err = ns.do(func() error {
		// A proxy's answer to ARP would be held back by up to 0.8 s.
		os.WriteFile("/proc/sys/net/ipv4/neigh/default/proxy_delay", []byte("0"), 0)
		// Nobody asked for the device's own IPv6 chatter.
		os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0)
		if gateway != nil {
			return setUpLoopback()
		}
		fd, err := openTUN()
		if err != nil {
			return err
		}
		p.tun = os.NewFile(uintptr(fd), "tun of "+h.Name)
		return setUp(h.Addr)
	})
	if err == nil {
		err = p.furnish(gateway)
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *place) close() {
	if p.tun != nil {
		p.tun.Close()
	}
	p.ns.close()
}

// openTUN makes a TUN device in the namespace of this thread. The device
// lives as long as its file descriptor.
func openTUN() (fd int, err error) {
	fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("open /dev/net/tun", err)
	}
	r, err := unix.NewIfreq(tunName)
	if err == nil {
		r.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, r)
	}
	if err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("TUNSETIFF", err)
	}
	return fd, nil
}

// setUp gives the devices of this thread's namespace their addresses.
func setUp(addr netip.Addr) error {
	a, mask := addr.As4(), [4]byte{255, 255, 255, 255}
	err := configure([]step{
		loopbackUp,
		{"address", tunName, unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(a[:]) }},
		{"mask", tunName, unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr(mask[:]) }},
		{"mtu", tunName, unix.SIOCSIFMTU, func(r *unix.Ifreq) error { r.SetUint32(tunMTU); return nil }},
		{"queue", tunName, unix.SIOCSIFTXQLEN, func(r *unix.Ifreq) error { r.SetUint32(tunQueue); return nil }},
		{"up", tunName, unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil }},
	})
	if err != nil {
		return err
	}
	return addDefaultRoute(tunName)
}

func setUpLoopback() error { return configure([]step{loopbackUp}) }

// A step of configure.
type step struct {
	name, device string
	request      uint
	set          func(*unix.Ifreq) error
}

var loopbackUp = step{"up", "lo", unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil }}

func configure(steps []step) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(s)
	for _, step := range steps {
		r, err := unix.NewIfreq(step.device)
		if err == nil {
			err = step.set(r)
		}
		if err == nil {
			err = unix.IoctlIfreq(s, step.request, r)
		}
		if err != nil {
			return fmt.Errorf("%s: %s: %w", step.device, step.name, err)
		}
	}
	return nil
}

// overrun reads how many packets the device has dropped on their way to the
// emulator.
func (p *place) overrun() (drops uint64) {
	p.ns.do(func() error {
		text, err := os.ReadFile("/proc/thread-self/net/dev")
		if err != nil {
			return err
		}
		drops = txDrops(text, tunName)
		return nil
	})
	return drops
}

// txDrops reads the twelfth number of a device's line: bytes, packets, errs,
// drop, fifo, frame, compressed, multicast received; bytes, packets, errs,
// drop sent.
func txDrops(netDev []byte, device string) uint64 {
	for line := range bytes.Lines(netDev) {
		name, rest, ok := strings.Cut(string(line), ":")
		if f := strings.Fields(rest); ok && strings.TrimSpace(name) == device && len(f) > 11 {
			n, _ := strconv.ParseUint(f[11], 10, 64)
			return n
		}
	}
	return 0
}

// Package netlab joins real network namespaces by emulated links, so that
// real processes can be run as if they were far apart.
//
// A Lab is a star: every host is a namespace with one TUN device, whose other
// end is in this process. Each host has an access link with its own two
// directions (rate, droptail queue, delay, jitter, loss); between two access
// links lies a path with a delay. The links mean the same as in package
// simnet: queues live in virtual time, so that the rate is exact however late
// the emulator wakes. Only the writing of a packet depends on the scheduler,
// and that lateness is measured and reported. The emulator is a process of its
// own, so that it is on time while this one is busy.
//
// Between a host and its access link may stand NAT boxes: tables of package nat
// in the emulator (Host.Boxes), or another host, whose kernel forwards (Host.Behind)
// by rules of nftables (Host.Rules). Zoo has such networks ready.
//
// A lab never touches the network that it finds: namespaces have no name, no
// address outside and no link but to this process, and they are gone when the
// lab is closed and the last process in them has ended, even if this process
// is killed. It needs Linux, root and /dev/net/tun; Available says what is
// missing.
package netlab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"time"

	"github.com/xp2p/xp2p/lib/internal/link"
	"github.com/xp2p/xp2p/lib/nat"
)

// Link is one direction of an access link. The zero Link is a perfect one.
type Link = link.Link

// A Rate is in bits per second, and counts whole IP packets.
type Rate = link.Rate

// The rates that people say.
const (
	Kbps = link.Kbps
	Mbps = link.Mbps
	Gbps = link.Gbps
)

// ErrUnavailable says that this machine or this user cannot have a lab.
var ErrUnavailable = errors.New("no network lab here")

// Host is one namespace of a lab.
type Host struct {
	Name string
	// Addr is the host's IPv4 address; zero is 10.77.0.1 for the first host,
	// 10.77.0.2 for the second, and so on. Every other address is reached
	// through the lab.
	Addr     netip.Addr
	Up, Down Link
	// More are further addresses of the host.
	More []netip.Addr
	// Boxes are NATs in the emulator, the innermost first, between the host and
	// its access link. IPv4 packets of UDP and TCP pass them, whole ones only.
	Boxes []nat.BoxConfig
	// Behind names the host whose kernel forwards for this one: it has then no
	// access link of its own but an Ethernet of two, of which the other end is
	// called "in0" and has the address that ends in 1. The host's own device is
	// always called "lab0".
	Behind string
	// Rules are loaded by nft in the host.
	Rules string
	// Sysctls are set in the host: "net.ipv4.ip_forward" to "1".
	Sysctls map[string]string
}

// Config describes a lab.
type Config struct {
	Hosts []Host
	// Delay is the one-way delay of every path that SetDelay has not set.
	Delay time.Duration
	// Seed is for loss, jitter and reordering.
	Seed uint64
	// Hops is by how much the way through the lab lowers a packet's TTL; zero
	// is one, like a single router.
	Hops int
	// Realtime runs the emulator before all other processes (SCHED_FIFO), on two
	// processors where there are two: it is then rarely late. What the lab starts does
	// not inherit it.
	Realtime bool
}

// A Lab is a set of namespaces and the emulator between them.
type Lab struct {
	hosts []*place
	names map[string]int
	ports int // of the emulator
	emu   *emulator
}

// place is a host of a running lab.
type place struct {
	Host
	ns   *namespace
	tun  *os.File // nil behind another host
	port int      // of the emulator; -1 without a device there
}

// New builds the lab and starts its emulator. Close ends it.
func New(c Config) (*Lab, error) {
	if err := Available(); err != nil {
		return nil, err
	}
	l := &Lab{names: map[string]int{}}
	used := map[netip.Addr]bool{}
	for i, h := range c.Hosts {
		if !h.Addr.IsValid() {
			n := i + 1
			h.Addr = netip.AddrFrom4([4]byte{10, 77, byte(n >> 8), byte(n)})
		}
		_, taken := l.names[h.Name]
		for _, a := range h.outside() {
			if !a.Is4() || used[a] {
				taken = true
			}
			used[a] = true
		}
		if !h.Addr.Is4() || taken {
			l.Close()
			return nil, fmt.Errorf("netlab: host %q at %v: a name or an address twice, or not IPv4", h.Name, h.Addr)
		}
		p, err := l.add(h)
		if err != nil {
			l.Close()
			return nil, fmt.Errorf("netlab: host %q: %w", h.Name, err)
		}
		l.names[h.Name] = i
		l.hosts = append(l.hosts, p)
	}
	emu, err := newEmulator(c, l.hosts)
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("netlab: %w", err)
	}
	l.emu = emu
	return l, nil
}

// outside are the addresses by which the rest of the lab reaches a host.
func (h Host) outside() (list []netip.Addr) {
	if h.Behind != "" {
		return nil
	}
	list = append([]netip.Addr{h.Addr}, h.More...)
	for i := len(h.Boxes) - 1; i >= 0; i-- {
		if p := h.Boxes[i].Public; len(p) > 0 {
			return p // who stands behind it has addresses of his own
		}
	}
	return list
}

// add makes a host, and what is on its way to the lab.
func (l *Lab) add(h Host) (*place, error) {
	var gateway *place
	if h.Behind != "" {
		i, ok := l.names[h.Behind]
		if !ok || l.hosts[i].Behind != "" {
			return nil, fmt.Errorf("behind %q, which is no host before it with a device of its own", h.Behind)
		}
		gateway = l.hosts[i]
	}
	p, err := newPlace(h, gateway)
	if err != nil {
		return nil, err
	}
	p.port = -1
	if gateway == nil {
		p.port = l.ports
		l.ports++
	}
	return p, nil
}

// Close stops the emulator and lets the namespaces go. Processes that still
// run in them are cut off, not killed: they belong to whoever started them.
func (l *Lab) Close() {
	if l.emu != nil {
		l.emu.stop()
	}
	for _, p := range l.hosts {
		p.close()
	}
	l.hosts = nil
}

// Addr is the address of a host.
func (l *Lab) Addr(host string) netip.Addr { return l.place(host).Addr }

// Command is exec.Command for a process inside a host. It does not fork: the
// process is the command itself, as far as signals and waiting go.
func (l *Lab) Command(host, name string, args ...string) *exec.Cmd {
	return l.CommandContext(context.Background(), host, name, args...)
}

// CommandContext is Command for a process that is killed when ctx ends.
func (l *Lab) CommandContext(ctx context.Context, host, name string, args ...string) *exec.Cmd {
	ns := fmt.Sprintf("--net=/proc/%d/fd/%d", os.Getpid(), l.place(host).ns.fd())
	return exec.CommandContext(ctx, "nsenter", append([]string{ns, "--", name}, args...)...)
}

// Do calls f on a thread inside a host: sockets that it opens belong there.
// Goroutines that it starts do not.
func (l *Lab) Do(host string, f func() error) error { return l.place(host).ns.do(f) }

// SetLinks changes the access link of a host from now on, if it has one.
func (l *Lab) SetLinks(host string, up, down Link) {
	if p := l.place(host); p.port >= 0 {
		l.emu.setLinks(p.port, up, down)
	}
}

// SetDelay sets the one-way delay of the path between two hosts, both ways.
func (l *Lab) SetDelay(a, b string, d time.Duration) {
	l.emu.setDelay(l.place(a).port, l.place(b).port, d)
}

// Report says what the emulator has done so far.
func (l *Lab) Report() Report {
	r := l.emu.report()
	for _, p := range l.hosts {
		if p.port >= 0 && p.port < len(r.Hosts) {
			r.Hosts[p.port].Name, r.Hosts[p.port].Overrun = p.Name, p.overrun()
		}
	}
	return r
}

func (l *Lab) index(host string) int {
	i, ok := l.names[host]
	if !ok {
		panic(fmt.Sprintf("netlab: there is no host %q", host))
	}
	return i
}

func (l *Lab) place(host string) *place { return l.hosts[l.index(host)] }

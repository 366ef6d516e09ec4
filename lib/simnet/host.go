package simnet

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/internal/link"
	"github.com/xp2p/xp2p/lib/machine"
)

// HostConfig describes a host and its access link.
type HostConfig struct {
	Addr     netip.Addr // must be valid and of no other host
	Up, Down Link
	Behind   *NAT // nil: the host is in the open
}

// A Host is a computer on an access link.
type Host struct {
	world    *World
	id       int
	addr     netip.Addr
	behind   *NAT
	up, down link.Line
	ports    map[uint16]port
	nextPort uint16
	offline  bool
}

// A port is where a datagram ends: a socket of a process.
type port struct {
	proc   *Process
	socket machine.Socket
}

// AddHost adds a host to the world.
func (w *World) AddHost(c HostConfig) *Host {
	realm := w.realm(c.Behind)
	if !c.Addr.IsValid() || c.Addr.Is4In6() || realm[c.Addr] != nil {
		panic(fmt.Sprintf("simnet: host address %v: invalid or in use", c.Addr))
	}
	h := &Host{world: w, id: len(w.hosts), addr: c.Addr, behind: c.Behind, ports: map[uint16]port{}, nextPort: firstEphemeral}
	h.up.Rand = w.Rand(fmt.Sprintf("host %d up", h.id))
	h.down.Rand = w.Rand(fmt.Sprintf("host %d down", h.id))
	h.SetLinks(c.Up, c.Down)
	w.hosts = append(w.hosts, h)
	realm[c.Addr] = h
	if c.Behind != nil && !c.Behind.box.Translates() {
		c.Behind.claim(w, c.Addr)
	}
	return h
}

// realm is where addresses behind a box mean something; nil is the world.
func (w *World) realm(n *NAT) map[netip.Addr]*Host {
	if n != nil {
		return n.hosts
	}
	return w.byAddr
}

// ID is the number of the host: 0, 1, 2… in the order in which they were
// added.
func (h *Host) ID() int { return h.id }

// Addr is the host's address now.
func (h *Host) Addr() netip.Addr { return h.addr }

// SetLinks changes the access link from now on. What is in a queue leaves as
// it would have.
func (h *Host) SetLinks(up, down Link) {
	h.up.Set(up)
	h.down.Set(down)
}

// Online reports whether the cable is plugged in.
func (h *Host) Online() bool { return !h.offline }

// Links returns the access link as it is.
func (h *Host) Links() (up, down Link) { return h.up.Link, h.down.Link }

// Backlog is how long a packet would wait now for either direction of the
// access link.
func (h *Host) Backlog() (up, down time.Duration) {
	return h.up.Backlog(h.world.now), h.down.Backlog(h.world.now)
}

// SetAddr moves the host to another address, as a phone does between Wi-Fi
// and 4G. Its processes are not told; what is on its way to the old address
// is lost.
func (h *Host) SetAddr(a netip.Addr) {
	w := h.world
	if a == h.addr {
		return
	}
	realm := w.realm(h.behind)
	if !a.IsValid() || a.Is4In6() || realm[a] != nil || h.behind != nil && !h.behind.box.Translates() {
		panic(fmt.Sprintf("simnet: host address %v: invalid or in use", a))
	}
	delete(realm, h.addr)
	h.addr = a
	realm[a] = h
}

// SetOnline pulls the host's cable or plugs it in again. Its processes live
// on.
func (h *Host) SetOnline(on bool) { h.offline = !on }

// pathDelay is the delay between two access links.
func (w *World) pathDelay(a, b *Host) time.Duration {
	if d, ok := w.pair[[2]int{a.id, b.id}]; ok {
		return d
	}
	if w.delay != nil {
		return max(0, w.delay(a, b))
	}
	return 0
}

const firstEphemeral = 49152 // RFC 6335 §6

// open binds a port to a socket of a process; 0 picks an ephemeral one.
func (h *Host) open(p *Process, s machine.Socket, number uint16) uint16 {
	if number == 0 {
		for range 1 << 14 {
			n := h.nextPort
			if h.nextPort++; h.nextPort == 0 {
				h.nextPort = firstEphemeral
			}
			if _, used := h.ports[n]; !used {
				number = n
				break
			}
		}
	}
	if _, used := h.ports[number]; used || number == 0 {
		panic(fmt.Sprintf("simnet: %v: port %d is in use", h.addr, number))
	}
	h.ports[number] = port{p, s}
	return number
}

// Kill kills every process of the host, as SIGKILL would.
func (h *Host) Kill() {
	victims := make([]*Process, 0, 1)
	for _, p := range h.ports {
		if !slices.Contains(victims, p.proc) {
			victims = append(victims, p.proc)
		}
	}
	for _, p := range victims { // a kill says nothing, so the order is no matter
		p.Kill()
	}
}

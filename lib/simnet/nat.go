package simnet

import (
	"fmt"
	"net/netip"

	"github.com/xp2p/xp2p/lib/nat"
)

// NATConfig describes a NAT or a firewall between hosts and the rest of the world.
type NATConfig struct {
	nat.BoxConfig
	// Behind is the box that this one is behind, as a home router is behind its
	// carrier's; nil is none.
	Behind *NAT
}

// A NAT is a box with hosts behind it. It stands between their access links
// and the world and costs no time of its own. Addresses behind different boxes
// may be the same.
type NAT struct {
	box   *nat.Box
	outer *NAT
	host  *Host // the box as the far end of a path
	hosts map[netip.Addr]*Host
	boxes map[netip.Addr]*NAT
}

// AddNAT adds a box to the world. Its random source, if it has none, is the
// world's.
func (w *World) AddNAT(c NATConfig) *NAT {
	if c.Rand == nil {
		c.Rand = w.Rand(fmt.Sprintf("nat %d", len(w.hosts)))
	}
	n := &NAT{box: nat.NewBox(c.BoxConfig), outer: c.Behind, hosts: map[netip.Addr]*Host{}, boxes: map[netip.Addr]*NAT{}}
	n.host = &Host{world: w, id: len(w.hosts), ports: map[uint16]port{}}
	w.hosts = append(w.hosts, n.host)
	for _, a := range c.Public {
		n.claim(w, a)
	}
	return n
}

// claim makes an address the box's own, on its outer side.
func (n *NAT) claim(w *World, a netip.Addr) {
	outside := w.boxes
	if n.outer != nil {
		outside = n.outer.boxes
	}
	if !a.IsValid() || outside[a] != nil || n.outer == nil && w.byAddr[a] != nil {
		panic(fmt.Sprintf("simnet: address %v of a NAT: invalid or in use", a))
	}
	outside[a] = n
}

// translate takes a datagram of h through the boxes that h is behind. It says in
// which realm the destination lies, nil being the world; or that it is lost.
func (w *World) translate(h *Host, d *datagram) (realm *NAT, ok bool) {
	for n := h.behind; n != nil; n = n.outer {
		if n.hosts[d.to.Addr()] != nil || n.boxes[d.to.Addr()] != nil {
			return n, true // a neighbour
		}
		if d.from, ok = n.box.Out(w.Now(), nat.ProtoUDP, d.from, d.to); !ok {
			return nil, false
		}
		if n.box.Owns(d.to.Addr()) {
			if !n.box.Hairpins() {
				return nil, false
			}
			d.to, ok = n.box.In(w.Now(), nat.ProtoUDP, d.from, d.to)
			return n, ok
		}
	}
	return nil, true
}

// find takes a datagram through the boxes to the host that it is for; nil if a
// box drops it or nobody is there.
func (w *World) find(d *datagram) *Host {
	for realm := d.realm; ; {
		hosts, boxes := w.byAddr, w.boxes
		if realm != nil {
			hosts, boxes = realm.hosts, realm.boxes
		}
		n := boxes[d.to.Addr()]
		if n == nil {
			return hosts[d.to.Addr()]
		}
		var ok bool
		if d.to, ok = n.box.In(w.Now(), nat.ProtoUDP, d.from, d.to); !ok {
			return nil
		}
		realm = n
	}
}

// boxes is how many boxes a host is behind.
func (h *Host) boxes() (n int) {
	for b := h.behind; b != nil; b = b.outer {
		n++
	}
	return n
}

// edge is what stands for a host in the delays of paths: its outermost box, if
// there is one.
func (h *Host) edge() *Host {
	for n := h.behind; n != nil; n = n.outer {
		if n.outer == nil {
			return n.host
		}
	}
	return h
}

// edgeOf is the same for an address of the world; nil if nobody has it.
func (w *World) edgeOf(a netip.Addr) *Host {
	if n := w.boxes[a]; n != nil {
		return n.host
	}
	return w.byAddr[a]
}

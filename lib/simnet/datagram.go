package simnet

import (
	"net/netip"
	"time"

	"github.com/xp2p/xp2p/lib/internal/link"
	"github.com/xp2p/xp2p/lib/machine"
)

// A datagram on its way. Its buffer goes from datagram to datagram.
type datagram struct {
	from, to netip.AddrPort
	data     []byte
	ecn      machine.ECN
	dst      port // once it has come through the receiver's access link
	noFrag   bool
	realm    *NAT // where the address to means something; nil is the world
}

// selfDelay is the time within a host: never zero, so that two processes of
// one host cannot answer each other for ever at one instant.
const selfDelay = int64(10 * time.Microsecond)

// pathHops is how many routers stand between two access links; each NAT box is one
// more.
const pathHops = 10

// send takes a packet out of a process. GSO batches become datagrams here.
func (w *World) send(p *Process, pkt machine.Packet) {
	s := p.socket(pkt.Socket)
	if s == nil || !pkt.Remote.IsValid() {
		return
	}
	data, step := pkt.Data, pkt.Segment
	if step <= 0 {
		step = max(1, len(data))
	}
	for {
		n := min(step, len(data))
		w.sendOne(s.host, s.port, pkt, data[:n])
		if data = data[n:]; len(data) == 0 {
			return
		}
	}
}

func (w *World) sendOne(h *Host, from uint16, pkt machine.Packet, data []byte) {
	w.stats.Sent++
	w.stats.SentBytes += uint64(len(data))
	i := take(&w.datagrams, &w.freeData)
	d := &w.datagrams[i]
	to := netip.AddrPortFrom(pkt.Remote.Addr().Unmap(), pkt.Remote.Port())
	d.from, d.to, d.ecn, d.noFrag = netip.AddrPortFrom(h.addr, from), to, pkt.ECN, pkt.DontFragment
	d.data, d.realm = append(d.data[:0], data...), nil
	if w.tap != nil {
		keep := w.tap(w.Now(), d.from, d.to, d.data)
		if !keep {
			w.lose(i, &w.stats.LostTap)
			return
		}
	}
	if h.offline || h.addr.Is4() != to.Addr().Is4() {
		w.lose(i, &w.stats.LostNobody)
		return
	}
	if to.Addr() == h.addr {
		w.queue.Push(w.now+selfDelay, deliverEvent, w.bound(i, h))
		return
	}
	exit, ok := w.through(&h.up, i)
	if !ok {
		return
	}
	if h.behind != nil {
		if d.realm, ok = w.translate(h, d); !ok {
			w.lose(i, &w.stats.LostNAT)
			return
		}
	}
	if pkt.TTL > 0 && int(pkt.TTL) <= h.boxes()+pathHops && d.realm == nil {
		w.lose(i, &w.stats.LostTTL)
		return
	}
	// Who lives at the address is asked now for the delay of the path, and
	// again on arrival for the delivery.
	if far := w.edgeOf(to.Addr()); far != nil && d.realm == nil {
		exit += int64(w.pathDelay(h.edge(), far))
	}
	w.queue.Push(exit, arriveEvent, i)
}

// through passes a datagram through one direction of an access link.
func (w *World) through(l *link.Line, i uint32) (exit int64, ok bool) {
	d := &w.datagrams[i]
	size, whole := fragments(l, len(d.data), !d.to.Addr().Is4())
	if !whole && d.noFrag {
		w.lose(i, &w.stats.LostTooBig)
		return 0, false
	}
	exit, mark, v := l.Pass(w.now, size)
	switch v {
	case link.LostRandom:
		w.lose(i, &w.stats.LostRandom)
		return 0, false
	case link.LostQueue:
		w.lose(i, &w.stats.LostQueue)
		return 0, false
	}
	if mark && d.ecn != machine.NotECT {
		d.ecn = machine.CE
	}
	return exit, true
}

// arrive is a datagram at the far end's access link.
func (w *World) arrive(i uint32) {
	h := w.find(&w.datagrams[i])
	if h == nil || h.offline {
		w.lose(i, &w.stats.LostNobody)
		return
	}
	exit := w.now
	if !h.down.Perfect() {
		var ok bool
		if exit, ok = w.through(&h.down, i); !ok {
			return
		}
	}
	w.bound(i, h)
	if exit == w.now {
		w.deliver(i)
		return
	}
	w.queue.Push(exit, deliverEvent, i)
}

// bound notes where on its host a datagram goes.
func (w *World) bound(i uint32, h *Host) uint32 {
	d := &w.datagrams[i]
	d.dst = h.ports[d.to.Port()]
	return i
}

// deliver hands a datagram to its process, if that is still there.
func (w *World) deliver(i uint32) {
	d := w.datagrams[i] // a copy: the slab may grow while the machine answers
	if d.dst.proc == nil || d.dst.proc.socket(d.dst.socket) == nil || d.dst.proc.socket(d.dst.socket).host.offline {
		w.lose(i, &w.stats.LostNobody)
		return
	}
	w.stats.Delivered++
	w.stats.DeliveredBytes += uint64(len(d.data))
	w.trace.datagram(w.now, d.from, d.to, d.data)
	d.dst.proc.receive(machine.Packet{Socket: d.dst.socket, Remote: d.from, Data: d.data, Stamp: w.Now(), ECN: d.ecn})
	w.free(i)
}

func (w *World) lose(i uint32, count *uint64) {
	*count++
	d := &w.datagrams[i]
	w.trace.loss(w.now, d.from, d.to, len(d.data))
	w.free(i)
}

func (w *World) free(i uint32) {
	w.datagrams[i].dst = port{}
	w.freeData = append(w.freeData, i)
}

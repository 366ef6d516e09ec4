package simnet

import (
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/xp2p/xp2p/lib/internal/agenda"
	"github.com/xp2p/xp2p/lib/machine"
)

// A Process runs one machine on a host, and keeps the rhythm: input, time or
// command → datagrams → events → timeout.
type Process struct {
	host    *Host
	id      uint32
	m       machine.Machine
	step    func(now time.Time)
	sockets []*socket // by machine.Socket; nil once closed
	dead    bool

	due     int64  // what the machine's NextTimeout said after the last turn; never is far away
	wakeAt  int64  // when the pending wake is due; -1 is never
	wakeSeq uint64 // which event it is: those overtaken by an earlier one are stale
	running bool   // in its rhythm just now
	again   bool   // a command came meanwhile

	instant int64 // the last instant it was woken at, and how often
	wakes   int
}

type socket struct {
	host *Host
	port uint16
}

const (
	// maxFlood and maxWakes turn a machine that never lets time pass from a
	// hanging test into a message.
	maxFlood = 1 << 17
	maxWakes = 10000
)

// Run starts a machine on the host, with its socket 0 at the port (0 picks
// one). step, which may be nil, is called after every turn to drain the
// machine's events; it may call the machine's commands.
func (h *Host) Run(m machine.Machine, port uint16, step func(now time.Time)) *Process {
	w := h.world
	p := &Process{host: h, id: uint32(len(w.procs)), m: m, step: step, wakeAt: -1, instant: -1}
	w.procs = append(w.procs, p)
	p.OpenSocket(port)
	p.turn()
	return p
}

// Host is where the process runs.
func (p *Process) Host() *Host { return p.host }

// Alive is true until Kill.
func (p *Process) Alive() bool { return !p.dead }

// OpenSocket opens a further socket at the port (0 picks one).
func (p *Process) OpenSocket(port uint16) machine.Socket { return p.OpenSocketOn(p.host, port) }

// OpenSocketOn is OpenSocket on another host: one that stands for a second address
// of the same machine.
func (p *Process) OpenSocketOn(h *Host, port uint16) machine.Socket {
	s := machine.Socket(len(p.sockets))
	p.sockets = append(p.sockets, &socket{h, h.open(p, s, port)})
	return s
}

// CloseSocket closes a socket; its number is not used again.
func (p *Process) CloseSocket(s machine.Socket) {
	if so := p.socket(s); so != nil {
		delete(so.host.ports, so.port)
		p.sockets[s] = nil
	}
}

// Rebind moves a socket to another port (0 picks one), as a NAT does that
// forgot it.
func (p *Process) Rebind(s machine.Socket, port uint16) {
	if so := p.socket(s); so != nil {
		delete(so.host.ports, so.port)
		so.port = so.host.open(p, s, port)
	}
}

// Addr is the address of a socket now; the zero AddrPort if it is closed.
func (p *Process) Addr(s machine.Socket) netip.AddrPort {
	if so := p.socket(s); so != nil {
		return netip.AddrPortFrom(so.host.addr, so.port)
	}
	return netip.AddrPort{}
}

func (p *Process) socket(s machine.Socket) *socket {
	if uint64(s) < uint64(len(p.sockets)) {
		return p.sockets[s]
	}
	return nil
}

// Do runs a command on the machine now, and then the rhythm. A dead process
// does nothing.
func (p *Process) Do(command func(now time.Time)) {
	if p.dead {
		return
	}
	command(p.host.world.Now())
	p.turn()
}

// Kill ends the process as SIGKILL does: it sends and hears nothing any more.
func (p *Process) Kill() {
	for s := range p.sockets {
		p.CloseSocket(machine.Socket(s))
	}
	p.dead, p.wakeAt = true, -1
}

func (p *Process) receive(pkt machine.Packet) {
	p.m.Receive(p.host.world.Now(), pkt)
	p.turn()
}

func (p *Process) wake(e agenda.Event) {
	if p.dead || e.Seq() != p.wakeSeq {
		return
	}
	w := p.host.world
	p.wakeAt = -1
	if p.due > w.now {
		p.push() // it was put off meanwhile
		return
	}
	w.stats.Wakes++
	if p.instant != w.now {
		p.instant, p.wakes = w.now, 0
	}
	if p.wakes++; p.wakes > maxWakes {
		panic(fmt.Sprintf("simnet: the machine at %v has been woken %d times at %v and wants to be woken at %v", p.Addr(0), p.wakes, w.Now(), p.m.NextTimeout()))
	}
	p.m.Advance(w.Now())
	p.turn()
}

// turn keeps the rhythm after an input.
func (p *Process) turn() {
	if p.running { // a command from within the machine's own step
		p.again = true
		return
	}
	w := p.host.world
	p.running = true
	for n := 0; !p.dead; {
		sent := p.drain()
		if n += sent; n > maxFlood {
			panic(fmt.Sprintf("simnet: the machine at %v sent %d datagrams at %v", p.Addr(0), n, w.Now()))
		}
		p.again = false
		if p.step != nil {
			p.step(w.Now())
		}
		// step may have given commands, and these may have given datagrams.
		if sent = p.drain(); sent == 0 && !p.again {
			break
		}
		n += sent
	}
	p.running = false
	p.schedule()
}

func (p *Process) drain() (n int) {
	w := p.host.world
	for ; !p.dead && n <= maxFlood; n++ {
		pkt, ok := p.m.AppendDatagram(w.Now(), w.out[:0])
		if !ok {
			break
		}
		w.send(p, pkt)
	}
	return n
}

// schedule sees to it that the machine is woken in time. A timeout that moves
// to later costs nothing: the wake that stands looks again.
func (p *Process) schedule() {
	if p.dead {
		return
	}
	p.due = never
	if t := p.m.NextTimeout(); !t.IsZero() {
		p.due = nanos(t)
	}
	p.push()
}

func (p *Process) push() {
	w := p.host.world
	at := max(p.due, w.now)
	if p.due == never || p.wakeAt >= 0 && p.wakeAt <= at {
		return
	}
	p.wakeAt = at
	p.wakeSeq = w.queue.Push(at, wakeEvent, p.id)
}

const never = math.MaxInt64

func nanos(t time.Time) int64 { return int64(t.Sub(Epoch)) }

package netlab

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/xp2p/xp2p/lib/internal/agenda"
	"github.com/xp2p/xp2p/lib/internal/link"
)

const (
	// maxInFlight bounds the memory of packets on their way: 128 MiB.
	maxInFlight = 1 << 16
	// burst is how many packets are fetched from one host before the others,
	// and what is due, have their turn.
	burst = 64
	// rawWait is the longest wait in a system call that the Go scheduler does
	// not know of. Such a call keeps its processor and wakes without asking
	// for one; an ordinary one gives it away, which for a short wait costs more
	// than it brings (sysmon then polls every 20 µs).
	rawWait = time.Millisecond
)

// An emulator moves packets between the TUN devices of a lab, on one thread.
type emulator struct {
	start time.Time
	wake  int   // eventfd: something has changed
	clock int32 // the CPU clock of the emulator's thread
	ended chan struct{}

	mu    sync.Mutex // held while packets move, not while waiting
	quit  bool
	ports []*emuPort
	byIP  map[[4]byte]int
	delay time.Duration
	pair  map[[2]int]time.Duration
	hops  uint8
	queue agenda.Agenda
	late  lateness
	stray uint64

	packets []*packet // events refer to them by index
	free    []uint32
	poll    []unix.PollFd
	timeout unix.Timespec
}

// emuPort is a host as the emulator sees it.
type emuPort struct {
	tun      int
	up, down link.Line
	upCount  LinkReport
	dnCount  LinkReport
}

type packet struct {
	buf [tunMTU]byte
	n   int
	to  int
}

const (
	arriveEvent  uint8 = iota // a packet reaches the receiver's access link
	deliverEvent              // a packet reaches the receiver
)

func newEmulator(c Config, hosts []*place) (*emulator, error) {
	e := &emulator{
		start: time.Now(),
		ended: make(chan struct{}),
		byIP:  map[[4]byte]int{},
		delay: c.Delay,
		pair:  map[[2]int]time.Duration{},
		hops:  uint8(min(255, max(1, c.Hops))),
	}
	for i, h := range hosts {
		p := &emuPort{tun: h.tun}
		p.up.Rand = rand.New(rand.NewPCG(c.Seed, uint64(2*i)))
		p.down.Rand = rand.New(rand.NewPCG(c.Seed, uint64(2*i+1)))
		p.up.Set(h.Up)
		p.down.Set(h.Down)
		e.ports = append(e.ports, p)
		e.byIP[h.Addr.As4()] = i
		e.poll = append(e.poll, unix.PollFd{Fd: int32(h.tun), Events: unix.POLLIN})
	}
	var err error
	if e.wake, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	e.poll = append(e.poll, unix.PollFd{Fd: int32(e.wake), Events: unix.POLLIN})
	ready := make(chan error)
	go e.run(c.Realtime, ready)
	if err := <-ready; err != nil {
		unix.Close(e.wake)
		return nil, err
	}
	return e, nil
}

// processors keeps one processor of the Go runtime for each emulator, which
// never gives its own away for long.
var processors sync.Mutex

func addProcessors(n int) {
	processors.Lock()
	defer processors.Unlock()
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + n)
}

func (e *emulator) run(realtime bool, ready chan<- error) {
	runtime.LockOSThread() // and never unlocked: the thread ends with its slack and priority
	defer close(e.ended)
	if realtime {
		// Children must not inherit it: a shell under FIFO stops a small machine.
		a := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1, Flags: unix.SCHED_FLAG_RESET_ON_FORK}
		if err := unix.SchedSetAttr(0, &a, 0); err != nil {
			ready <- os.NewSyscallError("sched_setattr", err)
			return
		}
	}
	e.clock = int32(^unix.Gettid()<<3 | 6) // clock_getcpuclockid(3): the scheduler's clock of one thread
	// Wake at the time and not up to 50 µs later.
	unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	addProcessors(+1)
	defer addProcessors(-1)
	ready <- nil
	for e.move() {
		e.wait()
	}
}

func (e *emulator) stop() {
	e.mu.Lock()
	e.quit = true
	e.mu.Unlock()
	e.poke()
	<-e.ended
	unix.Close(e.wake)
}

func (e *emulator) poke() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	unix.Write(e.wake, one[:])
}

func (e *emulator) now() int64 { return int64(time.Since(e.start)) }

// wait sleeps until a packet comes or is due.
func (e *emulator) wait() {
	wait := time.Hour
	if at, ok := e.queue.Next(); ok {
		wait = time.Duration(at - e.now())
	}
	if wait <= 0 {
		return
	}
	e.timeout = unix.NsecToTimespec(int64(wait))
	if wait <= rawWait {
		unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&e.poll[0])), uintptr(len(e.poll)), uintptr(unsafe.Pointer(&e.timeout)), 0, 0, 0)
	} else {
		unix.Syscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&e.poll[0])), uintptr(len(e.poll)), uintptr(unsafe.Pointer(&e.timeout)), 0, 0, 0)
	}
}

// move does what is due and fetches what has come; false ends the emulator.
func (e *emulator) move() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.due()
	for i := range e.ports {
		if e.poll[i].Revents != 0 {
			e.fetch(i)
			e.poll[i].Revents = 0
		}
	}
	if w := &e.poll[len(e.ports)]; w.Revents != 0 {
		var count [8]byte
		unix.Read(e.wake, count[:])
		w.Revents = 0
	}
	e.due()
	return !e.quit
}

// due lets everything happen whose time has come. Times are virtual: a packet
// enters the next link when it left the last one, not when somebody looked.
func (e *emulator) due() {
	for {
		at, ok := e.queue.Next()
		if !ok || at > e.now() {
			return
		}
		ev := e.queue.Pop()
		switch ev.Kind {
		case arriveEvent:
			e.arrive(ev.At, ev.Ref)
		case deliverEvent:
			e.deliver(ev.At, ev.Ref)
		}
	}
}

// fetch takes packets that a host has sent.
func (e *emulator) fetch(from int) {
	p := e.ports[from]
	for range burst {
		i, ok := e.take()
		if !ok {
			return // the device's queue holds the rest, and then counts its drops
		}
		k := e.packets[i]
		n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(p.tun), uintptr(unsafe.Pointer(&k.buf[0])), uintptr(len(k.buf)))
		if errno != 0 {
			e.drop(i)
			return
		}
		k.n = int(n)
		e.send(from, i)
	}
}

// send routes a packet and passes it through its sender's uplink.
func (e *emulator) send(from int, i uint32) {
	k := e.packets[i]
	ip := k.buf[:k.n]
	if len(ip) < 20 || ip[0]>>4 != 4 {
		e.stray++
		e.drop(i)
		return
	}
	to, ok := e.byIP[[4]byte(ip[16:20])]
	if !ok || !lowerTTL(ip, e.hops) {
		e.stray++
		e.drop(i)
		return
	}
	k.to = to
	exit, ok := through(&e.ports[from].up, &e.ports[from].upCount, e.now(), ip)
	if !ok {
		e.drop(i)
		return
	}
	d, ok := e.pair[[2]int{from, to}]
	if !ok {
		d = e.delay
	}
	e.queue.Push(exit+int64(d), arriveEvent, i)
}

// arrive passes a packet through its receiver's downlink.
func (e *emulator) arrive(at int64, i uint32) {
	k := e.packets[i]
	p := e.ports[k.to]
	exit, ok := through(&p.down, &p.dnCount, at, k.buf[:k.n])
	if !ok {
		e.drop(i)
		return
	}
	if exit == at {
		e.deliver(at, i)
		return
	}
	e.queue.Push(exit, deliverEvent, i)
}

func (e *emulator) deliver(at int64, i uint32) {
	k := e.packets[i]
	unix.RawSyscall(unix.SYS_WRITE, uintptr(e.ports[k.to].tun), uintptr(unsafe.Pointer(&k.buf[0])), uintptr(k.n))
	e.late.add(time.Duration(e.now() - at))
	e.drop(i)
}

// through passes a packet through one direction of an access link.
func through(l *link.Line, count *LinkReport, at int64, ip []byte) (exit int64, ok bool) {
	if len(ip) > l.PathMTU() {
		count.LostTooBig++
		return 0, false
	}
	exit, mark, v := l.Pass(at, len(ip))
	switch v {
	case link.LostRandom:
		count.LostRandom++
		return 0, false
	case link.LostQueue:
		count.LostQueue++
		return 0, false
	}
	if mark {
		markCE(ip)
	}
	count.Packets++
	count.Bytes += uint64(len(ip))
	return exit, true
}

func (e *emulator) take() (i uint32, ok bool) {
	if n := len(e.free); n > 0 {
		i, e.free = e.free[n-1], e.free[:n-1]
		return i, true
	}
	if len(e.packets) == maxInFlight {
		return 0, false
	}
	e.packets = append(e.packets, new(packet))
	return uint32(len(e.packets) - 1), true
}

func (e *emulator) drop(i uint32) { e.free = append(e.free, i) }

func (e *emulator) setLinks(host int, up, down Link) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ports[host].up.Set(up)
	e.ports[host].down.Set(down)
}

func (e *emulator) setDelay(a, b int, d time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pair[[2]int{a, b}], e.pair[[2]int{b, a}] = max(0, d), max(0, d)
}

func (e *emulator) report() Report {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := Report{
		Packets: e.late.n, Strays: e.stray,
		LateP50: e.late.quantile(0.5), LateP99: e.late.quantile(0.99), LateWorst: e.late.worst,
	}
	var cpu unix.Timespec
	if unix.ClockGettime(e.clock, &cpu) == nil {
		r.CPU = time.Duration(cpu.Nano())
	}
	for _, p := range e.ports {
		r.Hosts = append(r.Hosts, HostReport{Up: p.upCount, Down: p.dnCount})
	}
	return r
}

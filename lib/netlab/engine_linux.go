package netlab

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/xp2p/xp2p/lib/internal/agenda"
	"github.com/xp2p/xp2p/lib/internal/link"
	"github.com/xp2p/xp2p/lib/nat"
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
	// overdue is how late a packet is before the second thread does what the first
	// should have done.
	overdue = 100 * time.Microsecond
	// standbyMin and standbyMax are for how long that one sleeps: what it looks at more
	// often costs everybody's time, and what is later than 1 ms is not trusted.
	standbyMin = 300 * time.Microsecond
	standbyMax = 2 * time.Millisecond
)

// An engine moves packets between the TUN devices of a lab, on one thread. It
// is all that happens in the emulator's process. Where the processors are another
// machine's, that may take one away for milliseconds, with the thread that waits for
// it: a second thread, on another processor, then takes its place.
type engine struct {
	start time.Time

	mu     sync.Mutex // held while packets move, not while waiting
	clocks []int32    // the CPU clocks of the engine's threads
	cpu    uint32     // where the first was last
	// stoodIn is how often the second did what the first should have done.
	stoodIn uint64
	ports   []*emuPort
	byIP    map[[4]byte]int
	delay   time.Duration
	pair    map[[2]int]time.Duration
	hops    uint8
	queue   agenda.Agenda
	late    link.Delays
	stray   uint64
	dead    uint64 // by TTL

	packets []*packet // events refer to them by index
	free    []uint32
	poll    []unix.PollFd // the first thread's
	timeout unix.Timespec
}

// emuPort is a host as the emulator sees it.
type emuPort struct {
	tun              int
	boxes            []*nat.Box // the innermost first
	flows            []Flow     // by who sends; what reached this one
	upNAT, dnNAT     uint64     // packets that these did not let through
	up, down         link.Line
	upMeter, dnMeter link.Meter
}

type packet struct {
	buf [tunMTU]byte
	n   int
	to  int
	src int
}

const (
	arriveEvent  uint8 = iota // a packet reaches the receiver's access link
	deliverEvent              // a packet reaches the receiver
)

func newEngine(c setup, tuns []int) *engine {
	e := &engine{
		start: time.Now(),
		byIP:  map[[4]byte]int{},
		delay: c.Delay,
		pair:  map[[2]int]time.Duration{},
		hops:  uint8(min(255, max(1, c.Hops))),
	}
	for i, h := range c.Hosts {
		p := &emuPort{tun: tuns[i]}
		unix.SetNonblock(p.tun, true) // os/exec hands files over in blocking mode
		p.up.Rand = rand.New(rand.NewPCG(c.Seed, uint64(2*i)))
		p.down.Rand = rand.New(rand.NewPCG(c.Seed, uint64(2*i+1)))
		p.up.Set(h.Up)
		p.down.Set(h.Down)
		for k, b := range h.Boxes {
			b.Rand = rand.New(rand.NewPCG(c.Seed, uint64(1000*(k+1)+i)))
			p.boxes = append(p.boxes, nat.NewBox(b))
		}
		e.ports = append(e.ports, p)
		for _, a := range h.outside() {
			e.byIP[a.As4()] = i
		}
		e.poll = append(e.poll, unix.PollFd{Fd: int32(p.tun), Events: unix.POLLIN})
	}
	return e
}

// run never ends: the process does.
func (e *engine) run() {
	e.begin()
	for {
		e.move()
		e.wait()
	}
}

// begin takes a thread for the engine.
func (e *engine) begin() {
	runtime.LockOSThread()
	e.mu.Lock()
	e.clocks = append(e.clocks, int32(^unix.Gettid()<<3|6)) // clock_getcpuclockid(3): the scheduler's clock of one thread
	e.mu.Unlock()
	// Wake at the time and not up to 50 µs later.
	unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
}

// standBy is the second thread: it looks whether the first is late.
func (e *engine) standBy() {
	e.begin()
	for {
		wait := standbyMin
		if e.mu.TryLock() {
			wait = e.stepIn()
			first := e.cpu
			e.mu.Unlock()
			if first == thisCPU() {
				elsewhere(first)
			}
		}
		ts := unix.NsecToTimespec(int64(wait))
		unix.RawSyscall6(unix.SYS_PPOLL, 0, 0, uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	}
}

// stepIn does what the first thread should have done by now, if there is anything, and
// returns when to look again.
func (e *engine) stepIn() (wait time.Duration) {
	at, ok := e.queue.Next()
	if !ok {
		return standbyMax
	}
	if left := time.Duration(at-e.now()) + overdue; left > 0 {
		return min(max(left, standbyMin), standbyMax)
	}
	e.stoodIn++
	e.due()
	for i := range e.ports {
		e.fetch(i)
	}
	e.due()
	return standbyMin
}

func thisCPU() (n uint32) {
	unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&n)), 0, 0)
	return n
}

// elsewhere has the calling thread run on any processor but one, if there is another.
func elsewhere(not uint32) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(unix.Getpid(), &set) != nil { // the process's own first thread
		return
	}
	set.Clear(int(not))
	if set.Count() > 0 {
		unix.SchedSetaffinity(0, &set)
	}
}

// time is now, for the tables of NAT boxes.
func (e *engine) time() time.Time { return e.start.Add(time.Duration(e.now())) }

func (e *engine) now() int64 { return int64(time.Since(e.start)) }

// wait sleeps until a packet comes or is due.
func (e *engine) wait() {
	wait := time.Hour
	e.mu.Lock()
	if at, ok := e.queue.Next(); ok {
		wait = time.Duration(at - e.now())
	}
	e.mu.Unlock()
	if wait <= 0 {
		return
	}
	raw := wait <= rawWait
	if !raw {
		wait -= rawWait / 2 // the rest is waited for the precise way
	}
	e.timeout = unix.NsecToTimespec(int64(wait))
	if raw {
		unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&e.poll[0])), uintptr(len(e.poll)), uintptr(unsafe.Pointer(&e.timeout)), 0, 0, 0)
	} else {
		unix.Syscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&e.poll[0])), uintptr(len(e.poll)), uintptr(unsafe.Pointer(&e.timeout)), 0, 0, 0)
	}
}

// move does what is due and fetches what has come.
func (e *engine) move() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cpu = thisCPU()
	e.due()
	for i := range e.ports {
		if e.poll[i].Revents != 0 {
			e.fetch(i)
			e.poll[i].Revents = 0
		}
	}
	e.due()
}

// due lets everything happen whose time has come. Times are virtual: a packet
// enters the next link when it left the last one, not when somebody looked.
func (e *engine) due() {
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
func (e *engine) fetch(from int) {
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
func (e *engine) send(from int, i uint32) {
	k := e.packets[i]
	ip := k.buf[:k.n]
	if len(ip) < 20 || ip[0]>>4 != 4 {
		e.stray++
		e.drop(i)
		return
	}
	if b := e.ports[from].boxes; len(b) > 0 && !outward(b, e.time(), ip) {
		e.ports[from].upNAT++
		e.drop(i)
		return
	}
	to, ok := e.byIP[[4]byte(ip[16:20])]
	if !ok {
		e.stray++
		e.drop(i)
		return
	}
	if !lowerTTL(ip, e.hops) {
		e.dead++
		e.drop(i)
		return
	}
	k.to, k.src = to, from
	exit, ok := through(&e.ports[from].up, &e.ports[from].upMeter, e.now(), ip)
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
func (e *engine) arrive(at int64, i uint32) {
	k := e.packets[i]
	p := e.ports[k.to]
	if p.flows == nil {
		p.flows = make([]Flow, len(e.ports))
	}
	p.flows[k.src].Packets++
	p.flows[k.src].Bytes += uint64(k.n)
	if len(p.boxes) > 0 && !inward(p.boxes, e.time(), k.buf[:k.n]) {
		p.dnNAT++
		e.drop(i)
		return
	}
	exit, ok := through(&p.down, &p.dnMeter, at, k.buf[:k.n])
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

func (e *engine) deliver(at int64, i uint32) {
	k := e.packets[i]
	unix.RawSyscall(unix.SYS_WRITE, uintptr(e.ports[k.to].tun), uintptr(unsafe.Pointer(&k.buf[0])), uintptr(k.n))
	e.late.Add(time.Duration(e.now() - at))
	e.drop(i)
}

// through passes a packet through one direction of an access link.
func through(l *link.Line, m *link.Meter, at int64, ip []byte) (exit int64, ok bool) {
	if len(ip) > l.PathMTU() {
		m.TooBig()
		return 0, false
	}
	exit, mark, v := l.Pass(at, len(ip))
	m.Note(l, at, len(ip), v)
	if v != link.Passed {
		return 0, false
	}
	if mark {
		markCE(ip)
	}
	return exit, true
}

func (e *engine) take() (i uint32, ok bool) {
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

func (e *engine) drop(i uint32) { e.free = append(e.free, i) }

func (e *engine) setLinks(host int, up, down Link) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ports[host].up.Set(up)
	e.ports[host].down.Set(down)
}

func (e *engine) setDelay(a, b int, d time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pair[[2]int{a, b}], e.pair[[2]int{b, a}] = d, d
}

func (e *engine) report() Report {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := Report{
		Packets: e.late.N(), Strays: e.stray, Expired: e.dead,
		LateP50: e.late.Quantile(0.5), LateP99: e.late.Quantile(0.99), LateWorst: e.late.Worst,
	}
	for _, clock := range e.clocks {
		var cpu unix.Timespec
		if unix.ClockGettime(clock, &cpu) == nil {
			r.CPU += time.Duration(cpu.Nano())
		}
	}
	for _, p := range e.ports {
		h := HostReport{Up: p.upMeter.Count(), Down: p.dnMeter.Count()}
		h.Up.LostNAT, h.Down.LostNAT = p.upNAT, p.dnNAT
		r.Hosts = append(r.Hosts, h)
	}
	for to, p := range e.ports {
		for from, f := range p.flows {
			if f.Packets > 0 {
				f.From, f.To = from, to
				r.Flows = append(r.Flows, f)
			}
		}
	}
	return r
}

package many

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/endpoint"
	"github.com/xp2p/xp2p/lib/wire"
	"github.com/xp2p/xp2p/lib/xntp"
)

// A Plan says what is measured.
type Plan struct {
	Connections int
	Bitrate     int64         // of each
	Interval    time.Duration // between the objects of one
	Duration    time.Duration
	Flood       int // Initials of strangers, sent within Duration once more; 0 is none
}

const (
	maxConnections = 4096
	maxFlood       = 1 << 20
	// MaxMachineLate is how late a sleeping goroutine of this process may be at the 99th
	// percentile: beyond it, it is the machine that is measured.
	MaxMachineLate = 10 * time.Millisecond
	// Late is when an object counts as late.
	Late = 20 * time.Millisecond
)

// Check says what cannot be.
func (p *Plan) Check() error {
	switch {
	case p.Connections < 1 || p.Connections > maxConnections:
		return fmt.Errorf("connections: want 1 to %d", maxConnections)
	case p.Interval < 10*time.Millisecond || p.Interval > 10*time.Second:
		return errors.New("interval: want 10ms to 10s")
	case p.size() < 8 || p.size() > xntp.DefaultMaxObject:
		return fmt.Errorf("an object of %d bytes: want 8 bytes to 1 MiB at that rate and interval", p.size())
	case p.Duration < time.Second || p.Duration > time.Hour:
		return errors.New("duration: want 1s to 1h")
	case p.Flood < 0 || p.Flood > maxFlood:
		return fmt.Errorf("flood: want at most %d", maxFlood)
	}
	return nil
}

func (p *Plan) size() int { return int(float64(p.Bitrate) / 8 * p.Interval.Seconds()) }

// A Report is what a run came to.
type Report struct {
	IdleBytes              float64 // of the heap, for each end of an idle connection that has carried nothing yet
	Objects                int     // that were sent
	Arrived                int
	TooLate                int // by more than Late, or not there
	LateP50, LateP99       time.Duration
	LateMost               time.Duration
	Wakeups                float64 // in a second, of the endpoint that sends
	Goodput                float64 // bit/s in all
	MachineP99             time.Duration
	FloodGoodput           float64 // the same under the flood
	FloodSent, Retried     int     // Initials; those that were answered with a cookie
	Refused, FloodAccepted int
	Rejected               error // why the run does not count
}

// Run carries out a plan. progress is told what happens.
func Run(ctx context.Context, p *Plan, progress func(string)) (r Report, err error) {
	if err := p.Check(); err != nil {
		return r, err
	}
	start := time.Now()
	srv := &pump{body: make([]byte, p.size()-8), interval: p.Interval, start: start}
	key, err := xntp.GenerateKey(crand.Reader)
	if err != nil {
		return r, err
	}
	config := func(key xntp.PrivateKey) xntp.Config {
		return xntp.Config{Key: key, Rand: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), Entropy: crand.Reader, Keepalive: -1, Idle: time.Hour}
	}
	srv.Endpoint = xntp.New(config(key))
	local := netip.MustParseAddrPort("127.0.0.1:0")
	hub, err := endpoint.New(srv, endpoint.Config{Listen: []netip.AddrPort{local}, Step: srv.step, Leave: srv.CloseAll})
	if err != nil {
		return r, err
	}
	ends := make([]*xntp.Endpoint, p.Connections)
	listen := make([]netip.AddrPort, p.Connections)
	for i := range ends {
		k, err := xntp.GenerateKey(crand.Reader)
		if err != nil {
			return r, err
		}
		ends[i], listen[i] = xntp.New(config(k)), local
	}
	peers := newCrowd(ends, start)
	far, err := endpoint.New(peers, endpoint.Config{Listen: listen})
	if err != nil {
		return r, err
	}
	ctx, stop := context.WithCancel(ctx)
	done := make(chan error, 2)
	go func() { done <- far.Run(ctx) }()
	go func() { done <- hub.Run(ctx) }()
	defer func() {
		stop()
		err = errors.Join(err, <-done, <-done)
	}()

	progress("connecting")
	to := hub.LocalAddr(0)
	if err := connect(ctx, hub, far, srv, peers, to); err != nil {
		return r, err
	}
	if err := sleep(ctx, time.Second); err != nil {
		return r, err
	}
	// What goes with the connections is theirs; endpoints and sockets stay.
	with := heapInUse()
	if err := part(ctx, hub, far, srv, peers); err != nil {
		return r, err
	}
	r.IdleBytes = (float64(with) - float64(heapInUse())) / float64(2*p.Connections)
	if err := connect(ctx, hub, far, srv, peers, to); err != nil {
		return r, err
	}

	progress("measuring")
	woken := hub.Stats().Wakeups
	began := time.Now()
	late := watch(ctx, p.Duration)
	if r.Goodput, err = load(ctx, p, hub, far, srv, peers); err != nil {
		return r, err
	}
	over := time.Since(began)
	r.Wakeups = float64(hub.Stats().Wakeups-woken) / over.Seconds()
	r.MachineP99 = <-late
	if r.MachineP99 > MaxMachineLate {
		r.Rejected = fmt.Errorf("a sleeping goroutine woke %v late at p99, of %v that it may", r.MachineP99.Round(100*time.Microsecond), MaxMachineLate)
	}
	if err := far.Call(ctx, func(time.Time) { r.judge(srv.sent, peers.late) }); err != nil {
		return r, err
	}
	if p.Flood > 0 {
		progress("flooding")
		flooded := make(chan int, 1)
		go func() { flooded <- flood(ctx, to, p.Flood, p.Duration) }()
		if r.FloodGoodput, err = load(ctx, p, hub, far, srv, peers); err != nil {
			return r, err
		}
		r.FloodSent = <-flooded
		err = hub.Call(ctx, func(time.Time) {
			n := srv.Counts()
			r.Retried, r.Refused = int(n.Retried), int(n.Refused)
			r.FloodAccepted = len(srv.Endpoint.Conns(nil)) - p.Connections
		})
	}
	return r, err
}

// judge works out how late objects were.
func (r *Report) judge(sent int, late []time.Duration) {
	slices.Sort(late)
	r.Objects, r.Arrived = sent, len(late)
	r.TooLate = sent - len(late)
	for _, d := range late {
		if d > Late {
			r.TooLate++
		}
	}
	if n := len(late); n > 0 {
		r.LateP50, r.LateP99, r.LateMost = late[n/2], late[n*99/100], late[n-1]
	}
}

// connect dials from every peer, a few at a time.
func connect(ctx context.Context, hub, far *endpoint.Endpoint, srv *pump, peers *crowd, to netip.AddrPort) error {
	const at = 25
	for i := 0; i < len(peers.ends); i += at {
		var fail error
		err := far.Call(ctx, func(now time.Time) {
			for k := i; k < min(i+at, len(peers.ends)); k++ {
				_, err := peers.ends[k].Dial(now, xntp.DialOptions{Remote: srv.Public(), Addr: to})
				fail = errors.Join(fail, err)
				peers.touch(now, k)
			}
		})
		if err = errors.Join(err, fail); err != nil {
			return err
		}
		for open, tries := 0, 0; open < min(i+at, len(peers.ends)); tries++ {
			if err := errors.Join(sleep(ctx, 5*time.Millisecond), hub.Call(ctx, func(time.Time) { open = len(srv.conns) })); err != nil {
				return err
			}
			if tries > 4000 {
				return fmt.Errorf("%d of %d connections came about", open, len(peers.ends))
			}
		}
	}
	return nil
}

// part ends all connections.
func part(ctx context.Context, hub, far *endpoint.Endpoint, srv *pump, peers *crowd) error {
	err := errors.Join(
		hub.Call(ctx, func(now time.Time) { srv.CloseAll(now); srv.conns = srv.conns[:0] }),
		far.Call(ctx, func(now time.Time) { // a CLOSE may be lost, and nobody else speaks
			for i, e := range peers.ends {
				e.CloseAll(now)
				peers.touch(now, i)
			}
		}),
	)
	if err != nil {
		return err
	}
	for left, tries := 1, 0; left > 0; tries++ {
		err := errors.Join(
			sleep(ctx, 10*time.Millisecond),
			hub.Call(ctx, func(time.Time) { left = len(srv.Endpoint.Conns(nil)) }),
			far.Call(ctx, func(time.Time) {
				for _, e := range peers.ends {
					left += len(e.Conns(nil))
				}
			}),
		)
		if err != nil {
			return err
		}
		if tries > 2000 {
			return fmt.Errorf("%d connections do not end", left)
		}
	}
	return nil
}

// load lets all connections carry objects, and returns the goodput.
func load(ctx context.Context, p *Plan, hub, far *endpoint.Endpoint, srv *pump, peers *crowd) (float64, error) {
	var bytes int64
	began := time.Now()
	count := func(now time.Time) { bytes = peers.bytes - bytes }
	err := errors.Join(
		far.Call(ctx, func(now time.Time) { bytes, peers.late, peers.measure = peers.bytes, peers.late[:0], true }),
		hub.Call(ctx, func(now time.Time) { srv.on, srv.sent, srv.next = true, 0, now.Sub(srv.start) }),
		sleep(ctx, p.Duration),
		hub.Call(ctx, func(time.Time) { srv.on = false }),
		far.Call(ctx, count),
	)
	over := time.Since(began)
	// What is late comes now.
	err = errors.Join(err, sleep(ctx, 500*time.Millisecond), far.Call(ctx, func(time.Time) { peers.measure = false }))
	return float64(bytes) * 8 / over.Seconds(), err
}

// watch finds out how late this process is woken, at the 99th percentile.
func watch(ctx context.Context, d time.Duration) <-chan time.Duration {
	said := make(chan time.Duration, 1)
	go func() {
		var late []time.Duration
		const nap = 5 * time.Millisecond
		for end := time.Now().Add(d); time.Now().Before(end) && ctx.Err() == nil; {
			from := time.Now()
			time.Sleep(nap)
			late = append(late, time.Since(from)-nap)
		}
		slices.Sort(late)
		if len(late) == 0 {
			said <- 0
			return
		}
		said <- late[len(late)*99/100]
	}()
	return said
}

// flood sends n Initials, each of another stranger with a key that is none, evenly
// over d. It returns how many left.
func flood(ctx context.Context, to netip.AddrPort, n int, d time.Duration) (sent int) {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return 0
	}
	defer c.Close()
	noise := make([]byte, 150)
	b := make([]byte, 0, wire.HandshakeLen)
	for start := time.Now(); sent < n && ctx.Err() == nil; {
		due := min(n, int(float64(n)*float64(time.Since(start))/float64(d)))
		for ; sent < due; sent++ {
			crand.Read(noise)
			long := wire.Long{Type: wire.PacketInitial, Version: wire.Version, Src: wire.CID(noise[:wire.CIDLen]), Noise: noise}
			b = long.Append(b[:0])
			clear(b[len(b):wire.HandshakeLen])
			c.Write(b[:wire.HandshakeLen])
		}
		time.Sleep(time.Millisecond)
	}
	return sent
}

func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

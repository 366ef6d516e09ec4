// Package endpoint runs a machine on real UDP sockets and the real clock.
// Carriers, such as TCP, may stand in for sockets.
//
// One goroutine a socket reads batches of datagrams with what the kernel
// knows about them: when they came, their ECN field. One loop goroutine owns
// the machine and keeps the rhythm of package machine: whatever has come
// (batches, commands, the timeout) goes in, then datagrams are drained and
// written in batches, then the owner's step drains events, then the loop
// sleeps until the next timeout or input. At video rates wake-ups are what
// costs, so everything that is there is taken at one wake-up, and wake-ups
// are counted.
//
// On Linux this is recvmmsg, sendmmsg and a timerfd, and the kernel is given and
// gives runs of datagrams as one (UDP_SEGMENT, UDP_GRO); elsewhere it is one
// datagram a call and a time.Timer.
package endpoint

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
)

// ErrClosed says that the endpoint does not run any more.
var ErrClosed = errors.New("endpoint is closed")

// Config says where and how a machine runs.
type Config struct {
	// Listen has the addresses of sockets 0, 1, 2…; empty is one socket at a
	// free port of every address, IPv6 and IPv4.
	Listen []netip.AddrPort
	// Step, which may be nil, is called on the loop goroutine after every turn
	// to drain the machine's events. It may give commands to the machine.
	Step func(now time.Time)
	// Leave, which may be nil, is called on the loop goroutine when Run's
	// context ends, before the last datagrams are written: the place to say
	// goodbye.
	Leave func(now time.Time)
	// Lost, which may be nil, is called on the loop goroutine when a carrier has
	// ended by itself; its socket is closed.
	Lost func(now time.Time, id machine.Socket, err error)
	// Log, which may be nil, hears about sockets that fail.
	Log *slog.Logger
	// DSCP is the code point of all that is sent (RFC 2474), where the system
	// allows it; 0 is best effort.
	DSCP uint8
	// Plain runs without what only Linux has, as on other systems.
	Plain bool
}

const (
	commandQueue = 256  // commands that may wait; then Do blocks
	batchCount   = 6    // batches that may wait; then the kernel's buffer fills
	batchSize    = 16   // messages in a batch: datagrams, or runs of them that came together
	maxDatagram  = 9216 // of a network with jumbo frames
)

// An Endpoint is a machine on sockets.
type Endpoint struct {
	m       machine.Machine
	c       Config
	log     *slog.Logger
	sockets []*socket // by machine.Socket; nil once closed. The loop's
	fatal   chan error
	in      chan *batch
	pool    chan *batch // empty batches
	work    chan func(now time.Time)
	done    chan struct{} // closed when Run ends
	readers sync.WaitGroup
	started bool
	locals  []netip.AddrPort // of Config.Listen
	out     outbox
	last    time.Time // the latest now that the machine was told
	count   counters
}

// New opens the sockets; Run starts the machine.
func New(m machine.Machine, c Config) (*Endpoint, error) {
	e := &Endpoint{
		m: m, c: c, log: c.Log,
		fatal: make(chan error, 1),
		in:    make(chan *batch, batchCount),
		pool:  make(chan *batch, batchCount),
		work:  make(chan func(time.Time), commandQueue),
		done:  make(chan struct{}),
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	e.out.init()
	for range batchCount {
		e.pool <- newBatch()
	}
	if err := e.listen(c.Listen); err != nil {
		e.closeSockets()
		return nil, err
	}
	return e, nil
}

// listen opens the first sockets.
func (e *Endpoint) listen(addrs []netip.AddrPort) error {
	if len(addrs) == 0 {
		addrs = []netip.AddrPort{netip.AddrPortFrom(netip.IPv6Unspecified(), 0)}
	}
	for _, a := range addrs {
		id, err := e.OpenSocket(a)
		if err != nil {
			return err
		}
		e.locals = append(e.locals, e.SocketAddr(id))
	}
	return nil
}

// Run runs the machine until ctx ends, says goodbye and returns nil; or until
// a socket fails for good. It may be called once.
func (e *Endpoint) Run(ctx context.Context) error {
	if e.started {
		return errors.New("endpoint: Run was called before")
	}
	e.started = true
	a, err := newAlarm(e.c.Plain)
	if err != nil {
		close(e.done)
		e.closeSockets()
		return fmt.Errorf("endpoint: timer: %w", err)
	}
	for _, s := range e.sockets {
		e.read(s)
	}
	err = e.loop(ctx, a)
	close(e.done)
	e.closeSockets()
	a.close()
	e.readers.Wait()
	return err
}

// Close closes the sockets of an endpoint that never ran. One that runs is
// ended by Run's context.
func (e *Endpoint) Close() {
	if !e.started {
		e.started = true
		close(e.done)
		e.closeSockets()
	}
}

// Do gives a command to the machine: f is called on the loop goroutine, and
// then the rhythm runs. It returns when f is queued; when too many wait, it
// blocks. It must not be called on the loop goroutine itself (from Step or
// from a command), where f can simply be called. When Run ends, commands that
// still wait are forgotten.
func (e *Endpoint) Do(f func(now time.Time)) error {
	return e.DoContext(context.Background(), f)
}

// DoContext is Do that gives up when ctx ends.
func (e *Endpoint) DoContext(ctx context.Context, f func(now time.Time)) error {
	select {
	case <-e.done:
		return ErrClosed
	default:
	}
	select {
	case e.work <- f:
		return nil
	case <-e.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Call is DoContext that waits until f has been called: the way to ask a
// machine something. With an error f may still be called later, or never.
func (e *Endpoint) Call(ctx context.Context, f func(now time.Time)) error {
	called := make(chan struct{})
	if err := e.DoContext(ctx, func(now time.Time) { f(now); close(called) }); err != nil {
		return err
	}
	select {
	case <-called:
		return nil
	case <-e.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// LocalAddr is the address that socket i of Config.Listen got.
func (e *Endpoint) LocalAddr(i int) netip.AddrPort {
	if i < 0 || i >= len(e.locals) {
		return netip.AddrPort{}
	}
	return e.locals[i]
}

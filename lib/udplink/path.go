// Package udplink puts an emulated link between UDP sockets of this machine: a
// relay on loopback that needs no right, no device and no set-up. Kernel TCP
// cannot pass it; package netlab is for that.
//
// A Path has a bottleneck in each direction, the same Line of package link that
// netlab and simnet use: the queue lives in virtual time, so that the rate is
// exact however late this process wakes. Packets are taken to have come when the
// kernel says so, where it does (Linux). Only the writing of a packet depends on
// the scheduler, and that lateness is measured and reported: it shares the
// process, and so the CPUs, with whatever is measured.
package udplink

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xp2p/xp2p/lib/internal/link"
)

// Link is one direction of a path. The zero Link is a perfect one.
type Link = link.Link

// Config describes a path. Its two directions see the bottleneck at the side of
// those who are dialed: Down carries what they send.
type Config struct {
	Up, Down Link
	Seed     uint64
}

const (
	// maxWaiting bounds the packets of a route that are on their way in one
	// direction: a second of 200 Mbit/s. What is more counts as overrun.
	maxWaiting = 1 << 14
	// maxClients bounds the sockets that a route opens.
	maxClients  = 1024
	headerBytes = 28 // IPv4 and UDP
	maxPayload  = 1500
	bufferBytes = 8 << 20 // of the kernel, per socket: it may give less
)

// A Path is a running relay. It may have several routes, which all share its two
// lines.
type Path struct {
	start    time.Time
	up, down lane
	overrun  atomic.Uint64
	buffers  sync.Pool

	mu      sync.Mutex
	routes  []*route
	readers sync.WaitGroup
	writers sync.WaitGroup
	closing chan struct{}
}

// A lane is one direction that all routes share.
type lane struct {
	mu    sync.Mutex
	line  link.Line
	meter link.Meter
	last  int64 // a line wants its packets in the order of time
	late  link.Delays
}

// A route leads from one address on loopback to one server.
type route struct {
	path     *Path
	delay    time.Duration // one way
	server   netip.AddrPort
	front    *net.UDPConn
	up, down chan packet
	clients  map[netip.AddrPort]*client // the front reader's
	gone     []*client
}

// A client is one who sent to the front: behind it, it has a socket of its own,
// as behind a NAT, so that the server can tell clients apart.
type client struct {
	addr netip.AddrPort
	back *net.UDPConn // connected to the server
}

type packet struct {
	buf *[maxPayload + 1]byte
	n   int
	at  int64
	who *client
}

// New makes a path without routes.
func New(c Config) *Path {
	p := &Path{start: time.Now(), closing: make(chan struct{})}
	p.buffers.New = func() any { return new([maxPayload + 1]byte) }
	p.up.line.Rand = rand.New(rand.NewPCG(c.Seed, 0))
	p.down.line.Rand = rand.New(rand.NewPCG(c.Seed, 1))
	p.up.line.Set(c.Up)
	p.down.line.Set(c.Down)
	return p
}

// Open adds a route: what is sent to the address that it returns comes to the
// server, and back, each way delay later than without a path, and what the
// bottleneck adds.
func (p *Path) Open(server netip.AddrPort, delay time.Duration) (netip.AddrPort, error) {
	front, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("udplink: %w", err)
	}
	r := &route{
		path: p, delay: delay, server: server, front: front,
		up: make(chan packet, maxWaiting), down: make(chan packet, maxWaiting),
		clients: map[netip.AddrPort]*client{},
	}
	prepare(front)
	p.mu.Lock()
	p.routes = append(p.routes, r)
	p.mu.Unlock()
	p.writers.Go(func() { r.write(r.up, &p.up, func(k packet) { k.who.back.Write(k.buf[:k.n]) }) })
	p.writers.Go(func() { r.write(r.down, &p.down, func(k packet) { front.WriteToUDPAddrPort(k.buf[:k.n], k.who.addr) }) })
	p.readers.Go(r.readFront)
	return front.LocalAddr().(*net.UDPAddr).AddrPort(), nil
}

// Close ends the relay; what is on its way is lost.
func (p *Path) Close() {
	close(p.closing)
	p.mu.Lock()
	for _, r := range p.routes {
		r.front.Close()
		for _, c := range r.gone {
			c.back.Close()
		}
	}
	p.mu.Unlock()
	p.readers.Wait()
	for _, r := range p.routes {
		close(r.up)
		close(r.down)
	}
	p.writers.Wait()
}

// now is the time on the line of the path.
func (p *Path) now() int64 { return int64(time.Since(p.start)) }

// readFront takes what clients send.
func (r *route) readFront() {
	in := newReader(r.path, r.front)
	for {
		k, from, err := in.read()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // somebody's ICMP message
		}
		if k.who = r.client(from); k.who == nil {
			r.path.buffers.Put(k.buf)
			continue
		}
		r.send(&r.path.up, r.up, k)
	}
}

// client finds who sent, or opens a socket for a new one.
func (r *route) client(from netip.AddrPort) *client {
	if c := r.clients[from]; c != nil {
		return c
	}
	if len(r.clients) == maxClients {
		return nil
	}
	back, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(r.server))
	if err != nil {
		return nil
	}
	prepare(back)
	c := &client{from, back}
	p := r.path
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.closing:
		back.Close()
		return nil
	default:
	}
	r.clients[from] = c
	r.gone = append(r.gone, c)
	p.readers.Go(func() { r.readBack(c) })
	return c
}

// readBack takes what the server sends to a client.
func (r *route) readBack(c *client) {
	in := newReader(r.path, c.back)
	for {
		k, _, err := in.read()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		k.who = c
		r.send(&r.path.down, r.down, k)
	}
}

// send passes a packet through a lane.
func (r *route) send(l *lane, out chan packet, k packet) {
	exit, ok := l.pass(k.at, k.n+headerBytes)
	if ok {
		k.at = exit + int64(r.delay)
		select {
		case out <- k:
			return
		default:
			r.path.overrun.Add(1)
		}
	}
	r.path.buffers.Put(k.buf)
}

func (l *lane) pass(at int64, size int) (exit int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if size > l.line.PathMTU() {
		l.meter.TooBig()
		return 0, false
	}
	at = max(at, l.last)
	l.last = at
	exit, _, v := l.line.Pass(at, size)
	l.meter.Note(&l.line, at, size, v)
	return exit, v == link.Passed
}

// write sends packets on when they are due.
func (r *route) write(in chan packet, l *lane, to func(packet)) {
	precise()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for k := range in {
		if !r.wait(timer, k.at) {
			continue // closing: in is drained
		}
		to(k)
		late := time.Duration(r.path.now() - k.at)
		r.path.buffers.Put(k.buf)
		l.mu.Lock()
		l.late.Add(late)
		l.mu.Unlock()
	}
}

// coarse is how long before its time a packet is waited for the precise way,
// which does not hear that the path is closed.
const coarse = 4 * time.Millisecond

// wait returns at a time, or false when the path is closed before.
func (r *route) wait(timer *time.Timer, at int64) bool {
	if d := time.Duration(at - r.path.now()); d > 2*coarse {
		timer.Reset(d - coarse)
		select {
		case <-timer.C:
		case <-r.path.closing:
			return false
		}
	}
	select {
	case <-r.path.closing:
		return false
	default:
	}
	sleep(time.Duration(at - r.path.now()))
	return true
}

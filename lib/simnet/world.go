// Package simnet runs machines on a virtual network under a virtual clock:
// the shipped protocol code, thousands of nodes in one goroutine, the same
// trace for the same seed.
//
// A World is a star. Every Host hangs on an access link with its own two
// directions (rate, droptail queue, delay, jitter, loss, reordering); between
// two access links lies a path with a delay. Machines run in Processes on
// hosts and keep the rhythm of package machine. What is not a datagram (a
// signalling message, an origin's answer) travels as a typed message through
// a Channel, in order, with a delay.
//
// Hosts may stand behind NAT boxes (NAT), which are tables of package nat.
//
// Everything happens in one goroutine; events at the same instant happen in
// the order in which they were caused. Every element draws from a random
// source of its own, derived from the world's seed, so that a change at one
// element leaves the dice of the others alone. Different worlds are
// independent and may run in parallel.
package simnet

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/xp2p/xp2p/lib/internal/agenda"
)

// Epoch is when every world begins: midnight UTC 2000-01-01, as in
// testing/synctest, so that traces can be compared.
var Epoch = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)

// A post is a function that somebody asked to be called.
type post struct {
	f   func()
	g   func(ref uint32)
	ref uint32
}

// A World is a virtual network and its clock.
type World struct {
	seed  uint64
	now   int64 // ns since Epoch
	queue agenda.Agenda

	datagrams []datagram // slab; events refer to it by index
	freeData  []uint32
	posts     []post
	freePosts []uint32
	procs     []*Process

	hosts  []*Host
	byAddr map[netip.Addr]*Host
	boxes  map[netip.Addr]*NAT // by outside address
	delay  func(a, b *Host) time.Duration
	pair   map[[2]int]time.Duration
	tap    func(now time.Time, from, to netip.AddrPort, data []byte) bool
	out    []byte // the buffer that machines append their datagrams to

	trace trace
	stats Stats
}

// Stats counts what happened in a world.
type Stats struct {
	Events    uint64 // events taken from the agenda
	Wakes     uint64 // times a machine's timeout came
	Sent      uint64 // datagrams that machines sent
	Delivered uint64 // datagrams that machines received
	// Datagrams that were lost, by reason.
	LostRandom, LostQueue, LostTap, LostTooBig, LostNobody uint64
	LostNAT                                                uint64 // on the way out; on the way in it is nobody's
	LostTTL                                                uint64 // it was to live for too few hops
	SentBytes, DeliveredBytes                              uint64 // UDP payload
}

// New makes an empty world. Two worlds with the same seed, in which the same
// is done, have the same trace.
func New(seed uint64) *World {
	return &World{
		seed:   seed,
		byAddr: map[netip.Addr]*Host{},
		boxes:  map[netip.Addr]*NAT{},
		pair:   map[[2]int]time.Duration{},
		out:    make([]byte, 0, 1<<16),
		trace:  newTrace(seed),
	}
}

// Now is the world's time.
func (w *World) Now() time.Time { return Epoch.Add(time.Duration(w.now)) }

// Elapsed is how long the world has existed.
func (w *World) Elapsed() time.Duration { return time.Duration(w.now) }

// Stats returns the counters.
func (w *World) Stats() Stats { return w.stats }

// Rand returns a source derived from the world's seed and a label: one for
// each element, so that none depends on how often another one draws.
func (w *World) Rand(label string) *rand.Rand {
	return rand.New(rand.NewPCG(w.seed, mixString(w.seed, label)))
}

// SetDelay sets the one-way delay of the path between two hosts, both ways.
func (w *World) SetDelay(a, b *Host, d time.Duration) {
	w.pair[[2]int{a.id, b.id}] = max(0, d)
	w.pair[[2]int{b.id, a.id}] = max(0, d)
}

// SetDelayFunc gives the delay of every path that SetDelay has not set, from
// a to b. It must answer the same each time.
func (w *World) SetDelayFunc(f func(a, b *Host) time.Duration) { w.delay = f }

// Tap lets f see every datagram as it leaves its process: f may change the
// bytes, and drops the datagram by returning false. It must not give commands
// to processes. A nil f ends it.
func (w *World) Tap(f func(now time.Time, from, to netip.AddrPort, data []byte) (keep bool)) {
	w.tap = f
}

// After calls f once d has passed. What is due at the same time is called in
// the order in which it was asked for.
func (w *World) After(d time.Duration, f func()) {
	w.postAt(w.now+int64(max(0, d)), f)
}

func (w *World) postAt(at int64, f func()) {
	i := take(&w.posts, &w.freePosts)
	w.posts[i] = post{f: f}
	w.queue.Push(at, postEvent, i)
}

// Call calls f with ref once d has passed: After without a closure for each
// call, for models with an event of their own for every object.
func (w *World) Call(d time.Duration, f func(ref uint32), ref uint32) {
	i := take(&w.posts, &w.freePosts)
	w.posts[i] = post{g: f, ref: ref}
	w.queue.Push(w.now+int64(max(0, d)), postEvent, i)
}

// Delay is how long a small datagram takes from a to b when nothing else is
// under way: both access links and the path between.
func (w *World) Delay(a, b *Host) time.Duration {
	return a.up.Delay + w.pathDelay(a, b) + b.down.Delay
}

// HostAt returns the host with an address; nil if there is none.
func (w *World) HostAt(a netip.Addr) *Host { return w.byAddr[a] }

// RunFor lets d pass.
func (w *World) RunFor(d time.Duration) {
	w.run(w.now+int64(max(0, d)), nil)
}

// RunUntil lets time pass until done says true, at most limit long, and
// reports whether it did. done is asked after every event.
func (w *World) RunUntil(done func() bool, limit time.Duration) bool {
	return w.run(w.now+int64(max(0, limit)), done)
}

func (w *World) run(end int64, done func() bool) bool {
	if done != nil && done() {
		return true
	}
	for {
		at, ok := w.queue.Next()
		if !ok || at > end {
			break
		}
		e := w.queue.Pop()
		w.now = e.At
		w.stats.Events++
		w.happen(e)
		if done != nil && done() {
			return true
		}
	}
	w.now = end
	return false
}

// The kinds of events.
const (
	arriveEvent  uint8 = iota // a datagram reaches the far end's access link
	deliverEvent              // a datagram reaches its process
	wakeEvent                 // a process's timeout
	postEvent                 // a function that somebody asked for
)

func (w *World) happen(e agenda.Event) {
	switch e.Kind {
	case arriveEvent:
		w.arrive(e.Ref)
	case deliverEvent:
		w.deliver(e.Ref)
	case wakeEvent:
		w.procs[e.Ref].wake(e)
	case postEvent:
		p := w.posts[e.Ref]
		w.posts[e.Ref] = post{}
		w.freePosts = append(w.freePosts, e.Ref)
		if p.f != nil {
			p.f()
		} else {
			p.g(p.ref)
		}
	default:
		panic(fmt.Sprintf("simnet: event of kind %d", e.Kind))
	}
}

// take returns the index of a free slot of a slab.
func take[T any](slab *[]T, free *[]uint32) uint32 {
	if n := len(*free); n > 0 {
		i := (*free)[n-1]
		*free = (*free)[:n-1]
		return i
	}
	*slab = append(*slab, *new(T))
	return uint32(len(*slab) - 1)
}

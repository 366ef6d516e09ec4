package flownet

import (
	"time"

	"github.com/xp2p/xp2p/lib/simnet"
)

// A Link is a host's access link: one server for what it sends, and the time at
// which its downlink will be idle.
type Link struct {
	net    *Net
	host   *simnet.Host
	queue  [priorities][]uint32 // waiting, by priority
	heads  [priorities]int
	until  time.Duration // when the uplink is done with all that it has begun
	onFree func(uint32)  // next
	woken  bool          // somebody will look at the queue by then
	acks   time.Duration // what acknowledgements, which slip in between, take of the uplink
	idle   time.Duration // when the downlink will have passed on everything

	SentBytes int64 // UDP payload that left
	Queued    int   // transfers that wait
	Backlog   int   // bytes of these
}

// priorities are 0, the most urgent, to 7.
const priorities = 8

// Of returns a host's link.
func (n *Net) Of(h *simnet.Host) *Link {
	l := n.links[h]
	if l == nil {
		l = &Link{net: n, host: h}
		l.onFree = l.next
		n.links[h] = l
	}
	return l
}

// Send sends bytes that are no object of an endpoint, say of an HTTP answer, to
// another host, and calls then when they are there; never, if that host is
// offline by then.
func (l *Link) Send(to *simnet.Host, bytes int, priority uint8, then func(now time.Time)) {
	l.net.Stats.Messages++
	size, packets := wireSize(bytes)
	l.net.Stats.PlainBytes += int64(size)
	l.push(transfer{to: l.net.Of(to), size: size, packets: packets, then: then}, priority)
}

// handshake sends a datagram of a handshake.
func (l *Link) handshake(to *Link, bytes int, then func(now time.Time)) {
	l.push(transfer{to: to, size: bytes, packets: 1, then: then}, 0)
}

func (l *Link) push(t transfer, priority uint8) uint32 {
	n := l.net
	t.link = l
	var i uint32
	if k := len(n.free); k > 0 {
		i, n.free = n.free[k-1], n.free[:k-1]
	} else {
		n.slots = append(n.slots, transfer{})
		i = uint32(len(n.slots) - 1)
	}
	n.slots[i] = t
	l.Queued++
	l.Backlog += t.size
	// What is most urgent goes behind what is being served, and before all that
	// waits: when it will leave is known, and nothing need happen until it comes.
	if priority == 0 {
		l.serve(i)
		return i
	}
	p := min(priority, priorities-1)
	l.queue[p] = append(l.queue[p], i)
	if !l.woken {
		l.next(0)
	}
	return i
}

// next serves what waits, if nothing is under way, and sees to it that somebody
// looks again.
func (l *Link) next(uint32) {
	l.woken = false
	for l.Queued > 0 {
		if wait := l.until - l.net.world.Elapsed(); wait > 0 {
			l.woken = true
			l.net.world.Call(wait, l.onFree, 0)
			return
		}
		i, _ := l.pop()
		l.serve(i)
	}
}

// serve begins a transfer when the uplink is done with what it has begun.
func (l *Link) serve(i uint32) {
	n := l.net
	t := &n.slots[i]
	l.Queued--
	l.Backlog -= t.size
	if !n.begin(t) {
		n.release(i)
		return
	}
	up, _ := l.host.Links()
	l.SentBytes += int64(t.size)
	n.Stats.WireBytes += int64(t.size)
	now := n.world.Elapsed()
	l.until = max(l.until, now)
	t.began = n.world.Now().Add(l.until - now)
	l.until += nanos(t.size, t.packets, up.Rate) + l.acks
	l.acks = 0
	n.world.Call(l.until-now+n.left(t, l.until), n.onCome, i)
}

// acknowledge takes the uplink for some datagrams that acknowledge, and returns how
// long they wait: for the rest of what is being served.
func (l *Link) acknowledge(datagrams int) time.Duration {
	up, _ := l.host.Links()
	l.acks += nanos(ackCost*datagrams, datagrams, up.Rate)
	l.net.Stats.WireBytes += int64(ackCost * datagrams)
	return max(0, l.until-l.net.world.Elapsed())
}

func (l *Link) pop() (uint32, bool) {
	for p := range l.queue {
		q := l.queue[p]
		if h := l.heads[p]; h < len(q) {
			i := q[h]
			if l.heads[p]++; l.heads[p] == len(q) {
				l.queue[p], l.heads[p] = q[:0], 0
			} else if l.heads[p] > 64 && l.heads[p]*2 > len(q) {
				l.queue[p] = append(q[:0], q[l.heads[p]:]...)
				l.heads[p] = 0
			}
			return i, true
		}
	}
	return 0, false
}

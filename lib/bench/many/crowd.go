package many

import (
	"container/heap"
	"encoding/binary"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/xntp"
)

// A crowd is the peers: an endpoint for each, at the socket of its number, behind one
// machine.
type crowd struct {
	ends    []*xntp.Endpoint
	due     dueHeap
	place   []int // in due, -1 if not there
	at      []time.Time
	turn    []int
	waiting []bool // in turn

	start     time.Time
	connected int
	bytes     int64
	late      []time.Duration // of the objects, when somebody wants to know
	measure   bool
}

var _ machine.Machine = (*crowd)(nil)

func newCrowd(ends []*xntp.Endpoint, start time.Time) *crowd {
	c := &crowd{ends: ends, start: start, at: make([]time.Time, len(ends)), waiting: make([]bool, len(ends))}
	for range ends {
		c.place = append(c.place, -1)
	}
	c.due.c = c
	return c
}

func (c *crowd) Receive(now time.Time, p machine.Packet) {
	i := int(p.Socket)
	p.Socket = 0
	c.ends[i].Receive(now, p)
	c.touch(now, i)
}

// touch takes what happened to a peer, and lets it speak.
func (c *crowd) touch(now time.Time, i int) {
	for ev, ok := c.ends[i].NextEvent(); ok; ev, ok = c.ends[i].NextEvent() {
		switch ev.Kind {
		case xntp.EventConnected:
			c.connected++
		case xntp.EventObject:
			c.bytes += int64(len(ev.Data))
			if c.measure {
				c.late = append(c.late, now.Sub(c.start)-time.Duration(binary.BigEndian.Uint64(ev.Data)))
			}
			c.ends[i].Reuse(ev.Data)
		}
	}
	if !c.waiting[i] {
		c.waiting[i] = true
		c.turn = append(c.turn, i)
	}
}

func (c *crowd) Advance(now time.Time) {
	for len(c.due.list) > 0 && !now.Before(c.at[c.due.list[0]]) {
		i := heap.Pop(&c.due).(int)
		c.ends[i].Advance(now)
		c.touch(now, i)
	}
}

func (c *crowd) NextTimeout() time.Time {
	if len(c.due.list) == 0 {
		return time.Time{}
	}
	return c.at[c.due.list[0]]
}

func (c *crowd) AppendDatagram(now time.Time, dst []byte) (machine.Packet, bool) {
	for len(c.turn) > 0 {
		i := c.turn[0]
		if p, ok := c.ends[i].AppendDatagram(now, dst); ok {
			p.Socket = machine.Socket(i)
			return p, true
		}
		c.turn = slices.Delete(c.turn, 0, 1)
		c.waiting[i] = false
		c.schedule(i, c.ends[i].NextTimeout())
	}
	return machine.Packet{}, false
}

func (c *crowd) schedule(i int, at time.Time) {
	c.at[i] = at
	switch {
	case at.IsZero() && c.place[i] >= 0:
		heap.Remove(&c.due, c.place[i])
	case at.IsZero():
	case c.place[i] < 0:
		heap.Push(&c.due, i)
	default:
		heap.Fix(&c.due, c.place[i])
	}
}

// dueHeap is the peers by when they are to be woken.
type dueHeap struct {
	c    *crowd
	list []int
}

func (h *dueHeap) Len() int           { return len(h.list) }
func (h *dueHeap) Less(i, j int) bool { return h.c.at[h.list[i]].Before(h.c.at[h.list[j]]) }
func (h *dueHeap) Swap(i, j int) {
	h.list[i], h.list[j] = h.list[j], h.list[i]
	h.c.place[h.list[i]], h.c.place[h.list[j]] = i, j
}
func (h *dueHeap) Push(x any) { h.c.place[x.(int)] = len(h.list); h.list = append(h.list, x.(int)) }
func (h *dueHeap) Pop() any {
	i := h.list[len(h.list)-1]
	h.list = h.list[:len(h.list)-1]
	h.c.place[i] = -1
	return i
}

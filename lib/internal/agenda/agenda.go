// Package agenda is the event queue of an emulated network: of a virtual one
// under a virtual clock, and of a real one under the real clock.
package agenda

// An Event is something that will happen. It holds no pointers, so that the
// garbage collector never looks at an agenda, however long.
type Event struct {
	At   int64 // ns since the network began
	seq  uint64
	Ref  uint32 // what it happens to
	Kind uint8
}

// Seq tells events apart: an agenda numbers them as they come.
func (e Event) Seq() uint64 { return e.seq }

func (e Event) before(b Event) bool {
	return e.At < b.At || e.At == b.At && e.seq < b.seq
}

// An Agenda holds events ordered by time, and at one time by the order in
// which they were pushed. The zero Agenda is empty.
type Agenda struct {
	heap []Event // four children a node: few levels, and children side by side
	seq  uint64

	// What is to happen at the very time of the event taken last needs no place
	// among the others: it is a queue, whose times and numbers only grow.
	last int64
	soon []Event
	head int
}

// Len is the number of events.
func (a *Agenda) Len() int { return len(a.heap) + len(a.soon) - a.head }

// Next is when the first event is due; ok is false if there is none.
func (a *Agenda) Next() (at int64, ok bool) {
	switch {
	case a.first():
		return a.soon[a.head].At, true
	case len(a.heap) == 0:
		return 0, false
	}
	return a.heap[0].At, true
}

// first reports whether the first event is the queue's.
func (a *Agenda) first() bool {
	return a.head < len(a.soon) && (len(a.heap) == 0 || a.soon[a.head].before(a.heap[0]))
}

// Push adds an event and returns its sequence number.
func (a *Agenda) Push(at int64, kind uint8, ref uint32) (seq uint64) {
	a.seq++
	e := Event{At: at, seq: a.seq, Ref: ref, Kind: kind}
	if n := len(a.soon); at == a.last && (a.head == n || a.soon[n-1].At <= at) {
		a.soon = append(a.soon, e)
		return a.seq
	}
	a.heap = append(a.heap, e)
	h, i := a.heap, len(a.heap)-1
	for i > 0 {
		up := (i - 1) / 4
		if !e.before(h[up]) {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = e
	return a.seq
}

// Pop takes the first event. There must be one.
func (a *Agenda) Pop() Event {
	if a.first() {
		e := a.soon[a.head]
		if a.head++; a.head == len(a.soon) {
			a.soon, a.head = a.soon[:0], 0
		}
		a.last = e.At
		return e
	}
	h := a.heap
	top, last := h[0], h[len(h)-1]
	a.last = top.At
	h = h[:len(h)-1]
	a.heap = h
	i := 0
	for {
		first := 4*i + 1
		if first >= len(h) {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, len(h)); c++ {
			if h[c].before(h[least]) {
				least = c
			}
		}
		if !h[least].before(last) {
			break
		}
		h[i] = h[least]
		i = least
	}
	if len(h) > 0 {
		h[i] = last
	}
	return top
}

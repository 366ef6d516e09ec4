package simnet

type eventKind uint8

const (
	arriveEvent  eventKind = iota // a datagram reaches the far end's access link
	deliverEvent                  // a datagram reaches its process
	wakeEvent                     // a process's timeout
	postEvent                     // a function that somebody asked for
)

// An event is something that will happen. It holds no pointers, so that the
// garbage collector never looks at an agenda, however long.
type event struct {
	at   int64 // ns since Epoch
	seq  uint64
	ref  uint32 // which datagram, process or post
	kind eventKind
}

func (a event) before(b event) bool {
	return a.at < b.at || a.at == b.at && a.seq < b.seq
}

// An agenda is a heap of events ordered by time, and at one time by sequence
// number. Four children a node: fewer levels, and children in one cache line.
type agenda []event

func (q *agenda) push(e event) {
	*q = append(*q, e)
	h, i := *q, len(*q)-1
	for i > 0 {
		up := (i - 1) / 4
		if !e.before(h[up]) {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = e
}

func (q *agenda) pop() event {
	h := *q
	top, last := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	*q = h
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

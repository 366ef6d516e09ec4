// Package fifo is a queue that is filled and emptied all the time.
package fifo

// A Queue gives back what was put in, oldest first. It keeps its memory when it
// runs empty, unless that is much. The zero Queue is empty.
type Queue[T any] struct {
	items []T
	head  int
}

// kept is how many items an empty queue has room for at the most.
const kept = 64

// Len is the number of items.
func (q *Queue[T]) Len() int { return len(q.items) - q.head }

// Push puts an item in.
func (q *Queue[T]) Push(v T) {
	if q.head > 0 && len(q.items) == cap(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, v)
}

// Pop takes the oldest item; ok is false if there is none.
func (q *Queue[T]) Pop() (v T, ok bool) {
	if q.head == len(q.items) {
		return v, false
	}
	p := &q.items[q.head]
	v, *p = *p, v
	if q.head++; q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
		if cap(q.items) > kept {
			q.items = nil
		}
	}
	return v, true
}

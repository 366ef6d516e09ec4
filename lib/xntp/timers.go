package xntp

import "time"

// timers is a heap of connections by their timeout. Ties are broken by id, so
// that the order of events does not depend on the heap's history.
type timers []*conn

func (t timers) less(i, j int) bool {
	if t[i].timeout.Equal(t[j].timeout) {
		return t[i].id < t[j].id
	}
	return t[i].timeout.Before(t[j].timeout)
}

func (t timers) swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].heap, t[j].heap = i, j
}

// set puts c in its place after its timeout has become at; zero takes it out.
func (t *timers) set(c *conn, at time.Time) {
	switch {
	case at.IsZero() && c.heap < 0:
		return
	case at.IsZero():
		i, last := c.heap, len(*t)-1
		t.swap(i, last)
		(*t)[last] = nil
		*t = (*t)[:last]
		c.heap = -1
		if i < last {
			t.fix(i)
		}
		return
	case c.heap < 0:
		c.heap = len(*t)
		*t = append(*t, c)
	case c.timeout.Equal(at):
		return
	}
	c.timeout = at
	t.fix(c.heap)
}

func (t timers) fix(i int) {
	for i > 0 && t.less(i, (i-1)/2) {
		t.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
	for {
		child := 2*i + 1
		if child >= len(t) {
			return
		}
		if child+1 < len(t) && t.less(child+1, child) {
			child++
		}
		if !t.less(child, i) {
			return
		}
		t.swap(i, child)
		i = child
	}
}

// A fifo is a queue in a ring that keeps its array.
type fifo[T any] struct {
	ring  []T
	first int
	n     int
}

func (q *fifo[T]) push(v T) {
	if q.n == len(q.ring) {
		ring := make([]T, max(16, 2*len(q.ring)))
		for i := range q.n {
			ring[i] = q.ring[(q.first+i)%len(q.ring)]
		}
		q.ring, q.first = ring, 0
	}
	q.ring[(q.first+q.n)%len(q.ring)] = v
	q.n++
}

// unpop puts back what pop has just returned.
func (q *fifo[T]) unpop(v T) {
	q.first = (q.first + len(q.ring) - 1) % len(q.ring)
	q.ring[q.first] = v
	q.n++
}

func (q *fifo[T]) pop() (v T, ok bool) {
	if q.n == 0 {
		return v, false
	}
	var zero T
	v, q.ring[q.first] = q.ring[q.first], zero
	q.first = (q.first + 1) % len(q.ring)
	q.n--
	return v, true
}

package node

import (
	"slices"

	"github.com/xp2p/xp2p/lib/xntp"
)

// conns are a node's connections by number, ascending. A viewer has a dozen,
// and one is looked up with every event.
type conns struct {
	ids  []xntp.ConnID
	list []*conn
}

// get returns the connection with a number; nil if there is none.
func (s *conns) get(id xntp.ConnID) *conn {
	if i, ok := slices.BinarySearch(s.ids, id); ok {
		return s.list[i]
	}
	return nil
}

func (s *conns) put(c *conn) {
	i, ok := slices.BinarySearch(s.ids, c.id)
	if ok {
		s.list[i] = c
		return
	}
	s.ids, s.list = slices.Insert(s.ids, i, c.id), slices.Insert(s.list, i, c)
}

func (s *conns) remove(id xntp.ConnID) {
	if i, ok := slices.BinarySearch(s.ids, id); ok {
		s.ids, s.list = slices.Delete(s.ids, i, i+1), slices.Delete(s.list, i, i+1)
	}
}

// An object is a swarm's, on its way.
type object struct {
	id   xntp.ObjectID
	room *room
	tag  uint64
	size int
}

// note remembers an object that was sent. Numbers grow on a connection.
func (c *conn) note(o object) { c.objects = append(c.objects, o) }

// take forgets an object, and returns what it was; false if it was not a swarm's.
func (c *conn) take(id xntp.ObjectID) (o object, ok bool) {
	i, ok := slices.BinarySearchFunc(c.objects, id, func(o object, id xntp.ObjectID) int { return int(int64(o.id) - int64(id)) })
	if ok {
		o = c.objects[i]
		c.objects = slices.Delete(c.objects, i, i+1)
	}
	return o, ok
}

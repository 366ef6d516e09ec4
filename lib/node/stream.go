package node

import (
	"errors"
	"time"

	"github.com/xp2p/xp2p/lib/wire"
	"github.com/xp2p/xp2p/lib/xntp"
)

// A Stream is an endless object on a connection, one way: what a tunnel is made
// of. In an EventStream it is the other end's.
type Stream struct {
	Conn   xntp.ConnID
	Object xntp.ObjectID
}

// ErrNotConnected says that there is no connection with a peer now.
var ErrNotConnected = errors.New("not connected")

// streamPriority is that of pieces that are due: somebody waits for what a tunnel
// brings.
const streamPriority = 1

// streams is the transport as one that has streams; nil for a simulation's.
func (n *Node) streams() *xntp.Endpoint {
	e, _ := n.xn.(*xntp.Endpoint)
	return e
}

// OpenStream opens a stream to a peer.
func (n *Node) OpenStream(now time.Time, id wire.PeerID) (Stream, error) {
	p := n.peer(id)
	if p == nil || p.conn == nil || !p.conn.up {
		return Stream{}, ErrNotConnected
	}
	return n.AnswerStream(now, p.conn.id)
}

// AnswerStream opens a stream on a connection, such as one that a stream came on.
func (n *Node) AnswerStream(now time.Time, c xntp.ConnID) (Stream, error) {
	e := n.streams()
	if e == nil {
		return Stream{}, ErrNotConnected
	}
	id, err := e.OpenStream(now, c, streamPriority)
	return Stream{c, id}, err
}

// WriteStream appends to a stream as much of b as there is room for. With n <
// len(b) the error is xntp.ErrBlocked, and EventWritable follows.
func (n *Node) WriteStream(now time.Time, s Stream, b []byte) (int, error) {
	e := n.streams()
	if e == nil {
		return 0, ErrNotConnected
	}
	k, err := e.Write(now, s.Conn, s.Object, b)
	if c := n.conns.get(s.Conn); c != nil {
		c.streamed += int64(k)
	}
	return k, err
}

// CloseStream ends a stream behind what was written to it.
func (n *Node) CloseStream(now time.Time, s Stream) {
	if e := n.streams(); e != nil {
		e.CloseStream(now, s.Conn, s.Object)
	}
}

// streamed passes on what a stream brought.
func (n *Node) streamed(c *conn, e xntp.Event) {
	c.streamed += int64(len(e.Data))
	if n.cfg.Streams {
		n.tell(Event{Kind: EventStream, Stream: Stream{c.id, e.Object}, Neighbour: c.peer.id, Addr: c.addr, Data: e.Data, Fin: e.Fin})
	}
}

// tellConn tells the owner of streams what became of a connection.
func (n *Node) tellConn(kind EventKind, c *conn) {
	if n.cfg.Streams {
		n.tell(Event{Kind: kind, Stream: Stream{Conn: c.id}, Neighbour: c.peer.id, Addr: c.addr})
	}
}

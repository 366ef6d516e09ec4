package node

import (
	"github.com/xp2p/xp2p/lib/natprobe"
	"github.com/xp2p/xp2p/lib/xntp"
)

// Counts is what the node has done for all its rooms together.
type Counts struct {
	Conns   int                     // connections that are up
	Payload int64                   // bytes of pieces, both ways
	Given   int64                   // bytes of pieces handed to others, as Polite counts them
	Dropped xntp.Counts             // datagrams that came to nothing, by cause
	STUN    natprobe.ResponderStats // a seed's
}

// Uploaded returns the bytes of pieces that a room's neighbours have acknowledged;
// unlike Stats, it looks at nothing else.
func (n *Node) Uploaded(name string) int64 {
	if r := n.room(name); r != nil {
		return r.sw.Meter.Uploaded
	}
	return 0
}

// Counts returns the node's counters.
func (n *Node) Counts() Counts {
	c := Counts{Dropped: n.xn.Counts(), Payload: n.spent.payload, Given: n.polite.Given()}
	if n.answer != nil {
		c.STUN = n.answer.Stats()
	}
	for _, conn := range n.conns.list {
		if conn.up {
			c.Conns++
		}
		c.Payload += conn.payload
	}
	return c
}

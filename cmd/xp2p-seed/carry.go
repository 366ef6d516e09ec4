package main

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/xp2p/xp2p/lib/endpoint"
	"github.com/xp2p/xp2p/lib/node"
)

const carrierTimeout = 10 * time.Second

// carry opens what carries datagrams and is no UDP socket, and tells the node: a seed
// behind a NAT may need a relay as viewers do. On the loop, and then not.
func (s *seed) carry(o node.OpenSocket) {
	s.work.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, carrierTimeout)
		defer cancel()
		var c endpoint.Carrier
		err := errors.New("no such kind of socket")
		switch {
		case o.Kind == node.SocketRelay:
			c, err = s.relays.Dial(ctx, s.t.Log)
		case o.Kind == node.SocketTCP && o.Remote.IsValid() && o.URL == "":
			c, err = endpoint.DialTCP(ctx, o.Local, o.Remote)
		}
		if err != nil {
			s.t.Log.Info("no further way", "kind", o.Kind, "err", err)
			s.do(func(now time.Time) { s.node.Opened(now, o.Ref, 0, netip.AddrPort{}, err) })
			return
		}
		told := s.ep.DoContext(s.ctx, func(now time.Time) {
			id, err := s.ep.Attach(c)
			if err != nil {
				c.Close()
			}
			s.node.Opened(now, o.Ref, id, c.LocalAddr(), err)
		})
		if told != nil {
			c.Close()
		}
	})
}

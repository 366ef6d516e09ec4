package main

import (
	"context"
	"net/netip"
	"time"

	"github.com/xp2p/xp2p/lib/endpoint"
	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/relay"
	"github.com/xp2p/xp2p/lib/signal"
	"github.com/xp2p/xp2p/lib/stream"
	"github.com/xp2p/xp2p/lib/wire"
)

const carrierTimeout = 10 * time.Second

// know takes the room's relays from its document.
func (s *viewer) know(doc *wire.RoomDocument) {
	s.relays.Set(relay.Accesses(doc), func(ctx context.Context) ([]relay.Access, error) {
		doc, err := signal.FetchRoom(ctx, nil, s.o.room.Document())
		if err != nil {
			return nil, err
		}
		return relay.Accesses(doc), nil
	})
}

// carry opens what carries datagrams and is no UDP socket, and tells the node. On the
// loop, and then not.
func (s *viewer) carry(o node.OpenSocket) {
	s.work.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, carrierTimeout)
		defer cancel()
		c, err := s.openCarrier(ctx, o)
		if err != nil {
			s.io.Log.Info("no further way", "kind", o.Kind, "err", err)
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

func (s *viewer) openCarrier(ctx context.Context, o node.OpenSocket) (endpoint.Carrier, error) {
	switch {
	case o.Kind == node.SocketRelay:
		a, err := s.relays.Dial(ctx, s.io.Log)
		if err != nil {
			return nil, err
		}
		s.io.Log.Info("a relay gives us an address", "relay", a.Server(), "addr", a.LocalAddr())
		return a, nil
	case o.Kind == node.SocketTCP && o.URL != "":
		conn, err := stream.Upgrade(ctx, o.URL)
		if err != nil {
			return nil, err
		}
		return endpoint.OneTCP(conn, o.Remote)
	case o.Kind == node.SocketTCP && o.Remote.IsValid():
		return endpoint.DialTCP(ctx, o.Local, o.Remote)
	case o.Kind == node.SocketTCP:
		return endpoint.ListenTCP(o.Local)
	}
	return nil, errNoSuchSocket
}

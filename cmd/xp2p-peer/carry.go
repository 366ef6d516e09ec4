package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/xp2p/xp2p/lib/endpoint"
	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/relay"
	"github.com/xp2p/xp2p/lib/signal"
	"github.com/xp2p/xp2p/lib/stream"
	"github.com/xp2p/xp2p/lib/wire"
)

// Our choices.
const (
	// nextRelay is how long one way to a relay is waited for before the next is
	// tried beside it.
	nextRelay = 400 * time.Millisecond
	// oldCredentials are not used any more: the room document has new ones.
	oldCredentials = relay.CredentialLife / 2
	carrierTimeout = 10 * time.Second
)

// relays are the TURN servers of the room.
type relays struct {
	mu   sync.Mutex
	list []wire.RoomRelay
	at   time.Time // when the document came
	url  string    // of the document
}

func (r *relays) set(doc *wire.RoomDocument, url string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list, r.at, r.url = doc.Relays, time.Now(), url
}

// now returns them with credentials that are good for a while.
func (r *relays) now(ctx context.Context) ([]wire.RoomRelay, error) {
	r.mu.Lock()
	list, at, url := r.list, r.at, r.url
	r.mu.Unlock()
	if len(list) > 0 && time.Since(at) > oldCredentials {
		doc, err := signal.FetchRoom(ctx, nil, url)
		if err != nil {
			return nil, err
		}
		r.set(doc, url)
		list = doc.Relays
	}
	if len(list) == 0 {
		return nil, errors.New("the room has no relay")
	}
	return list, nil
}

// carry opens what carries datagrams and is no UDP socket, and tells the node. On the
// loop, and then not.
func (s *session) carry(o node.OpenSocket) {
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

func (s *session) openCarrier(ctx context.Context, o node.OpenSocket) (endpoint.Carrier, error) {
	switch {
	case o.Kind == node.SocketRelay:
		list, err := s.relays.now(ctx)
		if err != nil {
			return nil, err
		}
		return s.allocate(ctx, list)
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

// allocate asks the relays for an address, in the order of the document, in which UDP
// comes first; the first that answers is it.
func (s *session) allocate(ctx context.Context, list []wire.RoomRelay) (endpoint.Carrier, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		a   *relay.Allocation
		err error
	}
	answers := make(chan answer, len(list))
	asked, heard := 0, 0
	var errs []error
	next := time.NewTimer(0)
	defer next.Stop()
	defer func() { // those who answer too late
		for range asked - heard {
			s.work.Go(func() {
				if late := <-answers; late.err == nil {
					late.a.Close()
				}
			})
		}
	}()
	for heard < len(list) {
		select {
		case <-next.C:
			if asked == len(list) {
				continue
			}
			r := list[asked]
			asked++
			go func() {
				u, err := relay.ParseURI(r.URL)
				if err != nil {
					answers <- answer{nil, err}
					return
				}
				a, err := relay.Dial(ctx, relay.Access{URI: u, Username: r.Username, Password: r.Credential, Fingerprint: r.CertSHA256, Log: s.io.Log})
				answers <- answer{a, err}
			}()
			next.Reset(nextRelay)
		case got := <-answers:
			heard++
			if got.err == nil {
				s.io.Log.Info("a relay gives us an address", "relay", got.a.Server(), "addr", got.a.LocalAddr())
				return got.a, nil
			}
			errs = append(errs, got.err)
			next.Reset(0)
		}
	}
	return nil, fmt.Errorf("no relay answers: %w", errors.Join(errs...))
}

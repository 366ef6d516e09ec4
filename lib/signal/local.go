package signal

import (
	"errors"
	"net/netip"
	"sync"

	"github.com/xp2p/xp2p/lib/tracker"
	"github.com/xp2p/xp2p/lib/wire"
)

// ErrClosed says that a session, or its server, is closed.
var ErrClosed = errors.New("signal: closed")

// A Local is the session of a seed in the tracker's own process: the same
// messages, without a socket.
type Local struct {
	server  *Server
	session tracker.Session
	out     *outbox
	arrival arrival
	events  chan wire.Signal
	close   sync.Once
}

// Attach lets a seed of this process into a room. addrs is where it listens, as
// the operator knows it: the tracker takes them without proof. The caller
// drains Events.
func (s *Server) Attach(room string, hello *wire.SignalHello, addrs []netip.AddrPort) (*Local, error) {
	session, out := s.enter()
	if out == nil {
		return nil, ErrClosed
	}
	l := &Local{
		server: s, session: session, out: out, events: make(chan wire.Signal, 16),
		arrival: arrival{room: room, remote: netip.AddrFrom4([4]byte{127, 0, 0, 1}), trusted: true, addrs: addrs},
	}
	s.wg.Go(l.forward)
	if err := l.Send(hello); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Events returns the channel of the tracker's messages; it is closed when the
// session ends.
func (l *Local) Events() <-chan wire.Signal { return l.events }

// Send says m to the tracker. What the wire could not carry is refused here
// too.
func (l *Local) Send(m wire.Signal) error {
	if _, err := wire.AppendSignal(nil, m); err != nil {
		return err
	}
	over, err := l.server.take(l.session, l.arrival, m)
	if over {
		l.Close()
	}
	return err
}

// Close leaves the room.
func (l *Local) Close() {
	l.close.Do(func() {
		l.server.leave(l.session)
		l.out.end()
	})
}

func (l *Local) forward() {
	defer close(l.events)
	defer l.Close()
	for {
		select {
		case <-l.out.done:
			return
		case <-l.out.ready:
			messages, last := l.out.take()
			for _, m := range messages {
				select {
				case l.events <- m:
				case <-l.out.done:
					return
				}
			}
			if last {
				return
			}
		}
	}
}

package signal

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/coder/websocket"

	"github.com/xp2p/xp2p/lib/tracker"
	"github.com/xp2p/xp2p/lib/wire"
)

// serveSignal is one peer's connection, from handshake to end.
func (s *Server) serveSignal(w http.ResponseWriter, r *http.Request) {
	room := r.PathValue("room")
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		s.refuse(w, http.StatusBadRequest, "no address to answer to")
		return
	}
	s.mu.Lock()
	known := s.tracker.Topology(room) != "" || s.cfg.MaxGuests > 0 && wire.CheckRoomName(room) // it may be announced now
	s.mu.Unlock()
	if !known {
		s.refuse(w, http.StatusNotFound, "no such room")
		return
	}
	if s.conns.Add(1) > int64(s.cfg.MaxConns) || s.strangers.Load() >= maxStrangers {
		s.conns.Add(-1)
		s.refuse(w, http.StatusServiceUnavailable, "too many connections")
		return
	}
	defer s.conns.Add(-1)
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		s.stats.refused.Add(1) // Accept has answered
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(wire.MaxSignal)
	session, out := s.enter()
	if out == nil {
		_ = conn.Close(websocket.StatusGoingAway, "the tracker stops")
		return
	}
	s.stats.connected.Add(1)
	s.log.Debug("peer connected", "room", room, "remote", remote)
	ctx, cancel := context.WithCancel(context.Background())
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		defer cancel()
		s.write(ctx, conn, out)
	}()
	err = s.read(ctx, conn, session, arrival{room: room, remote: remote.Addr()})
	// First the others hear of it, then we tidy up.
	s.leave(session)
	if err != nil {
		s.farewell(conn, err)
	}
	cancel()
	<-wrote
	s.log.Debug("peer gone", "room", room, "remote", remote, "err", err)
}

func (s *Server) refuse(w http.ResponseWriter, status int, why string) {
	s.stats.refused.Add(1)
	httpError(w, status, why)
}

// read takes messages until the connection ends or the peer has to go. Its
// error, if any, is for the peer's ears.
func (s *Server) read(ctx context.Context, conn *websocket.Conn, session tracker.Session, a arrival) error {
	s.strangers.Add(1)
	stranger := true
	known := func() {
		if stranger {
			stranger = false
			s.strangers.Add(-1)
		}
	}
	defer known()
	hello, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	limit := bucket{level: messageBurst, at: time.Now()}
	for {
		wait := ctx
		if stranger {
			wait = hello
		}
		typ, b, err := conn.Read(wait)
		if err != nil {
			return nil
		}
		if !limit.take(time.Now()) {
			return &wire.SignalError{Code: wire.SignalTooFast, Message: "too many messages"}
		}
		if typ != websocket.MessageText {
			s.stats.bad.Add(1)
			return &wire.SignalError{Code: wire.SignalBadMessage, Message: "not text"}
		}
		m, err := wire.ParseSignal(b)
		if errors.Is(err, wire.ErrSignalType) && !stranger {
			s.stats.bad.Add(1)
			continue // from a later version
		}
		if err != nil {
			s.stats.bad.Add(1)
			return &wire.SignalError{Code: wire.SignalBadMessage, Message: clip(err.Error())}
		}
		over, err := s.take(session, a, m)
		if err != nil {
			return err
		}
		if over {
			return nil
		}
		if _, before := m.(*wire.SignalAnnounce); !before {
			known()
		}
	}
}

// write sends what is in the outbox, and pings when nothing is.
func (s *Server) write(ctx context.Context, conn *websocket.Conn, out *outbox) {
	ping := time.NewTicker(pingInterval)
	defer ping.Stop()
	pings := make(chan error, 1)
	for {
		select {
		case <-ctx.Done():
			return
		case <-out.done:
			_ = conn.CloseNow()
			return
		case err := <-pings:
			if err != nil {
				_ = conn.CloseNow()
				return
			}
		case <-ping.C:
			go func() { pings <- pingOnce(ctx, conn) }()
		case <-out.ready:
			messages, last := out.take()
			for _, m := range messages {
				if err := send(ctx, conn, m); err != nil {
					s.stats.dropped.Add(1)
					_ = conn.CloseNow()
					return
				}
				s.stats.sent.Add(1)
			}
			if last {
				_ = conn.Close(websocket.StatusNormalClosure, "")
				return
			}
		}
	}
}

func pingOnce(ctx context.Context, conn *websocket.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, pongTimeout)
	defer cancel()
	return conn.Ping(ctx)
}

func send(ctx context.Context, conn *websocket.Conn, m wire.Signal) error {
	b, err := wire.AppendSignal(nil, m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return conn.Write(ctx, websocket.MessageText, b)
}

// farewell tells the peer why, and closes.
func (s *Server) farewell(conn *websocket.Conn, why error) {
	s.stats.dropped.Add(1)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = send(ctx, conn, signalError(why))
	_ = conn.Close(websocket.StatusPolicyViolation, "")
}

// signalError puts an error of the tracker into the wire's words.
func signalError(err error) *wire.SignalError {
	var e *wire.SignalError
	if errors.As(err, &e) {
		return e
	}
	code := wire.SignalBadMessage
	for _, c := range []struct {
		err  error
		code string
	}{
		{tracker.ErrNoRoom, wire.SignalNoRoom}, {tracker.ErrFull, wire.SignalFull},
		{tracker.ErrKeyInUse, wire.SignalKeyInUse}, {tracker.ErrForbidden, wire.SignalForbidden},
	} {
		if errors.Is(err, c.err) {
			code = c.code
		}
	}
	return &wire.SignalError{Code: code, Message: clip(err.Error())}
}

// clip makes s fit to be a message: short, and without what moves a cursor.
func clip(s string) string {
	out := make([]rune, 0, 200)
	for _, r := range s {
		if r < ' ' || r == 0x7f {
			r = ' '
		}
		if out = append(out, r); len(out) == cap(out) {
			break
		}
	}
	for len(string(out)) > 400 {
		out = out[:len(out)-1]
	}
	return string(out)
}

// A bucket limits messages: it fills at messageRate up to messageBurst.
type bucket struct {
	level float64
	at    time.Time
}

func (b *bucket) take(now time.Time) bool {
	b.level = min(messageBurst, b.level+now.Sub(b.at).Seconds()*messageRate)
	b.at = now
	if b.level < 1 {
		return false
	}
	b.level--
	return true
}

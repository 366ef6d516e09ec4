// Package signal carries what trackers and peers say to each other: the room
// document by HTTP, everything else over one WebSocket per peer, or without a
// socket for a seed that lives in the tracker's process.
package signal

import (
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xp2p/xp2p/lib/tracker"
	"github.com/xp2p/xp2p/lib/wire"
)

// Limits of a Server. Our choice: a peer says hello a few times and reports
// every few seconds; whoever says much more is broken or means harm. Whoever
// does not read a list within ten seconds, or lets a ping go unanswered for as
// long, is gone.
const (
	DefaultMaxConns = 25_000
	maxStrangers    = 1024 // connections that have not said hello yet
	helloTimeout    = 10 * time.Second
	writeTimeout    = 10 * time.Second
	pingInterval    = 15 * time.Second
	pongTimeout     = 10 * time.Second
	messageRate     = 10 // messages a second
	messageBurst    = 50
	maxOutbox       = 256 // messages waiting for one peer
)

// ServerConfig configures a Server.
type ServerConfig struct {
	Tracker tracker.Config
	// Document describes a room, but for what the server adds: the topology, the
	// time and, if it is empty, the URL to signal to. With ok false there is no
	// such room.
	Document func(r *http.Request, room string) (d *wire.RoomDocument, ok bool)
	// Report, if not nil, is called with every report that the tracker took. It
	// must not block.
	Report   func(room string, id wire.PeerID, report []byte)
	MaxConns int // 0: DefaultMaxConns
	// MaxGuests is how many rooms others may announce here; 0: none.
	MaxGuests     int
	GuestTopology string
	// Own reports whether a name is one of the operator's rooms, although Open was
	// not called for it: a recording's.
	Own func(room string) bool
	// Guest describes a room that was announced, but for what its announcer said.
	Guest func(r *http.Request, room string) *wire.RoomDocument
	Log   *slog.Logger
}

// A Server is a tracker on the network: an http.Handler for GET
// /v1/rooms/{room} and GET /v1/rooms/{room}/signal.
type Server struct {
	cfg ServerConfig
	mux *http.ServeMux
	log *slog.Logger

	mu       sync.Mutex
	tracker  *tracker.Tracker
	sessions map[tracker.Session]*outbox
	guests   map[string]*guest // by room
	last     tracker.Session
	closed   bool
	alarm    *time.Timer // of the tracker
	done     chan struct{}
	wg       sync.WaitGroup

	conns     atomic.Int64
	strangers atomic.Int64
	stats     serverStats
}

type serverStats struct {
	connected, refused, dropped, received, sent, bad atomic.Uint64
}

// ServerStats counts what a Server did.
type ServerStats struct {
	Open      int64  // connections now
	Connected uint64 // connections that were ever made
	Refused   uint64 // requests that were turned away before they were one
	Dropped   uint64 // peers cut off: too slow, too fast, not understood
	Received  uint64 // messages
	Sent      uint64
	Bad       uint64 // messages that were not understood
}

// NewServer returns a server without rooms. Close ends it.
func NewServer(cfg ServerConfig) *Server {
	if cfg.MaxConns == 0 {
		cfg.MaxConns = DefaultMaxConns
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg: cfg, log: cfg.Log, mux: http.NewServeMux(), tracker: tracker.New(cfg.Tracker),
		sessions: map[tracker.Session]*outbox{}, guests: map[string]*guest{}, alarm: time.NewTimer(0), done: make(chan struct{}),
	}
	s.mux.HandleFunc("GET /v1/rooms/{room}", s.serveDocument)
	s.mux.HandleFunc("GET /v1/rooms/{room}/signal", s.serveSignal)
	s.wg.Go(s.tick)
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Open makes a room, with the named topology.
func (s *Server) Open(room, topology string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tracker.Open(time.Now(), room, topology)
}

// CloseRoom ends a room; its peers are told.
func (s *Server) CloseRoom(room string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tracker.CloseRoom(room)
	s.deliver()
}

// Close ends all sessions. The connections go with the http.Server they came
// by.
func (s *Server) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.done)
	}
	for _, o := range s.sessions {
		o.end()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// RoomStats returns a room in numbers.
func (s *Server) RoomStats(room string) (tracker.RoomStats, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tracker.Stats(room)
}

// Account returns a room by what receivers signed.
func (s *Server) Account(room string) (tracker.Account, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tracker.Account(room)
}

// Ways returns how viewers behind NATs met.
func (s *Server) Ways() map[tracker.WayCount]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tracker.Ways()
}

// Rooms returns the names of all rooms, ascending.
func (s *Server) Rooms() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tracker.Rooms()
}

// Observed returns the addresses at which servers have seen members of a room.
func (s *Server) Observed(room string) map[netip.Addr]struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[netip.Addr]struct{}{}
	s.tracker.Observed(room, func(a netip.Addr) { all[a] = struct{}{} })
	return all
}

// Stats returns what the server did so far.
func (s *Server) Stats() ServerStats {
	return ServerStats{
		Open: s.conns.Load(), Connected: s.stats.connected.Load(), Refused: s.stats.refused.Load(), Dropped: s.stats.dropped.Load(),
		Received: s.stats.received.Load(), Sent: s.stats.sent.Load(), Bad: s.stats.bad.Load(),
	}
}

// tick calls the tracker when it wants to be called: deliver has set the alarm.
func (s *Server) tick() {
	defer s.alarm.Stop()
	for {
		select {
		case <-s.done:
			return
		case now := <-s.alarm.C:
			s.mu.Lock()
			s.tracker.Tick(now)
			s.tendGuests(now)
			s.deliver()
			s.mu.Unlock()
		}
	}
}

// enter numbers a new session; nil when the server is closed.
func (s *Server) enter() (tracker.Session, *outbox) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, nil
	}
	s.last++
	o := newOutbox()
	s.sessions[s.last] = o
	return s.last, o
}

// leave ends a session, at once for all who knew the peer.
func (s *Server) leave(session tracker.Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, session)
	now := time.Now()
	s.tracker.Leave(now, session)
	s.guestLeft(session, now, false)
	s.deliver()
}

// arrival is a hello with what we know of its speaker.
type arrival struct {
	room    string
	remote  netip.Addr
	trusted bool
	addrs   []netip.AddrPort
}

// take hands a peer's message to the tracker and delivers what comes of it.
// over says that the session ends.
func (s *Server) take(session tracker.Session, a arrival, m wire.Signal) (over bool, err error) {
	s.stats.received.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.deliver()
	switch m := m.(type) {
	case *wire.SignalAnnounce:
		err := s.announced(session, a, m)
		return err != nil, err
	case *wire.SignalHello:
		_, err := s.tracker.Join(time.Now(), tracker.Arrival{
			Session: session, Room: a.room, Remote: a.remote, Hello: m, Trusted: a.trusted, Addrs: a.addrs,
			Announcer: s.isAnnouncer(session, a.room, m),
		})
		return err != nil, err
	case *wire.SignalReport:
		r, err := s.tracker.Report(session, m)
		if err != nil {
			return true, err
		}
		if s.cfg.Report != nil {
			var id wire.PeerID
			if id.UnmarshalText([]byte(r.ID)) == nil {
				s.cfg.Report(r.Room, id, m.Report)
			}
		}
		return false, nil
	case *wire.SignalPunch:
		err := s.tracker.Punch(time.Now(), session, m)
		return err != nil, err
	case *wire.SignalBye:
		s.guestLeft(session, time.Now(), true)
		return true, nil
	}
	return true, tracker.ErrProtocol
}

// deliver moves the tracker's messages into outboxes, and sets the alarm for its
// next. The caller holds mu.
func (s *Server) deliver() {
	now := time.Now()
	s.alarm.Reset(s.tracker.NextTimeout().Sub(now))
	for {
		m, ok := s.tracker.NextMessage(now)
		if !ok {
			return
		}
		o := s.sessions[m.Session]
		if o == nil {
			continue
		}
		if !o.put(m.Signal) {
			// Whoever lets so much pile up has stopped reading.
			s.stats.dropped.Add(1)
			o.end()
			continue
		}
		if m.Last {
			o.finish()
		}
	}
}

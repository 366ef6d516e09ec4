// Package relay is a standard TURN server (RFC 8656) and a client of such: the last
// rung, for viewers who find no other way to each other.
//
// A Server answers on UDP sockets and on TCP or TLS listeners, and hands out relayed
// addresses at UDP ports of this machine, over IPv4. Who may use it is said by
// credentials that live ten minutes; who has begun with one may go on. What a relay
// sends is bounded four times: to whom (those whom a server has seen in the room;
// else nothing that is not public), how many allocations, how many bytes, and how
// much it answers to strangers.
//
// An Allocation is the client's side: an endpoint.Carrier.
package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/turn/v3"

	"github.com/xp2p/xp2p/lib/stream"
)

// Defaults and bounds. Our choices: an allocation carries a stream or two, and one
// address (a carrier's NAT, an office) a few viewers.
const (
	DefaultRate     = 16_000_000  // bits per second of an allocation, both ways
	DefaultRoomRate = 100_000_000 // of a room
	MinPort         = 49152       // of relayed addresses (RFC 8656 §6.2)
	MaxPort         = 65535

	maxAllocations   = 1024
	maxPerUser       = 4
	maxPerAddress    = 16
	maxStreams       = 1024 // TCP and TLS connections
	maxStreamsPer    = 64   // from one address
	portTries        = 64
	realm            = "xp2p"
	strangerPatience = 15 * time.Second // for a connection that has no allocation
	idlePatience     = 12 * time.Minute // for one that has: longer than allocations live without a word
	maxMessage       = 1600             // pion/turn's, from clients
)

// Config says what a Server relays.
type Config struct {
	// Public is the IPv4 address of relayed addresses, as others reach it; Local, if
	// not the same, the one to open sockets at.
	Public, Local    netip.Addr
	MinPort, MaxPort uint16 // of relayed addresses; 0: MinPort, MaxPort
	// Member reports whether a server has seen a member of the room at ip: only they
	// are sent to. nil: everybody with a public address is.
	Member func(room string, ip netip.Addr) bool
	// Private lets members with private addresses be sent to as well: for
	// laboratories without public ones. It needs Member.
	Private        bool
	Rate, RoomRate int64 // bits per second, both ways; 0: the defaults
	Log            *slog.Logger
}

// Stats counts what a Server did.
type Stats struct {
	Allocations int    // now
	Streams     int    // TCP and TLS connections, now
	Allocated   uint64 // ever
	Refused     uint64 // allocations beyond a limit, credentials that are none
	Denied      uint64 // peers and datagrams that the filter did not let pass
	In, Out     uint64 // bytes of payload from peers to clients, and from clients to peers
	Limited     uint64 // bytes lost to a rate
	Quiet       uint64 // answers to strangers that were not given
}

// A Server relays.
type Server struct {
	cfg     Config
	log     *slog.Logger
	secrets secrets
	filter  filter
	quiet   allowance

	mu      sync.Mutex
	closed  bool
	total   int
	users   map[string]int
	from    map[netip.Prefix]int
	rooms   map[string]*roomUse
	ports   map[uint16]*allocation
	doors   map[*gate]struct{} // open sockets and connections
	streams map[netip.Prefix]int

	allocated, refused, denied, in, out, limited, silent atomic.Uint64
}

// A roomUse is what a room's allocations share.
type roomUse struct {
	allocations int
	rate        *bucket
}

// NewServer returns a server without sockets.
func NewServer(cfg Config) (*Server, error) {
	cfg.Public, cfg.Local = cfg.Public.Unmap(), cfg.Local.Unmap()
	if !cfg.Public.Is4() || cfg.Public.IsUnspecified() {
		return nil, fmt.Errorf("relay: %v: want the IPv4 address at which others reach it", cfg.Public)
	}
	if !cfg.Local.IsValid() {
		cfg.Local = cfg.Public
	}
	if cfg.MinPort == 0 {
		cfg.MinPort = MinPort
	}
	if cfg.MaxPort == 0 {
		cfg.MaxPort = MaxPort
	}
	if cfg.MinPort > cfg.MaxPort {
		return nil, fmt.Errorf("relay: ports %d to %d: none", cfg.MinPort, cfg.MaxPort)
	}
	if cfg.Rate == 0 {
		cfg.Rate = DefaultRate
	}
	if cfg.RoomRate == 0 {
		cfg.RoomRate = DefaultRoomRate
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{
		cfg: cfg, log: cfg.Log, filter: filter{member: cfg.Member, private: cfg.Private, given: []netip.Addr{cfg.Public, cfg.Local}},
		quiet: allowance{salt: rand.Uint64()},
		users: map[string]int{}, from: map[netip.Prefix]int{}, rooms: map[string]*roomUse{}, ports: map[uint16]*allocation{},
		doors: map[*gate]struct{}{}, streams: map[netip.Prefix]int{},
	}, nil
}

// Credential makes a user name and a password for one viewer of a room. They let
// it begin for CredentialLife.
func (s *Server) Credential(now time.Time, room string) (username, password string) {
	return s.secrets.issue(now, room, newPeer())
}

// ServeUDP answers on a socket until the server is closed, or the socket. It
// returns at once.
func (s *Server) ServeUDP(conn *net.UDPConn) error {
	d := &datagrams{UDPConn: conn, s: s}
	d.g = newGate(s, d)
	return s.open(d.g)
}

// ServeStream answers on the connections of a listener, of TCP or TLS, until ctx
// ends, and closes it.
func (s *Server) ServeStream(ctx context.Context, ln net.Listener) error {
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	for {
		conn, err := ln.Accept()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil: // too many open files, and the like
			s.log.Info("relay: accept", "err", err)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		s.take(conn)
	}
}

// take answers on a connection.
func (s *Server) take(conn net.Conn) {
	at, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		conn.Close()
		return
	}
	from := network(at.AddrPort().Addr())
	s.mu.Lock()
	full := s.closed || len(s.doors) >= maxStreams || s.streams[from] >= maxStreamsPer
	if !full {
		s.streams[from]++
	}
	s.mu.Unlock()
	if full {
		s.refused.Add(1)
		conn.Close()
		return
	}
	p := &packets{Conn: stream.New(conn, stream.TURN), at: at}
	g := newGate(s, p)
	p.g = g
	p.left = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.streams[from]--; s.streams[from] == 0 {
			delete(s.streams, from)
		}
		delete(s.doors, g)
	}
	if err := s.open(g); err != nil {
		s.log.Info("relay: a connection cannot be served", "from", at, "err", err)
		p.Close()
	}
}

// open lets pion/turn answer behind a gate.
func (s *Server) open(g *gate) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return net.ErrClosed
	}
	s.doors[g] = struct{}{}
	s.mu.Unlock()
	_, err := turn.NewServer(turn.ServerConfig{
		Realm: realm, AuthHandler: g.authenticate, LoggerFactory: quietLogs{s.log}, InboundMTU: maxMessage,
		PacketConnConfigs: []turn.PacketConnConfig{{PacketConn: g.conn, RelayAddressGenerator: g, PermissionHandler: g.permit}},
	})
	if err != nil {
		s.mu.Lock()
		delete(s.doors, g)
		s.mu.Unlock()
		return fmt.Errorf("relay: %w", err)
	}
	return nil
}

// Close ends all allocations and connections.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	var all []interface{ Close() error }
	for g := range s.doors {
		all = append(all, g.conn)
	}
	for _, a := range s.ports {
		all = append(all, a)
	}
	s.mu.Unlock()
	for _, c := range all {
		c.Close()
	}
}

// Relays reports whether an address is a relayed one of this server's.
func (s *Server) Relays(a netip.AddrPort) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return a.Addr().Unmap() == s.cfg.Public && s.ports[a.Port()] != nil
}

// Stats returns what the server did so far.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	st := Stats{Allocations: s.total}
	for _, n := range s.streams {
		st.Streams += n
	}
	s.mu.Unlock()
	st.Allocated, st.Refused, st.Denied = s.allocated.Load(), s.refused.Load(), s.denied.Load()
	st.In, st.Out, st.Limited, st.Quiet = s.in.Load(), s.out.Load(), s.limited.Load(), s.silent.Load()
	return st
}

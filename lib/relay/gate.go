package relay

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/xp2p/xp2p/lib/stream"
)

// A gate is one way in: a UDP socket, or one connection. Behind it pion/turn
// handles one message after another, on one goroutine, so what authenticate noted
// is of the very request for which an address is then allocated: its callbacks do
// not say so themselves.
type gate struct {
	s    *Server
	conn net.PacketConn

	// Of the goroutine that handles messages.
	user   user
	client netip.AddrPort

	mu   sync.Mutex
	held map[netip.AddrPort]*allocation // by client
}

// A user is one who has credentials.
type user struct {
	name, room string
	key        []byte
}

func newGate(s *Server, conn net.PacketConn) *gate {
	return &gate{s: s, conn: conn, held: map[netip.AddrPort]*allocation{}}
}

func (g *gate) of(client netip.AddrPort) *allocation {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.held[client]
}

// authenticate implements turn.AuthHandler: it returns the key that the message's
// integrity must have been made with.
func (g *gate) authenticate(username, _ string, from net.Addr) ([]byte, bool) {
	g.client = addrPortOf(from)
	if a := g.of(g.client); a != nil {
		// An allocation is of him who made it (RFC 8656 §5), for as long as he asks.
		if a.user.name != username {
			g.s.refused.Add(1)
			return nil, false
		}
		g.user = a.user
		return a.user.key, true
	}
	password, room, err := g.s.secrets.password(time.Now(), username)
	if err != nil {
		g.s.refused.Add(1)
		g.s.log.Debug("relay: refused", "user", username, "from", from, "err", err)
		return nil, false
	}
	g.user = user{username, room, longTermKey(username, realm, password)}
	return g.user.key, true
}

// How often a client may ask for permissions and channels, of which pion/turn keeps
// any number for minutes.
const (
	grantRate  = 1
	grantBurst = 128
)

// permit implements turn.PermissionHandler. Ports are looked at when something is
// sent.
func (g *gate) permit(from net.Addr, peer net.IP) bool {
	ip, ok := netip.AddrFromSlice(peer)
	a := g.of(addrPortOf(from))
	if !ok || a == nil || !a.grants.has(time.Now(), grantRate, grantBurst) {
		g.s.denied.Add(1)
		return false
	}
	a.grants.level--
	now := time.Now()
	if ip = ip.Unmap(); g.s.filter.allows(now, a.user.room, ip) || g.s.filter.isOwn(now, ip) && scopeOf(ip) != never && ip == g.s.cfg.Public {
		return true
	}
	g.s.denied.Add(1)
	return false
}

// Validate implements turn.RelayAddressGenerator.
func (g *gate) Validate() error { return nil }

// AllocateConn implements turn.RelayAddressGenerator: there are no TCP allocations.
func (g *gate) AllocateConn(string, int) (net.Conn, net.Addr, error) {
	return nil, nil, errors.ErrUnsupported
}

var errLimit = errors.New("relay: too many allocations")

// AllocatePacketConn implements turn.RelayAddressGenerator: it opens a relayed
// address for who was authenticated last.
func (g *gate) AllocatePacketConn(_ string, port int) (net.PacketConn, net.Addr, error) {
	s := g.s
	a := &allocation{
		gate: g, s: s, user: g.user, client: g.client, from: network(g.client.Addr()),
		rate: newBucket(s.cfg.Rate), verdicts: map[netip.Addr]verdict{},
	}
	if err := s.reserve(a); err != nil {
		s.refused.Add(1)
		return nil, nil, err
	}
	var err error
	for range portTries {
		p := uint16(port)
		if port == 0 {
			p = s.cfg.MinPort + uint16(rand.IntN(int(s.cfg.MaxPort-s.cfg.MinPort)+1))
		}
		if a.conn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(s.cfg.Local, p))); err == nil || port != 0 {
			break
		}
	}
	if err != nil {
		s.release(a)
		return nil, nil, fmt.Errorf("relay: %w", err)
	}
	a.port = a.conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	s.mu.Lock()
	closed := s.closed
	s.ports[a.port] = a
	s.mu.Unlock()
	if closed {
		a.Close()
		return nil, nil, net.ErrClosed
	}
	g.mu.Lock()
	g.held[a.client] = a
	g.mu.Unlock()
	s.allocated.Add(1)
	return a, net.UDPAddrFromAddrPort(netip.AddrPortFrom(s.cfg.Public, a.port)), nil
}

// reserve counts an allocation, if there is room for it.
func (s *Server) reserve(a *allocation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return net.ErrClosed
	case s.total >= maxAllocations:
		return fmt.Errorf("%w: %d in all", errLimit, maxAllocations)
	case s.users[a.user.name] >= maxPerUser:
		return fmt.Errorf("%w: %d of one user", errLimit, maxPerUser)
	case s.from[a.from] >= maxPerAddress:
		return fmt.Errorf("%w: %d from one address", errLimit, maxPerAddress)
	}
	s.total++
	s.users[a.user.name]++
	s.from[a.from]++
	r := s.rooms[a.user.room]
	if r == nil {
		r = &roomUse{rate: newBucket(s.cfg.RoomRate)}
		s.rooms[a.user.room] = r
	}
	r.allocations++
	a.room = r
	return nil
}

// release takes reserve back.
func (s *Server) release(a *allocation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if s.users[a.user.name]--; s.users[a.user.name] == 0 {
		delete(s.users, a.user.name)
	}
	if s.from[a.from]--; s.from[a.from] == 0 {
		delete(s.from, a.from)
	}
	if a.room.allocations--; a.room.allocations == 0 {
		delete(s.rooms, a.user.room)
	}
	if s.ports[a.port] == a {
		delete(s.ports, a.port)
	}
}

// addrPortOf is a UDP or TCP address as netip has it.
func addrPortOf(a net.Addr) netip.AddrPort {
	var p netip.AddrPort
	switch a := a.(type) {
	case *net.UDPAddr:
		p = a.AddrPort()
	case *net.TCPAddr:
		p = a.AddrPort()
	}
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// datagrams is the server's side of a UDP socket.
type datagrams struct {
	*net.UDPConn
	s *Server
	g *gate
}

func (d *datagrams) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := d.UDPConn.ReadFromUDP(b)
		switch {
		case errors.Is(err, net.ErrClosed):
			return n, nil, err
		case err != nil: // somebody's ICMP message, where the system tells of it
			continue
		}
		if d.g.of(addrPortOf(from)) == nil {
			d.s.quiet.came(n)
		}
		if sound(b[:n]) {
			return n, from, nil
		}
		d.s.denied.Add(1)
	}
}

func (d *datagrams) WriteTo(b []byte, to net.Addr) (int, error) {
	// Who holds an allocation has proved that he is where he says.
	if at := addrPortOf(to); d.g.of(at) == nil && !d.s.quiet.leaves(time.Now(), at.Addr(), len(b)) {
		d.s.silent.Add(1)
		return len(b), nil
	}
	return d.UDPConn.WriteTo(b, to)
}

// packets is the server's side of a connection.
type packets struct {
	*stream.Conn
	at   *net.TCPAddr
	g    *gate
	left func()
	once sync.Once
}

func (p *packets) ReadFrom(b []byte) (int, net.Addr, error) {
	wait := strangerPatience
	if p.g.of(addrPortOf(p.at)) != nil {
		wait = idlePatience
	}
	p.SetReadDeadline(time.Now().Add(wait))
	n, err := p.Conn.Read(b[:len(b)-1]) // pion/turn takes a full buffer for one that was too short
	if err == nil && !sound(b[:n]) {
		err = stream.ErrFrame
	}
	if err != nil {
		p.Close() // nobody else would: then its allocations end
	}
	return n, p.at, err
}

func (p *packets) WriteTo(b []byte, _ net.Addr) (int, error) {
	if err := p.Conn.Write(b); err != nil && !errors.Is(err, stream.ErrFull) {
		return 0, err
	}
	return len(b), nil
}

func (p *packets) Close() error {
	p.once.Do(p.left)
	return p.Conn.Close()
}

func (p *packets) SetDeadline(t time.Time) error    { return p.SetReadDeadline(t) }
func (p *packets) SetWriteDeadline(time.Time) error { return nil } // writing never waits

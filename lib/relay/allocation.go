package relay

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// An allocation is a relayed address: pion/turn's socket towards the peers, held to
// the filter and the rates.
type allocation struct {
	gate   *gate
	s      *Server
	conn   *net.UDPConn
	port   uint16
	user   user
	client netip.AddrPort
	from   netip.Prefix
	room   *roomUse
	rate   *bucket
	grants bucketOf // of the gate's goroutine
	once   sync.Once

	mu       sync.Mutex
	verdicts map[netip.Addr]verdict
}

// A verdict on an address is remembered for a while.
type verdict struct {
	ok    bool
	until time.Time
}

const maxVerdicts = 256

// allows says whether datagrams may pass between the allocation and a peer.
func (a *allocation) allows(now time.Time, peer netip.AddrPort) bool {
	ip := peer.Addr().Unmap()
	a.mu.Lock()
	v, known := a.verdicts[ip]
	a.mu.Unlock()
	if !known || now.After(v.until) {
		v = verdict{a.s.filter.allows(now, a.user.room, ip), now.Add(verdictLife)}
		a.mu.Lock()
		if len(a.verdicts) >= maxVerdicts {
			clear(a.verdicts)
		}
		a.verdicts[ip] = v
		a.mu.Unlock()
	}
	// Two of a room may each have a relayed address here.
	return v.ok || ip == a.s.cfg.Public && a.s.sameRoom(peer.Port(), a.user.room)
}

// sameRoom reports whether a port of ours is a relayed address of a room.
func (s *Server) sameRoom(port uint16, room string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.ports[port]
	return a != nil && a.user.room == room
}

// passes says whether n bytes may pass now.
func (a *allocation) passes(now time.Time, peer netip.AddrPort, n int) bool {
	if !a.allows(now, peer) {
		a.s.denied.Add(1)
		return false
	}
	if !a.rate.take(now, n) || !a.room.rate.take(now, n) {
		a.s.limited.Add(uint64(n))
		return false
	}
	return true
}

// ReadFrom implements net.PacketConn: what peers send.
func (a *allocation) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := a.conn.ReadFromUDP(b)
		if err != nil {
			return n, nil, err
		}
		if a.passes(time.Now(), addrPortOf(from), n) {
			a.s.in.Add(uint64(n))
			return n, from, nil
		}
	}
}

// WriteTo implements net.PacketConn: what the client sends. What may not pass is
// lost without a word, as a router would have it.
func (a *allocation) WriteTo(b []byte, to net.Addr) (int, error) {
	if !a.passes(time.Now(), addrPortOf(to), len(b)) {
		return len(b), nil
	}
	a.s.out.Add(uint64(len(b)))
	return a.conn.WriteTo(b, to)
}

// Close ends the allocation.
func (a *allocation) Close() (err error) {
	a.once.Do(func() {
		err = a.conn.Close()
		a.gate.mu.Lock()
		if a.gate.held[a.client] == a {
			delete(a.gate.held, a.client)
		}
		a.gate.mu.Unlock()
		a.s.release(a)
	})
	return err
}

// The rest of net.PacketConn.
func (a *allocation) LocalAddr() net.Addr                { return a.conn.LocalAddr() }
func (a *allocation) SetDeadline(t time.Time) error      { return a.conn.SetDeadline(t) }
func (a *allocation) SetReadDeadline(t time.Time) error  { return a.conn.SetReadDeadline(t) }
func (a *allocation) SetWriteDeadline(t time.Time) error { return a.conn.SetWriteDeadline(t) }

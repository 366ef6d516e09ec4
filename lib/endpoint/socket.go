package endpoint

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/xp2p/xp2p/lib/machine"
)

// bufferBytes is what is asked of the kernel for each direction of a socket:
// 300 ms of 100 Mbit/s. The kernel may give less.
const bufferBytes = 4 << 20

// A socket is an open UDP socket, or a carrier. Its reader goroutine reads, the
// loop writes.
type socket struct {
	id      machine.Socket
	conn    *net.UDPConn
	carrier Carrier // in place of conn
	buf     []byte  // the carrier's next datagram
	local   netip.AddrPort
	v6      bool          // an IPv6 socket, which may speak IPv4 too
	class   uint8         // the six bits above ECN's in each header
	gone    chan struct{} // closed when it is
	sys     socketSys
}

// OpenSocket opens a further socket. Once the endpoint runs it must be called
// on the loop goroutine: in a command, or in Step.
func (e *Endpoint) OpenSocket(a netip.AddrPort) (machine.Socket, error) {
	network := "udp4"
	switch {
	case a.Addr() == netip.IPv6Unspecified():
		network = "udp" // both families, where the system can
	case a.Addr().Is6() && !a.Addr().Is4In6():
		network = "udp6"
	}
	conn, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(a.Addr().Unmap(), a.Port())))
	if err != nil {
		return 0, fmt.Errorf("endpoint: %w", err)
	}
	// More room in the kernel is a wish: what it gives is fine.
	conn.SetReadBuffer(bufferBytes)
	conn.SetWriteBuffer(bufferBytes)
	local := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	s := &socket{
		id:    machine.Socket(len(e.sockets)),
		conn:  conn,
		gone:  make(chan struct{}),
		local: netip.AddrPortFrom(local.Addr().Unmap(), local.Port()),
		v6:    network != "udp4" && isV6(conn),
	}
	if err := s.sys.init(s, e.c.Plain); err != nil {
		conn.Close()
		return 0, fmt.Errorf("endpoint: %v: %w", s.local, err)
	}
	if s.class = e.c.DSCP << 2; s.class != 0 {
		ipv4.NewPacketConn(conn).SetTOS(int(s.class)) // an IPv6 socket that speaks IPv4 has both
		if s.v6 {
			ipv6.NewPacketConn(conn).SetTrafficClass(int(s.class))
		}
	}
	e.sockets = append(e.sockets, s)
	if e.started {
		e.read(s)
	}
	return s.id, nil
}

// CloseSocket closes a socket; its number is not used again. It must be
// called where OpenSocket is.
func (e *Endpoint) CloseSocket(id machine.Socket) {
	if s := e.socket(id); s != nil {
		e.sockets[id] = nil
		close(s.gone) // Close waits for the reader, which may wait for a batch that only the loop can empty
		if s.carrier != nil {
			s.carrier.Close()
			return
		}
		s.conn.Close()
	}
}

// SocketAddr is the address of a socket, or the zero AddrPort if it is
// closed. It must be called where OpenSocket is.
func (e *Endpoint) SocketAddr(id machine.Socket) netip.AddrPort {
	if s := e.socket(id); s != nil {
		return s.local
	}
	return netip.AddrPort{}
}

func (e *Endpoint) socket(id machine.Socket) *socket {
	if uint64(id) < uint64(len(e.sockets)) {
		return e.sockets[id]
	}
	return nil
}

func (e *Endpoint) closeSockets() {
	for id := range e.sockets {
		e.CloseSocket(machine.Socket(id))
	}
}

// maxReadErrors in a row, and a socket is broken. One at a time they are
// somebody's ICMP message.
const maxReadErrors = 1000

// read starts the goroutine that reads a socket.
func (e *Endpoint) read(s *socket) {
	e.readers.Go(func() {
		for failed := 0; ; {
			if s.carrier != nil {
				b, err := s.readCarrier(e)
				if err != nil {
					e.lose(s, err)
					return
				}
				e.in <- b
				continue
			}
			b, err := s.sys.read(s, e)
			switch {
			case err == nil:
				failed = 0
				e.in <- b // has room for every batch there is
			case errors.Is(err, net.ErrClosed):
				return
			default:
				e.count.readErrors.Add(1)
				e.log.Debug("endpoint: read", "socket", s.local, "err", err)
				if failed++; failed == maxReadErrors {
					select {
					case e.fatal <- fmt.Errorf("endpoint: %v: %w", s.local, err):
					default:
					}
					return
				}
			}
		}
	})
}

// A batch is what one call read: datagrams, or runs of them as Packet.Segment has
// it, and what the kernel knows of them.
type batch struct {
	socket *socket
	n      int
	pkts   [batchSize]machine.Packet // Data is in the buffers below
	stamps [batchSize]int64          // Unix ns of the system's clock, 0 if unknown
	bufs   [batchSize][]byte
	sys    batchSys
}

func newBatch() *batch {
	b := &batch{}
	memory := make([]byte, batchSize*messageRoom)
	for i, p := range slices.Collect(slices.Chunk(memory, messageRoom)) {
		b.bufs[i] = p
	}
	b.sys.init(b)
	return b
}

// take returns an empty batch, or nil when the socket is closed or the endpoint
// ends.
func (e *Endpoint) take(s *socket) *batch {
	select {
	case b := <-e.pool:
		return b
	case <-s.gone:
		return nil
	case <-e.done:
		return nil
	}
}

// isV6 tells whether the system gave an IPv6 socket: for [::] it gives an
// IPv4 one where there is no IPv6.
func isV6(conn *net.UDPConn) bool {
	a := conn.LocalAddr().(*net.UDPAddr)
	return a.IP.To4() == nil
}

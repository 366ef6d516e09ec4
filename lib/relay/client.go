package relay

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/pion/turn/v3"

	"github.com/xp2p/xp2p/lib/stream"
)

// Access is a TURN server, and how one may use it.
type Access struct {
	URI                URI
	Username, Password string
	// Fingerprint is the SHA-256 of the server's certificate, in hexadecimal, where
	// it is known: then no authority has to vouch for it. Only for TLS.
	Fingerprint string
	Log         *slog.Logger
}

const (
	// MaxDatagram is the largest datagram that an Allocation carries. With TURN's own
	// header it fits an Ethernet path over IPv6, so that nothing is fragmented where
	// nobody could find out.
	MaxDatagram = 1400

	dialTimeout  = 10 * time.Second
	maxPeers     = 64               // that an allocation sends to at a time
	peerQueue    = 128              // datagrams that wait while a peer is let in
	peerIdle     = 90 * time.Second // then a peer is forgotten
	refusedPause = 3 * time.Second  // before one who was refused is asked for again
	retryUDP     = 250 * time.Millisecond
	retryStream  = 2 * time.Second // a stream loses nothing
)

// ErrTooBig says that a datagram is larger than MaxDatagram: a path's MTU ends here.
var ErrTooBig = errors.New("relay: larger than an allocation carries")

// An Allocation is a relayed address of ours at a TURN server. Its methods may be
// called on any goroutine; ReadFrom on one at a time.
type Allocation struct {
	conn   *client
	turn   *turn.Client
	relay  net.PacketConn
	at     netip.AddrPort
	server netip.AddrPort
	log    *slog.Logger
	closed chan struct{}
	once   sync.Once

	mu    sync.Mutex
	up    bool // relay is there
	peers map[netip.AddrPort]*outlet
}

// Dial asks a TURN server for a relayed address.
func Dial(ctx context.Context, to Access) (*Allocation, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if to.Log == nil {
		to.Log = slog.New(slog.DiscardHandler)
	}
	conn, err := connect(ctx, to)
	if err != nil {
		return nil, fmt.Errorf("relay: %s: %w", to.URI, err)
	}
	rto := retryUDP
	if to.URI.Transport != UDP {
		rto = retryStream
	}
	c, err := turn.NewClient(&turn.ClientConfig{
		TURNServerAddr: nowhere.String(), Username: to.Username, Password: to.Password, RTO: rto, Conn: conn, LoggerFactory: quietLogs{to.Log},
	})
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("relay: %s: %w", to.URI, err)
	}
	a := &Allocation{
		conn: conn, turn: c, server: addrPortOf(conn.remote()), log: to.Log, closed: make(chan struct{}), peers: map[netip.AddrPort]*outlet{},
	}
	go a.listen()
	allocated := make(chan error, 1)
	go func() {
		relay, err := c.Allocate()
		if err == nil {
			a.mu.Lock()
			a.relay, a.at, a.up = relay, addrPortOf(relay.LocalAddr()), true
			a.mu.Unlock()
		}
		allocated <- err
	}()
	select {
	case err = <-allocated:
	case <-a.closed:
		err = net.ErrClosed
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		a.shut()
		return nil, fmt.Errorf("relay: %s: %w", to.URI, err)
	}
	go a.keep()
	return a, nil
}

// keep sees to it that NATs on the way remember us, and notices a server that is
// gone: pion's refreshes come minutes apart.
func (a *Allocation) keep() {
	tick := time.NewTicker(keepalive)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if _, err := a.turn.SendBindingRequestTo(nowhere); err != nil {
				a.shut()
				return
			}
		case <-a.closed:
			return
		}
	}
}

// listen takes what the server says. pion's own loop ends at the first message that
// it does not understand.
func (a *Allocation) listen() {
	defer a.shut()
	b := make([]byte, maxStreamMessage)
	for {
		n, _, err := a.conn.ReadFrom(b)
		if err != nil {
			a.log.Debug("relay: the server is gone", "server", a.server, "err", err)
			return
		}
		if sound(b[:n]) {
			a.turn.HandleInbound(b[:n], nowhere) // an error is about this message alone
		}
	}
}

// ReadFrom returns the next datagram that a peer sent; net.ErrClosed when the
// allocation is over. Of one that is longer than b, or than MaxDatagram, nothing is
// returned.
func (a *Allocation) ReadFrom(b []byte) (int, netip.AddrPort, error) {
	for {
		n, from, err := a.relay.ReadFrom(b)
		select {
		case <-a.closed:
			return 0, netip.AddrPort{}, net.ErrClosed
		default:
		}
		switch {
		case err == nil && n <= MaxDatagram:
			return n, addrPortOf(from), nil
		case err != nil && !errors.Is(err, io.ErrShortBuffer):
			return 0, netip.AddrPort{}, net.ErrClosed
		}
	}
}

// WriteTo sends a datagram to a peer. It never waits: while the server lets the peer
// in, a few are kept, and what is more is lost.
func (a *Allocation) WriteTo(b []byte, to netip.AddrPort) error {
	if len(b) > MaxDatagram {
		return ErrTooBig
	}
	select {
	case <-a.closed:
		return net.ErrClosed
	default:
	}
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	a.mu.Lock()
	defer a.mu.Unlock()
	o := a.peers[to]
	if o == nil {
		if len(a.peers) >= maxPeers || !to.Addr().Is4() { // of pion/turn's server, relayed addresses are IPv4's
			return stream.ErrFull
		}
		o = &outlet{a: a, to: net.UDPAddrFromAddrPort(to), queue: make(chan []byte, peerQueue)}
		a.peers[to] = o
		go o.run()
	}
	select {
	case o.queue <- append([]byte(nil), b...):
		return nil
	default:
		return stream.ErrFull
	}
}

// An outlet sends to one peer: to let a peer in takes a round trip to the server,
// for which nobody else should wait.
type outlet struct {
	a     *Allocation
	to    *net.UDPAddr
	queue chan []byte
}

func (o *outlet) run() {
	idle := time.NewTimer(peerIdle)
	defer idle.Stop()
	for {
		select {
		case b := <-o.queue:
			if _, err := o.a.relay.WriteTo(b, o.to); err != nil {
				o.a.log.Debug("relay: not sent", "to", o.to, "err", err)
				// Whom the server does not let in is not asked for with each datagram.
				select {
				case <-time.After(refusedPause):
				case <-o.a.closed:
					return
				}
				for len(o.queue) > 0 {
					<-o.queue
				}
			}
			idle.Reset(peerIdle)
		case <-idle.C:
			o.a.mu.Lock()
			if len(o.queue) == 0 {
				delete(o.a.peers, addrPortOf(o.to))
				o.a.mu.Unlock()
				return
			}
			o.a.mu.Unlock()
			idle.Reset(peerIdle)
		case <-o.a.closed:
			return
		}
	}
}

// LocalAddr is the relayed address: peers send there.
func (a *Allocation) LocalAddr() netip.AddrPort { return a.at }

// Server is the server's address.
func (a *Allocation) Server() netip.AddrPort { return a.server }

// Close gives the relayed address back.
func (a *Allocation) Close() error {
	select {
	case <-a.closed:
		return net.ErrClosed
	default:
	}
	a.shut()
	return nil
}

// shut ends what runs.
func (a *Allocation) shut() {
	a.once.Do(func() {
		close(a.closed)
		a.mu.Lock()
		relay, up := a.relay, a.up
		a.mu.Unlock()
		if up {
			relay.Close() // tells the server, and does not wait for its answer
		}
		a.conn.Close()
		a.turn.Close()
	})
}

// connect opens the way to a TURN server.
func connect(ctx context.Context, to Access) (*client, error) {
	if to.URI.Transport == UDP {
		conn, err := new(net.Dialer).DialContext(ctx, "udp", to.URI.Addr())
		if err != nil {
			return nil, err
		}
		return &client{udp: conn.(*net.UDPConn)}, nil
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", to.URI.Addr())
	if err != nil {
		return nil, err
	}
	if to.URI.Transport == TLS {
		secure := tls.Client(conn, tlsConfig(to))
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		conn = secure
	}
	return &client{stream: stream.New(conn, stream.TURN)}, nil
}

// tlsConfig trusts the certificate that the room document names, or the usual
// authorities.
func tlsConfig(to Access) *tls.Config {
	c := &tls.Config{ServerName: to.URI.Host, MinVersion: tls.VersionTLS12}
	if to.Fingerprint == "" {
		return c
	}
	c.InsecureSkipVerify = true // the fingerprint says more than an authority would
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 || !strings.EqualFold(Fingerprint(s.PeerCertificates[0]), to.Fingerprint) {
			return errors.New("its certificate is another than the room document says")
		}
		return nil
	}
	return c
}

// Fingerprint is the SHA-256 of a certificate, in hexadecimal.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// nowhere is what pion/turn takes for the server's address: a client has one
// connection, and it knows where it leads.
var nowhere = &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: defaultPort}

const (
	maxStreamMessage = 2000
	keepalive        = 25 * time.Second // pion's refreshes come minutes apart, and a NAT's memory is shorter
)

// client is the client's side of a connection, as pion/turn wants it.
type client struct {
	udp    *net.UDPConn // or
	stream *stream.Conn
}

func (c *client) remote() net.Addr {
	if c.udp != nil {
		return c.udp.RemoteAddr()
	}
	return c.stream.RemoteAddr()
}

func (c *client) ReadFrom(b []byte) (n int, from net.Addr, err error) {
	if c.stream != nil {
		n, err = c.stream.Read(b)
		return n, nowhere, err
	}
	for {
		n, err = c.udp.Read(b)
		if err == nil || errors.Is(err, net.ErrClosed) {
			return n, nowhere, err
		}
		// An ICMP message, perhaps of somebody who is no part of this: those who wait
		// for an answer have a timeout.
		time.Sleep(10 * time.Millisecond)
	}
}

func (c *client) WriteTo(b []byte, _ net.Addr) (int, error) {
	if c.udp != nil {
		if _, err := c.udp.Write(b); errors.Is(err, net.ErrClosed) {
			return 0, err
		}
		return len(b), nil // a datagram that did not leave is lost, as on its way
	}
	if err := c.stream.Write(b); err != nil && !errors.Is(err, stream.ErrFull) {
		return 0, err
	}
	return len(b), nil
}

func (c *client) Close() error {
	if c.udp != nil {
		return c.udp.Close()
	}
	return c.stream.Close()
}

func (c *client) LocalAddr() net.Addr {
	if c.udp != nil {
		return c.udp.LocalAddr()
	}
	return c.stream.LocalAddr()
}

func (c *client) SetDeadline(time.Time) error      { return nil }
func (c *client) SetReadDeadline(time.Time) error  { return nil }
func (c *client) SetWriteDeadline(time.Time) error { return nil }

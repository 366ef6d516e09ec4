package main

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/xp2p/xp2p/lib/endpoint"
	"github.com/xp2p/xp2p/lib/monitor"
	"github.com/xp2p/xp2p/lib/node"
	"github.com/xp2p/xp2p/lib/relay"
	"github.com/xp2p/xp2p/lib/stream"
	"github.com/xp2p/xp2p/lib/tool"
	"github.com/xp2p/xp2p/lib/wire"
)

// relayOptions are the flags --relay….
type relayOptions struct {
	listen, secure             []string
	cert, key, public, portsIn string
	rate, roomRate             int64
	private                    bool

	at, secureAt     []netip.AddrPort // of listen and secure
	ip, local        netip.Addr       // of relayed addresses: as others reach them, and as this machine has them
	minPort, maxPort uint16
}

func (o *options) relayFlags() []tool.Flag {
	r := &o.relay
	return []tool.Flag{
		tool.Strings(&r.listen, "relay", "relay for viewers who find no other way: TURN over UDP and TCP at `IP:PORT`"),
		tool.Strings(&r.secure, "relay-tls", "and over TLS at `IP:PORT`"),
		tool.String(&r.cert, "relay-cert", "the certificate for --relay-tls, PEM in `FILE`; if not given, one is made, which the room document names"),
		tool.String(&r.key, "relay-key", "its key, PEM in `FILE`"),
		tool.String(&r.public, "relay-public", "the `IP` address at which others reach the relay, if not that of --relay"),
		tool.String(&r.portsIn, "relay-ports", "relayed addresses have ports from `MIN-MAX`"),
		tool.Rate(&r.rate, "relay-rate", "relay at most so much for one viewer, both ways together"),
		tool.Rate(&r.roomRate, "relay-room-rate", "and for a room"),
		tool.Bool(&r.private, "relay-private", "relay to viewers with private addresses too: for networks that have no others"),
	}
}

// on reports whether there is a relay.
func (r *relayOptions) on() bool { return len(r.at)+len(r.secureAt) > 0 }

// relayIPs are the addresses that the tracker believes relayed ones to be of.
func (o *options) relayIPs() []netip.Addr {
	if !o.relay.on() {
		return nil
	}
	return []netip.Addr{o.relay.ip}
}

func (o *options) checkRelay() error {
	r := &o.relay
	for _, f := range []struct {
		name string
		in   []string
		out  *[]netip.AddrPort
	}{{"--relay", r.listen, &r.at}, {"--relay-tls", r.secure, &r.secureAt}} {
		for _, text := range f.in {
			at, err := netip.ParseAddrPort(text)
			if err != nil || at.Addr().IsUnspecified() || at.Port() == 0 {
				return tool.Usage("%s %s: want an address of this machine and a port", f.name, text).Hint("%s 192.0.2.1:3478", f.name)
			}
			*f.out = append(*f.out, netip.AddrPortFrom(at.Addr().Unmap(), at.Port()))
		}
	}
	if !r.on() {
		if r.cert != "" || r.key != "" || r.public != "" || r.portsIn != "" || r.rate != 0 || r.roomRate != 0 || r.private {
			return tool.Usage("there is no --relay that this would be for").Hint("--relay 192.0.2.1:3478")
		}
		return nil
	}
	if !o.serves(partTracker) {
		return tool.Usage("--relay: the tracker is not here, and only it knows who is in a room").Hint("give it to the seed that is the tracker")
	}
	all := slices.Concat(r.at, r.secureAt)
	if (r.cert == "") != (r.key == "") {
		return tool.Usage("--relay-cert and --relay-key go together")
	}
	if r.public != "" {
		ip, err := netip.ParseAddr(r.public)
		if err != nil || !ip.Unmap().Is4() || ip.IsUnspecified() {
			return tool.Usage("--relay-public %s: want an IPv4 address", r.public)
		}
		r.ip = ip.Unmap()
	}
	r.local = netip.IPv4Unspecified()
	if i := slices.IndexFunc(all, func(at netip.AddrPort) bool { return at.Addr().Is4() }); i >= 0 {
		r.local = all[i].Addr()
	}
	switch {
	case r.ip.IsValid():
	case !r.local.IsUnspecified():
		r.ip = r.local
	default:
		return tool.Usage("--relay: relayed addresses are IPv4's, and there is none").Hint("--relay-public IP names it")
	}
	if r.portsIn != "" {
		low, high, ok := strings.Cut(r.portsIn, "-")
		a, errA := strconv.ParseUint(low, 10, 16)
		b, errB := strconv.ParseUint(high, 10, 16)
		if !ok || errA != nil || errB != nil || a == 0 || a > b {
			return tool.Usage("--relay-ports %s: want two ports, as in 50000-50999", r.portsIn)
		}
		r.minPort, r.maxPort = uint16(a), uint16(b)
	}
	return nil
}

// A turnServer is the relay in this process.
type turnServer struct {
	*relay.Server
	fingerprint string // of a certificate that no authority vouches for
	ends        []net.Listener

	mu      sync.Mutex
	members map[string]membership
}

// A membership is who was seen in a room, a moment ago.
type membership struct {
	at  time.Time
	ips map[netip.Addr]struct{}
}

// memberEvery is how long an answer of the tracker's counts.
const memberEvery = 2 * time.Second

// openRelay opens the relay's addresses.
func (s *seed) openRelay() error {
	o := &s.o.relay
	if !o.on() {
		return nil
	}
	t := &turnServer{members: map[string]membership{}}
	var err error
	t.Server, err = relay.NewServer(relay.Config{
		Public: o.ip, Local: o.local, MinPort: o.minPort, MaxPort: o.maxPort, Member: func(room string, ip netip.Addr) bool { return s.isMember(t, room, ip) },
		Private: o.private, Rate: o.rate, RoomRate: o.roomRate, Log: s.t.Log,
	})
	if err != nil {
		return tool.Failed("--relay: %w", err)
	}
	for _, at := range o.at {
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		if err != nil {
			t.Close()
			return tool.Failed("--relay %s: %w", at, err)
		}
		if err := t.ServeUDP(conn); err != nil {
			t.Close()
			return tool.Failed("--relay %s: %w", at, err)
		}
		ln, err := net.Listen("tcp", at.String())
		if err != nil {
			t.Close()
			return tool.Failed("--relay %s: %w", at, err).Hint("HTTP has a port of its own: --listen")
		}
		t.ends = append(t.ends, ln)
	}
	if len(o.secureAt) > 0 {
		cfg, err := s.relayTLS(t)
		if err != nil {
			t.Close()
			return err
		}
		for _, at := range o.secureAt {
			ln, err := net.Listen("tcp", at.String())
			if err != nil {
				t.Close()
				return tool.Failed("--relay-tls %s: %w", at, err)
			}
			t.ends = append(t.ends, tls.NewListener(ln, cfg))
		}
	}
	s.turn = t
	return nil
}

// relayTLS is the certificate for --relay-tls, given or made.
func (s *seed) relayTLS(t *turnServer) (*tls.Config, error) {
	o := &s.o.relay
	if o.cert != "" {
		c, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return nil, tool.Failed("--relay-cert %s: %w", o.cert, err)
		}
		return &tls.Config{Certificates: []tls.Certificate{c}, MinVersion: tls.VersionTLS12}, nil
	}
	c, err := relay.SelfSigned(time.Now(), o.ip.String())
	if err != nil {
		return nil, tool.Failed("--relay-tls: %w", err)
	}
	t.fingerprint = relay.Fingerprint(c.Leaf)
	return &tls.Config{Certificates: []tls.Certificate{c}, MinVersion: tls.VersionTLS12}, nil
}

// serveRelay answers TURN clients until ctx ends.
func (s *seed) serveRelay(ctx context.Context) {
	if s.turn == nil {
		return
	}
	for _, ln := range s.turn.ends {
		s.work.Go(func() { s.turn.ServeStream(ctx, ln) })
	}
	s.work.Go(func() {
		<-ctx.Done()
		s.turn.Close()
	})
}

// isMember reports whether a server has seen somebody of a room at an address.
func (s *seed) isMember(t *turnServer, room string, ip netip.Addr) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	m, ok := t.members[room]
	if now := time.Now(); !ok || now.Sub(m.at) > memberEvery {
		m = membership{now, s.tracker.Observed(room)}
		if len(m.ips) == 0 {
			delete(t.members, room)
			return false
		}
		t.members[room] = m
	}
	_, in := m.ips[ip]
	return in
}

// describeRelay says in a room's document how the relay is used, with credentials
// for whoever asked.
func (s *seed) describeRelay(d *wire.RoomDocument, room string) {
	if s.turn == nil {
		return
	}
	user, password := s.turn.Credential(time.Now(), room)
	add := func(at netip.AddrPort, t relay.Transport) {
		host := at.Addr()
		if s.o.relay.public != "" {
			host = s.o.relay.ip
		}
		r := wire.RoomRelay{URL: relay.URI{Host: host.String(), Port: at.Port(), Transport: t}.String(), Username: user, Credential: password}
		if t == relay.TLS {
			r.CertSHA256 = s.turn.fingerprint
		}
		d.Relays = append(d.Relays, r)
	}
	for _, t := range []relay.Transport{relay.UDP, relay.TCP} {
		for _, at := range s.o.relay.at {
			add(at, t)
		}
	}
	for _, at := range s.o.relay.secureAt {
		add(at, relay.TLS)
	}
}

// relayed is what has left this machine for the relay's sake, in bytes.
func (s *seed) relayed() int64 {
	if s.turn == nil {
		return 0
	}
	st := s.turn.Stats()
	return int64(st.In + st.Out)
}

// countRelay adds what the relay counts.
func (s *seed) countRelay(m *monitor.Monitor) {
	if s.turn == nil {
		return
	}
	m.Gauge("xp2p_relay_allocations", "Relayed addresses that are in use.", func() float64 { return float64(s.turn.Stats().Allocations) })
	m.Gauge("xp2p_relay_streams", "TCP and TLS connections to the relay.", func() float64 { return float64(s.turn.Stats().Streams) })
	for _, c := range []struct {
		name, help string
		of         func(relay.Stats) uint64
	}{
		{"xp2p_relay_bytes_total", "Bytes of payload that were relayed: a server's, whoever sent them.", func(s relay.Stats) uint64 { return s.In + s.Out }},
		{"xp2p_relay_allocated_total", "Relayed addresses that were ever given out.", func(s relay.Stats) uint64 { return s.Allocated }},
		{"xp2p_relay_refused_total", "Requests with bad credentials, or beyond a limit.", func(s relay.Stats) uint64 { return s.Refused }},
		{"xp2p_relay_denied_total", "Peers and datagrams that may not pass.", func(s relay.Stats) uint64 { return s.Denied }},
		{"xp2p_relay_limited_bytes_total", "Bytes lost to a rate.", func(s relay.Stats) uint64 { return s.Limited }},
	} {
		m.Counter(c.name, c.help, func() float64 { return float64(c.of(s.turn.Stats())) })
	}
}

// tcpPath is where an HTTP connection becomes one of datagrams.
const tcpPath = "/v1/xntp"

// openTCP makes a socket of the node's of the connections that come over HTTP.
func (s *seed) openTCP() error {
	if s.ep == nil || !s.o.serves(partSeed) {
		return nil
	}
	s.tcp = endpoint.NewTCP(s.ep.LocalAddr(0))
	id, err := s.ep.Attach(s.tcp)
	if err != nil {
		return err
	}
	s.node.Carries(id, node.SocketTCP)
	return nil
}

// upgrade takes a viewer in who has no UDP.
func (s *seed) upgrade(w http.ResponseWriter, r *http.Request) {
	conn, err := stream.Accept(w, r)
	if err != nil {
		return
	}
	if err := s.tcp.Take(conn); err != nil {
		s.t.Log.Info("a viewer over TCP is not let in", "from", r.RemoteAddr, "err", err)
		conn.Close()
	}
}

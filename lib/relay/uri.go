package relay

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// A Transport is how a client reaches a TURN server.
type Transport uint8

const (
	UDP Transport = iota
	TCP
	TLS
)

func (t Transport) String() string { return [...]string{"udp", "tcp", "tls"}[t%3] }

// Ports of TURN (RFC 8656 §3).
const (
	defaultPort    = 3478
	defaultTLSPort = 5349
)

// A URI names a TURN server (RFC 7065).
type URI struct {
	Host      string // a name or an IP address, without brackets
	Port      uint16
	Transport Transport
}

// ErrURI says that a text names no TURN server.
var ErrURI = errors.New("not a turn: or turns: URI")

// ParseURI reads turn:HOST[:PORT][?transport=udp|tcp] or turns:HOST[:PORT].
// turns: over UDP would be DTLS, which we do not speak.
func ParseURI(text string) (u URI, err error) {
	bad := func() (URI, error) { return URI{}, fmt.Errorf("%w: %.100q", ErrURI, text) }
	scheme, rest, ok := strings.Cut(text, ":")
	if !ok {
		return bad()
	}
	host, query, asked := strings.Cut(rest, "?")
	transport, isTransport := strings.CutPrefix(query, "transport=")
	if asked && !isTransport {
		return bad()
	}
	switch strings.ToLower(scheme) {
	case "turn":
		u.Port = defaultPort
		switch strings.ToLower(transport) {
		case "", "udp":
		case "tcp":
			u.Transport = TCP
		default:
			return bad()
		}
	case "turns":
		u.Port, u.Transport = defaultTLSPort, TLS
		if asked && strings.ToLower(transport) != "tcp" {
			return bad()
		}
	default:
		return bad()
	}
	u.Host = host
	if h, port, err := net.SplitHostPort(host); err == nil {
		p, err := strconv.ParseUint(port, 10, 16)
		if err != nil || p == 0 {
			return bad()
		}
		u.Host, u.Port = h, uint16(p)
	} else if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		u.Host = host[1 : len(host)-1]
	} else if strings.ContainsAny(host, ":[]") {
		return bad()
	}
	if u.Host == "" || strings.ContainsAny(u.Host, "/@?#% \t\r\n") {
		return bad()
	}
	return u, nil
}

// String returns what ParseURI reads.
func (u URI) String() string {
	at := net.JoinHostPort(u.Host, strconv.Itoa(int(u.Port)))
	switch u.Transport {
	case TLS:
		return "turns:" + at + "?transport=tcp"
	case TCP:
		return "turn:" + at + "?transport=tcp"
	}
	return "turn:" + at + "?transport=udp"
}

// Addr is the host and port.
func (u URI) Addr() string { return net.JoinHostPort(u.Host, strconv.Itoa(int(u.Port))) }

package rival

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"time"
)

// tlsOverTCP is TLS 1.3 of the standard library over kernel TCP under CUBIC.
// Connections are cold: no session is resumed.
type tlsOverTCP struct {
	tcp
	server, client *tls.Config
}

func newTLS(Options) (Transport, error) {
	t := &tlsOverTCP{tcp: tcp{"cubic"}}
	var err error
	t.server, t.client, err = certificates()
	return t, err
}

// serverName is what certificates are for.
const serverName = "bench.xp2p"

// certificates makes a certificate that signs itself (ECDSA P-256, the smallest
// that everybody takes), and the configurations of both ends. The dialing end
// cannot know it, and takes what comes; it checks the signature all the same.
func certificates() (server, client *tls.Config, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{serverName}, NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, key.Public(), key)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate: %w", err)
	}
	server = &tls.Config{
		Certificates:           []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{"xp2p-bench"},
		SessionTicketsDisabled: true,
	}
	client = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, NextProtos: []string{"xp2p-bench"}, ServerName: serverName}
	return server, client, nil
}

func (t *tlsOverTCP) Listen(at Place, serve func(Conn)) (Listener, error) {
	l, err := t.listen(at)
	if err != nil {
		return nil, err
	}
	go accept(l, func(c net.Conn) (io.ReadWriter, error) { return tls.Server(c, t.server), nil }, serve)
	return &listener{peer: Peer{Addr: l.Addr().(*net.TCPAddr).AddrPort()}, end: func() { l.Close() }}, nil
}

func (t *tlsOverTCP) Dial(ctx context.Context, at Place, to Peer, request []byte) (Conn, error) {
	c, err := t.dial(ctx, at, to)
	if err != nil {
		return nil, err
	}
	s := tls.Client(c, t.client)
	if err := s.HandshakeContext(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return ask(s, request, func() { reset(c) })
}

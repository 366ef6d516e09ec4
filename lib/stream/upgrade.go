package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"time"
)

// Protocol is what an HTTP connection is upgraded to (RFC 9110 §7.8) to carry
// XNTP: after the 101 both ends send datagrams, each behind two bytes of its length.
// So who reaches a seed's HTTP address reaches the seed, through proxies too.
const Protocol = "xntp/1"

const upgradeTimeout = 10 * time.Second

// ErrRefused says that the server did not switch.
var ErrRefused = errors.New("the server does not carry XNTP over TCP")

// Upgrade asks the server at an http or https URL to switch to datagrams.
func Upgrade(ctx context.Context, url string) (net.Conn, error) {
	// The time is for the answer: the connection goes on without it.
	cctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	late := time.AfterFunc(upgradeTimeout, cancel)
	ended := context.AfterFunc(ctx, cancel)
	var conn net.Conn
	trace := httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { conn = i.Conn }}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(cctx, &trace), http.MethodGet, url, nil)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("stream: %w", err)
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", Protocol)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, Protocols: protocols, MaxResponseHeaderBytes: 16 << 10}
	resp, err := transport.RoundTrip(req)
	inTime := late.Stop() && ended()
	switch {
	case err != nil:
		cancel()
		return nil, fmt.Errorf("stream: %w", err)
	case resp.StatusCode != http.StatusSwitchingProtocols || !strings.EqualFold(resp.Header.Get("Upgrade"), Protocol):
		cancel()
		resp.Body.Close()
		return nil, fmt.Errorf("stream: %w: %s", ErrRefused, resp.Status)
	}
	body, ok := resp.Body.(io.ReadWriteCloser)
	if !ok || conn == nil || !inTime {
		cancel()
		resp.Body.Close()
		return nil, fmt.Errorf("stream: %w", context.Cause(ctx))
	}
	return &upgraded{conn, body, cancel}, nil
}

// upgraded is a connection that was HTTP's.
type upgraded struct {
	net.Conn
	body   io.ReadWriteCloser
	cancel func()
}

// NetConn is the connection below, as of tls.Conn.
func (u *upgraded) NetConn() net.Conn { return u.Conn }

func (u *upgraded) Read(b []byte) (int, error)  { return u.body.Read(b) }
func (u *upgraded) Write(b []byte) (int, error) { return u.body.Write(b) }
func (u *upgraded) Close() error {
	err := u.body.Close()
	u.cancel()
	return err
}

// Accept switches a request's connection to datagrams, or answers it with an error
// and returns one.
func Accept(w http.ResponseWriter, r *http.Request) (net.Conn, error) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), Protocol) || !strings.Contains(strings.ToLower(r.Header.Get("Connection")), "upgrade") {
		w.Header().Set("Upgrade", Protocol)
		w.Header().Set("Connection", "Upgrade")
		http.Error(w, "this address carries "+Protocol, http.StatusUpgradeRequired)
		return nil, ErrRefused
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "this connection cannot be upgraded", http.StatusHTTPVersionNotSupported)
		return nil, fmt.Errorf("stream: %w", err)
	}
	conn.SetDeadline(time.Now().Add(upgradeTimeout))
	rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + Protocol + "\r\n\r\n")
	if err := rw.Flush(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("stream: %w", err)
	}
	conn.SetDeadline(time.Time{})
	return &hijacked{conn, rw}, nil
}

// hijacked reads first what the HTTP server had read already.
type hijacked struct {
	net.Conn
	r io.Reader
}

// NetConn is the connection below, as of tls.Conn.
func (h *hijacked) NetConn() net.Conn { return h.Conn }

func (h *hijacked) Read(b []byte) (int, error) { return h.r.Read(b) }

package tool

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// connectTimeout is how long a URL may take to answer.
const connectTimeout = 10 * time.Second

// OpenSource opens what names a stream: "-" for stdin, which must not be a terminal, a
// file, or an http or https URL. One that does not answer is Unreachable. A URL from
// which nothing comes for idle while it is read fails; 0 waits for ever.
func (t *IO) OpenSource(name string, idle time.Duration) (*Input, error) {
	switch {
	case strings.HasPrefix(name, "http://"), strings.HasPrefix(name, "https://"):
		body, err := t.get(name, idle)
		if err != nil {
			return nil, err
		}
		return NewInput(t.ctx, body), nil
	case name == "-" && t.InIsTerminal:
		return nil, Usage("stdin is a terminal").Hint("name a file or a URL, or pipe a stream in")
	}
	return t.Open(name)
}

func (t *IO) get(url string, idle time.Duration) (io.ReadCloser, error) {
	client := http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSHandshakeTimeout:   connectTimeout,
		ResponseHeaderTimeout: connectTimeout,
		DisableCompression:    true, // bytes are passed on as they are
	}}
	ctx, cancel := context.WithCancelCause(t.ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		cancel(nil)
		return nil, Usage("%w", err)
	}
	req.Header.Set("User-Agent", t.name)
	res, err := client.Do(req)
	if err != nil {
		cancel(nil)
		if t.ctx.Err() != nil {
			return nil, context.Cause(t.ctx)
		}
		return nil, Unreachable("%w", err)
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		cancel(nil)
		return nil, Unreachable("%s: %s", url, res.Status)
	}
	b := &body{ReadCloser: res.Body, ctx: ctx, cancel: cancel, idle: idle}
	if idle > 0 {
		late := fmt.Errorf("%s: no data for %v", url, idle)
		b.timer = time.AfterFunc(idle, func() { cancel(late) })
	}
	return b, nil
}

// body is an HTTP body whose reads have a deadline.
type body struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	idle   time.Duration
	timer  *time.Timer // nil without one
}

func (b *body) Read(p []byte) (int, error) {
	if b.timer != nil {
		b.timer.Reset(b.idle)
		defer b.timer.Stop()
	}
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF && b.ctx.Err() != nil {
		err = context.Cause(b.ctx)
	}
	return n, err
}

func (b *body) Close() error {
	if b.timer != nil {
		b.timer.Stop()
	}
	b.cancel(nil)
	return b.ReadCloser.Close()
}

// Begin reads the first bytes, enough to say what they are. Fewer come only at the end
// of the input; the error is then io.EOF.
func (in *Input) Begin() ([]byte, error) {
	p := make([]byte, 0, 64<<10)
	for len(p) < 12 {
		n, err := in.Read(p[len(p):cap(p)])
		p = p[:len(p)+n]
		if err != nil {
			return p, err
		}
	}
	return p, nil
}

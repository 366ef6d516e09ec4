package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/xp2p/xp2p/lib/flv"
	"github.com/xp2p/xp2p/lib/fmp4"
	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/tool"
)

const (
	connectTimeout = 10 * time.Second
	idleTimeout    = 30 * time.Second // a live stream that says nothing for so long is dead
)

// openSource opens stdin, a file or a URL.
func openSource(ctx context.Context, t *tool.IO, args []string) (*tool.Input, string, error) {
	name := "-"
	if len(args) > 0 {
		name = args[0]
	}
	if strings.HasPrefix(name, "http://") || strings.HasPrefix(name, "https://") {
		body, err := get(ctx, name)
		if err != nil {
			return nil, name, err
		}
		return tool.NewInput(ctx, body), name, nil
	}
	if name == "-" && t.InIsTerminal {
		return nil, name, tool.Usage("stdin is a terminal").Hint("name a file or a URL, or pipe a stream in")
	}
	in, err := t.Open(name)
	if name == "-" {
		name = "stdin"
	}
	return in, name, err
}

func get(ctx context.Context, url string) (io.ReadCloser, error) {
	client := http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSHandshakeTimeout:   connectTimeout,
		ResponseHeaderTimeout: connectTimeout,
		DisableCompression:    true, // bytes are passed on as they are
	}}
	idle, cancel := context.WithCancelCause(ctx)
	req, err := http.NewRequestWithContext(idle, http.MethodGet, url, nil)
	if err != nil {
		cancel(nil)
		return nil, tool.Usage("%w", err)
	}
	req.Header.Set("User-Agent", "xp2p-slice")
	res, err := client.Do(req)
	if err != nil {
		cancel(nil)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, tool.Unreachable("%w", err)
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		cancel(nil)
		return nil, tool.Unreachable("%s: %s", url, res.Status)
	}
	late := fmt.Errorf("%s: no data for %v", url, idleTimeout)
	b := &body{ReadCloser: res.Body, ctx: idle, cancel: cancel}
	b.timer = time.AfterFunc(idleTimeout, func() { cancel(late) })
	return b, nil
}

// body is an HTTP body whose reads have a deadline.
type body struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

func (b *body) Read(p []byte) (int, error) {
	b.timer.Reset(idleTimeout)
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	if err != nil && err != io.EOF && b.ctx.Err() != nil {
		err = context.Cause(b.ctx)
	}
	return n, err
}

func (b *body) Close() error {
	b.timer.Stop()
	b.cancel(nil)
	return b.ReadCloser.Close()
}

// begin reads the first bytes, enough to say what they are. Fewer come only at
// the end of the input; the error is then io.EOF.
func begin(in io.Reader) ([]byte, error) {
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

var errNotMedia = errors.New("neither FLV nor MP4")

// detect says what the input is.
func (o *options) detect(name string, head []byte) (media.Container, error) {
	switch {
	case o.containerSaid:
		return o.container, nil
	case flv.Detect(head):
		return media.FLV, nil
	case fmp4.Detect(head):
		return media.FMP4, nil
	case o.vod:
		return media.Raw, nil
	case len(head) == 0:
		return media.Raw, tool.BadData("%s: empty", name)
	}
	return media.Raw, tool.BadData("%s: %w: begins with %q", name, errNotMedia, head[:min(len(head), 12)]).
		Hint("a stream joined mid-way needs --format flv or mp4; --vod takes any file")
}

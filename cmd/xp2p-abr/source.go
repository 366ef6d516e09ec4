package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/xp2p/xp2p/lib/flv"
	"github.com/xp2p/xp2p/lib/fmp4"
	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/tool"
)

const connectTimeout = 10 * time.Second

// An input is an opened source.
type input struct {
	*tool.Input
	head      []byte // the first bytes, already read
	err       error  // what came behind them
	container media.Container
	dead      string // why there is none, if there is none
}

// errNoAnswer is why a URL is left out.
var errNoAnswer = errors.New("no answer")

// open opens a source and reads so much of it that it says what it is.
func open(ctx context.Context, t *tool.IO, s source) (in input, err error) {
	switch {
	case strings.HasPrefix(s.from, "http://"), strings.HasPrefix(s.from, "https://"):
		body, err := get(ctx, s.from)
		if err != nil {
			return in, err
		}
		in.Input = tool.NewInput(ctx, body)
	case s.from == "-" && t.InIsTerminal:
		return in, tool.Usage("stdin is a terminal").Hint("name a file or a URL, or pipe a stream in")
	default:
		if in.Input, err = t.Open(s.from); err != nil {
			return in, err
		}
	}
	if in.head, in.err = begin(in); in.err != nil && in.err != io.EOF {
		return in, in.err
	}
	if bytes.HasPrefix(in.head, []byte("xp2p-slice/")) {
		slices := segment.NewReader(io.MultiReader(bytes.NewReader(in.head), in.Input))
		in.Input = tool.NewInput(ctx, &bodies{slices: slices})
		if in.head, in.err = begin(in); in.err != nil && in.err != io.EOF {
			return in, tool.BadData("%s: %w", s.name, in.err)
		}
	}
	switch {
	case flv.Detect(in.head):
		in.container = media.FLV
	case fmp4.Detect(in.head):
		in.container = media.FMP4
	case len(in.head) == 0:
		return in, tool.BadData("%s: empty", s.name)
	default:
		return in, tool.BadData("%s: neither FLV nor MP4 nor a slice stream: begins with %q", s.name, in.head[:min(len(in.head), 12)])
	}
	return in, nil
}

// begin reads the first bytes. Fewer than it takes to tell formats apart come
// only at the end of the input; the error is then io.EOF.
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

func get(ctx context.Context, url string) (io.ReadCloser, error) {
	client := http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSHandshakeTimeout:   connectTimeout,
		ResponseHeaderTimeout: connectTimeout,
		DisableCompression:    true,
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, tool.Usage("%w", err)
	}
	req.Header.Set("User-Agent", "xp2p-abr")
	res, err := client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, tool.Unreachable("%w: %w", errNoAnswer, err)
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		return nil, tool.Unreachable("%w: %s: %s", errNoAnswer, url, res.Status)
	}
	return res.Body, nil
}

// bodies reads the media in a slice stream: the bodies of its init and piece
// records.
type bodies struct {
	slices *segment.Reader
	rest   []byte
}

func (b *bodies) Read(p []byte) (int, error) {
	for len(b.rest) == 0 {
		r, err := b.slices.Next()
		if err != nil {
			return 0, err
		}
		if r.Kind == segment.KindPiece || r.Kind == segment.KindInit && !r.Init.Copy {
			b.rest = r.Body
		}
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// openControl opens what commands are read from.
func openControl(name string) (*os.File, error) {
	fd, ok := strings.CutPrefix(name, "fd:")
	if !ok {
		// For writing, too: a named pipe then has a writer, and does not end when
		// the first one that says something closes it.
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			f, err = os.Open(name)
		}
		return f, err
	}
	n := 0
	for _, c := range fd {
		if c < '0' || c > '9' || n > 1<<20 {
			return nil, tool.Usage("--control %s: want fd:N with a number", name)
		}
		n = n*10 + int(c-'0')
	}
	f := os.NewFile(uintptr(n), name)
	if _, err := f.Stat(); fd == "" || err != nil {
		return nil, tool.Usage("--control %s: no such descriptor is open", name)
	}
	return f, nil
}

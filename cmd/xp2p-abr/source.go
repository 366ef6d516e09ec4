package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/xp2p/xp2p/lib/flv"
	"github.com/xp2p/xp2p/lib/fmp4"
	"github.com/xp2p/xp2p/lib/media"
	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/tool"
)

// An input is an opened source.
type input struct {
	*tool.Input
	head      []byte // the first bytes, already read
	err       error  // what came behind them
	container media.Container
	dead      string // why there is none, if there is none
}

// open opens a source and reads so much of it that it says what it is.
func open(ctx context.Context, t *tool.IO, s source) (in input, err error) {
	if in.Input, err = t.OpenSource(s.from, 0); err != nil { // what stalls may come back: --stall
		return in, err
	}
	if in.head, in.err = in.Begin(); in.err != nil && in.err != io.EOF {
		return in, in.err
	}
	if bytes.HasPrefix(in.head, []byte("xp2p-slice/")) {
		slices := segment.NewReader(io.MultiReader(bytes.NewReader(in.head), in.Input))
		in.Input = tool.NewInput(ctx, &bodies{slices: slices})
		if in.head, in.err = in.Begin(); in.err != nil && in.err != io.EOF {
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

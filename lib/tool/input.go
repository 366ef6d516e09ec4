package tool

import (
	"context"
	"io"
	"sync"
)

const (
	inputChunk  = 256 << 10
	inputChunks = 8
)

// An Input reads ahead, so that a read ends when the context does (a blocking
// read of a pipe cannot be interrupted) and so that its user can ask whether
// the next read would have to wait. It holds less than 3 MiB.
type Input struct {
	ctx   context.Context
	src   io.Reader
	start sync.Once
	full  chan chunk
	free  chan []byte
	cur   chunk
	off   int
	grace int // chunks still handed out after the context ended
	ended bool
}

type chunk struct {
	buf []byte
	n   int
	err error
}

// NewInput wraps a reader. If it is an io.Closer, Close closes it.
func NewInput(ctx context.Context, r io.Reader) *Input {
	return &Input{ctx: ctx, src: r, full: make(chan chunk, inputChunks), free: make(chan []byte, inputChunks+2)}
}

func (in *Input) readAhead() {
	for {
		var buf []byte
		select {
		case buf = <-in.free:
		default:
			buf = make([]byte, inputChunk)
		}
		n, err := in.src.Read(buf)
		select {
		case in.full <- chunk{buf, n, err}:
		case <-in.ctx.Done():
			select { // there may be room, and it has been read
			case in.full <- chunk{buf, n, err}:
			default:
			}
			return
		}
		if err != nil {
			return
		}
	}
}

// Read returns what has arrived, waits when nothing has, and fails with the
// context's cause once that is cancelled and what had arrived is handed out.
func (in *Input) Read(p []byte) (int, error) {
	if err := in.fill(); err != nil {
		return 0, err
	}
	n := copy(p, in.cur.buf[in.off:in.cur.n])
	in.off += n
	return n, nil
}

// Next is Read without the copy: it returns all that one read of the source
// gave. The bytes are valid until the next call of Next or Read.
func (in *Input) Next() ([]byte, error) {
	if err := in.fill(); err != nil {
		return nil, err
	}
	p := in.cur.buf[in.off:in.cur.n]
	in.off = in.cur.n
	return p, nil
}

// fill makes sure that there is something to hand out, or says why not.
func (in *Input) fill() error {
	in.start.Do(func() { go in.readAhead() })
	for in.off == in.cur.n {
		if in.cur.err != nil {
			return in.cur.err
		}
		if in.cur.buf != nil {
			in.free <- in.cur.buf
			in.cur, in.off = chunk{}, 0
		}
		if in.ctx.Err() == nil {
			select {
			case in.cur = <-in.full:
				continue
			case <-in.ctx.Done():
			}
		}
		if !in.ended {
			in.ended, in.grace = true, inputChunks
		}
		if in.grace > 0 {
			in.grace--
			select {
			case in.cur = <-in.full:
				continue
			default:
			}
		}
		in.cur.err = context.Cause(in.ctx)
	}
	return nil
}

// WouldWait reports whether the next Read has nothing to hand out yet. The end
// of the input is not a wait.
func (in *Input) WouldWait() bool {
	in.start.Do(func() { go in.readAhead() })
	return in.off == in.cur.n && in.cur.err == nil && len(in.full) == 0
}

// Close closes the source if it can be closed.
func (in *Input) Close() error {
	if c, ok := in.src.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

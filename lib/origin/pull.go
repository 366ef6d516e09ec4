package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/store"
)

// A Pull is an upstream's slice stream, kept open over broken connections: a
// reader sees each record once, in order, verified. It belongs to one
// goroutine.
type Pull struct {
	c      *Client
	ctx    context.Context
	cancel context.CancelFunc
	from   store.Start
	header segment.Header

	rd     *segment.Reader
	body   *tracked
	key    *segment.Verifier
	hangUp context.CancelFunc
	idle   *time.Timer

	last    segment.ID
	have    bool // last is valid
	tail    tail
	attempt int
	idled   bool          // the last connection brought nothing new
	span    time.Duration // it ends after so much; 0: never
}

// tail is what came behind the last piece: it comes again when the stream is
// resumed behind that piece.
type tail struct {
	inits        map[segment.Hash]bool
	segment, end bool
}

// Start opens the room's slice stream at from. It tries once: ErrUnreachable
// and ErrNotFound say why it could not. Later breaks are healed by Next, as
// often as it takes, until ctx is done.
func (c *Client) Start(ctx context.Context, from store.Start) (*Pull, error) {
	return c.pull(ctx, &Pull{from: from})
}

// After is Start behind a piece, for some stream time (segment.Span): then Next returns
// io.EOF.
func (c *Client) After(ctx context.Context, id segment.ID, span time.Duration) (*Pull, error) {
	return c.pull(ctx, &Pull{from: store.After(id), span: span})
}

func (c *Client) pull(ctx context.Context, p *Pull) (*Pull, error) {
	p.c = c
	p.ctx, p.cancel = context.WithCancel(ctx)
	if err := p.connect(); err != nil {
		p.cancel()
		return nil, err
	}
	return p, nil
}

// Header returns the stream's version line: key, container, mode.
func (p *Pull) Header() segment.Header { return p.header }

// Stop makes Next return; it may be called from any goroutine. Close still has
// to follow.
func (p *Pull) Stop() { p.cancel() }

// Close ends the stream.
func (p *Pull) Close() {
	p.disconnect()
	p.cancel()
}

// Next returns the next record. ErrEnded: the room has ended. io.EOF: that was all
// that was asked for. store.ErrGone: the upstream's window has moved on while the
// connection was broken, so that there is a gap; start anew. ErrBadData: what came was
// not signed by the room; it was not returned, and Next may be called again to ask
// anew. Else the error is that of the context.
func (p *Pull) Next() (segment.Record, error) {
	for {
		if err := p.ctx.Err(); err != nil {
			return segment.Record{}, context.Cause(p.ctx)
		}
		if p.rd == nil {
			if err := p.reconnect(); err != nil {
				return segment.Record{}, err
			}
			continue
		}
		rec, err := p.read()
		if err == nil {
			if p.fresh(&rec) {
				p.attempt, p.idled = 0, false
				return rec, nil
			}
			continue
		}
		whole := p.body.err == io.EOF // and not broken off, as HTTP says
		p.disconnect()
		if errors.Is(err, ErrBadData) {
			return segment.Record{}, err
		}
		if p.span > 0 && whole {
			return segment.Record{}, io.EOF
		}
	}
}

// read returns the next record of the connection, verified. An error that is
// not ErrBadData means that the connection is over.
func (p *Pull) read() (segment.Record, error) {
	rec, err := p.rd.Next()
	if err != nil && (errors.Is(err, segment.ErrTruncated) || p.body.err != nil && errors.Is(err, p.body.err)) {
		return rec, err // nothing more came: not the data's fault
	}
	p.idle.Reset(p.c.cfg.Timeout)
	if err == nil {
		if rec.Kind == segment.KindHeader {
			err = p.begin(rec.Header)
		} else {
			err = p.key.Verify(&rec)
		}
	}
	if err != nil {
		err = fmt.Errorf("%w: %s: %w", ErrBadData, p.c.url("start"), err)
	}
	return rec, err
}

// begin takes a version line.
func (p *Pull) begin(h *segment.Header) error {
	if err := p.c.Pin(h.Key); err != nil {
		return err
	}
	p.header = *h
	if p.key == nil {
		p.key = segment.NewVerifier(h.Key)
	}
	return nil
}

// maxRead bounds one read of a body. net/http's chunk reader fills the buffer
// it is given as long as the chunk goes on, however long that takes: a viewer
// who starts would have the first piece of the first GOP only with its last.
const maxRead = 1 << 10

// tracked remembers why a body gave no more bytes, and gives what has come.
type tracked struct {
	io.ReadCloser
	err error
}

func (t *tracked) Read(b []byte) (n int, err error) {
	n, err = t.ReadCloser.Read(b[:min(len(b), maxRead)])
	if err != nil {
		t.err = err
	}
	return n, err
}

// fresh notes rec, and reports whether it has not been returned before.
func (p *Pull) fresh(rec *segment.Record) bool {
	switch rec.Kind {
	case segment.KindHeader:
		return false
	case segment.KindPiece:
		if p.have && rec.Piece.ID.Compare(p.last) <= 0 {
			return false
		}
		p.last, p.have, p.tail = rec.Piece.ID, true, tail{}
	case segment.KindInit:
		if p.tail.inits[rec.Init.Hash] {
			return false
		}
		if p.tail.inits == nil {
			p.tail.inits = map[segment.Hash]bool{}
		}
		p.tail.inits[rec.Init.Hash] = true
	case segment.KindSegment:
		if p.tail.segment {
			return false
		}
		p.tail.segment = true
	case segment.KindEnd:
		if p.tail.end {
			return false
		}
		p.tail.end = true
	}
	return true
}

// connect asks for the stream from where it stands.
func (p *Pull) connect() error {
	query := "start?from=" + p.from.String()
	if p.have {
		query = "start?after=" + store.FormatID(p.last)
	} else if id, ok := p.from.AfterID(); ok {
		query = "start?after=" + store.FormatID(id)
	}
	if p.span > 0 {
		query += "&for=" + p.span.String()
	}
	ctx, hangUp := context.WithCancel(p.ctx)
	resp, err := p.c.do(ctx, query)
	if err != nil {
		hangUp()
		return err
	}
	p.hangUp, p.body = hangUp, &tracked{ReadCloser: resp.Body}
	p.idle = time.AfterFunc(p.c.cfg.Timeout, hangUp) // a silent connection may be a dead one
	p.rd = segment.NewReader(p.body)
	h, err := p.rd.Header()
	switch {
	case err != nil && p.body.err != nil:
		err = fmt.Errorf("%w: %s: %w", ErrUnreachable, p.c.url(query), err)
	case err != nil:
		err = fmt.Errorf("%w: %s: %w", ErrBadData, p.c.url(query), err)
	default:
		err = p.begin(&h)
	}
	if err != nil {
		p.disconnect()
	}
	return err
}

func (p *Pull) disconnect() {
	if p.rd == nil {
		return
	}
	p.idle.Stop()
	p.hangUp()
	p.body.Close()
	p.rd = nil
}

// reconnect waits its turn and connects again. It returns an error only when
// there is no use in trying further.
func (p *Pull) reconnect() error {
	p.attempt++
	if p.tail.end || p.idled {
		// Only then: behind the last piece there may be records that are still to
		// come.
		if over, err := p.over(); over {
			return err
		}
	}
	p.idled = true
	select {
	case <-time.After(p.c.cfg.Backoff(p.attempt)):
	case <-p.ctx.Done():
		return context.Cause(p.ctx)
	}
	err := p.connect()
	switch {
	case err == nil, errors.Is(err, ErrUnreachable), errors.Is(err, ErrNotFound):
		if err != nil {
			p.c.cfg.Log.Info("upstream away", "room", p.c.cfg.Room, "attempt", p.attempt, "why", err)
		}
		return nil
	}
	return err
}

// over asks whether the room has ended where the stream stands.
func (p *Pull) over() (bool, error) {
	at, known := p.last, p.have
	if !known {
		at, known = p.from.AfterID()
	}
	n, err := p.c.Newest(p.ctx)
	switch {
	case err == nil:
		if n.Ended && (n.Edge == nil || known && n.Edge.ID().Compare(at) <= 0) {
			return true, store.ErrEnded
		}
	case p.tail.end && errors.Is(err, ErrUnreachable):
		return true, store.ErrEnded // the stream was whole, and its origin has gone home
	}
	return false, nil
}

// Mirror keeps room filled from the client's upstream until the room ends there
// or ctx is done: an edge. It begins with all that the upstream still has. The
// room is closed when, and only when, the upstream's has ended.
func Mirror(ctx context.Context, c *Client, room *store.Room) error {
	from := store.Oldest()
	if edge, ok := room.Edge(); ok {
		from = store.After(edge)
	}
	for attempt := 1; ; attempt++ {
		p, err := c.Start(ctx, from)
		if err == nil {
			attempt = 0
			err = p.into(room)
			p.Close()
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, store.ErrEnded):
			return room.Close()
		case errors.Is(err, store.ErrGone), errors.Is(err, store.ErrGap):
			// The upstream's window has moved past ours. Those who follow this room
			// are told, and start anew.
			room.Reset()
			from = store.Oldest()
		default:
			if edge, ok := room.Edge(); ok {
				from = store.After(edge)
			}
		}
		c.cfg.Log.Warn("upstream lost", "room", room.Name(), "why", err)
		select {
		case <-time.After(c.cfg.Backoff(attempt + 1)):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// into appends what comes to room.
func (p *Pull) into(room *store.Room) error {
	for {
		rec, err := p.Next()
		if err != nil {
			return err
		}
		if err := room.Append(rec); err != nil && !errors.Is(err, store.ErrDuplicate) {
			return err
		}
	}
}

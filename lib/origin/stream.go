package origin

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/xp2p/xp2p/lib/segment"
	"github.com/xp2p/xp2p/lib/squeeze"
	"github.com/xp2p/xp2p/lib/store"
)

// A push is an answer without an end: what is ready is gathered into large
// writes, and flushed the moment there is nothing more to write.
type push struct {
	w     io.Writer // the client, each write with a deadline of its own
	flush func() error
}

// pushBuffer is large enough that the first GOP leaves in few writes.
const pushBuffer = 64 << 10

// open checks that one more stream may begin, and writes its header. What is
// written to the push goes through buffers that the caller puts in front.
func (h *Handler) open(w *counted, r *http.Request, kind string) (*push, bool) {
	if h.ctx.Err() != nil || h.served.Streams.Load() >= h.cfg.MaxStreams {
		busy(w, "no more streams")
		return nil, false
	}
	head := w.Header()
	head.Set("Content-Type", kind)
	head.Set("Cache-Control", "no-store")
	head.Set("X-Accel-Buffering", "no") // nginx in between passes each piece on at once
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil, false
	}
	h.served.Streams.Add(1)
	w.until = time.Time{}
	return &push{w: deadlined{w, w.ctl, h.cfg.WriteTimeout}, flush: w.ctl.Flush}, true
}

// before puts a buffer's flush before the connection's.
func (p *push) before(flush func() error) {
	after := p.flush
	p.flush = func() error {
		if err := flush(); err != nil {
			return err
		}
		return after()
	}
}

// deadlined gives every write to a client its own deadline.
type deadlined struct {
	w       http.ResponseWriter
	ctl     *http.ResponseController
	timeout time.Duration
}

func (d deadlined) Write(b []byte) (int, error) {
	_ = d.ctl.SetWriteDeadline(time.Now().Add(d.timeout)) // a writer without deadlines is a test's
	return d.w.Write(b)
}

// run passes records from c to add until the room ends, the client leaves, the
// handler stops, add fails or says that it has had enough.
func (h *Handler) run(r *http.Request, p *push, c *store.Cursor, add func(segment.Record) (more bool, err error)) error {
	defer h.served.Streams.Add(-1)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	for {
		if !c.Ready() {
			if err := p.flush(); err != nil {
				return err
			}
		}
		rec, err := c.Next(ctx)
		if err != nil {
			return err
		}
		if more, err := add(rec); err != nil || !more {
			return errors.Join(err, p.flush())
		}
	}
}

// finish ends a stream's answer: plainly, so that the client sees its end, when
// the room has ended or the handler stops; else by cutting the connection, so
// that nobody takes what it has for the whole.
func (h *Handler) finish(r *http.Request, room *store.Room, p *push, err error) {
	switch {
	case err == nil, errors.Is(err, store.ErrEnded), h.ctx.Err() != nil:
		if p.flush() == nil {
			return
		}
	case r.Context().Err() != nil: // the client left
	case slow(err):
		h.served.Dropped.Add(1)
		h.cfg.Log.Info("slow reader cut off", "room", room.Name(), "client", r.RemoteAddr, "why", err)
	default:
		// A disk that forgets: what cannot be verified is not served.
		h.cfg.Log.Warn("a stream broke off", "room", room.Name(), "client", r.RemoteAddr, "why", err)
		_ = p.flush() // what came before it is right
	}
	panic(http.ErrAbortHandler)
}

// start answers with the slice stream.
func (h *Handler) start(w *counted, r *http.Request, room *store.Room) {
	q := r.URL.Query()
	from, err := parseFrom(q.Get("from"), q.Get("after"))
	if err != nil {
		refuse(w, http.StatusBadRequest, "from: want live, oldest, a time such as 90s, or epoch-seq-index; after: epoch-seq-index")
		return
	}
	pieces := -1
	if s := q.Get("pieces"); s != "" {
		if pieces, err = strconv.Atoi(s); err != nil || pieces < 1 {
			refuse(w, http.StatusBadRequest, "pieces: want a number above 0")
			return
		}
	}
	var span segment.Span
	if s := q.Get("for"); s != "" {
		if span.For, err = time.ParseDuration(s); err != nil || span.For <= 0 {
			refuse(w, http.StatusBadRequest, "for: want a time such as 400ms")
			return
		}
	}
	c, err := room.Start(from)
	switch {
	case errors.Is(err, store.ErrGone):
		refuse(w, http.StatusGone, "the window has left this piece behind")
		return
	case err != nil:
		refuse(w, http.StatusNotFound, "no such piece yet")
		return
	}
	p, ok := h.open(w, r, octets)
	if !ok {
		return
	}
	out := segment.NewWriter(p.w, room.Header())
	p.before(out.Flush)
	err = h.run(r, p, c, func(rec segment.Record) (bool, error) {
		if rec.Kind != segment.KindPiece {
			return true, out.Write(rec)
		}
		if pieces > 0 {
			pieces--
		}
		return pieces != 0 && !span.Ends(rec.Piece.DTS), out.Write(rec)
	})
	h.finish(r, room, p, err)
}

// parseFrom reads the two ways to say where a stream begins.
func parseFrom(from, after string) (store.Start, error) {
	if after == "" {
		return store.ParseStart(from)
	}
	id, err := store.ParseID(after)
	if err == nil && from != "" {
		err = errors.New("from and after exclude each other")
	}
	return store.After(id), err
}

// live answers with the stream that ordinary players read.
func (h *Handler) live(w *counted, r *http.Request, room *store.Room, t target) {
	if c := room.Container(); c != t.container {
		hint := "the room's own container is ." + c.String() + ": /live/" + room.Name() + "." + c.String() + "; streams are never remuxed"
		if !playable(c) {
			hint = "this room is not FLV or fMP4, so players cannot stream it"
		}
		refuse(w, http.StatusNotFound, hint)
		return
	}
	from, err := store.ParseStart(r.URL.Query().Get("from"))
	if err != nil {
		refuse(w, http.StatusBadRequest, "from: want live, oldest, or a time such as 90s")
		return
	}
	if room.VOD() && r.URL.Query().Get("from") == "" {
		from = store.Oldest()
	}
	if at, back := from.BackTime(); back && room.VOD() {
		h.recording(w, r, room, at)
		return
	}
	c, err := room.Start(from)
	if err != nil {
		refuse(w, http.StatusNotFound, "no such piece here")
		return
	}
	p, ok := h.open(w, r, t.container.ContentType())
	if !ok {
		return
	}
	buf := bufio.NewWriterSize(p.w, pushBuffer)
	p.before(buf.Flush)
	play := NewPlayable(t.container)
	write := func(runs [][]byte) error {
		for _, b := range runs {
			if _, err := buf.Write(b); err != nil {
				return err
			}
		}
		return nil
	}
	end := func() error { return write(play.Finish()) }
	if h.cfg.Latency != squeeze.Off && !room.VOD() && !room.Ended() {
		write, end = hurry(room, squeeze.New(t.container, h.cfg.Latency), play, write, p.flush)
	}
	err = h.run(r, p, c, func(rec segment.Record) (bool, error) { return true, write(play.Add(rec)) })
	if errors.Is(err, store.ErrEnded) {
		err = errors.Join(err, end())
	}
	h.finish(r, room, p, err)
}

// hurry puts a squeezer before write, and before the end of the stream.
func hurry(room *store.Room, q *squeeze.Squeezer, play *Playable, write func([][]byte) error, flush func() error) (func([][]byte) error, func() error) {
	through := func(runs [][]byte) error {
		// What stays in a buffer was not taken.
		if err := errors.Join(write(runs), flush()); err != nil {
			return err
		}
		q.Wrote(time.Now())
		return nil
	}
	add := func(runs [][]byte) error { return through(q.Add(time.Now(), room.Snapshot(0).EdgeDTS, runs)) }
	return add, func() error { return errors.Join(add(play.Finish()), through(q.Finish(time.Now()))) }
}

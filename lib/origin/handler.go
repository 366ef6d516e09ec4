package origin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/xp2p/xp2p/lib/squeeze"
	"github.com/xp2p/xp2p/lib/store"
)

// Parts are groups of URLs that a Handler answers.
type Parts uint8

const (
	Content Parts = 1 << iota // /v1/rooms/…: for edges and peers
	Live                      // /live/…: for ordinary players
	Page                      // / and /play/…: for browsers
)

// Bounds that Config leaves open.
const (
	DefaultWriteTimeout = 30 * time.Second
	DefaultMaxStreams   = 10_000
)

// Config says how a Handler serves. The zero Config serves Content and Live.
type Config struct {
	Parts Parts
	// WriteTimeout is how long one write to a client may be stuck. An answer with
	// an end must besides be taken at 32 KiB a second after it.
	WriteTimeout time.Duration
	// MaxStreams bounds the /start and /live answers that are open at once; one
	// more is told 503.
	MaxStreams int64
	// Uplink is what the machine's uplink carries, in bits per second; 0: no
	// bound. The handler plans with UplinkPart of it, and with what Spent leaves
	// of that.
	Uplink int64
	// Upstream, if set, returns the client that an edge asks for what a room
	// does not hold (any more): pieces, inits, segments, an index. nil is no
	// upstream for this room.
	Upstream func(room string) *Client
	// Latency, if not Off, brings the players of live rooms to the live edge: what
	// they read at /live has other times than the broadcaster's.
	Latency squeeze.Latency
	// Log hears of slow readers that were cut off; nil is silence.
	Log *slog.Logger
}

// A Handler serves the rooms of a store.
type Handler struct {
	store  *store.Store
	cfg    Config
	served Served
	uplink uplink
	ctx    context.Context // done when streams are to end
	stop   context.CancelFunc
}

// NewHandler returns a handler for the rooms of s.
func NewHandler(s *store.Store, c Config) *Handler {
	if c.Parts == 0 {
		c.Parts = Content | Live
	}
	if c.WriteTimeout <= 0 {
		c.WriteTimeout = DefaultWriteTimeout
	}
	if c.MaxStreams <= 0 {
		c.MaxStreams = DefaultMaxStreams
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	h := &Handler{store: s, cfg: c}
	h.uplink.init(c.Uplink)
	h.ctx, h.stop = context.WithCancel(context.Background())
	return h
}

// Served returns the handler's counters.
func (h *Handler) Served() *Served { return &h.served }

// Stop ends every open stream, each on a unit's border, and refuses new ones:
// what http.Server.Shutdown would otherwise wait for. The rooms live on.
func (h *Handler) Stop() { h.stop() }

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.served.Requests.Add(1)
	t, bad := parseTarget(r.URL.Path)
	c := &counted{
		ResponseWriter: w, bytes: h.served.counter(t.kind), served: &h.served, uplink: &h.uplink,
		ctl: http.NewResponseController(w), until: time.Now().Add(h.cfg.WriteTimeout),
	}
	head := c.Header()
	head.Set("Access-Control-Allow-Origin", "*")
	head.Set("Access-Control-Expose-Headers", "Content-Length, Content-Range, ETag")
	head.Set("X-Content-Type-Options", "nosniff")
	if r.ContentLength != 0 {
		// Nothing here takes a body; one that trickles in would hold the
		// connection.
		head.Set("Connection", "close")
	}
	switch {
	case bad:
		refuse(c, http.StatusBadRequest, "malformed name in the path")
		return
	case t.kind == noTarget || h.cfg.Parts&t.part() == 0:
		refuse(c, http.StatusNotFound, "no such page")
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		h.answer(c, r, t)
	case http.MethodOptions:
		head.Set("Allow", allowed)
		head.Set("Access-Control-Allow-Methods", allowed)
		head.Set("Access-Control-Allow-Headers", "Range, If-None-Match")
		head.Set("Access-Control-Max-Age", "86400")
		c.WriteHeader(http.StatusNoContent)
	default:
		head.Set("Allow", allowed)
		refuse(c, http.StatusMethodNotAllowed, "this can be read, not changed")
	}
}

const allowed = "GET, HEAD, OPTIONS"

// part returns the group of URLs that the target belongs to.
func (t *target) part() Parts {
	switch t.kind {
	case liveTarget:
		return Live
	case pageTarget, codecsTarget:
		return Page
	default:
		return Content
	}
}

func (h *Handler) answer(w *counted, r *http.Request, t target) {
	if t.kind == pageTarget && t.room == "" {
		h.front(w, r)
		return
	}
	room, err := h.store.Room(t.room)
	if err != nil {
		refuse(w, http.StatusNotFound, "no such room")
		return
	}
	if h.full(w, r, room, t) {
		return
	}
	defer w.settle()
	switch t.kind {
	case newestTarget:
		h.newest(w, r, room)
	case startTarget:
		h.start(w, r, room)
	case indexTarget:
		h.index(w, r, room)
	case pieceTarget:
		h.piece(w, r, room, t)
	case initTarget:
		h.init(w, r, room, t)
	case segmentTarget, segmentPiecesTarget:
		h.segment(w, r, room, t)
	case atTarget:
		h.at(w, r, room, t)
	case liveTarget:
		h.live(w, r, room, t)
	case pageTarget:
		h.page(w, r, room)
	case codecsTarget:
		h.codecs(w, r, room)
	}
}

// refuse answers with a status and a line of text. What is not there now may be
// there in a moment, so caches keep a 404 for a second only.
func refuse(w http.ResponseWriter, status int, why string) {
	head := w.Header()
	head.Set("Content-Type", "text/plain; charset=utf-8")
	head.Set("Cache-Control", "no-store")
	if status == http.StatusNotFound {
		head.Set("Cache-Control", "public, max-age=1")
	}
	head.Del("ETag")
	w.WriteHeader(status)
	fmt.Fprintln(w, why)
}

// counted counts the bytes of an answer, and sees that they are taken.
type counted struct {
	http.ResponseWriter
	bytes  *atomic.Int64
	served *Served
	uplink *uplink
	paid   int  // bytes that were taken out of the bucket before they were written
	lacked bool // they are what a player is about to lack

	// What has an end is held in memory until the client has taken it, and must
	// be taken until then; each byte gives a little more time.
	ctl   *http.ResponseController
	until time.Time // zero: a stream, which has its own deadlines
}

// minRate is how many bytes a second a client must take.
const minRate = 32 << 10

func (c *counted) WriteHeader(status int) {
	if status >= 400 {
		c.served.Refused.Add(1)
		c.bytes = &c.served.OtherBytes
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *counted) Write(b []byte) (int, error) {
	if !c.until.IsZero() {
		_ = c.ctl.SetWriteDeadline(c.until) // a writer without deadlines is a test's
		c.until = c.until.Add(time.Duration(len(b)) * time.Second / minRate)
	}
	n, err := c.ResponseWriter.Write(b)
	c.bytes.Add(int64(n))
	advance := min(n, c.paid)
	c.paid -= advance
	c.uplink.spend(n-advance, c.lacked)
	return n, err
}

// settle gives back what was taken out of the bucket and not written.
func (c *counted) settle() {
	c.uplink.spend(-c.paid, c.lacked)
	c.paid = 0
}

// Unwrap lets http.ResponseController reach the connection.
func (c *counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// NewServer returns an http.Server for h with the timeouts and limits that the
// open internet asks for. There is no timeout for a whole answer, for a stream
// has no end; the handler bounds each write instead. Go sets TCP_NODELAY, so a
// piece leaves when it is flushed.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
}

// Serve answers at ln until ctx is done; then streams end on a border and what
// is under way may take for within. stop, if not nil, ends what never ends by
// itself: the Stop of each Handler in h.
func Serve(ctx context.Context, ln net.Listener, h http.Handler, stop func(), within time.Duration) error {
	server := NewServer(h)
	closed := make(chan struct{})
	stopped := context.AfterFunc(ctx, func() {
		defer close(closed)
		if stop != nil {
			stop()
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			server.Close()
		}
	})
	if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		stopped()
		return err
	}
	<-closed
	return context.Cause(ctx)
}

// slow reports whether a stream ended because its reader did not keep up.
func slow(err error) bool {
	return errors.Is(err, store.ErrFellBehind) || errors.Is(err, context.DeadlineExceeded) || isTimeout(err)
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

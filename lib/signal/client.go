package signal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/xp2p/xp2p/lib/wire"
)

// Times of a Client's reconnection: a tracker that restarts is found again at
// once, one that is gone is not hammered by all its peers together.
const (
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 5 * time.Second
	dialTimeout  = 10 * time.Second
	// steady is how long a connection must last to count as good.
	steady     = time.Second
	maxEvents  = 64
	clientBox  = 64 // messages waiting to be sent
	byeTimeout = time.Second
)

// ErrOffline says that there is no connection now; the Client is making one.
var ErrOffline = errors.New("signal: offline")

// An EventKind says what an Event tells.
type EventKind uint8

const (
	Up      EventKind = iota // connected; the hello has been said
	Down                     // not connected any more, or not yet: Err says why
	Message                  // Signal is what the tracker said
)

// An Event is news from a Client. What the tracker said before a Down stays
// true until it says otherwise: a peer goes on with the neighbours it has.
type Event struct {
	Kind   EventKind
	Signal wire.Signal
	Err    error
	Retry  time.Duration // with Down: when the next try comes
}

// ClientConfig configures a Client.
type ClientConfig struct {
	URL string // of the WebSocket: ws, wss, http or https
	// Hello is what the client says of itself; nil: it connects, and says the first
	// that Client.Hello is given.
	Hello *wire.SignalHello
	// Announce, if not nil, makes what is said before the hello, anew for each
	// connection.
	Announce func() *wire.SignalAnnounce
	HTTP     *http.Client // nil: http.DefaultClient
	Log      *slog.Logger
}

// A Client is a peer's connection to its tracker. It reconnects for ever, says
// hello anew each time, and takes its old place again.
type Client struct {
	cfg    ClientConfig
	log    *slog.Logger
	events chan Event
	out    chan wire.Signal
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}

	known chan struct{} // closed when there is a hello

	mu     sync.Mutex
	hello  wire.SignalHello
	said   bool // there is a hello
	online bool
}

// Dial starts a client; it returns before there is a connection. Close, or the
// end of ctx, ends it. The caller drains Events.
func Dial(ctx context.Context, cfg ClientConfig) *Client {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &Client{
		cfg: cfg, log: cfg.Log, events: make(chan Event, maxEvents),
		out: make(chan wire.Signal, clientBox), done: make(chan struct{}), known: make(chan struct{}),
	}
	if cfg.Hello != nil {
		c.Hello(cfg.Hello)
	}
	c.ctx, c.cancel = context.WithCancel(ctx)
	go c.run()
	return c
}

// Events returns the channel of events; it is closed when the client ends.
func (c *Client) Events() <-chan Event { return c.events }

// Hello replaces what the client says of itself, now and on later connections.
func (c *Client) Hello(h *wire.SignalHello) {
	c.mu.Lock()
	defer c.mu.Unlock()
	resume := c.hello.Resume
	c.hello = *h
	c.hello.Resume = resume
	if !c.said {
		c.said = true
		close(c.known)
	}
	if c.online {
		hello := c.hello
		select {
		case c.out <- &hello:
		default: // a peer that says so much is heard with its next hello
		}
	}
}

// Send says m, if there is a connection; a hello is kept for later ones, as
// Hello does. It never blocks.
func (c *Client) Send(m wire.Signal) error {
	if h, ok := m.(*wire.SignalHello); ok {
		c.Hello(h)
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.online {
		return ErrOffline
	}
	select {
	case c.out <- m:
		return nil
	default:
		return fmt.Errorf("%w: too much waits to be sent", ErrOffline)
	}
}

// Close says goodbye, if there is a connection, and ends the client.
func (c *Client) Close() {
	_ = c.Send(&wire.SignalBye{})
	c.mu.Lock()
	online := c.online
	c.mu.Unlock()
	if online {
		select { // the tracker closes when it has heard the bye
		case <-c.done:
		case <-time.After(byeTimeout):
		}
	}
	c.cancel()
	<-c.done
}

func (c *Client) run() {
	defer close(c.done)
	defer close(c.events)
	defer c.cancel()
	backoff := firstBackoff
	for {
		lasted, err := c.connect()
		if c.ctx.Err() != nil || errors.Is(err, errBye) {
			return
		}
		if lasted >= steady {
			backoff = firstBackoff
		}
		var refused *wire.SignalError
		if errors.As(err, &refused) {
			backoff = maxBackoff // it will not be otherwise in a moment
		}
		wait := time.Duration(float64(backoff) * (0.5 + rand.Float64()))
		backoff = min(2*backoff, maxBackoff)
		c.log.Debug("tracker gone", "err", err, "retry", wait)
		if !c.event(Event{Kind: Down, Err: err, Retry: wait}) {
			return
		}
		select {
		case <-c.ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (c *Client) event(e Event) bool {
	select {
	case c.events <- e:
		return true
	case <-c.ctx.Done():
		return false
	}
}

// errBye ends a client whose goodbye was said.
var errBye = errors.New("bye")

// connect makes one connection and keeps it until it ends.
func (c *Client) connect() (lasted time.Duration, err error) {
	dial, cancel := context.WithTimeout(c.ctx, dialTimeout)
	defer cancel()
	conn, resp, err := websocket.Dial(dial, c.cfg.URL, &websocket.DialOptions{HTTPClient: c.cfg.HTTP})
	switch {
	case err != nil && resp != nil && resp.StatusCode == http.StatusNotFound:
		return 0, fmt.Errorf("tracker: %w", ErrNoRoom)
	case err != nil && resp != nil:
		return 0, fmt.Errorf("tracker: %w: %s", ErrUnreachable, resp.Status)
	case err != nil:
		return 0, fmt.Errorf("tracker: %w: %w", ErrUnreachable, err)
	}
	defer conn.CloseNow()
	conn.SetReadLimit(wire.MaxSignal)
	select {
	case <-c.known:
	case <-dial.Done():
		return 0, fmt.Errorf("tracker: nothing to say: %w", context.Cause(dial))
	}
	start := time.Now()
	c.mu.Lock()
	c.online = true // from here on, a new hello goes out behind this one
	hello := c.hello
	c.mu.Unlock()
	defer c.offline()
	if c.cfg.Announce != nil {
		if err := send(dial, conn, c.cfg.Announce()); err != nil {
			return 0, fmt.Errorf("tracker: %w: %w", ErrUnreachable, err)
		}
	}
	if err := send(dial, conn, &hello); err != nil {
		return 0, fmt.Errorf("tracker: %w: %w", ErrUnreachable, err)
	}
	if !c.event(Event{Kind: Up}) {
		return 0, c.ctx.Err()
	}
	ctx, stop := context.WithCancel(c.ctx)
	wrote := make(chan error, 1)
	go func() {
		defer stop()
		wrote <- c.write(ctx, conn)
	}()
	err = c.read(ctx, conn)
	stop()
	if werr := <-wrote; errors.Is(werr, errBye) {
		err = werr
	}
	return time.Since(start), err
}

func (c *Client) offline() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.online = false
	for { // what was said to the old connection is not for the next
		select {
		case <-c.out:
		default:
			return
		}
	}
}

func (c *Client) read(ctx context.Context, conn *websocket.Conn) error {
	for {
		typ, b, err := conn.Read(ctx)
		if err != nil {
			return fmt.Errorf("tracker: %w: %w", ErrUnreachable, err)
		}
		if typ != websocket.MessageText {
			return fmt.Errorf("tracker: %w", wire.ErrSignalType)
		}
		m, err := wire.ParseSignal(b)
		if errors.Is(err, wire.ErrSignalType) {
			continue // from a later version
		}
		if err != nil {
			return fmt.Errorf("tracker: %w", err)
		}
		if e, ok := m.(*wire.SignalError); ok {
			return e
		}
		if w, ok := m.(*wire.SignalWelcome); ok {
			c.mu.Lock()
			c.hello.Resume = w.Resume
			c.mu.Unlock()
		}
		if !c.event(Event{Kind: Message, Signal: m}) {
			return c.ctx.Err()
		}
	}
}

func (c *Client) write(ctx context.Context, conn *websocket.Conn) error {
	ping := time.NewTicker(pingInterval)
	defer ping.Stop()
	pings := make(chan error, 1)
	for {
		select {
		case <-ctx.Done():
			return nil
		case m := <-c.out:
			if err := send(ctx, conn, m); err != nil {
				return err
			}
			if _, ok := m.(*wire.SignalBye); ok {
				// Half a close would do; this one waits for the tracker's.
				_ = conn.Close(websocket.StatusNormalClosure, "bye")
				return errBye
			}
		case err := <-pings:
			if err != nil {
				return err
			}
		case <-ping.C:
			go func() { pings <- pingOnce(ctx, conn) }()
		}
	}
}

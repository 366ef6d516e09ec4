package rival

import (
	"bytes"
	"context"
	"crypto/ed25519"
	crand "crypto/rand"
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/xp2p/xp2p/lib/congestion"
	"github.com/xp2p/xp2p/lib/endpoint"
	"github.com/xp2p/xp2p/lib/xntp"
)

// xntpTransport is XNTP on the endpoint that peers run it on. The request is the
// early one of the first datagram; what is written is a reliable object, and
// live a deadline object, as pieces are. Objects that overtake others are held
// until it is their turn, unless live. Only queue, window and the largest object
// are larger than a peer's, so that an object of 4 MB is one object.
type xntpTransport struct {
	config  xntp.Config
	control func() congestion.Controller
	options Options
}

const (
	xntpMaxObject = 4 << 20
	xntpWindow    = 16 << 20
	// xntpQueued is how many bytes may be sent and not yet delivered: two round
	// trips of 100 Mbit/s and 300 ms.
	xntpQueued = 8 << 20
	// xntpHeld bounds what has come and was not taken; then it stays in the
	// machine, whose window ends the peer's zeal.
	xntpHeld = 32 << 20
)

// xntpControls are the controllers beside XNTP's own.
var xntpControls = map[string]func() congestion.Controller{
	"":      func() congestion.Controller { return congestion.NewModel(xntp.DefaultMTU) },
	"cubic": func() congestion.Controller { return congestion.NewCUBIC(xntp.DefaultMTU) },
	"tfrc":  func() congestion.Controller { return congestion.NewTFRC(xntp.DefaultMTU) },
}

func newXNTP(control string) func(Options) (Transport, error) {
	return func(o Options) (Transport, error) {
		return &xntpTransport{options: o, control: xntpControls[control], config: xntp.Config{
			MaxObject: xntpMaxObject, Window: xntpWindow, QueueBytes: xntpWindow, QueueLen: 1 << 15, Entropy: crand.Reader,
		}}, nil
	}
}

// An xntpEnd is an endpoint with its connections.
type xntpEnd struct {
	m       *xntp.Endpoint
	ep      *endpoint.Endpoint
	live    time.Duration
	stop    context.CancelFunc
	done    chan struct{}
	serve   func(Conn)
	conns   map[xntp.ConnID]*xntpConn // the loop's
	made    []congestion.Controller   // of connections that no event has named yet; the loop's
	stalled bool                      // events wait for a reader
}

// xntpToken stands for a tracker's word that an address is its owner's: what it
// says is not what is measured here.
var xntpToken = []byte("bench")

func (t *xntpTransport) open(at Place, serve func(Conn)) (*xntpEnd, error) {
	key, err := xntp.GenerateKey(crand.Reader)
	if err != nil {
		return nil, err
	}
	c := t.config
	c.Key = key
	c.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	if hint := t.options.Hint; hint > 0 && serve != nil {
		c.Uplink = hint
		c.VerifyToken = func(_ []ed25519.PublicKey, token []byte, _ netip.AddrPort, _ time.Time) bool {
			return bytes.Equal(token, xntpToken)
		}
	} else {
		c.Downlink = hint
	}
	e := &xntpEnd{live: t.options.Live, serve: serve, done: make(chan struct{}), conns: map[xntp.ConnID]*xntpConn{}}
	c.NewController = func(time.Time) congestion.Controller {
		made := t.control()
		if e.serve != nil {
			e.made = append(e.made, made)
		}
		return made
	}
	e.m = xntp.New(c)
	err = at.do(func() (err error) {
		e.ep, err = endpoint.New(e.m, endpoint.Config{Listen: []netip.AddrPort{at.Addr}, Step: e.step, Leave: e.m.CloseAll})
		return err
	})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	e.stop = stop
	go func() {
		defer close(e.done)
		e.ep.Run(ctx)
	}()
	return e, nil
}

// close says goodbye, and waits until nothing runs any more.
func (e *xntpEnd) close() {
	e.stop()
	<-e.done
}

func (t *xntpTransport) Listen(at Place, serve func(Conn)) (Listener, error) {
	e, err := t.open(at, serve)
	if err != nil {
		return nil, err
	}
	return &listener{peer: Peer{Addr: e.ep.LocalAddr(0), Key: e.m.Public().String()}, end: e.close}, nil
}

func (t *xntpTransport) Dial(ctx context.Context, at Place, to Peer, request []byte) (Conn, error) {
	key, err := xntp.ParsePublicKey(to.Key)
	if err != nil {
		return nil, err
	}
	e, err := t.open(at, nil)
	if err != nil {
		return nil, err
	}
	c := newXNTPConn(e, request)
	c.owns = true
	fail := error(nil)
	if err = e.ep.Call(ctx, func(now time.Time) {
		o := xntp.DialOptions{Remote: key, Addr: to.Addr, Early: request, Earn: t.options.Expect}
		if t.options.Hint > 0 {
			o.Token = xntpToken
		}
		if c.id, fail = e.m.Dial(now, o); fail == nil {
			e.conns[c.id] = c
		}
	}); err == nil {
		err = fail
	}
	if err != nil {
		e.close()
		return nil, err
	}
	return c, nil
}

// step drains events, on the loop.
func (e *xntpEnd) step(now time.Time) {
	for _, c := range e.conns {
		c.learn(now)
	}
	for !e.stalled {
		ev, ok := e.m.NextEvent()
		if !ok {
			return
		}
		c := e.conns[ev.Conn]
		switch ev.Kind {
		case xntp.EventAccepted:
			var made congestion.Controller
			if len(e.made) > 0 {
				made, e.made = e.made[0], e.made[1:] // connections are accepted in the order in which they are made
			}
			if c != nil || e.serve == nil || len(ev.Early) != RequestBytes {
				continue
			}
			c = newXNTPConn(e, append([]byte(nil), ev.Early...))
			c.id = ev.Conn
			c.begun = now
			c.model, _ = made.(*congestion.Model)
			e.conns[ev.Conn] = c
			if e.live == 0 {
				go e.serve(c)
			}
		case xntp.EventConnected:
			// Live messages are written once the address is proved, as peers wait for it:
			// before, three times what came from there may leave, and the rest is late.
			if c != nil && e.serve != nil && e.live > 0 {
				go e.serve(c)
			}
		case xntp.EventObject:
			if c != nil {
				e.stalled = c.arrived(ev.Object, ev.Data, e.live > 0)
			}
		case xntp.EventDelivered, xntp.EventExpired:
			if c != nil {
				c.left(ev.Object)
				c.look()
			}
		case xntp.EventClosed:
			if c != nil {
				delete(e.conns, ev.Conn)
				c.ended(ev.Reason)
			}
		}
	}
}

// An xntpConn is a connection as readers and writers see it, who are not on the
// loop.
type xntpConn struct {
	end     *xntpEnd
	owns    bool // the endpoint is this connection's alone
	request []byte
	id      xntp.ConnID
	once    sync.Once

	mu      sync.Mutex
	changed sync.Cond
	err     error
	in      [][]byte // in order
	last    []byte   // of it, what Next returned
	spent   [][]byte // before that
	held    int      // bytes of in and early
	next    xntp.ObjectID
	early   map[xntp.ObjectID][]byte
	out     map[xntp.ObjectID]int // bytes not yet delivered
	queued  int
	stats   xntp.Stats // as of the last objects that were delivered
	model   *congestion.Model
	begun   time.Time
	knows   float64 // bit/s, the first word about the capacity
	after   time.Duration
	count   int
}

func newXNTPConn(e *xntpEnd, request []byte) *xntpConn {
	c := &xntpConn{end: e, request: request, early: map[xntp.ObjectID][]byte{}, out: map[xntp.ObjectID]int{}}
	c.changed.L = &c.mu
	return c
}

// arrived takes an object, and reports whether that is enough for now.
func (c *xntpConn) arrived(id xntp.ObjectID, data []byte, live bool) (enough bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.spent {
		c.end.m.Reuse(p)
	}
	c.spent = c.spent[:0]
	c.held += len(data)
	if live {
		c.in = append(c.in, data)
	} else {
		c.early[id] = data
		for d, ok := c.early[c.next]; ok; d, ok = c.early[c.next] {
			delete(c.early, c.next)
			c.in = append(c.in, d)
			c.next++
		}
	}
	c.changed.Broadcast()
	return c.held > xntpHeld && len(c.in) > 0
}

func (c *xntpConn) left(id xntp.ObjectID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queued -= c.out[id]
	delete(c.out, id)
	c.changed.Broadcast()
}

// look notes the machine's own counters now and then: when the connection is
// gone they are too.
func (c *xntpConn) look() {
	const every = 8
	if c.count++; c.count%every != 1 {
		return
	}
	if s, ok := c.end.m.Stats(c.id); ok {
		c.mu.Lock()
		c.stats = s
		c.mu.Unlock()
	}
}

// learn notes what the model first takes for the capacity, and when.
func (c *xntpConn) learn(now time.Time) {
	if c.model == nil {
		return
	}
	if v := c.model.Capacity(); v > 0 {
		c.mu.Lock()
		c.knows, c.after = v*8, now.Sub(c.begun)
		c.mu.Unlock()
		c.model = nil
	}
}

// Capacity is what the sending end first took for the capacity of the link, in
// bit/s, and how long after it was dialed.
func (c *xntpConn) Capacity() (bps float64, after time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.knows, c.after, c.knows > 0
}

// Repeated is Repeater's.
func (c *xntpConn) Repeated() (part, of int64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats.RepeatedBytes, c.stats.ObjectBytes, c.stats.ObjectBytes > 0
}

func (c *xntpConn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
	c.changed.Broadcast()
}

func (c *xntpConn) ended(r xntp.Reason) { c.fail(errors.New("xntp: closed: " + r.String())) }

func (c *xntpConn) Request() []byte { return c.request }

func (c *xntpConn) Next() ([]byte, error) {
	c.mu.Lock()
	if c.last != nil {
		c.spent = append(c.spent, c.last)
		c.last = nil
	}
	for len(c.in) == 0 && c.err == nil {
		c.changed.Wait()
	}
	if len(c.in) == 0 {
		err := c.err
		c.mu.Unlock()
		return nil, err
	}
	p := c.in[0]
	c.in[0], c.last = nil, p
	c.in = c.in[1:]
	full := c.held > xntpHeld
	c.held -= len(p)
	full = full && c.held <= xntpHeld
	c.mu.Unlock()
	if full {
		c.end.ep.Do(func(time.Time) { c.end.stalled = false })
	}
	return p, nil
}

func (c *xntpConn) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		part := p[:min(len(p), xntpMaxObject)]
		if err := c.send(part); err != nil {
			return n, err
		}
		n += len(part)
		p = p[len(part):]
	}
	return n, nil
}

// send queues an object when there is room for it.
func (c *xntpConn) send(p []byte) error {
	c.mu.Lock()
	for c.queued > xntpQueued && c.err == nil {
		c.changed.Wait()
	}
	err := c.err
	c.queued += len(p)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	o := xntp.Object{Data: [][]byte{p}}
	if c.end.live > 0 {
		o.Class, o.Deadline = xntp.Deadline, time.Now().Add(c.end.live)
	}
	return c.end.ep.Do(func(now time.Time) {
		id, err := c.end.m.Send(now, c.id, o)
		switch {
		case errors.Is(err, xntp.ErrExpired), errors.Is(err, xntp.ErrBlocked) && c.end.live > 0:
			c.sent(-1, len(p)) // too late: as if it had expired at once
		case err != nil:
			c.fail(err)
		default:
			c.sent(int64(id), len(p))
		}
	})
}

// sent notes the bytes of an object until they are delivered; without an id they
// never will be.
func (c *xntpConn) sent(id int64, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id >= 0 {
		c.out[xntp.ObjectID(id)] = n
		return
	}
	c.queued -= n
	c.changed.Broadcast()
}

func (c *xntpConn) Close() error {
	c.once.Do(func() {
		c.fail(xntp.ErrClosed)
		if c.owns {
			c.end.close()
			return
		}
		c.end.ep.Do(func(now time.Time) {
			c.end.stalled = false
			c.end.m.Close(now, c.id, 0)
		})
	})
	return nil
}

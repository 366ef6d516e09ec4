package xntp

import (
	"io"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/congestion"
	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

// An Endpoint is all XNTP connections of a node behind one machine.Machine.
type Endpoint struct {
	cfg    Config
	public PublicKey

	conns map[ConnID]*conn
	byCID map[wire.CID]*conn
	// byReset finds the connection that a stateless reset ends.
	byReset map[wire.ResetToken]*conn
	order   []*conn // by id, for everything whose order shows
	half    int     // connections in stateHalf
	nextID  ConnID

	// handshakes are those that were answered, so that a repeated Initial finds
	// its connection and a replayed one finds nothing. recent names the last
	// maxRecent of them, in a ring.
	handshakes map[[ephemeralLen]byte]*conn
	recent     [][ephemeralLen]byte
	recentAt   int

	gate    gateState
	reset   resetState
	random  [maxReset]byte
	replies fifo[reply]
	turn    fifo[*conn] // connections that may have something to send
	streak  int         // datagrams that the first of them has sent in its turn
	timers  timers
	events  fifo[queuedEvent]
	counts  Counts
	past    pastState

	trace       traceState
	frame       wire.Frame
	scratch     []byte
	arrivals    []congestion.Arrival // of the ACK under way
	freeObjects []*object
	buffers     buffers
	shard       shardPacket
	freeShards  [][]byte
	spareShards [][]byte // a list for the next block
	shardBytes  int      // in use and free
}

var _ machine.Machine = (*Endpoint)(nil)

// A queuedEvent is an event and what its being taken returns to the peer's
// window.
type queuedEvent struct {
	Event
	credit uint64
}

// A reply is a stateless answer to a stranger.
type reply struct {
	to   path
	data [64]byte
	n    int
}

const (
	maxRecent  = 4096 // replays of older Initials cost a handshake and nothing more
	maxReplies = 64   // beyond it strangers get no answer
)

// Counts are the datagrams that came to nothing, by cause.
type Counts struct {
	Foreign  uint64 // no packet of XNTP
	Stray    uint64 // for no connection of ours
	Reset    uint64 // stateless resets that ended a connection
	Early    uint64 // before the keys were there
	Forged   uint64 // did not open
	Replayed uint64
	Refused  uint64 // Initials beyond a limit
	Retried  uint64 // Initials answered with a cookie
}

// New returns an endpoint without connections. Config needs a Key, Rand and
// Entropy; it is copied. It panics if Entropy fails, for nothing can be secret
// then.
func New(cfg Config) *Endpoint {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&cfg.MTU, maxMTU)
	def(&cfg.MaxObject, DefaultMaxObject)
	def(&cfg.Window, DefaultWindow)
	def(&cfg.QueueBytes, DefaultQueueBytes)
	def(&cfg.QueueLen, DefaultQueueLen)
	def(&cfg.MaxConns, DefaultMaxConns)
	def(&cfg.MaxHalf, min(DefaultMaxHalf, cfg.MaxConns))
	cfg.MTU = min(max(cfg.MTU, wire.HandshakeLen), maxMTU)
	cfg.Window = max(cfg.Window, cfg.MaxObject+objectOverhead)
	for _, d := range []struct{ v, def *time.Duration }{
		{&cfg.Keepalive, ptr(DefaultKeepalive)}, {&cfg.Idle, ptr(DefaultIdle)}, {&cfg.Handshake, ptr(DefaultHandshake)},
	} {
		if *d.v == 0 {
			*d.v = *d.def
		}
	}
	if cfg.KeyLife == 0 {
		cfg.KeyLife = DefaultKeyLife
	}
	e := &Endpoint{
		cfg: cfg, public: cfg.Key.Public(), nextID: 1,
		conns: make(map[ConnID]*conn), byCID: make(map[wire.CID]*conn), byReset: make(map[wire.ResetToken]*conn), handshakes: make(map[[ephemeralLen]byte]*conn),
		scratch: make([]byte, 0, 1<<16),
	}
	e.trace.most = cfg.Trace
	e.reset.init(cfg.Key)
	if err := e.gate.init(cfg.Entropy); err != nil {
		panic("xntp: entropy: " + err.Error())
	}
	return e
}

func ptr[T any](v T) *T { return &v }

func (e *Endpoint) newController(now time.Time) congestion.Controller {
	if e.cfg.NewController != nil {
		return e.cfg.NewController(now)
	}
	return congestion.NewModel(min(e.cfg.MTU, DefaultMTU))
}

// Public returns the endpoint's own key.
func (e *Endpoint) Public() PublicKey { return e.public }

// Counts returns what was dropped so far.
func (e *Endpoint) Counts() Counts { return e.counts }

// turnDatagrams is how many datagrams a connection sends in its turn: a train.
const turnDatagrams = 16

// Receive implements machine.Machine.
func (e *Endpoint) Receive(now time.Time, p machine.Packet) {
	data := p.Data
	switch wire.Classify(data) {
	case wire.PacketNone:
		e.counts.Foreign++
	case wire.PacketShort:
		cid, ok := wire.ShortCID(data)
		c := e.byCID[cid]
		if !ok || c == nil || len(data) > cap(e.scratch) {
			e.counts.Stray++
			e.stray(now, path{p.Socket, p.Remote}, data)
			return
		}
		c.receive(now, &p, data)
		e.touch(c)
	default:
		e.receiveLong(now, path{p.Socket, p.Remote}, p.Stamp, data)
	}
}

func (e *Endpoint) receiveLong(now time.Time, from path, stamp time.Time, data []byte) {
	p, err := wire.ParseLong(data)
	if err != nil {
		e.counts.Foreign++
		return
	}
	if p.Type == wire.PacketInitial {
		e.receiveInitial(now, from, stamp, &p, data)
		return
	}
	c := e.byCID[p.Dst]
	if c == nil || p.Type != wire.PacketVersions && p.Version != wire.Version {
		e.counts.Stray++
		return
	}
	switch p.Type {
	case wire.PacketResponse:
		c.answered(now, from, p.Noise)
	case wire.PacketRetry:
		c.retry(now, p.Cookie)
	case wire.PacketVersions:
		// Believed only if ours is not among them: else it is forged or late.
		ours := false
		for v := p.Versions; len(v) >= 4; v = v[4:] {
			ours = ours || [4]byte(v) == [4]byte{0, 0, 0, wire.Version}
		}
		if c.state == stateDialing && !ours && len(p.Versions) > 0 {
			c.gone(now, ClosedVersion, 0)
		}
	}
	e.touch(c)
}

// newConn makes a connection with an ID of its own.
func (e *Endpoint) newConn(now time.Time) (*conn, error) {
	if len(e.conns) >= e.cfg.MaxConns {
		return nil, ErrTooMany
	}
	c := &conn{id: e.nextID}
	for {
		if _, err := io.ReadFull(e.cfg.Entropy, c.local[:]); err != nil {
			return nil, err
		}
		if e.byCID[c.local] == nil && c.local != (wire.CID{}) {
			break
		}
	}
	e.nextID++
	c.init(e, now)
	e.conns[c.id] = c
	e.byCID[c.local] = c
	e.order = append(e.order, c)
	return c, nil
}

// remove forgets a connection.
func (e *Endpoint) remove(c *conn) {
	if c.state == stateGone {
		return
	}
	if c.state == stateHalf {
		e.half--
	}
	c.notePast(c.path.path)
	c.state = stateGone
	c.note(time.Time{}, Trace{Kind: TraceGone})
	e.timers.set(c, time.Time{})
	delete(e.conns, c.id)
	delete(e.byCID, c.local)
	e.unknow(c)
	c.parity.free(e)
	for _, p := range c.dial.early {
		e.freeShard(p.Data)
	}
	c.blocks.free(e)
	if h, ok := e.handshakes[c.answer.ephemeral]; ok && h == c {
		e.handshakes[c.answer.ephemeral] = nil
	}
	if i := slices.Index(e.order, c); i >= 0 {
		e.order = slices.Delete(e.order, i, i+1)
	}
}

// touch puts a connection that something happened to in line for sending.
func (e *Endpoint) touch(c *conn) {
	if !c.ready && c.state != stateGone {
		c.ready = true
		e.turn.push(c)
	}
}

// Advance implements machine.Machine.
func (e *Endpoint) Advance(now time.Time) {
	e.refresh()
	for len(e.timers) > 0 && !now.Before(e.timers[0].timeout) {
		c := e.timers[0]
		c.advance(now)
		if c.state == stateGone {
			continue
		}
		e.touch(c)
		// What is due now leaves with AppendDatagram, which sets the timeout anew;
		// until then the connection waits in line.
		e.timers.set(c, time.Time{})
	}
}

// refresh gives a timeout to connections in line, which have none: for a driver
// that asks for the time without having drained all datagrams.
func (e *Endpoint) refresh() {
	for i := range e.turn.n {
		c := e.turn.ring[(e.turn.first+i)%len(e.turn.ring)]
		if c.state != stateGone && c.heap < 0 {
			e.timers.set(c, c.nextTimeout())
		}
	}
}

// NextTimeout implements machine.Machine.
func (e *Endpoint) NextTimeout() time.Time {
	if e.turn.n > 0 {
		e.refresh()
	}
	if len(e.timers) == 0 {
		return time.Time{}
	}
	return e.timers[0].timeout
}

// AppendDatagram implements machine.Machine. Connections with something to
// send take turns of up to turnDatagrams: what a connection sends at one moment is to
// leave together, because its spacing at the receiver is a measurement, and
// because a kernel takes it as one.
func (e *Endpoint) AppendDatagram(now time.Time, dst []byte) (machine.Packet, bool) {
	if r, ok := e.replies.pop(); ok {
		return machine.Packet{Socket: r.to.socket, Remote: r.to.addr, Data: append(dst, r.data[:r.n]...)}, true
	}
	for e.turn.n > 0 {
		c, _ := e.turn.pop()
		if p, ok := c.appendDatagram(now, dst); ok {
			if e.streak++; e.streak < turnDatagrams {
				e.turn.unpop(c)
			} else {
				e.turn.push(c)
				e.streak = 0
			}
			return p, true
		}
		e.streak = 0
		c.ready = false
		if c.state != stateGone {
			e.timers.set(c, c.nextTimeout())
		}
	}
	return machine.Packet{}, false
}

// NextEvent returns what happened, oldest first. Taking an event with data
// returns its charge to the peer's window, so an owner that does not drain makes
// peers wait.
func (e *Endpoint) NextEvent() (Event, bool) {
	ev, ok := e.events.pop()
	if !ok {
		return Event{}, false
	}
	if ev.credit > 0 {
		if c := e.conns[ev.Conn]; c != nil && c.state == stateOpen {
			c.taken(ev.credit)
			if c.windowDue {
				e.touch(c)
			}
		}
	}
	return ev.Event, true
}

// newObject and freeObject keep the records of objects for reuse, their lists
// of ranges included.
func (e *Endpoint) newObject() *object {
	if n := len(e.freeObjects); n > 0 {
		o := e.freeObjects[n-1]
		e.freeObjects = e.freeObjects[:n-1]
		return o
	}
	return new(object)
}

func (e *Endpoint) freeObject(o *object) {
	o.reset()
	if len(e.freeObjects) < maxFreeObjects {
		e.freeObjects = append(e.freeObjects, o)
	}
}

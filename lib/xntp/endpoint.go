package xntp

import (
	"io"
	"net/netip"
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

	conns  map[ConnID]*conn
	byCID  map[wire.CID]*conn
	order  []*conn // by id, for everything whose order shows
	half   int     // connections in stateHalf
	nextID ConnID

	// handshakes are those that were answered, so that a repeated Initial finds
	// its connection and a replayed one finds nothing. recent names the last
	// maxRecent of them, in a ring.
	handshakes map[[ephemeralLen]byte]*conn
	recent     [][ephemeralLen]byte
	recentAt   int

	gate    gateState
	replies fifo[reply]
	turn    fifo[*conn] // connections that may have something to send
	timers  timers
	events  fifo[queuedEvent]
	counts  Counts

	frame       wire.Frame
	scratch     []byte
	freeObjects []*object
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
	def(&cfg.MTU, DefaultMTU)
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
		conns: make(map[ConnID]*conn), byCID: make(map[wire.CID]*conn), handshakes: make(map[[ephemeralLen]byte]*conn),
		scratch: make([]byte, 0, 1<<16),
	}
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
	return congestion.NewCUBIC(e.cfg.MTU)
}

// Public returns the endpoint's own key.
func (e *Endpoint) Public() PublicKey { return e.public }

// Counts returns what was dropped so far.
func (e *Endpoint) Counts() Counts { return e.counts }

// Receive implements machine.Machine.
func (e *Endpoint) Receive(now time.Time, p machine.Packet) {
	data := p.Data
	for p.Segment > 0 && len(data) > p.Segment {
		e.receive(now, &p, data[:p.Segment])
		data = data[p.Segment:]
	}
	e.receive(now, &p, data)
}

func (e *Endpoint) receive(now time.Time, p *machine.Packet, data []byte) {
	switch wire.Classify(data) {
	case wire.PacketNone:
		e.counts.Foreign++
	case wire.PacketShort:
		cid, ok := wire.ShortCID(data)
		c := e.byCID[cid]
		if !ok || c == nil || len(data) > cap(e.scratch) {
			e.counts.Stray++
			return
		}
		c.receive(now, p, data)
		e.touch(c)
	default:
		e.receiveLong(now, path{p.Socket, p.Remote}, data)
	}
}

func (e *Endpoint) receiveLong(now time.Time, from path, data []byte) {
	p, err := wire.ParseLong(data)
	if err != nil {
		e.counts.Foreign++
		return
	}
	if p.Type == wire.PacketInitial {
		e.receiveInitial(now, from, &p, data)
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
			c.gone(ClosedVersion, 0)
		}
	}
	e.touch(c)
}

// receiveInitial handles an Initial. The cheap questions come first.
func (e *Endpoint) receiveInitial(now time.Time, from path, p *wire.Long, data []byte) {
	if len(data) < wire.HandshakeLen {
		e.counts.Foreign++ // it would not earn its answer
		return
	}
	if p.Version != wire.Version {
		e.reply(from, &wire.Long{Type: wire.PacketVersions, Dst: p.Src, Versions: []byte{0, 0, 0, wire.Version}})
		return
	}
	if len(p.Noise) < ephemeralLen {
		e.counts.Foreign++
		return
	}
	ephemeral := [ephemeralLen]byte(p.Noise)
	if c, known := e.handshakes[ephemeral]; known {
		if c == nil {
			e.counts.Replayed++
		} else {
			c.again(from, len(data))
			e.touch(c)
		}
		return
	}
	proved := len(p.Cookie) > 0 && e.gate.believes(p.Cookie, now, from, p.Src)
	if !proved && len(p.Token) > 0 && e.cfg.VerifyToken != nil {
		proved = e.cfg.VerifyToken(e.cfg.TokenKeys, p.Token, from.addr, now)
	}
	if e.half >= e.cfg.MaxHalf || len(e.conns) >= e.cfg.MaxConns {
		e.counts.Refused++
		return
	}
	if !proved && (e.half >= e.cfg.MaxHalf/2 || !e.gate.free(now)) {
		e.counts.Retried++
		e.reply(from, &wire.Long{
			Type: wire.PacketRetry, Version: wire.Version, Dst: p.Src,
			Cookie: e.gate.bake(epoch(now), from, p.Src),
		})
		return
	}
	in, err := e.readInitial(p)
	if err != nil || in.key == e.public {
		e.counts.Forged++
		return
	}
	e.accept(now, in, from, len(data), proved)
}

// accept begins the responder's side, unless the peer and we dial each other at
// once. Then the dial of the lower key is the one that counts: the lower keeps
// its own and does not answer, the higher turns its dial into the answer. So
// one connection results, under the id that Dial returned on either side.
func (e *Endpoint) accept(now time.Time, in *initial, from path, size int, proved bool) {
	var own *conn
	for _, c := range e.order {
		if c.state == stateDialing && c.key == in.key {
			own = c
			break
		}
	}
	early := append([]byte(nil), in.params.Early...)
	accepted := Event{Kind: EventAccepted, Key: in.key, Socket: from.socket, Addr: from.addr, Early: early}
	if own != nil && e.public.Compare(in.key) < 0 {
		e.remember(in.ephemeral, nil)
		if from != own.path.path {
			own.dial.other, own.dial.turn = from, false
		}
		own.dial.due = true // the way is open now
		own.event(accepted)
		e.touch(own)
		return
	}
	c := own
	if c == nil {
		var err error
		if c, err = e.newConn(now); err != nil {
			e.counts.Refused++
			return
		}
	} else {
		for _, other := range slices.Clone(e.order) {
			if other != c && other.state == stateDialing && other.key == c.key {
				other.gone(ClosedReplaced, 0)
			}
		}
	}
	if err := c.respond(now, in, from, size, proved); err != nil {
		c.gone(ClosedHandshake, 0)
		return
	}
	e.half++
	e.remember(in.ephemeral, c)
	c.event(accepted)
	e.touch(c)
}

// remember names a handshake, and forgets the oldest that is over.
func (e *Endpoint) remember(ephemeral [ephemeralLen]byte, c *conn) {
	e.handshakes[ephemeral] = c
	if len(e.recent) < maxRecent {
		e.recent = append(e.recent, ephemeral)
		return
	}
	old := e.recent[e.recentAt]
	delete(e.handshakes, old)
	e.recent[e.recentAt] = ephemeral
	e.recentAt = (e.recentAt + 1) % maxRecent
}

// simultaneous is how close in time two connections with one peer must open to
// be taken for two dials that crossed, and not for a peer that started anew.
const simultaneous = 3 * time.Second

// settle leaves one connection with a peer after c has become open.
//
// Whoever dialed has the last word on its own dial: it confirms one and forgets
// the others. Of two that crossed, the dial of the lower key stays. Otherwise
// the newer one does, because the peer may have lost the older.
func (e *Endpoint) settle(now time.Time, c *conn) {
	if !c.initiator {
		e.half--
	}
	lower := func(c *conn) bool { return c.initiator == (e.public.Compare(c.key) < 0) }
	for _, other := range slices.Clone(e.order) {
		if other == c || other.key != c.key {
			continue
		}
		switch other.state {
		case stateDialing:
			other.gone(ClosedReplaced, 0)
		case stateHalf:
			if !c.initiator || lower(c) {
				other.gone(ClosedReplaced, 0)
			}
		case stateOpen:
			loser := other
			if other.initiator != c.initiator && now.Sub(other.opened) < simultaneous && lower(other) {
				loser = c
			}
			loser.close(now, ClosedReplaced, codeReplaced)
			e.touch(loser)
			if loser == c {
				return
			}
		}
	}
}

// reply queues a stateless answer.
func (e *Endpoint) reply(to path, p *wire.Long) {
	if e.replies.n >= maxReplies {
		return
	}
	r := reply{to: to}
	r.n = copy(r.data[:], p.Append(r.data[:0]))
	e.replies.push(r)
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
	c.state = stateGone
	e.timers.set(c, time.Time{})
	delete(e.conns, c.id)
	delete(e.byCID, c.local)
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
// send take turns, a datagram each.
func (e *Endpoint) AppendDatagram(now time.Time, dst []byte) (machine.Packet, bool) {
	if r, ok := e.replies.pop(); ok {
		return machine.Packet{Socket: r.to.socket, Remote: r.to.addr, Data: append(dst, r.data[:r.n]...)}, true
	}
	for e.turn.n > 0 {
		c, _ := e.turn.pop()
		if p, ok := c.appendDatagram(now, dst); ok {
			e.turn.push(c)
			return p, true
		}
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

// Dial starts a connection. EventConnected or EventClosed follows. If there is
// an open connection with the peer, its id is returned with ErrConnected; several
// dials to one peer, at different addresses, may run at once: the first to
// be answered wins and the others end with ClosedReplaced.
func (e *Endpoint) Dial(now time.Time, o DialOptions) (ConnID, error) {
	switch {
	case len(o.Early) > MaxEarly || len(o.Token) > wire.MaxToken || len(o.Early)+len(o.Token) > MaxEarly:
		return 0, ErrTooLarge
	case o.Remote == e.public || !o.Addr.IsValid():
		return 0, ErrKey
	}
	for _, c := range e.order {
		if c.key == o.Remote && c.state == stateOpen {
			return c.id, ErrConnected
		}
	}
	c, err := e.newConn(now)
	if err != nil {
		return 0, err
	}
	c.key = o.Remote
	c.path = pathState{path: path{o.Socket, o.Addr}, proved: true} // we begin: there is nothing to amplify
	if err := c.startDial(now, &o); err != nil {
		e.remove(c)
		return 0, err
	}
	e.touch(c)
	return c.id, nil
}

// find returns a connection that objects can be sent on.
func (e *Endpoint) find(id ConnID) *conn {
	c := e.conns[id]
	if c == nil || c.state == stateClosing {
		return nil
	}
	return c
}

// Send queues an object. Objects may be sent from EventAccepted on, and after
// Dial; they leave when the handshake permits.
func (e *Endpoint) Send(now time.Time, id ConnID, o Object) (ObjectID, error) {
	c := e.find(id)
	if c == nil {
		return 0, ErrClosed
	}
	object, err := c.send(now, o)
	e.touch(c)
	return object, err
}

// Cancel gives up an object that is not delivered. No event follows for it.
func (e *Endpoint) Cancel(now time.Time, id ConnID, object ObjectID) {
	if c := e.find(id); c != nil {
		if o := c.out.all[uint64(object)]; o != nil {
			c.giveUp(o, true)
			e.touch(c)
		}
	}
}

// OpenStream starts an endless object: an ordered, reliable stream of bytes.
func (e *Endpoint) OpenStream(now time.Time, id ConnID, priority uint8) (ObjectID, error) {
	c := e.find(id)
	if c == nil {
		return 0, ErrClosed
	}
	object, err := c.openStream(priority)
	e.touch(c)
	return object, err
}

// Write appends to a stream as much of p as the send queue has room for, copied;
// with n < len(p) the error is ErrBlocked.
func (e *Endpoint) Write(now time.Time, id ConnID, stream ObjectID, p []byte) (n int, err error) {
	c := e.find(id)
	if c == nil {
		return 0, ErrClosed
	}
	n, err = c.write(stream, p)
	e.touch(c)
	return n, err
}

// CloseStream ends a stream. EventDelivered follows when the peer has all.
func (e *Endpoint) CloseStream(now time.Time, id ConnID, stream ObjectID) error {
	c := e.find(id)
	if c == nil {
		return ErrClosed
	}
	err := c.closeStream(stream)
	e.touch(c)
	return err
}

// Close ends a connection at once: what was not delivered is dropped. The peer
// is told the code, which must be below 65536; those above are the protocol's.
// EventClosed follows.
func (e *Endpoint) Close(now time.Time, id ConnID, code uint64) {
	if c := e.find(id); c != nil {
		c.close(now, ClosedByUs, min(code, codeFrame-1))
		e.touch(c)
	}
}

// CloseAll closes every connection with code zero.
func (e *Endpoint) CloseAll(now time.Time) {
	for _, c := range slices.Clone(e.order) {
		e.Close(now, c.id, 0)
	}
}

// Probe asks every peer for a sign of life at once: for a driver that notices a
// change of network, so that peers learn the new address without waiting for
// traffic.
func (e *Endpoint) Probe(now time.Time) {
	for _, c := range e.order {
		if c.state == stateOpen {
			c.ping = true
			c.loss.probes = max(c.loss.probes, 1)
			e.touch(c)
		}
	}
}

// Stats returns what is known of a connection.
func (e *Endpoint) Stats(id ConnID) (Stats, bool) {
	c := e.find(id)
	if c == nil {
		return Stats{}, false
	}
	s := Stats{
		SRTT: c.rtt.smoothed, MinRTT: c.rtt.min, RTTVar: c.rtt.variation,
		DeliveryRate: c.rate.bps, PacingRate: c.pacingRate(), Cwnd: c.cc.Window(), InFlight: c.loss.bytes,
		QueuedBytes: c.out.waiting, HeldBytes: c.out.held, QueuedObjects: len(c.out.all),
		SentBytes: c.stats.sentBytes, ReceivedBytes: c.stats.receivedBytes, SentPackets: c.loss.sentCount,
		ReceivedPackets: c.stats.receivedPackets, LostPackets: c.loss.lostCount, SpuriousPackets: c.loss.spurious,
		ObjectBytes: c.stats.objectBytes, RepeatedBytes: c.stats.repeatedBytes, MTU: c.mtu, Connected: c.state == stateOpen,
	}
	if s.SentPackets > 0 {
		s.Loss = float64(s.LostPackets-s.SpuriousPackets) / float64(s.SentPackets)
	}
	return s, true
}

// Remote returns the peer's key and the address it is reached by; zero values
// if there is no such connection.
func (e *Endpoint) Remote(id ConnID) (PublicKey, netip.AddrPort) {
	c := e.conns[id]
	if c == nil {
		return PublicKey{}, netip.AddrPort{}
	}
	return c.key, c.path.addr
}

// Conns appends the ids of all connections, oldest first.
func (e *Endpoint) Conns(dst []ConnID) []ConnID {
	for _, c := range e.order {
		dst = append(dst, c.id)
	}
	return dst
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

package xntp

import (
	"net/netip"
	"slices"
	"time"

	"github.com/xp2p/xp2p/lib/congestion"
	"github.com/xp2p/xp2p/lib/machine"
	"github.com/xp2p/xp2p/lib/wire"
)

// connState is where a connection stands.
type connState uint8

const (
	stateDialing connState = iota // our Initial is out, no Response yet
	stateHalf                     // we answered an Initial; the peer has not shown that it holds its key
	stateOpen
	stateClosing // CLOSE was sent; it is repeated for what still arrives
	stateGone
)

// A conn is one connection. Its concerns are values of their own, each in its
// file; the verbs are in conn_recv.go, conn_send.go, conn_loss.go, conn_path.go,
// conn_object.go and conn_close.go.
type conn struct {
	e          *Endpoint
	id         ConnID
	state      connState
	initiator  bool // we dialed, and the dial is the one that counts
	key        PublicKey
	local      wire.CID        // we receive at it
	remote     wire.CID        // the peer receives at it
	resetToken wire.ResetToken // ends the connection, if the peer sends it
	began      time.Time
	opened     time.Time // when it became stateOpen

	dial   dialState
	answer answerState
	path   pathState
	probe  probeState

	protect protectState
	acks    ackState
	loss    lossState
	rtt     rttState
	pacer   pacerState
	cc      congestion.Controller
	out     outbox
	in      inbox
	rate    rateState
	blocks  blockState
	parity  parityState
	way     wayState
	runs    runState

	mtu       int // UDP payload of a full packet
	peerMTU   int // the largest that the peer takes
	mtuSearch mtuState
	movedAt   time.Time // when the peer's IP address changed last
	ecnOff    bool      // the path or the peer does not report marks
	ceSeen    uint64
	idle      time.Duration // the smaller of both ends'
	keepalive time.Duration
	heard     time.Time // last authentic packet
	spoke     time.Time // last packet sent
	ping      bool      // a PING is to be sent
	windowDue bool      // a WINDOW is to be sent
	earn      int       // full packets to send, so that a new address of ours earns room
	silence   silenceState
	keyedAt   time.Time // when the keys in use began
	keyRolls  uint64    // of protect, then
	oldUntil  time.Time // when those before them are forgotten

	closing closeState

	roundEnd   uint64 // a round is over when this number is acknowledged
	flight     int    // most bytes in flight in this round
	flightLast int    // and in the one before

	stats   counters
	timeout time.Time // when advance is due
	heap    int       // place in the endpoint's timers, -1 if none
	ready   bool      // in the endpoint's turn
}

// counters are the parts of Stats that only grow.
type counters struct {
	sentBytes, receivedBytes   int64
	receivedPackets            int64
	objectBytes, repeatedBytes int64
	parityBytes                int64
	recovered                  int64
}

// A path is where a peer is.
type path struct {
	socket machine.Socket
	addr   netip.AddrPort
}

// pathState is the path in use and what may be sent on it.
type pathState struct {
	path
	proved   bool
	received int64 // bytes, until it is proved
	sent     int64
}

// room is how many bytes may be sent: three times what was received, until the
// address is proved (RFC 9000 §8.1).
func (p *pathState) room() int64 {
	if p.proved {
		return 1 << 30
	}
	return 3*p.received - p.sent
}

// init sets up what every connection has, whichever way it begins.
func (c *conn) init(e *Endpoint, now time.Time) {
	c.e = e
	c.heap = -1
	c.began, c.heard, c.spoke = now, now, now
	c.mtu, c.peerMTU = min(e.cfg.MTU, DefaultMTU), e.cfg.MTU
	c.idle = e.cfg.Idle
	// A little less for each, or a thousand connections would all wake at once.
	c.keepalive = e.cfg.Keepalive - time.Duration(e.cfg.Rand.Int64N(int64(max(e.cfg.Keepalive/8, 1))))
	c.rtt.init()
	c.loss.init()
	c.loss.progress = now
	c.cc = e.newController(now)
	c.out.all = make(map[uint64]*object)
	c.in = inbox{
		open: make(map[uint64]*inbound), window: uint64(e.cfg.Window), limit: uint64(e.cfg.Window),
		maxObject: uint64(e.cfg.MaxObject), buffers: &e.buffers,
	}
}

// params are what we tell the peer.
func (c *conn) params() wire.Params {
	return wire.Params{
		Window: uint64(c.e.cfg.Window), MaxObject: uint64(c.e.cfg.MaxObject), Idle: c.e.cfg.Idle, MTU: uint64(c.e.cfg.MTU),
		Reset:    c.e.reset.token(c.local, c.path.addr.Addr()),
		Downlink: uint64(max(c.e.cfg.Downlink, 0)),
		Parity:   !c.e.cfg.NoParity,
	}
}

// minIdle is the shortest idle timeout that a peer can impose: keepalives go by
// half of it.
const minIdle = 2 * time.Second

// adopt takes what the peer told.
func (c *conn) adopt(p *wire.Params) {
	c.e.know(c, p.Reset)
	c.out.limit = p.Window
	c.parity.peer = p.Parity && !c.e.cfg.NoParity
	c.out.peerMax = min(p.MaxObject, max(p.Window, objectOverhead)-objectOverhead)
	for _, o := range slices.Clone(c.out.queue) {
		if o.size > c.out.peerMax && !o.endless {
			c.giveUp(o, false) // queued before this was known
		}
	}
	if p.Idle > 0 {
		c.idle = min(c.idle, max(p.Idle, minIdle))
	}
	if p.MTU >= wire.HandshakeLen {
		c.peerMTU = int(min(p.MTU, maxMTU))
	}
	c.startMTU()
}

func (c *conn) setMTU(mtu int) {
	if mtu != c.mtu {
		c.mtu = mtu
		c.cc.SetMTU(mtu)
		c.note(c.heard, Trace{Kind: TraceMTU, Bytes: mtu}) // it is always a packet that changes it
	}
}

// open makes the connection a connected one.
func (c *conn) open(now time.Time) {
	c.state = stateOpen
	c.opened, c.keyedAt, c.loss.progress = now, now, now
	c.note(now, Trace{Kind: TraceConnected, Key: c.key})
	c.path.proved = true
	c.event(Event{Kind: EventConnected, Key: c.key, Socket: c.path.socket, Addr: c.path.addr})
}

func (c *conn) event(ev Event) {
	ev.Conn = c.id
	c.e.events.push(queuedEvent{Event: ev})
}

// advance does what is due.
func (c *conn) advance(now time.Time) {
	due := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	switch c.state {
	case stateDialing, stateHalf:
		if due(c.began.Add(c.e.cfg.Handshake)) {
			c.gone(now, ClosedHandshake, 0)
			return
		}
		if c.state == stateDialing {
			c.redial(now)
			return
		}
		if c.dial.held != nil && due(c.dial.again) {
			c.take(now)
			return
		}
	case stateClosing:
		if due(c.closing.until) {
			c.e.remove(c)
		}
		return
	case stateGone:
		return
	}
	if due(c.heard.Add(c.idle)) {
		c.gone(now, ClosedIdle, 0)
		return
	}
	if due(c.loss.timeout(&c.rtt)) {
		c.lossTimer(now)
		if c.state == stateGone {
			return
		}
	}
	if due(c.out.expire) {
		c.expireDue(now)
	}
	if due(c.keepaliveAt()) {
		c.ping = true
	}
	if due(c.probe.at) {
		c.challengeAgain(now)
	}
	if due(c.blockEnd()) {
		c.endBlock(now)
	}
	if due(c.silentAt()) {
		c.silent()
	}
	c.rekey(now)
	c.rest(now)
}

// restAfter is how long nothing was acknowledged when a connection gives back the
// memory that it took while it was busy.
const restAfter = 10 * time.Second

func (c *conn) rest(now time.Time) {
	l := &c.loss
	if len(l.ring) == firstRing || l.flying > 0 || now.Sub(l.progress) < restAfter {
		return
	}
	if l.forget(now.Add(-3 * c.rtt.pto())); l.first == l.next {
		l.ring, l.free, c.in.free = make([]*sentPacket, firstRing), nil, nil
		c.dropBlock(now)
		c.parity.shards, c.parity.blocks = nil, nil
		c.blocks.free(c.e)
	}
}

// keepaliveAt is when silence must be broken, so that NATs keep the mapping and
// the peer its belief in us.
func (c *conn) keepaliveAt() time.Time {
	if c.keepalive < 0 || c.ping || c.state != stateOpen {
		return time.Time{}
	}
	return c.spoke.Add(min(c.keepalive, c.idle/2))
}

const (
	// rekeyAfter is how long a key is used at most.
	rekeyAfter = 10 * time.Minute
	// maxForged is how many packets may be forged before a key could be guessed
	// (RFC 9001 §6.6: 2^36 for ChaCha20-Poly1305, far more for AES-GCM).
	maxForged = 1 << 36
)

// rekey updates the key of a connection that has used it long or much, and drops
// the one before when no packet under it can be on its way any more (RFC 9001
// §6.5: no longer than three probe timeouts after the first under the new one).
func (c *conn) rekey(now time.Time) {
	p := &c.protect
	if c.state != stateOpen {
		return
	}
	if p.rolls == c.keyRolls && (p.sealed >= c.e.cfg.KeyLife || p.sealed > 0 && now.Sub(c.keyedAt) >= rekeyAfter) {
		p.update()
	}
	if p.rolls != c.keyRolls { // it was we who began, or the peer
		c.keyedAt, c.keyRolls, c.oldUntil = now, p.rolls, time.Time{}
		c.note(now, Trace{Kind: TraceKeys, Number: p.rolls})
	}
	switch {
	case !p.haveOld || !p.followed():
	case c.oldUntil.IsZero():
		c.oldUntil = now.Add(3 * c.rtt.pto())
	case !now.Before(c.oldUntil):
		p.forgetOld()
	}
}

// nextTimeout is the earliest of all that may become due.
func (c *conn) nextTimeout() time.Time {
	var t time.Time
	at := func(u time.Time) {
		if !u.IsZero() && (t.IsZero() || u.Before(t)) {
			t = u
		}
	}
	switch c.state {
	case stateDialing:
		at(c.dial.again)
		at(c.began.Add(c.e.cfg.Handshake))
		return t
	case stateHalf:
		at(c.began.Add(c.e.cfg.Handshake))
		if c.dial.held != nil {
			at(c.dial.again)
		}
	case stateClosing:
		return c.closing.until
	case stateGone:
		return t
	}
	at(c.heard.Add(c.idle))
	if at(c.answer.hold); c.maySpeak() && c.answer.hold.IsZero() {
		at(c.loss.timeout(&c.rtt))
		at(c.acks.due)
		if c.wantsData() && c.windowOpen() {
			at(c.pacer.next(c.pacingRate(), c.mtu))
		}
	}
	at(c.out.expire)
	at(c.keepaliveAt())
	at(c.probe.at)
	at(c.blockEnd())
	at(c.silentAt())
	return t
}
